//! One-time codes: the rules. Pure: the time is a parameter, the state comes from the store.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    config::OtpConfig,
    purpose::Purpose,
    secret::{Code, Digest, MacKey},
    table::{digest, key::Slot, seconds},
};

/// How long a code lives (ASVS 6.5.5), seconds.
pub const CODE_SECONDS: i64 = 300;
/// How long a verification token lives, seconds.
pub const TOKEN_SECONDS: i64 = 600;
/// How often a code may be tried (ASVS 6.6.3).
pub const MAX_TRIES: u32 = 5;
/// Wrong tries across codes, without a right one between, that lock an identifier's codes.
pub const MAX_FAILURES: u32 = 20;
/// How long they are locked, seconds.
pub const LOCK_SECONDS: i64 = 60 * 60;
/// How long an idempotency key is remembered, seconds.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 60 * 60;
/// The window of the hourly limits, seconds.
pub const HOUR_SECONDS: i64 = 60 * 60;

/// `seconds` after `now`.
pub fn after(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// A code that was sent: only its keyed digest is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// Random; names this challenge and no other.
    pub id: String,
    #[serde(with = "digest")]
    code: Digest,
    /// The slot of the MAC key that `code` was made with.
    pub key_slot: Slot,
    /// How often it was tried.
    pub tries: u32,
    /// Keyed digest of the address that asked for it.
    #[serde(with = "digest")]
    pub source: Digest,
    /// When it was sent.
    #[serde(with = "seconds::required")]
    pub sent_at: Timestamp,
    /// When it dies.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

impl Challenge {
    /// The challenge of `code` for an identifier and a purpose.
    pub fn new(
        id: String,
        (key_slot, key): (Slot, &MacKey),
        identifier: &Digest,
        purpose: Purpose,
        code: &Code,
        source: Digest,
        now: Timestamp,
    ) -> Self {
        let code = code_digest(key, &id, identifier, purpose, code);
        let expires_at = after(now, CODE_SECONDS);
        Self { id, code, key_slot, tries: 0, source, sent_at: now, expires_at }
    }

    /// Whether `code` is the one that was sent, to this identifier, for this purpose.
    pub fn is_met_by(
        &self,
        key: &MacKey,
        identifier: &Digest,
        purpose: Purpose,
        code: &Code,
    ) -> bool {
        self.code == code_digest(key, &self.id, identifier, purpose, code)
    }
}

fn code_digest(
    key: &MacKey,
    id: &str,
    identifier: &Digest,
    purpose: Purpose,
    code: &Code,
) -> Digest {
    let parts = [
        id.as_bytes(),
        identifier.as_bytes(),
        purpose.as_str().as_bytes(),
        code.as_str().as_bytes(),
    ];
    key.digest("one-time code", &parts)
}

/// What is known of an identifier's codes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct IdentifierState {
    /// `s0`, `s1`, …: when codes were sent, newest first; 0 where none was.
    #[serde(flatten)]
    attributes: std::collections::HashMap<String, serde_json::Value>,
    #[serde(default)]
    failures: u32,
    #[serde(with = "seconds::optional", default)]
    last_try_at: Option<Timestamp>,
    #[serde(default)]
    try_nonce: Option<String>,
    #[serde(default)]
    challenge_login: Option<Challenge>,
    #[serde(default)]
    challenge_register: Option<Challenge>,
    #[serde(default)]
    challenge_reset_password: Option<Challenge>,
    #[serde(default)]
    challenge_change_identifier: Option<Challenge>,
}

impl IdentifierState {
    /// The challenge of a purpose, dead or alive.
    pub fn challenge(&self, purpose: Purpose) -> Option<&Challenge> {
        match purpose {
            Purpose::Login => &self.challenge_login,
            Purpose::Register => &self.challenge_register,
            Purpose::ResetPassword => &self.challenge_reset_password,
            Purpose::ChangeIdentifier => &self.challenge_change_identifier,
        }
        .as_ref()
    }

    /// Seconds until a code may be sent again after the last one, and none after that.
    pub fn resend_in(&self, config: &OtpConfig, now: Timestamp) -> i64 {
        (self.sent_at(0) + i64::from(config.resend_seconds) - now.as_second()).max(0)
    }

    fn sent_at(&self, place: u32) -> i64 {
        let value = self.attributes.get(&format!("s{place}"));
        value.and_then(serde_json::Value::as_i64).unwrap_or(0)
    }

    /// When the lock ends, if wrong tries have locked the identifier at `now`.
    fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = after(self.last_try_at?, LOCK_SECONDS);
        (self.failures >= MAX_FAILURES && now < until).then_some(until)
    }
}

/// Why a send was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendRefusal {
    /// Too soon, or too many in the hour: not for this many seconds.
    TooMany(i64),
    /// Too many wrong codes: not for this many seconds.
    Locked(i64),
}

/// The reason why the state did not allow a send at `now`.
pub fn send_refusal(state: &IdentifierState, config: &OtpConfig, now: Timestamp) -> SendRefusal {
    if let Some(until) = state.locked_until(now) {
        return SendRefusal::Locked(until.as_second() - now.as_second());
    }
    let resend = state.sent_at(0) + i64::from(config.resend_seconds);
    let hour = state.sent_at(config.identifier_max_per_hour - 1) + HOUR_SECONDS;
    SendRefusal::TooMany((resend.max(hour) - now.as_second()).max(1))
}

/// What a try is, by the state that refused to count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryVerdict {
    /// It was counted before: the write was repeated after its answer was lost.
    Counted,
    /// There is nothing to try.
    NoChallenge,
    /// The identifier is locked until then.
    Locked(Timestamp),
    /// It was locked, by the try at `last_try_at`, and no longer is.
    LockIsOver {
        /// When the try that locked it was made.
        last_try_at: Timestamp,
    },
}

/// Judges a try that could not simply be counted.
pub fn judge_try(
    state: &IdentifierState,
    purpose: Purpose,
    nonce: &str,
    now: Timestamp,
) -> TryVerdict {
    if state.try_nonce.as_deref() == Some(nonce) {
        return TryVerdict::Counted;
    }
    if let Some(until) = state.locked_until(now) {
        return TryVerdict::Locked(until);
    }
    let living = state
        .challenge(purpose)
        .is_some_and(|challenge| now < challenge.expires_at && challenge.tries < MAX_TRIES);
    match state.last_try_at {
        Some(last_try_at) if living && state.failures >= MAX_FAILURES => {
            TryVerdict::LockIsOver { last_try_at }
        }
        _ => TryVerdict::NoChallenge,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::config::Config;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn config() -> OtpConfig {
        Config::of_defaults().otp
    }

    fn digest(byte: u8) -> Digest {
        Digest::from_bytes([byte; 32])
    }

    fn key() -> MacKey {
        MacKey::new([9; 32])
    }

    fn code(text: &str) -> Code {
        Code::parse(text).unwrap()
    }

    fn challenge(purpose: Purpose) -> Challenge {
        let key = key();
        let made_with = (7, &key);
        let code = code("012345");
        Challenge::new("c1".into(), made_with, &digest(1), purpose, &code, digest(2), at(0))
    }

    fn state(failures: u32, last_try_at: i64, tries: u32) -> IdentifierState {
        IdentifierState {
            failures,
            last_try_at: Some(at(last_try_at)),
            try_nonce: Some("other".into()),
            challenge_login: Some(Challenge { tries, ..challenge(Purpose::Login) }),
            ..IdentifierState::default()
        }
    }

    #[test]
    fn asvs_6_6_2_a_code_is_bound_to_identifier_and_purpose() {
        let challenge = challenge(Purpose::Login);
        let met = |identifier, purpose, text| {
            challenge.is_met_by(&key(), &digest(identifier), purpose, &code(text))
        };
        assert!(met(1, Purpose::Login, "012345"));
        assert!(!met(3, Purpose::Login, "012345"), "another identifier");
        assert!(!met(1, Purpose::Register, "012345"), "another purpose");
        assert!(!met(1, Purpose::Login, "012346"), "another code");
        let other = MacKey::new([8; 32]);
        assert!(!challenge.is_met_by(&other, &digest(1), Purpose::Login, &code("012345")));
    }

    #[test]
    fn asvs_6_5_4_codes_are_spread_over_all_six_digits() {
        let codes: Vec<_> = (0..20_000).map(|_| Code::new(crate::secret::random())).collect();
        for place in 0..6 {
            let mut seen = [0_u32; 10];
            codes
                .iter()
                .for_each(|code| seen[usize::from(code.as_str().as_bytes()[place] - b'0')] += 1);
            // 2,000 expected each; ten standard deviations off is no chance.
            assert!(seen.iter().all(|count| (1_576..2_424).contains(count)), "{place}: {seen:?}");
        }
        let different: HashSet<_> = codes.iter().map(|code| code.as_str().to_owned()).collect();
        assert!(different.len() > 19_000);
    }

    #[test]
    fn twenty_wrong_tries_lock_for_an_hour_after_the_last() {
        let judge =
            |failures, now| judge_try(&state(failures, 100, 0), Purpose::Login, "n", at(now));
        assert_eq!(judge(20, 101), TryVerdict::Locked(at(100 + LOCK_SECONDS)));
        assert_eq!(judge(19, 101), TryVerdict::NoChallenge);
    }

    #[test]
    fn after_a_lock_a_living_challenge_may_be_tried() {
        let mut state = state(20, 100, 0);
        let now = at(100 + LOCK_SECONDS);
        assert_eq!(judge_try(&state, Purpose::Login, "n", now), TryVerdict::NoChallenge);
        state.challenge_login =
            Some(Challenge { expires_at: after(now, 1), ..challenge(Purpose::Login) });
        let over = TryVerdict::LockIsOver { last_try_at: at(100) };
        assert_eq!(judge_try(&state, Purpose::Login, "n", now), over);
    }

    #[test]
    fn a_repeated_write_is_recognised_by_its_nonce() {
        let judged = judge_try(&state(20, 100, 5), Purpose::Login, "other", at(101));
        assert_eq!(judged, TryVerdict::Counted);
    }

    #[test]
    fn a_refused_send_says_how_long_to_wait() {
        let sends = |s0, s4| -> IdentifierState {
            let start = at(0).as_second();
            serde_json::from_value(json!({"s0": start + s0, "s4": start + s4})).unwrap()
        };
        let refusal = |state: &IdentifierState, now| send_refusal(state, &config(), at(now));
        assert_eq!(refusal(&sends(0, -9_999), 10), SendRefusal::TooMany(50));
        assert_eq!(refusal(&sends(2_000, 600), 2_100), SendRefusal::TooMany(2_100));
        let locked = state(20, 100, 0);
        assert_eq!(refusal(&locked, 110), SendRefusal::Locked(LOCK_SECONDS - 10));
    }
}
