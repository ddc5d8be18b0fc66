//! The throttling of sign-in attempts. Pure.
//!
//! The first ten attempts on an identifier within 15 minutes are not delayed. After each further
//! attempt there is a pause, which doubles from 30 seconds to at most 15 minutes. This slows
//! guessing down, but an attacker cannot lock an account permanently. A successful sign-in resets
//! the count.

use jiff::Timestamp;
use serde::Deserialize;

use crate::dynamodb::seconds;

/// The number of attempts that are not delayed.
pub const FREE_ATTEMPTS: u32 = 10;
/// The window in which attempts are counted, and the longest pause, seconds.
pub const WINDOW_SECONDS: i64 = 15 * 60;
const FIRST_PAUSE_SECONDS: i64 = 30;

/// The attempts on an identifier since its last successful sign-in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Attempts {
    /// The number of attempts.
    pub attempts: u32,
    /// The time of the first attempt.
    #[serde(with = "seconds::required")]
    pub window_start: Timestamp,
    /// The time of the last attempt.
    #[serde(with = "seconds::required")]
    pub last_attempt_at: Timestamp,
}

/// Whether another attempt is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptDecision {
    /// It is not allowed yet.
    Wait {
        /// The seconds to wait, at least one.
        seconds: i64,
    },
    /// It is allowed. Holds the state after it.
    Allowed {
        /// The start of the window.
        window_start: Timestamp,
        /// The attempts in the window.
        attempts: u32,
    },
}

/// The pause after the last of `attempts`, seconds.
fn pause_seconds(attempts: u32) -> i64 {
    match attempts.checked_sub(FREE_ATTEMPTS) {
        None => 0,
        Some(excess) => (FIRST_PAUSE_SECONDS << excess.min(10)).min(WINDOW_SECONDS),
    }
}

/// Decides whether an attempt at `now` is allowed.
pub fn decide(state: &Attempts, now: Timestamp) -> AttemptDecision {
    let since_last = now.as_second() - state.last_attempt_at.as_second();
    let since_start = now.as_second() - state.window_start.as_second();
    // A new window starts after an old one with few attempts, or after a long time without any.
    let has_ended = since_start >= WINDOW_SECONDS && state.attempts < FREE_ATTEMPTS;
    if has_ended || since_last >= 2 * WINDOW_SECONDS {
        return AttemptDecision::Allowed { window_start: now, attempts: 1 };
    }
    let pause = pause_seconds(state.attempts);
    if since_last < pause {
        return AttemptDecision::Wait { seconds: pause - since_last };
    }
    let attempts = state.attempts.saturating_add(1);
    AttemptDecision::Allowed { window_start: state.window_start, attempts }
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
    fn after_ten_attempts_pauses_double_from_30_seconds_to_15_minutes() {
        let pauses: Vec<_> = (8..18).map(pause_seconds).collect();
        assert_eq!(pauses, [0, 0, 30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn an_attempt_after_a_pause_is_allowed_and_counted() {
        assert_eq!(decide(&state(10, 5), at(34)), AttemptDecision::Wait { seconds: 1 });
        let allowed = AttemptDecision::Allowed { window_start: at(0), attempts: 11 };
        assert_eq!(decide(&state(10, 5), at(35)), allowed);
    }

    #[test]
    fn a_new_window_starts_after_few_attempts_or_a_long_time_without_any() {
        let first = |now| AttemptDecision::Allowed { window_start: at(now), attempts: 1 };
        assert_eq!(decide(&state(9, 10), at(WINDOW_SECONDS)), first(WINDOW_SECONDS));
        let long = 5 + 2 * WINDOW_SECONDS;
        assert_eq!(decide(&state(40, 5), at(long)), first(long));
    }

    #[test]
    fn a_pause_is_never_longer_than_the_window() {
        for attempts in 0..200 {
            if let AttemptDecision::Wait { seconds } = decide(&state(attempts, 0), at(0)) {
                assert!(seconds <= WINDOW_SECONDS);
            }
        }
    }
}
