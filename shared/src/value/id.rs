//! Typed ids: UUIDv7 (RFC 9562), so that they sort by the time they were made.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{Builder, Uuid, Variant};

use crate::{http::cursor::Position, value::Invalid};

const INVALID: Invalid = Invalid { code: "invalid_id", detail: "This is not an id." };

/// Defines an id type; one type cannot be taken for another.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// A UUIDv7; ordered by the millisecond in which it was made.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, made at `now`. `random` must be fresh from a CSPRNG.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(v7(now, random))
            }

            /// Reads the hyphenated form of 36 characters. Upper case is read too, as RFC 9562
            /// asks: it is how iOS prints a UUID.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                parse(text).map(Self).ok_or(INVALID)
            }

            /// The id of these bytes; `None` if they are no UUIDv7.
            pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
                checked(Uuid::from_bytes(bytes)).map(Self)
            }

            /// Its 16 bytes, most significant first.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// When it was made, to the millisecond.
            pub fn created_at(&self) -> Timestamp {
                created_at(self.0)
            }
        }

        impl Position for $name {
            fn to_bytes(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Self::from_bytes(bytes.try_into().ok()?)
            }
        }

        impl fmt::Display for $name {
            /// The canonical form: lower case, hyphenated.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(|invalid| de::Error::custom(invalid.code))
            }
        }
    )+};
}

ids! {
    /// An account.
    UserId;
    /// A sign-in on one device, from its credential to its end.
    SessionId;
    /// An entry of a wallet's ledger.
    EntryId;
    /// A registered device.
    DeviceId;
    /// A profile.
    ProfileId;
    /// A KYC submission.
    SubmissionId;
    /// The files of one KYC submission, or of one replacement of them.
    UploadId;
    /// An entry of the audit log.
    AuditId;
}

/// The text that ids made at `at` or later begin with or come after, and earlier ones come before.
pub(crate) fn first_text(at: Timestamp) -> String {
    let mut text = v7(at, [0; 10]).as_hyphenated().to_string();
    text.truncate(TIME_CHARS);
    text
}

/// What of an id's text is its time: 48 bits, and a hyphen.
const TIME_CHARS: usize = 13;

fn v7(now: Timestamp, random: [u8; 10]) -> Uuid {
    // The format has no time before 1970; nothing here is older.
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn parse(text: &str) -> Option<Uuid> {
    // The crate also reads braces, `urn:uuid:` and no hyphens: other texts for the same id.
    if text.len() != 36 {
        return None;
    }
    checked(Uuid::try_parse(text).ok()?)
}

fn checked(uuid: Uuid) -> Option<Uuid> {
    let ours = uuid.get_version_num() == 7 && uuid.get_variant() == Variant::RFC4122;
    ours.then_some(uuid)
}

fn created_at(uuid: Uuid) -> Timestamp {
    let [a, b, c, d, e, f, ..] = *uuid.as_bytes();
    let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    // 48 bits of milliseconds reach past jiff's year 9999.
    i64::try_from(millis)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn the_rfc_s_own_example() {
        // RFC 9562, A.6.
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        let id = UserId::new(at(0x017F_22E2_79B0), random);
        assert_eq!(id.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(id.created_at(), at(0x017F_22E2_79B0));
    }

    #[test]
    fn one_id_has_two_readings_and_one_writing() {
        let text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
        let id = UserId::parse(text).unwrap();
        assert_eq!(UserId::parse(&text.to_uppercase()), Ok(id));
        assert_eq!(UserId::from_bytes(*id.as_bytes()), Some(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<UserId>(&format!("\"{text}\"")).unwrap(), id);
    }

    #[test]
    fn other_forms_and_other_versions_are_refused() {
        for bad in [
            "",
            "017f22e279b07cc398c4dc0c0c07398f",
            "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
            "urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
            "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
            "017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
            "00000000-0000-0000-0000-000000000000",
            " 17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
            "017f22e2-79b0-7cc3-98c4-dc0c0c07398é",
        ] {
            assert_eq!(UserId::parse(bad), Err(INVALID), "{bad}");
        }
    }

    #[test]
    fn a_time_parts_the_ids_before_it_from_those_after_it() {
        let now = at(1_800_000_000_001);
        let first = first_text(now);
        assert!(EntryId::new(at(1_800_000_000_000), [0xff; 10]).to_string() < first);
        assert!(first < EntryId::new(now, [0; 10]).to_string());
    }

    #[test]
    fn later_ids_sort_later() {
        let early = EntryId::new(at(1_800_000_000_000), [0xff; 10]);
        let late = EntryId::new(at(1_800_000_000_001), [0; 10]);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
    }
}
