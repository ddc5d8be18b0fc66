//! Phone numbers, E.164 from the moment they are read.

use std::{fmt, str::FromStr};

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::value::{Invalid, text};

/// A country, ISO 3166-1 alpha-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(rlibphonenumber::Region);

impl FromStr for Region {
    type Err = &'static str;

    /// Reads two upper-case letters that name a country with phone numbers of its own.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REFUSED: &str = "must be a two-letter country code in upper case";
        if text.len() != 2 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(REFUSED);
        }
        let region = text.parse().map_err(|_| REFUSED)?;
        // The library knows every pair of letters, but only some have a numbering plan.
        match PHONE_NUMBER_UTIL.get_country_code_for_region(region) {
            Some(_) => Ok(Self(region)),
            None => Err("must be a country with phone numbers"),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A phone number in E.164 (ITU-T), such as `+9779841234567`: `+`, then at most 15 digits.
///
/// Two numbers are equal when the same telephone rings. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// The longest text that is read, characters. The longest number, generously punctuated.
    pub const MAX_CHARS: usize = 32;

    const INVALID: Invalid =
        Invalid { code: "invalid_phone_number", detail: "This is not a valid phone number." };

    /// Reads a number as people write it; one without a country code belongs to `default`.
    ///
    /// Digits of any script, a leading `+`, and punctuation between digits are read. Extensions, letters and `tel:` parameters are refused with everything else: a code
    /// cannot be sent to them. The number must be assignable under its country's numbering plan.
    ///
    /// # Errors
    /// `invalid_phone_number`, `too_long`.
    pub fn parse(text: &str, default: Region) -> Result<Self, Invalid> {
        text::within(text.chars().count(), 0..=Self::MAX_CHARS)?;
        let plain = plain(text).ok_or(Self::INVALID)?;
        let number = PHONE_NUMBER_UTIL.parse(&plain, Some(default.0)).map_err(|_| Self::INVALID)?;
        if !number.is_valid() {
            return Err(Self::INVALID);
        }
        Self::from_e164(&number.format_as(PhoneNumberFormat::E164)).ok_or(Self::INVALID)
    }

    /// Reads a number that was stored: E.164 by its form alone.
    ///
    /// The numbering plan is not asked, because it changes and what is stored must stay readable.
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let fits = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        fits.then(|| Self(text.to_owned()))
    }

    /// The number in E.164.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits of its country code.
    pub fn country_code(&self) -> &str {
        let code = self.read().map_or(0, |number| number.country_code.to_string().len());
        &self.0[1..=code]
    }

    /// The digits after the country code.
    pub fn national(&self) -> &str {
        &self.0[1 + self.country_code().len()..]
    }

    /// The country it belongs to. `None` for numbers of no country, such as satellite phones.
    pub fn region(&self) -> Option<Region> {
        let region = self.read()?.get_region_code()?;
        (region != rlibphonenumber::Region::World).then_some(Region(region))
    }

    /// Whether SMS may reach it: a mobile number, or one of a country whose mobile numbers cannot
    /// be told from landlines.
    pub fn is_mobile(&self) -> bool {
        use PhoneNumberType::{FixedLineOrMobile, Mobile};
        self.read().is_some_and(|number| matches!(number.get_type(), Mobile | FixedLineOrMobile))
    }

    /// What may be shown to people who might not know it: `+977******4567`, the country code and
    /// the last four digits (two of a national number shorter than eight), its length kept.
    pub fn masked(&self) -> String {
        let code = self.country_code().len();
        let national = self.national().len();
        let shown = if national < 8 { 2 } else { 4 };
        let hidden = national - shown;
        let (head, tail) = (&self.0[..=code], &self.0[self.0.len() - shown..]);
        format!("{head}{}{tail}", "*".repeat(hidden))
    }

    fn read(&self) -> Option<rlibphonenumber::PhoneNumber> {
        PHONE_NUMBER_UTIL.parse(&self.0, None).ok()
    }
}

/// The digits of `text`, after `+` if it starts with one. `None` if anything else is in it but
/// punctuation that people put into phone numbers.
fn plain(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    for char in text::with_plain_digits(text).chars() {
        match char {
            '0'..='9' => plain.push(char),
            '+' | '＋' if plain.is_empty() => plain.push('+'),
            '.' | '/' | '(' | ')' => {}
            _ => return None,
        }
    }
    Some(plain)
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(redacted)")
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    /// Reads the stored form, as [`PhoneNumber::from_e164`] does.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_e164(&text).ok_or_else(|| de::Error::custom("not an E.164 number"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(code: &str) -> Region {
        code.parse().unwrap()
    }

    fn nepal(text: &str) -> Option<String> {
        PhoneNumber::parse(text, region("NP")).ok().map(|number| number.0)
    }

    #[test]
    fn every_way_to_write_a_number_is_one_number() {
        for text in [
            "9841234567",
            "09841234567",
            "984-1234567",
            "+977 984-1234567",
            "+9779841234567",
            " (984) 123.4567 ",
            "00 977 9841234567",
            "९८४१२३४५६७",
            "٩٨٤١٢٣٤٥٦٧",
            "९८४ १२३-4567",
            "+９７７ ९८४１२३४५६७",
            "\u{202a}+977\u{a0}984\u{2011}1234567\u{202c}",
        ] {
            assert_eq!(nepal(text).as_deref(), Some("+9779841234567"), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_number_is_refused() {
        for text in [
            "",
            " ",
            "+",
            "++9779841234567",
            "984+1234567",
            "98412345",
            "98412345678",
            "9830000000",
            "9841234567 ext 5",
            "9841234567x5",
            "9841234567;ext=5",
            "9841234567#5",
            "9841234567,,5",
            "tel:+9779841234567",
            "984123456a",
            "1-800-FLOWERS",
            "+9779841234567\0",
            "9841234567\r\n",
            "98412345½7",
            "+99999999999",
            &" ".repeat(33),
            &"9".repeat(1_000_000),
        ] {
            assert_eq!(nepal(text), None, "{}", text.chars().take(40).collect::<String>());
        }
    }

    #[test]
    fn region_and_kind_come_from_the_numbering_plan() {
        let of = |text| PhoneNumber::parse(text, region("NP")).unwrap();
        assert_eq!(of("9841234567").region(), Some(region("NP")));
        assert!(of("9841234567").is_mobile());
        assert!(!of("014212345").is_mobile());
        assert_eq!(of("+919876543210").region(), Some(region("IN")));
        assert!(of("+12015550123").is_mobile(), "the US does not tell them apart");
        assert_eq!(of("+80012345678").region(), None);
    }

    #[test]
    fn a_mask_keeps_the_country_and_the_end() {
        let masked = |text| PhoneNumber::from_e164(text).unwrap().masked();
        assert_eq!(masked("+9779841234567"), "+977******4567");
        assert_eq!(masked("+12015550123"), "+1******0123");
        assert_eq!(masked("+2903101"), "+290**01");
        // No country has this code any more or yet; nothing but the end is shown.
        assert_eq!(masked("+9991234567"), "+******4567");
    }

    #[test]
    fn neither_debug_nor_an_error_tells_the_number() {
        let number = PhoneNumber::from_e164("+9779841234567").unwrap();
        assert_eq!(format!("{number:?}"), "PhoneNumber(redacted)");
    }

    #[test]
    fn stored_numbers_are_read_by_their_form() {
        for bad in ["", "+", "9779841234567", "+0779841234567", "+977 9841", "+1234567890123456"] {
            assert_eq!(PhoneNumber::from_e164(bad), None, "{bad}");
        }
        let number: PhoneNumber = serde_json::from_str("\"+9779841234567\"").unwrap();
        assert_eq!(serde_json::to_string(&number).unwrap(), "\"+9779841234567\"");
        assert!(serde_json::from_str::<PhoneNumber>("\"9841234567\"").is_err());
    }

    #[test]
    fn a_region_is_two_upper_case_letters_with_a_numbering_plan() {
        assert_eq!(region("NP").to_string(), "NP");
        for bad in ["", "N", "np", "NPL", "001", "XX", "ZZ", "न"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }

    /// Numbers of every country, in the form in which most of the world writes them.
    #[test]
    fn an_example_number_of_every_country_reads_the_same_again() {
        let mut seen = 0;
        for code in PHONE_NUMBER_UTIL.get_supported_regions() {
            let Ok(example) = PHONE_NUMBER_UTIL.get_example_number(code) else { continue };
            let text = example.format_as(PhoneNumberFormat::International);
            let number = PhoneNumber::parse(&text, region("NP")).unwrap();
            assert_eq!(PhoneNumber::parse(number.as_str(), Region(code)), Ok(number.clone()));
            assert_eq!(number.masked().len(), number.as_str().len());
            seen += 1;
        }
        assert!(seen > 200);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), other in "[+0-9०-९() .-]{0,40}") {
            for text in [&text, &other] {
                if let Ok(number) = PhoneNumber::parse(text, region("NP")) {
                    prop_assert_eq!(PhoneNumber::from_e164(number.as_str()), Some(number));
                }
            }
        }

        #[test]
        fn reading_twice_is_reading_once(text in "\\+?[0-9]{5,15}", default in 0_usize..4) {
            let default = region(["NP", "US", "IT", "MX"][default]);
            if let Ok(number) = PhoneNumber::parse(&text, default) {
                for region in [default, region("NP"), region("AR")] {
                    prop_assert_eq!(&PhoneNumber::parse(number.as_str(), region), &Ok(number.clone()));
                }
            }
        }

        #[test]
        fn a_nepali_mobile_number_is_one_however_it_is_spaced(
            rest in "[0-9]{7}", gaps in prop::collection::vec("[ ().\u{a0}-]{0,2}", 10),
        ) {
            let national = format!("984{rest}");
            let spaced: String =
                national.chars().zip(&gaps).flat_map(|(c, gap)| [c.to_string(), gap.clone()]).collect();
            prop_assert_eq!(nepal(&spaced), Some(format!("+977{national}")));
        }
    }
}
