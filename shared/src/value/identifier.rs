//! What a person signs in with.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::{Email, Invalid, PhoneNumber, Region, text};

/// A phone number or an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identifier {
    /// A phone number.
    Phone(PhoneNumber),
    /// An e-mail address.
    Email(Email),
}

/// Which of the two an [`Identifier`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A phone number.
    Phone,
    /// An e-mail address.
    Email,
}

impl Identifier {
    const INVALID: Invalid = Invalid {
        code: "invalid_identifier",
        detail: "This is neither a valid phone number nor a valid e-mail address.",
    };

    /// Reads an e-mail address where there is an `@`, else a phone number, which belongs to
    /// `default` when it has no country code.
    ///
    /// # Errors
    /// `invalid_identifier`, `too_long`.
    pub fn parse(text: &str, default: Region) -> Result<Self, Invalid> {
        let text = text::trim(text);
        text::within(text.chars().count(), 0..=Email::MAX_BYTES)?;
        let parsed = if text.contains('@') {
            Email::parse(text).map(Self::Email)
        } else {
            PhoneNumber::parse(text, default).map(Self::Phone)
        };
        parsed.map_err(|_| Self::INVALID)
    }

    /// Reads one that was stored, in the form of [`Identifier::as_str`].
    pub fn from_stored(text: &str) -> Option<Self> {
        if text.contains('@') {
            Email::parse(text).ok().map(Self::Email)
        } else {
            PhoneNumber::from_e164(text).map(Self::Phone)
        }
    }

    /// The E.164 number or the lower-case address. Equal for equal identifiers, and never the
    /// same for a number and an address.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.as_str(),
            Self::Email(email) => email.as_str(),
        }
    }

    /// What may be shown to people who might not know it.
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Email(email) => email.masked(),
        }
    }

    /// Which of the two it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Phone(_) => Kind::Phone,
            Self::Email(_) => Kind::Email,
        }
    }
}

impl Kind {
    /// The field that holds an identifier of this kind in requests, answers and items.
    pub fn field(self) -> &'static str {
        match self {
            Self::Phone => "phone_number",
            Self::Email => "email",
        }
    }
}

impl From<PhoneNumber> for Identifier {
    fn from(phone: PhoneNumber) -> Self {
        Self::Phone(phone)
    }
}

impl From<Email> for Identifier {
    fn from(email: Email) -> Self {
        Self::Email(email)
    }
}

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Identifier {
    /// Reads the stored form, as [`Identifier::from_stored`] does.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_stored(&text).ok_or_else(|| de::Error::custom("not an identifier"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Identifier, Invalid> {
        Identifier::parse(text, "NP".parse().unwrap())
    }

    #[test]
    fn an_at_sign_makes_it_an_address() {
        let phone = parse("984-1234567").unwrap();
        assert_eq!((phone.kind(), phone.as_str()), (Kind::Phone, "+9779841234567"));
        let email = parse("Sita@Example.com").unwrap();
        assert_eq!((email.kind(), email.as_str()), (Kind::Email, "sita@example.com"));
        assert_eq!(
            (phone.masked(), email.masked()),
            ("+977******4567".into(), "s***@example.com".into())
        );
        for bad in ["", "@", "sita", "9841234567@", "+977@9841234567"] {
            assert_eq!(parse(bad), Err(Identifier::INVALID), "{bad}");
        }
        assert_eq!(parse(&"9".repeat(255)), Err(text::TOO_LONG));
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(phone in "984[0-9]{7}", email in "[a-z]{1,9}@[a-z]{1,9}\\.com") {
            for text in [phone, email] {
                let identifier = parse(&text).unwrap();
                prop_assert_eq!(Identifier::from_stored(identifier.as_str()), Some(identifier.clone()));
                prop_assert_eq!(parse(identifier.as_str()), Ok(identifier));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse(&text);
            let _ = Identifier::from_stored(&text);
        }
    }
}
