//! The profile: what a person says about themselves.

mod items;
mod rules;

pub use items::*;
pub use rules::*;
