//! How attempts to sign in slow down. Pure.
//!
//! The first ten attempts on an identifier within 15 minutes are free. From then on there is a
//! pause after each, which doubles from 30 seconds to 15 minutes and no further: whoever guesses
//! is slowed, and nobody can lock another person out for good. A right credential starts anew.

use jiff::Timestamp;
use serde::Deserialize;

use crate::dynamodb::seconds;

/// Attempts that are not slowed down.
pub const FREE_ATTEMPTS: u32 = 10;
/// The window that they are counted in, and the longest pause, seconds.
pub const WINDOW_SECONDS: i64 = 15 * 60;
const FIRST_PAUSE_SECONDS: i64 = 30;

/// The attempts on an identifier since the last right one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Attempts {
    /// How many.
    pub attempts: u32,
    /// When the first of them was.
    #[serde(with = "seconds::required")]
    pub window_start: Timestamp,
    /// When the last was.
    #[serde(with = "seconds::required")]
    pub last_attempt_at: Timestamp,
}

/// Whether another attempt is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// Not for this many seconds.
    Wait {
        /// At least one.
        seconds: i64,
    },
    /// It is, and this is the state that it leaves.
    Allowed {
        /// When the window began.
        window_start: Timestamp,
        /// The attempts in it.
        attempts: u32,
    },
}

/// The pause after the last of `attempts`, seconds.
fn pause_seconds(attempts: u32) -> i64 {
    match attempts.checked_sub(FREE_ATTEMPTS) {
        None => 0,
        Some(over) => (FIRST_PAUSE_SECONDS << over.min(10)).min(WINDOW_SECONDS),
    }
}

/// Judges an attempt at `now`.
pub fn judge(state: &Attempts, now: Timestamp) -> AttemptVerdict {
    let since_last = now.as_second() - state.last_attempt_at.as_second();
    let since_start = now.as_second() - state.window_start.as_second();
    // Quiet for a whole window, or few enough when it ended: it begins anew.
    let is_over = since_start >= WINDOW_SECONDS && state.attempts < FREE_ATTEMPTS;
    if is_over || since_last >= 2 * WINDOW_SECONDS {
        return AttemptVerdict::Allowed { window_start: now, attempts: 1 };
    }
    let pause = pause_seconds(state.attempts);
    if since_last < pause {
        return AttemptVerdict::Wait { seconds: pause - since_last };
    }
    let attempts = state.attempts.saturating_add(1);
    AttemptVerdict::Allowed { window_start: state.window_start, attempts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn state(attempts: u32, last: i64) -> Attempts {
        Attempts { attempts, window_start: at(0), last_attempt_at: at(last) }
    }

    #[test]
    fn ten_are_free_then_pauses_double_to_a_quarter_of_an_hour() {
        let pauses: Vec<_> = (8..18).map(pause_seconds).collect();
        assert_eq!(pauses, [0, 0, 30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn a_pause_ends_and_counts_on() {
        assert_eq!(judge(&state(10, 5), at(34)), AttemptVerdict::Wait { seconds: 1 });
        let allowed = AttemptVerdict::Allowed { window_start: at(0), attempts: 11 };
        assert_eq!(judge(&state(10, 5), at(35)), allowed);
    }

    #[test]
    fn a_window_that_ended_quietly_begins_anew() {
        let anew = |now| AttemptVerdict::Allowed { window_start: at(now), attempts: 1 };
        assert_eq!(judge(&state(9, 10), at(WINDOW_SECONDS)), anew(WINDOW_SECONDS));
        let long = 5 + 2 * WINDOW_SECONDS;
        assert_eq!(judge(&state(40, 5), at(long)), anew(long));
    }

    #[test]
    fn nobody_waits_longer_than_the_window() {
        for attempts in 0..200 {
            if let AttemptVerdict::Wait { seconds } = judge(&state(attempts, 0), at(0)) {
                assert!(seconds <= WINDOW_SECONDS);
            }
        }
    }
}
