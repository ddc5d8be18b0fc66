//! The audit trail: adding entries and searching them.

mod items;
pub mod search;

pub use items::*;
