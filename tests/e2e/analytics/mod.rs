//! `/users/analytics` and `/internal/usage-events`.

mod usage_events;
mod usage_stats;
