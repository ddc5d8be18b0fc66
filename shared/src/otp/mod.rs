//! One-time codes: rules, items, and the limits on sending them.

mod items;
pub mod limits;
mod rules;

pub use crate::runtime::clock::after;
pub use items::*;
pub use rules::*;
