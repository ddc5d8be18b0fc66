//! The rules of one-time codes. Pure: the time and the stored state are parameters.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::{
        secret::{Code, Digest, MacKey},
        slot::Slot,
    },
    dynamodb::{digest, seconds},
    runtime::{clock::after, config::OtpConfig},
    value::Purpose,
};

/// How long a code is valid (ASVS 6.5.5), seconds.
pub const CODE_SECONDS: i64 = 300;
/// How long a verification token is valid, seconds.
pub const TOKEN_SECONDS: i64 = 600;
/// The most tries of one code (ASVS 6.6.3).
pub const MAX_TRIES: u32 = 5;
/// The number of wrong tries in a row, over all codes of an identifier, that locks its codes.
pub const MAX_FAILURES: u32 = 20;
/// How long an identifier's codes stay locked after the last try, seconds.
pub const LOCK_SECONDS: i64 = 60 * 60;
/// How long an idempotency key is remembered, seconds.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 60 * 60;
/// The window of the hourly limits, seconds.
pub const HOUR_SECONDS: i64 = 60 * 60;

/// A code that was sent. Only its keyed digest is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// A random id.
    pub id: String,
    #[serde(with = "digest")]
    code: Digest,
    /// The slot of the MAC key that `code` was made with.
    pub key_slot: Slot,
    /// The number of tries so far.
    pub tries: u32,
    /// Keyed digest of the IP address that requested the code.
    #[serde(with = "digest")]
    pub source: Digest,
    /// When it was sent.
    #[serde(with = "seconds::required")]
    pub sent_at: Timestamp,
    /// When it expires.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

impl Challenge {
    /// The challenge for `code`, an identifier and a purpose.
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

    /// Whether `code` is the code that was sent to this identifier for this purpose.
    pub fn matches_code(
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

/// The stored state of an identifier's codes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct IdentifierState {
    /// `s0`, `s1`, …: the times of the last sends, newest first; 0 where there was none.
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
    /// The challenge of a purpose. It may have expired.
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

    /// The time of a send: 0 is the newest, 1 the one before.
    fn sent_at(&self, index: u32) -> i64 {
        let value = self.attributes.get(&format!("s{index}"));
        value.and_then(serde_json::Value::as_i64).unwrap_or(0)
    }

    /// When the lock ends, if wrong tries have locked the codes at `now`.
    fn locked_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = after(self.last_try_at?, LOCK_SECONDS);
        (self.failures >= MAX_FAILURES && now < until).then_some(until)
    }
}

/// Why a send was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendRefusal {
    /// The last send was too recent, or the hourly limit is reached. Holds the seconds to wait.
    TooMany(i64),
    /// Too many wrong codes. Holds the seconds to wait.
    Locked(i64),
}

/// Why the state did not allow a send at `now`.
pub fn send_refusal(state: &IdentifierState, config: &OtpConfig, now: Timestamp) -> SendRefusal {
    if let Some(until) = state.locked_until(now) {
        return SendRefusal::Locked(until.as_second() - now.as_second());
    }
    let resend = state.sent_at(0) + i64::from(config.resend_seconds);
    let hour = state.sent_at(config.identifier_max_per_hour - 1) + HOUR_SECONDS;
    SendRefusal::TooMany((resend.max(hour) - now.as_second()).max(1))
}

/// Why a try was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRefusal {
    /// It was counted already: its response was lost and the write was sent again.
    AlreadyCounted,
    /// There is no valid challenge with tries left.
    NoChallenge,
    /// The codes are locked until this time.
    Locked(Timestamp),
    /// The codes were locked, and the lock has ended.
    LockEnded {
        /// The time of the try that locked them.
        last_try_at: Timestamp,
    },
}

/// Finds out from the stored state why a try was not counted.
pub fn classify_refused_try(
    state: &IdentifierState,
    purpose: Purpose,
    nonce: &str,
    now: Timestamp,
) -> TryRefusal {
    if state.try_nonce.as_deref() == Some(nonce) {
        return TryRefusal::AlreadyCounted;
    }
    if let Some(until) = state.locked_until(now) {
        return TryRefusal::Locked(until);
    }
    let has_valid_challenge = state
        .challenge(purpose)
        .is_some_and(|challenge| now < challenge.expires_at && challenge.tries < MAX_TRIES);
    match state.last_try_at {
        Some(last_try_at) if has_valid_challenge && state.failures >= MAX_FAILURES => {
            TryRefusal::LockEnded { last_try_at }
        }
        _ => TryRefusal::NoChallenge,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::runtime::config::Config;

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
        let matches = |identifier, purpose, text| {
            challenge.matches_code(&key(), &digest(identifier), purpose, &code(text))
        };
        assert!(matches(1, Purpose::Login, "012345"));
        assert!(!matches(3, Purpose::Login, "012345"), "another identifier");
        assert!(!matches(1, Purpose::Register, "012345"), "another purpose");
        assert!(!matches(1, Purpose::Login, "012346"), "another code");
        let other = MacKey::new([8; 32]);
        assert!(!challenge.matches_code(&other, &digest(1), Purpose::Login, &code("012345")));
    }

    #[test]
    fn asvs_6_5_4_every_digit_of_a_code_is_uniformly_distributed() {
        let codes: Vec<_> =
            (0..20_000).map(|_| Code::new(crate::crypto::secret::random())).collect();
        for position in 0..6 {
            let mut counts = [0_u32; 10];
            codes.iter().for_each(|code| {
                counts[usize::from(code.as_str().as_bytes()[position] - b'0')] += 1
            });
            // 2,000 of each are expected. A deviation of ten sigma does not happen by chance.
            assert!(
                counts.iter().all(|count| (1_576..2_424).contains(count)),
                "{position}: {counts:?}"
            );
        }
        let distinct: HashSet<_> = codes.iter().map(|code| code.as_str().to_owned()).collect();
        assert!(distinct.len() > 19_000);
    }

    #[test]
    fn twenty_wrong_tries_lock_the_codes_for_an_hour_after_the_last_try() {
        let verdict = |failures, now| {
            classify_refused_try(&state(failures, 100, 0), Purpose::Login, "n", at(now))
        };
        assert_eq!(verdict(20, 101), TryRefusal::Locked(at(100 + LOCK_SECONDS)));
        assert_eq!(verdict(19, 101), TryRefusal::NoChallenge);
    }

    #[test]
    fn after_a_lock_a_valid_challenge_can_be_tried() {
        let mut state = state(20, 100, 0);
        let now = at(100 + LOCK_SECONDS);
        assert_eq!(classify_refused_try(&state, Purpose::Login, "n", now), TryRefusal::NoChallenge);
        state.challenge_login =
            Some(Challenge { expires_at: after(now, 1), ..challenge(Purpose::Login) });
        let expected = TryRefusal::LockEnded { last_try_at: at(100) };
        assert_eq!(classify_refused_try(&state, Purpose::Login, "n", now), expected);
    }

    #[test]
    fn a_repeated_write_is_recognised_by_its_nonce() {
        let verdict = classify_refused_try(&state(20, 100, 5), Purpose::Login, "other", at(101));
        assert_eq!(verdict, TryRefusal::AlreadyCounted);
    }

    #[test]
    fn a_refused_send_names_the_seconds_to_wait() {
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
