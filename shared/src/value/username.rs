//! Usernames.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::{Context, Identifier, Invalid, text};

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
        detail: "A username has letters a to z, digits, dots, underscores and hyphens.",
    };

    /// Reads a username by its form. One that exists already may be reserved.
    ///
    /// # Errors
    /// `invalid_username`, `too_short`, `too_long`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !text.bytes().all(allowed) {
            return Err(Self::INVALID);
        }
        text::within(text.len(), 3..=150)?;
        Ok(Self(text.to_owned()))
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

/// A username that somebody wants to have.
///
/// What is reserved, or reads as an identifier of somebody else, could pass for what it is not.
#[derive(Debug, Clone)]
pub struct WantedUsername {
    name: Username,
    is_reserved: bool,
    /// What a sign-in would read it as.
    reads_as: Option<Identifier>,
}

impl WantedUsername {
    /// Reads a username by its form.
    ///
    /// # Errors
    /// As [`Username::parse`].
    pub fn parse(text: &str, context: &Context) -> Result<Self, Invalid> {
        let name = Username::parse(text)?;
        Ok(Self {
            is_reserved: context.reserved_usernames.has(&name),
            reads_as: Identifier::parse(text, context.region).ok(),
            name,
        })
    }

    /// The name, whether or not it may be chosen.
    pub fn name(&self) -> &Username {
        &self.name
    }

    /// Whether an account with these identifiers may choose it; `None` where they are not known, and
    /// only reserved names are refused.
    ///
    /// # Errors
    /// `invalid_username`.
    pub fn check(&self, own: Option<impl IntoIterator<Item = Identifier>>) -> Result<(), Invalid> {
        let refused = |detail| Err(Invalid { code: "invalid_username", detail });
        if self.is_reserved {
            return refused("This username is reserved.");
        }
        let Some((other, own)) = self.reads_as.as_ref().zip(own) else { return Ok(()) };
        match own.into_iter().any(|own| own == *other) {
            true => Ok(()),
            false => refused("This is the phone number or e-mail address of somebody else."),
        }
    }
}

/// Usernames that nobody may choose, compared without case.
#[derive(Clone, PartialEq, Eq)]
pub struct ReservedUsernames(Arc<[String]>);

impl ReservedUsernames {
    fn has(&self, name: &Username) -> bool {
        self.0.contains(&name.key())
    }
}

impl fmt::Debug for ReservedUsernames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReservedUsernames {
    type Err = &'static str;

    /// Reads usernames that are separated by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(',').map(|name| Username::parse(text::trim(name)));
        let names: Result<Vec<_>, _> = names.map(|name| name.map(|name| name.key())).collect();
        let names = names.map_err(|_| "must be usernames, separated by commas")?;
        Ok(Self(names.into()))
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
        for bad in ["a b", "abc\n", "раул", "सीता", "a@b", "a/b", "abc\0", "a\u{200b}bc"]
        {
            assert_eq!(Username::parse(bad), Err(Username::INVALID), "{bad:?}");
        }
        assert_eq!(Username::parse(""), Err(text::TOO_SHORT));
        assert_eq!(Username::parse("ab"), Err(text::TOO_SHORT));
        assert_eq!(Username::parse(&"x".repeat(151)), Err(text::TOO_LONG));
    }

    #[test]
    fn the_key_has_no_case_and_the_name_keeps_its_own() {
        let name = Username::parse("Sita.Rai").unwrap();
        assert_eq!((name.as_str(), name.key().as_str()), ("Sita.Rai", "sita.rai"));
        assert_eq!(name.masked(), "S***");
    }
    fn check(name: &str, own: &[&str]) -> Result<(), &'static str> {
        let context = Context {
            region: "NP".parse().unwrap(),
            currency: "NPR".parse().unwrap(),
            now: jiff::Timestamp::UNIX_EPOCH,
            reserved_usernames: "admin, Support".parse().unwrap(),
        };
        let own = own.iter().map(|text| Identifier::parse(text, context.region).unwrap());
        let wanted = WantedUsername::parse(name, &context).unwrap();
        wanted.check(Some(own)).map_err(|invalid| invalid.code)
    }

    #[test]
    fn a_reserved_name_is_refused_in_any_case_and_stays_readable() {
        for reserved in ["admin", "ADMIN", "Admin", "support", "sUPPORT"] {
            assert_eq!(check(reserved, &[]), Err("invalid_username"), "{reserved}");
            assert!(serde_json::from_str::<Username>(&format!("\"{reserved}\"")).is_ok());
        }
        for free in ["admins", "the-admin", "admin.", "supporter", "root"] {
            assert_eq!(check(free, &[]), Ok(()), "{free}");
        }
    }

    #[test]
    fn a_name_that_reads_as_a_number_is_for_its_holder() {
        for number in ["9841234567", "984-123-4567", "09841234567", "00977.9841234567", "014212345"]
        {
            assert_eq!(check(number, &[]), Err("invalid_username"), "{number}");
            assert_eq!(check(number, &["9841402792", "a@b.example"]), Err("invalid_username"));
            assert_eq!(check(number, &["a@b.example", number]), Ok(()), "{number}");
        }
        assert_eq!(check("984-123-4567", &["+9779841234567"]), Ok(()));
        for other in ["12345", "1994", "sita9841234567", "9830000000", "98412345678901"] {
            assert_eq!(check(other, &[]), Ok(()), "{other}");
        }
    }

    #[test]
    fn reserved_names_are_usernames() {
        for bad in ["a", "admin,", "admin,,root", "admin;root", "админ"] {
            assert!(bad.parse::<ReservedUsernames>().is_err(), "{bad}");
        }
    }
}
