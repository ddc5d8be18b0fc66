//! Typed ids: UUIDv7 (RFC 9562), which sort by their time of creation.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{Builder, Uuid, Variant};

use crate::value::Invalid;

const INVALID: Invalid = Invalid { code: "invalid_id", detail: "This is not an id." };

/// Defines id types that cannot be confused with each other.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// A UUIDv7, ordered by its millisecond of creation.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id. `random` must be new bytes from a CSPRNG.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(v7(now, random))
            }

            /// Parses the form of 36 characters with hyphens. Upper case is accepted too, as RFC
            /// 9562 requires: iOS prints a UUID in upper case.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                parse(text).map(Self).ok_or(INVALID)
            }

            /// The id with these bytes. `None` if they are not a UUIDv7.
            pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
                checked(Uuid::from_bytes(bytes)).map(Self)
            }

            /// Its 16 bytes, most significant first.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// When it was created, to the millisecond.
            pub fn created_at(&self) -> Timestamp {
                created_at(self.0)
            }
        }

        impl fmt::Display for $name {
            /// The canonical form: lower case, with hyphens.
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
    /// A session: from a sign-in on one device to its end.
    SessionId;
    /// An entry in a wallet's ledger.
    EntryId;
    /// A registered device.
    DeviceId;
    /// A profile.
    ProfileId;
    /// A KYC submission.
    SubmissionId;
    /// One upload of files for a KYC submission.
    UploadId;
    /// An entry in the audit log.
    AuditId;
}

/// The prefix that every id of the millisecond `at` begins with. Earlier ids sort before it, ids of
/// `at` and later sort after it.
pub(crate) fn lower_bound(at: Timestamp) -> String {
    let mut text = v7(at, [0; 10]).as_hyphenated().to_string();
    text.truncate(TIME_CHARS);
    text
}

/// The length of the time in an id's text: 48 bits in hexadecimal digits, and a hyphen.
const TIME_CHARS: usize = 13;

fn v7(now: Timestamp, random: [u8; 10]) -> Uuid {
    // A UUIDv7 has no time before 1970. No id here is older.
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn parse(text: &str) -> Option<Uuid> {
    // The crate also accepts other forms of the same id: braces, `urn:uuid:` and no hyphens.
    if text.len() != 36 {
        return None;
    }
    checked(Uuid::try_parse(text).ok()?)
}

fn checked(uuid: Uuid) -> Option<Uuid> {
    let is_v7 = uuid.get_version_num() == 7 && uuid.get_variant() == Variant::RFC4122;
    is_v7.then_some(uuid)
}

fn created_at(uuid: Uuid) -> Timestamp {
    let [a, b, c, d, e, f, ..] = *uuid.as_bytes();
    let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    // 48 bits of milliseconds reach beyond the year 9999, the last one of jiff.
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
    fn the_example_of_rfc_9562_is_reproduced() {
        // RFC 9562, A.6.
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        let id = UserId::new(at(0x017F_22E2_79B0), random);
        assert_eq!(id.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(id.created_at(), at(0x017F_22E2_79B0));
    }

    #[test]
    fn upper_case_is_parsed_and_lower_case_is_printed() {
        let text = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
        let id = UserId::parse(text).unwrap();
        assert_eq!(UserId::parse(&text.to_uppercase()), Ok(id));
        assert_eq!(UserId::from_bytes(*id.as_bytes()), Some(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<UserId>(&format!("\"{text}\"")).unwrap(), id);
    }

    #[test]
    fn other_forms_and_versions_are_rejected() {
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
    fn the_lower_bound_separates_earlier_ids_from_later_ids() {
        let now = at(1_800_000_000_001);
        let bound = lower_bound(now);
        assert!(EntryId::new(at(1_800_000_000_000), [0xff; 10]).to_string() < bound);
        assert!(bound < EntryId::new(now, [0; 10]).to_string());
    }

    #[test]
    fn later_ids_sort_later() {
        let early = EntryId::new(at(1_800_000_000_000), [0xff; 10]);
        let late = EntryId::new(at(1_800_000_000_001), [0; 10]);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
    }
}
