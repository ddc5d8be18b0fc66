//! What the seven functions share.
//!
//! Plumbing: [`http`] is the edge, [`runtime`] starts a function, [`dynamodb`] is the toolkit for
//! tables, [`crypto`] holds keys and digests, [`value`] the parsed types.
//!
//! Domains: every other folder is one subject with its rules and its items.

pub mod account;
pub mod audit;
pub mod crypto;
#[cfg(feature = "documents")]
pub mod deletion;
pub mod dynamodb;
pub mod http;
pub mod kyc;
pub mod message;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod otp;
pub mod profile;
pub mod runtime;
pub mod session;
pub mod sign_in;
pub mod usage;
pub mod user;
pub mod value;
pub mod wallet;
