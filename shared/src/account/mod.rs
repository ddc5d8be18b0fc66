//! The account: a user's identifiers, password, status and rights, and the claims that make names
//! unique.

mod account;
mod credential;
mod edit;
mod items;
pub mod list;

pub use account::{Account, AccountStatus, PasswordHash};
pub use credential::{must_have_verified, set_identifier, set_password, set_told, take_telling};
pub use edit::{edit, release_username, set_epoch};
pub use items::*;
