//! Refresh tokens and the counter of the session that they stand for.
//!
//! A session has a counter; the token that carries this very counter is the *live* one. Each
//! refresh moves the counter by one and so makes the next token live. A token is a MAC over its
//! fields and nothing else, so the server keeps none: the successor of the previous token can be
//! made again at any time, with the same bytes, for a phone that lost the answer.

use jiff::{SignedDuration, Timestamp};

use crate::crypto::secret::Digest;

/// A session that is not refreshed for this long ends.
pub const IDLE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// However often it is refreshed, a session ends this long after the sign-in.
pub const ABSOLUTE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// When a session signed in at `now` ends for good.
pub fn absolute_end(now: Timestamp) -> Timestamp {
    now.saturating_add(ABSOLUTE).unwrap_or(Timestamp::MAX)
}

/// When a session refreshed at `now` ends unless it is refreshed again; never after
/// `absolute_end`.
pub fn idle_end(now: Timestamp, absolute_end: Timestamp) -> Timestamp {
    now.saturating_add(IDLE).unwrap_or(Timestamp::MAX).min(absolute_end)
}

/// What a session's record says about its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionState {
    /// The counter of the live token.
    pub counter: u64,
    /// The digest of the `Idempotency-Key` that took the last step; `None` if it had none, or no
    /// step was taken yet.
    pub last_key: Option<Digest>,
    /// When it ends unless it is refreshed.
    pub idle_end: Timestamp,
    /// When it ends whatever happens.
    pub absolute_end: Timestamp,
}

/// What is to be done with a refresh token whose MAC was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the live token: move the counter to `next` and answer the token of `next`.
    Step {
        /// The counter after the step.
        next: u64,
    },
    /// It is the previous token, from the one who took the step: answer the live token again,
    /// write nothing.
    Again,
    /// It was used before, and not by the one who asks now: end the session.
    Theft,
    /// The session is over its idle or absolute end.
    Expired,
    /// It is a token that was never given out. With a right MAC, only a table restored from a
    /// backup shows this.
    Invalid,
}

impl SessionState {
    /// The state of a session signed in at `now`. Its first token has the counter 0.
    pub fn opened(now: Timestamp) -> Self {
        let absolute_end = absolute_end(now);
        Self { counter: 0, last_key: None, idle_end: idle_end(now, absolute_end), absolute_end }
    }

    /// The state after a [`Verdict::Step`] taken with `key` at `now`.
    pub fn stepped(self, key: Option<Digest>, now: Timestamp) -> Self {
        Self {
            counter: self.counter + 1,
            last_key: key,
            idle_end: idle_end(now, self.absolute_end),
            ..self
        }
    }
}

/// Judges a token by its counter and the `Idempotency-Key` it came with.
///
/// The store makes the step in one conditional write (`counter = presented`, both ends after
/// `now`), which holds exactly when this says [`Verdict::Step`], and asks here only when it
/// failed.
///
/// Keys are compared strictly: a step without a key belongs to whoever has none, so a repeat
/// *with* a key is theft, as is a repeat without one of a step that had one. Were it otherwise, a
/// thief could leave the key out, take the step first, and let the holder's keyed request be
/// answered as a repeat; the two would then walk in step unseen. So a client must use the same
/// key, or the same lack of one, whenever it repeats a token.
///
/// An expired session is expired whatever token comes: there is nothing left to steal.
pub fn judge(state: &SessionState, presented: u64, key: Option<Digest>, now: Timestamp) -> Verdict {
    if state.idle_end <= now || state.absolute_end <= now {
        return Verdict::Expired;
    }
    if presented > state.counter {
        return Verdict::Invalid;
    }
    match state.counter - presented {
        0 => Verdict::Step { next: state.counter + 1 },
        1 if key == state.last_key => Verdict::Again,
        _ => Verdict::Theft,
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
        SessionState { counter, last_key, ..SessionState::opened(at(0)) }
    }

    #[test]
    fn the_live_token_steps_whatever_its_key() {
        for key in [None, A, B] {
            assert_eq!(judge(&state(5, A), 5, key, at(1)), Verdict::Step { next: 6 });
        }
        assert_eq!(
            state(5, A).stepped(B, at(1)),
            SessionState {
                counter: 6,
                last_key: B,
                idle_end: at(1) + IDLE,
                absolute_end: at(0) + ABSOLUTE,
            }
        );
    }

    #[test]
    fn the_previous_token_repeats_with_its_own_key_only() {
        for last in [None, A, B] {
            for key in [None, A, B] {
                let expected = if key == last { Verdict::Again } else { Verdict::Theft };
                assert_eq!(judge(&state(5, last), 4, key, at(1)), expected, "{last:?} {key:?}");
            }
        }
    }

    #[test]
    fn an_older_token_is_theft_and_a_later_one_is_nothing() {
        for key in [None, A] {
            assert_eq!(judge(&state(5, key), 3, key, at(1)), Verdict::Theft);
            assert_eq!(judge(&state(u64::MAX - 1, key), 0, key, at(1)), Verdict::Theft);
            assert_eq!(judge(&state(5, key), 6, key, at(1)), Verdict::Invalid);
            assert_eq!(judge(&state(0, None), u64::MAX, key, at(1)), Verdict::Invalid);
        }
    }

    #[test]
    fn a_session_ends_30_days_idle_and_90_days_after_sign_in() {
        const DAY: i64 = 24 * 60 * 60;
        let step = |state: SessionState, second| judge(&state, state.counter, None, at(second));
        let opened = SessionState::opened(at(0));
        assert_eq!(step(opened, 30 * DAY - 1), Verdict::Step { next: 1 });
        assert_eq!(step(opened, 30 * DAY), Verdict::Expired);
        let used =
            [29, 58, 87].into_iter().fold(opened, |state, day| state.stepped(None, at(day * DAY)));
        assert_eq!(step(used, 90 * DAY - 1), Verdict::Step { next: 4 });
        assert_eq!(step(used, 90 * DAY), Verdict::Expired);
        assert_eq!(judge(&used, 0, None, at(90 * DAY)), Verdict::Expired, "not theft");
        assert_eq!(idle_end(Timestamp::MAX, Timestamp::MAX), Timestamp::MAX);
    }

    /// The store's condition, written as the store writes it, is `judge`'s step: in every case,
    /// since only the distance of the counters and the order of the times matter.
    #[test]
    fn one_conditional_write_and_judge_are_the_same() {
        let (keys, now) = ([None, A, B], at(0));
        for case in 0..4 * 4 * 3 * 3 * 3 * 3 {
            let mut rest = case;
            let mut choose = |of: usize| (rest % of, rest /= of).0;
            let (counter, presented) = (choose(4) as u64, choose(4) as u64);
            let (last_key, key) = (keys[choose(3)], keys[choose(3)]);
            let (idle_end, absolute_end) = (at(choose(3) as i64 - 1), at(choose(3) as i64 - 1));
            let state = SessionState { counter, last_key, idle_end, absolute_end };
            let condition = counter == presented && idle_end > now && absolute_end > now;
            let verdict = judge(&state, presented, key, now);
            assert_eq!(condition, verdict == Verdict::Step { next: counter + 1 }, "{state:?}");
            assert_eq!(condition, matches!(verdict, Verdict::Step { .. }), "{state:?}");
        }
    }
}
