//! Usage statistics: counters, and the events that they count.

mod items;

pub use items::*;
