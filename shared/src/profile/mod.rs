//! The profile: what a user says about themselves.

mod items;
mod model;
mod rules;

pub use items::*;
pub use model::Profile;
pub use rules::*;
