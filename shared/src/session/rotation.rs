//! Refresh token rotation: the rules. Pure.
//!
//! A session has a counter. The token with the same counter is the *current* one. Each refresh
//! increments the counter, so that the next token becomes the current one. A token is a MAC over
//! its fields, and the server stores none. When a client lost the response to a refresh and sends
//! the previous token again, the server computes the current token again, with the same bytes.

use jiff::{SignedDuration, Timestamp};

use crate::crypto::secret::Digest;

/// A session ends when it was not refreshed for this long.
pub const IDLE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A session ends this long after the sign-in, even if it is refreshed.
pub const ABSOLUTE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// When a session that starts at `now` ends even if it is refreshed.
pub fn absolute_end(now: Timestamp) -> Timestamp {
    now.saturating_add(ABSOLUTE).unwrap_or(Timestamp::MAX)
}

/// When a session that is refreshed at `now` ends unless it is refreshed again: never after
/// `absolute_end`.
pub fn idle_end(now: Timestamp, absolute_end: Timestamp) -> Timestamp {
    now.saturating_add(IDLE).unwrap_or(Timestamp::MAX).min(absolute_end)
}

/// The part of a session that decides about its refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionState {
    /// The counter of the current token.
    pub counter: u64,
    /// The digest of the `Idempotency-Key` of the last refresh; `None` if it had none, or there was
    /// no refresh yet.
    pub last_key: Option<Digest>,
    /// When the session ends unless it is refreshed.
    pub idle_end: Timestamp,
    /// When the session ends even if it is refreshed.
    pub absolute_end: Timestamp,
}

/// The decision about a refresh token with a valid MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshDecision {
    /// It is the current token: set the counter to `next` and return the token with that counter.
    Advance {
        /// The counter after the refresh.
        next: u64,
    },
    /// It is the previous token, sent again by the same client: return the current token again and
    /// write nothing.
    Repeat,
    /// It was used before by another client: end the session.
    Theft,
    /// The session has reached its idle or its absolute end.
    Expired,
    /// Its counter was never issued. With a valid MAC, this happens only after the table was
    /// restored from a backup.
    Invalid,
}

impl SessionState {
    /// The state of a session that starts at `now`. Its first token has the counter 0.
    pub fn new(now: Timestamp) -> Self {
        let absolute_end = absolute_end(now);
        Self { counter: 0, last_key: None, idle_end: idle_end(now, absolute_end), absolute_end }
    }

    /// The state after a refresh with `key` at `now`.
    pub fn refreshed(self, key: Option<Digest>, now: Timestamp) -> Self {
        Self {
            counter: self.counter + 1,
            last_key: key,
            idle_end: idle_end(now, self.absolute_end),
            ..self
        }
    }
}

/// Decides about a token by its counter and the `Idempotency-Key` of its request.
///
/// The table increments the counter in one conditional write (`counter = presented`, both ends
/// after `now`). That condition is true exactly when this returns [`RefreshDecision::Advance`]. So this is
/// called only after the write was refused.
///
/// The keys of a repeated request and of the refresh that it repeats must be equal, or both must be
/// absent. All else is theft. If an absent key matched every key, a thief could refresh first,
/// without a key. The request of the real client, with its key, would then count as a repetition,
/// and both would go on using the session without being noticed.
///
/// In an expired session every token is [`RefreshDecision::Expired`]: there is nothing left to steal.
pub fn decide(
    state: &SessionState,
    presented: u64,
    key: Option<Digest>,
    now: Timestamp,
) -> RefreshDecision {
    if state.idle_end <= now || state.absolute_end <= now {
        return RefreshDecision::Expired;
    }
    if presented > state.counter {
        return RefreshDecision::Invalid;
    }
    match state.counter - presented {
        0 => RefreshDecision::Advance { next: state.counter + 1 },
        1 if key == state.last_key => RefreshDecision::Repeat,
        _ => RefreshDecision::Theft,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<Digest> = Some(Digest::from_bytes([1; 32]));
    const B: Option<Digest> = Some(Digest::from_bytes([2; 32]));

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn state(counter: u64, last_key: Option<Digest>) -> SessionState {
        SessionState { counter, last_key, ..SessionState::new(at(0)) }
    }

    #[test]
    fn the_current_token_refreshes_the_session_with_any_key() {
        for key in [None, A, B] {
            assert_eq!(decide(&state(5, A), 5, key, at(1)), RefreshDecision::Advance { next: 6 });
        }
        assert_eq!(
            state(5, A).refreshed(B, at(1)),
            SessionState {
                counter: 6,
                last_key: B,
                idle_end: at(1) + IDLE,
                absolute_end: at(0) + ABSOLUTE,
            }
        );
    }

    #[test]
    fn the_previous_token_is_a_repetition_only_with_the_same_key() {
        for last in [None, A, B] {
            for key in [None, A, B] {
                let expected =
                    if key == last { RefreshDecision::Repeat } else { RefreshDecision::Theft };
                assert_eq!(decide(&state(5, last), 4, key, at(1)), expected, "{last:?} {key:?}");
            }
        }
    }

    #[test]
    fn an_older_token_is_theft_and_a_future_one_is_invalid() {
        for key in [None, A] {
            assert_eq!(decide(&state(5, key), 3, key, at(1)), RefreshDecision::Theft);
            assert_eq!(decide(&state(u64::MAX - 1, key), 0, key, at(1)), RefreshDecision::Theft);
            assert_eq!(decide(&state(5, key), 6, key, at(1)), RefreshDecision::Invalid);
            assert_eq!(decide(&state(0, None), u64::MAX, key, at(1)), RefreshDecision::Invalid);
        }
    }

    #[test]
    fn a_session_ends_after_30_idle_days_and_90_days_after_sign_in() {
        const DAY: i64 = 24 * 60 * 60;
        let refresh = |state: SessionState, second| decide(&state, state.counter, None, at(second));
        let opened = SessionState::new(at(0));
        assert_eq!(refresh(opened, 30 * DAY - 1), RefreshDecision::Advance { next: 1 });
        assert_eq!(refresh(opened, 30 * DAY), RefreshDecision::Expired);
        let refreshed = [29, 58, 87]
            .into_iter()
            .fold(opened, |state, day| state.refreshed(None, at(day * DAY)));
        assert_eq!(refresh(refreshed, 90 * DAY - 1), RefreshDecision::Advance { next: 4 });
        assert_eq!(refresh(refreshed, 90 * DAY), RefreshDecision::Expired);
        assert_eq!(
            decide(&refreshed, 0, None, at(90 * DAY)),
            RefreshDecision::Expired,
            "not theft"
        );
        assert_eq!(idle_end(Timestamp::MAX, Timestamp::MAX), Timestamp::MAX);
    }

    /// Covers every case: only the distance of the counters and the order of the times matter.
    #[test]
    fn the_condition_of_the_write_is_true_exactly_for_a_step() {
        let (keys, now) = ([None, A, B], at(0));
        for case in 0..4 * 4 * 3 * 3 * 3 * 3 {
            let mut rest = case;
            let mut choose = |of: usize| (rest % of, rest /= of).0;
            let (counter, presented) = (choose(4) as u64, choose(4) as u64);
            let (last_key, key) = (keys[choose(3)], keys[choose(3)]);
            let (idle_end, absolute_end) = (at(choose(3) as i64 - 1), at(choose(3) as i64 - 1));
            let state = SessionState { counter, last_key, idle_end, absolute_end };
            let condition = counter == presented && idle_end > now && absolute_end > now;
            let verdict = decide(&state, presented, key, now);
            assert_eq!(
                condition,
                verdict == RefreshDecision::Advance { next: counter + 1 },
                "{state:?}"
            );
            assert_eq!(condition, matches!(verdict, RefreshDecision::Advance { .. }), "{state:?}");
        }
    }
}
