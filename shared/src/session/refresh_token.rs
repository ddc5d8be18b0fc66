//! The refresh token: its fields and its text.

use crate::{
    crypto::secret::{MacKey, base64url, from_base64url},
    value::{Invalid, SessionId, UserId},
};

const DOMAIN: &str = "refresh token";
const VERSION: u8 = 1;
const BODY_BYTES: usize = 1 + 16 + 16 + 8 + 4;
const TOKEN_BYTES: usize = BODY_BYTES + 32;
/// The length of a token's text, characters.
const TOKEN_CHARS: usize = (TOKEN_BYTES * 4).div_ceil(3);
const INVALID: Invalid =
    Invalid { code: "invalid_refresh_token", detail: "This is not a refresh token." };

/// The fields of a refresh token: of one whose MAC was verified, or of one that is to be issued.
///
/// The text is: version ‖ user id ‖ session id ‖ counter ‖ key slot ‖ HMAC-SHA-256, big-endian, in
/// unpadded base64url. The same fields and key always give the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefreshToken {
    /// The account.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// The counter of the session for which this token is the current one.
    pub counter: u64,
    /// The slot of the MAC key. A session keeps its key until it ends.
    pub key_slot: u32,
}

/// A text that has the format of a refresh token. Only the slot of the key may be read before
/// [`Unverified::verify`].
#[derive(Debug, Clone, Copy)]
pub struct Unverified {
    token: RefreshToken,
    tag: [u8; 32],
}

impl RefreshToken {
    /// Parses the format of a token. Its fields are not trusted before [`Unverified::verify`].
    pub fn parse(text: &str) -> Result<Unverified, Invalid> {
        Self::read(text).ok_or(INVALID)
    }

    fn read(text: &str) -> Option<Unverified> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let bytes = from_base64url(text)?;
        let (version, rest) = bytes.split_first()?;
        let (user_id, rest) = rest.split_first_chunk()?;
        let (session_id, rest) = rest.split_first_chunk()?;
        let (counter, rest) = rest.split_first_chunk()?;
        let (key_slot, rest) = rest.split_first_chunk()?;
        let token = Self {
            user_id: UserId::from_bytes(*user_id)?,
            session_id: SessionId::from_bytes(*session_id)?,
            counter: u64::from_be_bytes(*counter),
            key_slot: u32::from_be_bytes(*key_slot),
        };
        (*version == VERSION).then_some(Unverified { token, tag: rest.try_into().ok()? })
    }

    /// The token's text. `key` must be the key of its slot.
    pub fn seal(&self, key: &MacKey) -> String {
        let body = self.body();
        base64url(&[body.as_slice(), &key.mac(DOMAIN, &[&body])].concat())
    }

    /// The token that becomes the current one after this one.
    #[must_use]
    pub fn successor(self) -> Self {
        Self { counter: self.counter.saturating_add(1), ..self }
    }

    fn body(&self) -> Vec<u8> {
        [
            &[VERSION],
            self.user_id.as_bytes().as_slice(),
            self.session_id.as_bytes(),
            &self.counter.to_be_bytes(),
            &self.key_slot.to_be_bytes(),
        ]
        .concat()
    }
}

impl Unverified {
    /// The slot of the key that the token claims to be made with.
    pub fn key_slot(&self) -> u32 {
        self.token.key_slot
    }

    /// The token's fields, if it was made with `key`.
    pub fn verify(&self, key: &MacKey) -> Option<RefreshToken> {
        key.verify(DOMAIN, &[&self.token.body()], &self.tag).then_some(self.token)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn token() -> RefreshToken {
        RefreshToken {
            user_id: UserId::new(at(0), [1; 10]),
            session_id: SessionId::new(at(1), [2; 10]),
            counter: 7,
            key_slot: 650,
        }
    }

    fn key() -> MacKey {
        MacKey::new([7; 32])
    }

    fn verify(text: &str, key: &MacKey) -> Option<RefreshToken> {
        RefreshToken::parse(text).ok()?.verify(key)
    }

    #[test]
    fn a_token_has_a_fixed_length_and_verifies_only_with_its_own_key() {
        let text = token().seal(&key());
        assert_eq!((text.len(), TOKEN_CHARS), (103, 103));
        assert_eq!(verify(&text, &key()), Some(token()));
        assert_eq!(RefreshToken::parse(&text).unwrap().key_slot(), 650);
        assert_eq!(verify(&text, &MacKey::new([8; 32])), None);
        assert_eq!(token().successor().counter, 8);
    }

    /// Clients hold tokens of this format: a change here signs every user out.
    #[test]
    fn the_format_does_not_change() {
        assert_eq!(
            token().seal(&key()),
            "AQGjGFxQAHEBgQEBAQEBAQEBoxhcU-hyAoICAgICAgICAAAAAAAAAAcAAAKKw636BTbwRsX-7p6qeQ6Xk9c8MthlmVXIaMB-VkNhq0w"
        );
    }

    proptest! {
        #[test]
        fn a_sealed_token_verifies(
            counter: u64, key_slot: u32, random: [u8; 10], secret: [u8; 32],
        ) {
            let token = RefreshToken { counter, key_slot, user_id: UserId::new(at(0), random), ..token() };
            let key = MacKey::new(secret);
            prop_assert_eq!(verify(&token.seal(&key), &key), Some(token));
        }

        #[test]
        fn an_altered_token_is_refused(at in 0_usize..TOKEN_CHARS, to in "[A-Za-z0-9_=. -]") {
            let text = token().seal(&key());
            let altered = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assume!(altered != text);
            prop_assert_eq!(verify(&altered, &key()), None);
            prop_assert_eq!(verify(&text[..at], &key()), None);
            prop_assert_eq!(verify(&format!("{text}{to}"), &key()), None);
        }

        #[test]
        fn any_text_is_refused(text in any::<String>(), near in "[A-Za-z0-9_-]{103}") {
            prop_assert_eq!(verify(&text, &key()), None);
            prop_assert_eq!(verify(&near, &key()), None);
        }
    }
}
