//! Usernames.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::Invalid;

/// A username: 3 to 150 ASCII letters, digits, `.`, `_`, `-`, kept as it was typed.
///
/// Letters are ASCII alone, so that no two names look alike (Latin `a`, Cyrillic `а`) and lower
/// case means one thing. Equality here is by the letter: what is unique is [`Username::key`].
/// `Debug` does not show it, because people put phone numbers and names there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Username(String);

impl Username {
    const INVALID: Invalid = Invalid {
        code: "invalid_username",
        detail: "A username has 3 to 150 letters a to z, digits, dots, underscores and hyphens.",
    };

    /// Reads a username.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (3..=150).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Self::INVALID)
        }
    }

    /// The name as it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What may be shown to people who might not know it: the first character.
    pub fn masked(&self) -> String {
        let first: String = self.0.chars().take(1).collect();
        format!("{first}***")
    }

    /// The name in lower case: equal for names that count as the same.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Username(redacted)")
    }
}

impl Serialize for Username {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Username {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|invalid| de::Error::custom(invalid.code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_digits_and_three_signs_from_3_to_150() {
        for good in ["abc", "A.b_c-9", "...", &"x".repeat(150)] {
            assert_eq!(Username::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "ab", &"x".repeat(151), "a b", "abc\n", "раул", "सीता", "a@b", "a/b", "abc\0"]
        {
            assert_eq!(Username::parse(bad), Err(Username::INVALID), "{bad:?}");
        }
    }

    #[test]
    fn the_key_has_no_case_and_the_name_keeps_its_own() {
        let name = Username::parse("Sita.Rai").unwrap();
        assert_eq!((name.as_str(), name.key().as_str()), ("Sita.Rai", "sita.rai"));
        assert_eq!(name.masked(), "S***");
    }
}
