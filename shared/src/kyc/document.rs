//! Identity documents: what kind, which number, and the files of them that are promised.

use std::fmt;

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::{Invalid, UploadId, UserId, text};

/// What kind of document proves an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DocumentType {
    /// A certificate of citizenship.
    #[default]
    Citizenship,
    /// A passport.
    Passport,
    /// A driving licence.
    DrivingLicense,
    /// A national identity card.
    NationalId,
}

impl DocumentType {
    /// Reads its name in requests.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let all = [Self::Citizenship, Self::Passport, Self::DrivingLicense, Self::NationalId];
        all.into_iter().find(|kind| kind.as_str() == text).ok_or(Invalid {
            code: "invalid_document_type",
            detail: "This must be CITIZENSHIP, PASSPORT, DRIVING_LICENSE or NATIONAL_ID.",
        })
    }

    /// Its name in requests, answers and items.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Citizenship => "CITIZENSHIP",
            Self::Passport => "PASSPORT",
            Self::DrivingLicense => "DRIVING_LICENSE",
            Self::NationalId => "NATIONAL_ID",
        }
    }
}

/// The number of a document, as it was typed. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DocumentNumber(String);

impl DocumentNumber {
    /// The shortest and the longest, characters.
    const CHARS: std::ops::RangeInclusive<usize> = 3..=40;
    /// What people put between the digits, beside spaces and hyphens. Two numbers that differ in
    /// these only are one.
    const SEPARATORS: [char; 2] = ['/', '.'];
    const MAX_SHOWN: usize = 4;

    /// Reads a number: ASCII letters, digits of any script, and separators.
    ///
    /// # Errors
    /// `invalid_document_number`, `too_short`, `too_long`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text::trim(text);
        if text.chars().count() > *Self::CHARS.end() {
            return Err(text::TOO_LONG);
        }
        let normal = normalised(text).ok_or(Invalid {
            code: "invalid_document_number",
            detail: "This may have letters, digits, spaces and - / . only.",
        })?;
        match normal.len() < *Self::CHARS.start() {
            true => Err(text::TOO_SHORT),
            false => Ok(Self(text::line(text, Self::CHARS)?)),
        }
    }

    /// As it was typed. Only the KYC record and staff who check it may see this.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Equal for all ways to type the same number: upper case, without separators.
    pub fn normalised(&self) -> String {
        normalised(&self.0).unwrap_or_default()
    }

    /// The number with its last four letters and digits in the clear, or fewer, so that never more
    /// than half of them are. What comes before them is hidden, separators too.
    pub fn masked(&self) -> String {
        let counted = || {
            let all = self.0.chars().enumerate();
            all.filter(|(_, c)| c.is_alphanumeric()).map(|(at, _)| at)
        };
        let count = counted().count();
        let shown = Self::MAX_SHOWN.min(count / 2);
        let shown_from = counted().nth(count - shown).unwrap_or(usize::MAX);
        let masked = self.0.chars().enumerate();
        masked.map(|(at, c)| if at < shown_from { '*' } else { c }).collect()
    }
}

/// `None` where there is a character that no number has.
fn normalised(text: &str) -> Option<String> {
    let plain = text::with_plain_digits(text);
    let kept = plain.chars().filter(|c| !DocumentNumber::SEPARATORS.contains(c));
    kept.map(|c| c.is_ascii_alphanumeric().then_some(c.to_ascii_uppercase())).collect()
}

impl fmt::Debug for DocumentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DocumentNumber(redacted)")
    }
}

impl<'de> Deserialize<'de> for DocumentNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|invalid| de::Error::custom(invalid.code))
    }
}

/// Which side of a document a file shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DocumentSide))]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The front, which there must be.
    Front,
    /// The back.
    Back,
}

impl Side {
    /// Its name in requests, answers and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Back => "back",
        }
    }

    /// The field that a problem names.
    pub fn field(self) -> &'static str {
        match self {
            Self::Front => "documents.front",
            Self::Back => "documents.back",
        }
    }
}

/// What a file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DocumentContentType))]
pub enum ContentType {
    /// A photograph.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// A picture.
    #[serde(rename = "image/png")]
    Png,
    /// A scan.
    #[serde(rename = "application/pdf")]
    Pdf,
}

impl ContentType {
    /// Reads its media type, whose case does not matter (RFC 9110, 8.3.1).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is = |kind: &Self| kind.as_str().eq_ignore_ascii_case(text);
        [Self::Jpeg, Self::Png, Self::Pdf].into_iter().find(is).ok_or(Invalid {
            code: "invalid_content_type",
            detail: "This must be image/jpeg, image/png or application/pdf.",
        })
    }

    /// Its media type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Pdf => "application/pdf",
        }
    }

    /// What the names of such files end in.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Pdf => "pdf",
        }
    }
}

/// The SHA-256 of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest([u8; 32]);

impl FileDigest {
    const INVALID: Invalid =
        Invalid { code: "invalid_sha256", detail: "This must be 64 hexadecimal digits." };

    /// The digest of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |pair: &[u8]| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok();
        let bytes: Option<Vec<u8>> = match text.len() {
            64 => text.as_bytes().chunks_exact(2).map(byte).collect(),
            _ => None,
        };
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(Self::INVALID)
    }

    /// In base64, as S3 reads checksums.
    pub fn base64(&self) -> String {
        Base64::encode_string(&self.0)
    }
}

impl fmt::Display for FileDigest {
    /// Lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for FileDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FileDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|invalid| de::Error::custom(invalid.code))
    }
}

/// The longest file, bytes.
pub const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;

/// How long after the last time that somebody was told where to send a file it may still arrive,
/// seconds: it may begin within ten minutes, and takes its time.
pub const SETTLED_SECONDS: i64 = 60 * 60;

/// A file that is promised: what will be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedFile {
    /// What it is.
    pub content_type: ContentType,
    /// Its length, bytes: 1 to [`MAX_FILE_BYTES`].
    pub size: u64,
    /// Its digest.
    pub sha256: FileDigest,
}

/// A file of a submission: where it is, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it shows.
    pub side: Side,
    /// Its key in the bucket. No name that a person chose is in it.
    pub key: String,
    /// What it must be.
    #[serde(flatten)]
    pub expected: ExpectedFile,
    /// Whether it has been seen in the bucket, and was that.
    pub is_checked: bool,
}

impl Document {
    /// A file that has not been uploaded yet.
    pub fn awaiting_upload(
        user_id: UserId,
        upload_id: UploadId,
        side: Side,
        expected: ExpectedFile,
    ) -> Self {
        let key = format!("{user_id}/{upload_id}/{}", side.as_str());
        Self { side, key, expected, is_checked: false }
    }

    /// When the file with this key was promised; of what is no such key nothing is known.
    pub fn upload_requested_at(key: &str) -> Option<Timestamp> {
        let upload_id = UploadId::parse(key.split('/').nth(1)?).ok()?;
        Some(upload_id.created_at())
    }

    /// The name that it is saved under by whoever looks at it.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.side.as_str(), self.expected.content_type.extension())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_however_it_is_typed() {
        let normal = |text: &str| DocumentNumber::parse(text).unwrap().normalised();
        for text in [
            "27-01-70/12345",
            " 27 01 70 12345\r\n",
            "27.01.7012345",
            "२७-०१-७०-१२३४५",
            "２７\u{2011}०१\u{a0}70/١٢٣٤٥",
        ] {
            assert_eq!(normal(text), "27017012345", "{text}");
        }
        assert_eq!(normal("pa 012-34"), "PA01234");
        assert_ne!(normal("PA01234"), normal("PA01235"));
    }

    #[test]
    fn a_number_has_letters_and_digits_and_a_sensible_length() {
        let code = |text: &str| DocumentNumber::parse(text).map(drop).map_err(|error| error.code);
        assert_eq!(code("123"), Ok(()));
        assert_eq!(code(&"1".repeat(40)), Ok(()));
        assert_eq!(code(&"1".repeat(41)), Err("too_long"));
        for short in ["", "12", "1-/. 2", "   "] {
            assert_eq!(code(short), Err("too_short"), "{short:?}");
        }
        for bad in ["12_34", "12\n34", "½1234", "АВ123", "12#4", "é1234"] {
            assert_eq!(code(bad), Err("invalid_document_number"), "{bad:?}");
        }
    }

    #[test]
    fn the_last_four_letters_and_digits_are_shown_and_never_more_than_half() {
        let masked = |text: &str| DocumentNumber::parse(text).unwrap().masked();
        for (text, expected) in [
            ("27-01-12345", "*******2345"),
            ("12345678", "****5678"),
            ("1234567", "****567"),
            ("12345", "***45"),
            ("1234", "**34"),
            ("X381", "**81"),
            ("X-9-7-9", "****7-9"),
            ("1-2-3-4-5-6-7-8-", "********5-6-7-8-"),
            ("--1..23", "******3"),
            ("123", "**3"),
            ("१२३४५६७८", "****५६७८"),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
        let shown = format!("{:?}", DocumentNumber::parse("12345").unwrap());
        assert_eq!(shown, "DocumentNumber(redacted)");
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = FileDigest::parse(text).unwrap();
        assert_eq!(digest.to_string(), text);
        assert_eq!(FileDigest::parse(&text.to_uppercase()), Ok(digest));
        assert_eq!(digest.base64(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        let spoilt =
            ["", &text[1..], &format!("{text}0"), &text.replace('b', "+"), &"é".repeat(32)];
        for bad in spoilt {
            assert!(FileDigest::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_tells_when_its_file_was_promised_and_names_no_file() {
        let at: Timestamp = "2026-01-31T10:00:00.125Z".parse().unwrap();
        let (user_id, upload_id) = (UserId::new(at, [1; 10]), UploadId::new(at, [2; 10]));
        let sha256 = FileDigest::from_bytes([3; 32]);
        let expected = ExpectedFile { content_type: ContentType::Jpeg, size: 7, sha256 };
        let document = Document::awaiting_upload(user_id, upload_id, Side::Back, expected);
        assert_eq!(document.key, format!("{user_id}/{upload_id}/back"));
        assert_eq!(Document::upload_requested_at(&document.key), Some(at));
        assert_eq!(Document::upload_requested_at("what/else"), None);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["CITIZENSHIP", "PASSPORT", "DRIVING_LICENSE", "NATIONAL_ID"] {
            let kind = DocumentType::parse(name).unwrap();
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
        for name in ["image/jpeg", "image/png", "application/pdf"] {
            let kind = ContentType::parse(name).unwrap();
            assert_eq!(ContentType::parse(&name.to_uppercase()), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
        for bad in ["image/svg+xml", "image/png; q=1", "image/jpg", "image", ""] {
            assert!(ContentType::parse(bad).is_err(), "{bad}");
        }
        assert!(DocumentType::parse("passport").is_err());
    }
}
