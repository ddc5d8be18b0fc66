//! Passwords: the rule for new ones, and their storage as argon2id PHC strings.

mod common;
mod strength;

mod hasher;

use secrecy::{ExposeSecret, SecretString};

use crate::value::Invalid;

pub use self::hasher::{HashError, Hasher, Match};

pub use strength::{Owner, Weak, accept};

const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 128;

/// A password as somebody typed it: 8 to 128 characters, any Unicode, used exactly as received
/// (ASVS 6.2.8).
#[derive(Debug, Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes a password that somebody chooses.
    ///
    /// # Errors
    /// `too_short` and `too_long`.
    pub fn choose(text: &str) -> Result<Self, Invalid> {
        match text.chars().count() {
            0..MIN_CHARS => {
                Err(Invalid { code: "too_short", detail: "A password has 8 characters or more." })
            }
            _ => Self::present(text),
        }
    }

    /// Takes a password that somebody presents: one that was chosen under other rules counts.
    ///
    /// # Errors
    /// `too_long`.
    pub fn present(text: &str) -> Result<Self, Invalid> {
        match text.chars().count() {
            0..=MAX_CHARS => Ok(Self(SecretString::from(text))),
            _ => {
                Err(Invalid { code: "too_long", detail: "A password has 128 characters or fewer." })
            }
        }
    }

    fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A new password that [`accept`] has let through: the only kind that is stored as a new password.
#[derive(Debug, Clone)]
pub struct Accepted(Password);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asvs_6_2_length_is_counted_in_characters() {
        assert!(Password::choose("1234567").is_err());
        assert!(Password::choose("नेपाल नेपाल").is_ok());
        assert!(Password::choose(&"é".repeat(128)).is_ok());
        assert!(Password::choose(&"é".repeat(129)).is_err());
        assert!(Password::choose("        ").is_ok(), "spaces are characters");
    }
}
