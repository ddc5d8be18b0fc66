//! One-time codes: rules, items, and the limits on sending them.

mod items;
pub mod limits;
mod rules;

pub use items::*;
pub use rules::*;
