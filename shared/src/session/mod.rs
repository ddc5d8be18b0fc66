//! Sessions: tokens, authentication of a request, refresh, and the devices registered in a session.

pub mod access_token;
pub mod authentication;
pub mod device;
mod items;
mod refresh_token;
pub mod rotation;

pub use items::*;
pub use refresh_token::{RefreshToken, Unverified};
