//! Sessions: tokens, authentication of a request, refresh, and the devices registered in a session.

pub mod access_token;
pub mod authentication;
pub mod device;
mod ending;
mod items;
mod refresh_token;
pub mod rotation;
mod session;

pub use ending::*;
pub use items::*;
pub use refresh_token::{RefreshToken, Unverified};
pub use session::*;
