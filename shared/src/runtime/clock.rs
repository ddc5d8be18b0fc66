//! The clock: the time is a parameter everywhere.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};

/// The source of the current time. Rules do not use it: they take a [`Timestamp`].
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system clock, which every deployed function uses.
    #[allow(clippy::disallowed_methods, reason = "the only place that reads the system time")]
    pub fn system() -> Self {
        Self::from_fn(Timestamp::now)
    }

    /// A clock that calls `now` for the time.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// `at` without its fraction of a second. Items store whole seconds, and a response with a new
/// value must be the same before and after the value is stored.
pub fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// `seconds` after `now`.
pub fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
