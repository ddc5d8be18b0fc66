//! E-mail addresses, compared without case.

use std::fmt;

use email_address::{EmailAddress, Options};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::{Invalid, text};

/// An e-mail address in lower case: an RFC 5321 mailbox with a dot-atom local part and a domain
/// of at least two labels.
///
/// Only ASCII (a domain of another script comes as `xn--…`), because SES takes nothing else
/// before the `@` and letters that look alike would be two accounts. It holds no space, quote or
/// control character, so it is safe in a header. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

impl Email {
    /// The longest address, bytes: RFC 5321 has 256 for a path with its angle brackets.
    pub const MAX_BYTES: usize = 254;

    const INVALID: Invalid =
        Invalid { code: "invalid_email", detail: "This is not a valid e-mail address." };

    /// Reads an address; white space around it, which keyboards leave, is dropped.
    ///
    /// # Errors
    /// `invalid_email`, `too_long`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text::trim(text);
        text::within(text.chars().count(), 0..=Self::MAX_BYTES)?;
        // `"` and `(` begin what the standard allows and nobody has: quoted strings, comments.
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'(' | b'\\');
        if text.len() > Self::MAX_BYTES || !text.bytes().all(plain) {
            return Err(Self::INVALID);
        }
        let options =
            Options::default().with_required_tld().without_domain_literal().without_display_text();
        let address = EmailAddress::parse_with_options(text, options).map_err(|_| Self::INVALID)?;
        if !is_host_name(address.domain()) {
            return Err(Self::INVALID);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The address, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What may be shown to people who might not know it: `a***@example.com`, the first
    /// character and the domain. The length is not told.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}***@{domain}")
    }
}

/// Letters, digits and inner hyphens, and a last label that is no number (RFC 1123, 2.1): what mail
/// can be sent to, and SES takes.
fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let ends = label.starts_with('-') || label.ends_with('-');
        (1..=63).contains(&label.len()) && inner && !ends
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.split('.').all(is_label) && last.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(redacted)")
    }
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|invalid| de::Error::custom(invalid.code))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_one_however_its_letters_are_cased() {
        for text in [
            "sita.rai+app@example.com",
            "Sita.Rai+App@Example.COM",
            "\u{3000} SITA.RAI+APP@example.com \r\n\u{200b}",
        ] {
            assert_eq!(Email::parse(text).unwrap().as_str(), "sita.rai+app@example.com");
        }
        for good in ["a@163.com", "o'brien@xn--bcher-kva.example", "a_b-c@sub.example.co.uk"] {
            assert_eq!(Email::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for bad in [
            "",
            "@",
            "a@",
            "@example.com",
            "a",
            "a@b",
            "a@b@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "a@example..com",
            "a@.example.com",
            "a@example.com.",
            "a@-example.com",
            "a@[127.0.0.1]",
            "a b@example.com",
            "\"a\"@example.com",
            "a(b)@example.com",
            "Sita <a@example.com>",
            "<a@example.com>",
            "a@example.com>",
            "a@example.com,b@example.com",
            "a@example.com;b@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "a\n@example.com",
            "a@example.com\nb",
            "a\0@example.com",
            "सीता@example.com",
            "a@ëxample.com",
            "a@examp\u{200b}le.com",
            &format!("{}@example.com", "a".repeat(65)),
        ] {
            let shown: String = bad.chars().take(40).collect();
            assert_eq!(Email::parse(bad), Err(Email::INVALID), "{shown:?}");
        }
        for long in [format!("a@{}com", "label.".repeat(50)), "a".repeat(1_000_000)] {
            assert_eq!(Email::parse(&long), Err(text::TOO_LONG));
        }
    }

    #[test]
    fn a_mask_tells_the_first_letter_and_the_domain() {
        assert_eq!(Email::parse("sita@example.com").unwrap().masked(), "s***@example.com");
        assert_eq!(Email::parse("s@example.com").unwrap().masked(), "s***@example.com");
    }

    #[test]
    fn debug_does_not_tell_the_address() {
        assert_eq!(format!("{:?}", Email::parse("a@example.com").unwrap()), "Email(redacted)");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), domain in any::<String>()) {
            for text in [text.clone(), format!("{text}@{domain}"), format!("{text}@example.com")] {
                if let Ok(email) = Email::parse(&text) {
                    prop_assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                    prop_assert!(!email.as_str().contains(['<', '>', ',', ';', '"', '(', ')']));
                }
            }
        }

        #[test]
        fn case_does_not_matter_and_reading_twice_is_reading_once(
            text in "[a-zA-Z0-9]([a-zA-Z0-9._+-]{0,20}[a-zA-Z0-9])?@[a-zA-Z0-9]{1,20}(\\.[a-zA-Z]{2,6}){1,3}",
        ) {
            let email = Email::parse(&text);
            prop_assert_eq!(&Email::parse(&text.to_uppercase()), &email);
            prop_assert_eq!(&Email::parse(&text.to_lowercase()), &email);
            if let Ok(email) = email {
                prop_assert_eq!(&Email::parse(email.as_str()), &Ok(email.clone()));
                let stored = serde_json::to_string(&email).unwrap();
                prop_assert_eq!(serde_json::from_str::<Email>(&stored).unwrap(), email);
            } else {
                prop_assert!(text.contains(".."), "{} was refused", text);
            }
        }
    }
}
