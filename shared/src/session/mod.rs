//! Sessions: tokens, authentication of a request, refresh, and the devices registered in a session.

pub mod access_token;
pub mod authentication;
pub mod device;
mod ending;
mod items;
mod model;
mod refresh_token;
pub mod rotation;

pub use ending::*;
pub use items::*;
pub use model::*;
pub use refresh_token::{RefreshToken, Unverified};
