//! Passwords, stored as argon2id PHC strings.

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::PasswordHash as Phc,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{account::PasswordHash, value::Invalid};

const MIN_CHARS: usize = 8;
const MAX_CHARS: usize = 128;
/// OWASP's second choice of equal strength: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

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

    /// The text, for a judgement of its strength.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What a presented password is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The right one.
    Right,
    /// The right one, under parameters that are out of date: hash it again.
    Outdated,
    /// Another one.
    Wrong,
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password with 128 bits of fresh salt. Takes some 20 ms and 19 MiB: never call it on
/// a thread that serves requests.
pub fn hash(
    password: &Password,
    salt: [u8; 16],
) -> Result<PasswordHash, argon2::password_hash::Error> {
    let hash = argon2().hash_password_with_salt(password.expose().as_bytes(), &salt)?;
    Ok(PasswordHash(hash.to_string()))
}

/// Compares a password with a stored hash, or with none: that takes as long and is wrong.
pub fn verify(password: &Password, hash: Option<&PasswordHash>) -> Match {
    let stored = hash.map_or(NOBODYS, |PasswordHash(text)| text);
    let Ok(phc) = Phc::new(stored) else { return Match::Wrong };
    let is_right = argon2().verify_password(password.expose().as_bytes(), &phc).is_ok();
    match (hash, is_right) {
        (None, _) | (_, false) => Match::Wrong,
        (Some(_), true) if is_current(&phc) => Match::Right,
        (Some(_), true) => Match::Outdated,
    }
}

fn is_current(phc: &Phc) -> bool {
    let params = Params::try_from(phc);
    phc.algorithm.as_str() == "argon2id"
        && phc.version == Some(Version::V0x13.into())
        && params.is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
        })
}

/// A hash of 32 random bytes that nobody knows, with the current parameters.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$PUi6fwfRHa3onWDwDF1WrA\
                       $HEWBzZk92Or3KVFZ+gaRkmhcSnAaxrVTW4gTIF8xDBM";

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::choose(text).unwrap()
    }

    #[test]
    fn asvs_6_2_length_is_counted_in_characters() {
        assert!(Password::choose("1234567").is_err());
        assert!(Password::choose("नेपाल नेपाल").is_ok());
        assert!(Password::choose(&"é".repeat(128)).is_ok());
        assert!(Password::choose(&"é".repeat(129)).is_err());
        assert!(Password::choose("        ").is_ok(), "spaces are characters");
    }

    #[test]
    fn asvs_6_2_storage_is_argon2id_with_its_parameters() {
        let PasswordHash(text) = hash(&password("correct horse"), [1; 16]).unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    }

    #[test]
    fn only_the_same_password_is_right() {
        let stored = hash(&password("correct horse"), [1; 16]).unwrap();
        assert_eq!(verify(&password("correct horse"), Some(&stored)), Match::Right);
        for other in ["correct horsf", "correct horse ", "Correct horse"] {
            assert_eq!(verify(&password(other), Some(&stored)), Match::Wrong);
        }
    }

    #[test]
    fn older_parameters_ask_to_be_upgraded() {
        let params = Params::new(8 * 1024, 1, 1, None).unwrap();
        let old = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_with_salt(b"correct horse", &[1; 16])
            .unwrap();
        let old = PasswordHash(old.to_string());
        assert_eq!(verify(&password("correct horse"), Some(&old)), Match::Outdated);
    }

    #[test]
    fn nobodys_hash_is_a_current_one_and_never_right() {
        assert!(is_current(&Phc::new(NOBODYS).unwrap()));
        assert_eq!(verify(&password("anything at all"), None), Match::Wrong);
    }
}
