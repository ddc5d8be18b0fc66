//! Referral codes.

use serde::{Deserialize, Serialize};

use crate::value::{Invalid, text};

/// Eight characters of Crockford's base 32: 40 bits, and no letters that look like digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReferralCode(String);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: u32 = 8;
/// The longest code that is looked up.
const MAX_CHARS: usize = 32;

impl ReferralCode {
    /// A code from 40 random bits.
    pub fn from_random(random: [u8; 5]) -> Self {
        let bits = random.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let digit = |place: u32| ALPHABET[(bits >> (5 * place) & 31) as usize] as char;
        Self((0..LENGTH).rev().map(digit).collect())
    }

    /// The codes that a text may stand for, the likeliest first: as it was typed, case ignored, then
    /// as Crockford reads it, `O` as 0, `I` and `L` as 1. Codes of another alphabet may have been
    /// imported. Digits of any script are read; spaces and hyphens do not matter.
    ///
    /// # Errors
    /// `invalid_referral_code` for what cannot be a code.
    pub fn readings(text: &str) -> Result<Vec<Self>, Invalid> {
        let typed = text::with_plain_digits(text).to_ascii_uppercase();
        let fits = (1..=MAX_CHARS).contains(&typed.len())
            && typed.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !fits {
            let detail = "This is not a referral code.";
            return Err(Invalid { code: "invalid_referral_code", detail });
        }
        let crockford = typed.replace('O', "0").replace(['I', 'L'], "1");
        let is_ours = crockford.len() == LENGTH as usize
            && crockford.bytes().all(|byte| ALPHABET.contains(&byte));
        let other = (is_ours && crockford != typed).then_some(Self(crockford));
        Ok([Self(typed)].into_iter().chain(other).collect())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_generated_code_is_parsed(random: [u8; 5]) {
            let code = ReferralCode::from_random(random);
            let typed = code.as_str().to_lowercase();
            let misread = typed.replacen('0', "o", 3).replacen('1', "l", 1).replace('1', "I");
            prop_assert_eq!(ReferralCode::readings(&typed), Ok(vec![code.clone()]));
            let readings = ReferralCode::readings(&misread).unwrap();
            prop_assert_eq!(readings.last(), Some(&code));
        }

        #[test]
        fn no_text_causes_a_panic(text in ".{0,20}") {
            drop(ReferralCode::readings(&text));
        }
    }

    fn readings(text: &str) -> Option<Vec<String>> {
        let readings = ReferralCode::readings(text).ok()?;
        Some(readings.into_iter().map(|code| code.0).collect())
    }

    #[test]
    fn a_code_is_read_as_typed_and_then_as_crockford_does() {
        let of = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(readings("7XK2M9QD"), of(&["7XK2M9QD"]));
        assert_eq!(readings(" 7xk2-m9qd\u{a0}"), of(&["7XK2M9QD"]));
        assert_eq!(readings("७XK२M९QD"), of(&["7XK2M9QD"]));
        assert_eq!(readings("oOiIlL77"), of(&["OOIILL77", "00111177"]));
        // Codes of before: other lengths and letters.
        assert_eq!(readings("SITA-LOU"), of(&["SITALOU"]));
        assert_eq!(readings("HELLOYOU"), of(&["HELLOYOU"]));
        for bad in ["", " ", "---", "!!!!!!!!", "' OR 1=1", "7XK2.M9QD", "ÄBCDEFGH"] {
            assert_eq!(readings(bad), None, "{bad}");
        }
        assert_eq!(readings(&"0".repeat(33)), None);
    }

    #[test]
    fn different_bits_give_different_codes() {
        assert_eq!(ReferralCode::from_random([0; 5]).as_str(), "00000000");
        assert_eq!(ReferralCode::from_random([255; 5]).as_str(), "ZZZZZZZZ");
        assert_eq!(ReferralCode::from_random([0, 0, 0, 0, 33]).as_str(), "00000011");
    }
}
