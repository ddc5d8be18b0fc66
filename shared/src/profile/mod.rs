//! The profile: what a user says about themselves.

mod items;
mod profile;
mod rules;

pub use items::*;
pub use profile::Profile;
pub use rules::*;
