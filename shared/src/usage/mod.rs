//! Usage statistics: counters, and the events that they count.

mod items;
mod periods;

pub use items::*;
pub use periods::{Granularity, Period, day_name, day_of, month_name};
