//! Random numbers, digests, message authentication codes, and the keys they are made with.

pub mod canonical;
pub(crate) mod jwt;
pub mod key_items;
pub mod keyring;
pub mod lookup;
pub mod secret;
pub mod slot;
