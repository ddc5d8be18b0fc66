//! The account: who a person is to this service, and the claims that make identifiers unique.

mod credential;
mod edit;
mod items;
pub mod list;

pub use credential::{must_have_verified, set_identifier, set_password, set_told, take_telling};
pub use edit::{edit, release_username, set_epoch};
pub use items::*;
