//! The audit trail: entries that are appended, and their search.

mod items;
pub mod search;

pub use items::*;
