//! The account: a user's identifiers, password, status and rights, and the claims that make names
//! unique.

mod credential;
mod edit;
mod items;
pub mod list;
mod model;

pub use credential::{
    must_have_verified, remove_pending_notice, set_identifier, set_password, take_notice_attempt,
};
pub use edit::{edit, raise_epoch, release_username};
pub use items::*;
pub use model::{Account, AccountStatus, PasswordHash};
