//! Usage statistics: counters, and the events that they count.

mod counters;
mod items;

pub use counters::{Granularity, Period, Station, day_name, day_of, month_name};
pub use items::*;
