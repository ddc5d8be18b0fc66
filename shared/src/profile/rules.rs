//! What a person may say of themselves. Pure.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use crate::{
    http::fields::{Body, Edit, Fields},
    profile::Profile,
    value::{Invalid, rfc3339, text},
};

const MAX_CHARS: usize = 255;
const MAX_URL_CHARS: usize = 500;
const MAX_AGE_YEARS: i64 = 130;

/// What is to become of each field.
#[derive(Clone)]
pub struct Edits {
    full_name: Edit<String>,
    date_of_birth: Edit<Date>,
    address: Edit<String>,
    avatar_url: Edit<String>,
}

impl Body for Edits {
    fn read(fields: &mut Fields) -> Option<Self> {
        let now = fields.context.now;
        let full_name = fields.edit("full_name", full_name);
        let date_of_birth = fields.edit("date_of_birth", |text| date_of_birth(text, now));
        let address = fields.edit("address", address);
        let avatar_url = fields.edit("avatar_url", avatar_url);
        Some(Self {
            full_name: full_name?,
            date_of_birth: date_of_birth?,
            address: address?,
            avatar_url: avatar_url?,
        })
    }
}

impl Edits {
    /// The profile after a merge: what is absent stays.
    pub fn merge_into(self, before: Profile) -> Profile {
        Profile {
            full_name: self.full_name.apply(before.full_name),
            date_of_birth: self.date_of_birth.apply(before.date_of_birth),
            address: self.address.apply(before.address),
            avatar_url: self.avatar_url.apply(before.avatar_url),
            ..before
        }
    }
}

impl std::fmt::Debug for Edits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edits")
    }
}

/// A name as it is to be shown: one line of 2 to 255 characters.
///
/// # Errors
/// As [`text::line`].
pub fn full_name(text: &str) -> Result<String, Invalid> {
    text::line(text, 2..=MAX_CHARS)
}

/// A postal address: 1 to 255 characters; it may have several lines.
///
/// # Errors
/// As [`text::lines`].
pub fn address(text: &str) -> Result<String, Invalid> {
    text::lines(text, 1..=MAX_CHARS)
}

/// A birth date, `YYYY-MM-DD`: past, and less than 130 years ago, by the UTC day of `now`.
///
/// # Errors
/// `invalid_date`, `in_future`, `too_old`.
pub fn date_of_birth(text: &str, now: Timestamp) -> Result<Date, Invalid> {
    const IN_FUTURE: Invalid =
        Invalid { code: "in_future", detail: "A birth date is before today." };
    const TOO_OLD: Invalid =
        Invalid { code: "too_old", detail: "A birth date is less than 130 years ago." };
    let date = rfc3339::date(text)?;
    let today = now.to_zoned(TimeZone::UTC).date();
    if date >= today {
        return Err(IN_FUTURE);
    }
    let oldest = today.checked_sub(MAX_AGE_YEARS.years()).map_err(|_| TOO_OLD)?;
    (oldest < date).then_some(date).ok_or(TOO_OLD)
}

/// The address of a picture: an absolute https URL of up to 500 characters, with a host and without a
/// user name in it.
///
/// # Errors
/// `invalid_url`, and as [`text::line`].
pub fn avatar_url(text: &str) -> Result<String, Invalid> {
    const INVALID: Invalid = Invalid { code: "invalid_url", detail: "This must be an https URL." };
    let text = text::line(text, 0..=MAX_URL_CHARS)?;
    let uri: http::Uri = text.parse().map_err(|_| INVALID)?;
    let is_https = uri.scheme_str() == Some("https");
    let has_host = uri.host().is_some_and(|host| host.contains('.') && !host.starts_with('.'));
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    (is_https && has_host && !has_user).then_some(text).ok_or(INVALID)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn lengths_are_characters() {
        assert!(full_name("ए").is_err());
        assert_eq!(full_name(" सीता "), Ok("सीता".to_owned()));
        assert!(full_name(&"é".repeat(255)).is_ok());
        assert!(full_name(&"é".repeat(256)).is_err());
        assert!(full_name("a\u{0}b").is_err());
        assert!(address("x").is_ok());
        assert_eq!(address(" Ward 4\r\nLalitpur\n"), Ok("Ward 4\nLalitpur".to_owned()));
        assert!(address("\u{7}bell").is_err());
    }

    #[test]
    fn a_birth_date_is_past_and_not_too_long_ago() {
        let code = |text| date_of_birth(text, now()).err().map(|invalid| invalid.code);
        assert!(date_of_birth("2026-11-22", now()).is_ok());
        assert_eq!(code("2026-11-23"), Some("in_future"), "today");
        assert_eq!(code("9999-12-31"), Some("in_future"));
        assert!(date_of_birth("1896-11-24", now()).is_ok());
        assert_eq!(code("1896-11-23"), Some("too_old"), "130 years ago");
        assert_eq!(code("0000-01-01"), Some("too_old"));
        for bad in ["", "2000-02-30", "20000101", "2000-1-1", "01-01-2000", "2000-01-01T00"] {
            assert_eq!(code(bad), Some("invalid_date"), "{bad}");
        }
    }

    #[test]
    fn a_picture_is_behind_https() {
        assert!(avatar_url("https://cdn.example.com/a.png?x=1").is_ok());
        for bad in [
            "http://cdn.example.com/a.png",
            "javascript:alert(1)",
            "https://",
            "https://a@example.com/",
            "/a.png",
            "https://localhost/a",
            "https://exa mple.com/",
        ] {
            assert!(avatar_url(bad).is_err(), "{bad}");
        }
        let long = avatar_url(&format!("https://a.example/{}", "x".repeat(500)));
        assert_eq!(long, Err(text::TOO_LONG));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,600}") {
            drop(full_name(&text));
            drop(address(&text));
            let _ = date_of_birth(&text, now());
            drop(avatar_url(&text));
        }
    }
}
