//! Referral codes.

use serde::{Deserialize, Serialize};

use crate::value::Invalid;

/// Eight characters of Crockford's base 32: 40 bits, and no letters that look like digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReferralCode(String);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: u32 = 8;

impl ReferralCode {
    /// A code from 40 random bits.
    pub fn from_random(random: [u8; 5]) -> Self {
        let bits = random.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let digit = |place: u32| ALPHABET[(bits >> (5 * place) & 31) as usize] as char;
        Self((0..LENGTH).rev().map(digit).collect())
    }

    /// Reads a code; case and spaces around it do not matter.
    ///
    /// # Errors
    /// `invalid_referral_code` for anything that is not eight characters of the alphabet.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let code = text.trim().to_ascii_uppercase();
        let fits = code.len() == LENGTH as usize && code.bytes().all(|c| ALPHABET.contains(&c));
        fits.then_some(Self(code)).ok_or(Invalid {
            code: "invalid_referral_code",
            detail: "This is not a referral code.",
        })
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
        fn every_made_code_is_read(random: [u8; 5]) {
            let code = ReferralCode::from_random(random);
            prop_assert_eq!(ReferralCode::parse(&code.as_str().to_lowercase()), Ok(code));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,20}") {
            drop(ReferralCode::parse(&text));
        }
    }

    #[test]
    fn different_bits_are_different_codes() {
        assert_eq!(ReferralCode::from_random([0; 5]).as_str(), "00000000");
        assert_eq!(ReferralCode::from_random([255; 5]).as_str(), "ZZZZZZZZ");
        assert_eq!(ReferralCode::from_random([0, 0, 0, 0, 33]).as_str(), "00000011");
    }
}
