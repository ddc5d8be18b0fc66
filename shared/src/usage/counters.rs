//! What is counted, and the days and months of the deployment's time zone. Pure.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// What was counted in a day or a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Period {
    /// Rentals that were completed.
    pub rentals: i64,
    /// What they cost, minor units.
    pub spent_minor: i64,
    /// Points that were credited.
    pub points_earned: i64,
}

/// Whether a station is a favourite, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// Whether it is one.
    pub is_favorite: bool,
    /// When that was said, microseconds since 1970: two events of one second have an order.
    pub said_at_us: i64,
}

/// The day of a moment in a time zone.
pub fn day_of(at: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(at).date()
}

/// A day's name, `2026-11-23`.
pub fn day_name(day: Date) -> String {
    day.to_string()
}

/// A month's name, `2026-11`.
pub fn month_name(day: Date) -> String {
    day.strftime("%Y-%m").to_string()
}

/// Days or months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// Days.
    Day,
    /// Months.
    Month,
}

impl Granularity {
    /// What the sort keys of its rows begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Day => "DAY#",
            Self::Month => "MONTH#",
        }
    }

    /// The type of its items.
    pub(super) fn item_type(self) -> &'static str {
        match self {
            Self::Day => "usage_day",
            Self::Month => "usage_month",
        }
    }
}
