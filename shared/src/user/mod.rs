//! What spans the domains: opening an account, and the user as the API shows it.

pub mod opening;
pub mod view;
