//! Money in minor units, and points. Never a float.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::value::{Invalid, text};

/// An ISO 4217 currency that has a number of decimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Currency {
    iso: iso_currency::Currency,
    digits: u32,
}

impl Currency {
    /// The three-letter code, `NPR`.
    pub fn code(self) -> &'static str {
        self.iso.code()
    }

    /// How many decimal digits an amount has: 2 for `NPR`, 0 for `JPY`, 3 for `BHD`.
    pub fn digits(self) -> u32 {
        self.digits
    }

    /// Checks that a request that names a currency names this one.
    ///
    /// # Errors
    /// `wrong_currency`.
    pub fn must_be(self, text: &str) -> Result<(), Invalid> {
        match text == self.code() {
            true => Ok(()),
            false => Err(Invalid {
                code: "wrong_currency",
                detail: "This must be the currency of the service, or be left out.",
            }),
        }
    }

    fn minor_per_major(self) -> i64 {
        10_i64.pow(self.digits)
    }
}

impl FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REFUSED: &str = "must be an ISO 4217 code";
        let iso = iso_currency::Currency::from_code(text).ok_or(REFUSED)?;
        // Gold and other units of no country have none.
        let digits = iso.exponent().ok_or("must be a currency with minor units")?;
        Ok(Self { iso, digits: digits.into() })
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({})", self.code())
    }
}

/// An amount of money, zero or more minor units of the deployment's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The largest amount, minor units: ten million million of a currency with two digits, and
    /// within what a double holds exactly, for clients that make one of it.
    pub const MAX_MINOR: i64 = 999_999_999_999_999;

    const INVALID: Invalid =
        Invalid { code: "invalid_amount", detail: "This must be a decimal number like \"25.00\"." };
    const TOO_MANY_DECIMALS: Invalid = Invalid {
        code: "too_many_decimals",
        detail: "This has more digits after the point than the currency.",
    };
    pub(crate) const TOO_LARGE: Invalid =
        Invalid { code: "too_large", detail: "This is more than an account can hold." };

    /// The amount of so many minor units; `None` below zero or above [`Amount::MAX_MINOR`].
    pub fn from_minor(minor: i64) -> Option<Self> {
        (0..=Self::MAX_MINOR).contains(&minor).then_some(Self(minor))
    }

    /// Reads a decimal string: `25`, `25.5`, `25.00`, up to the currency's digits. No sign, no
    /// exponent, no space, no separator, and as in JSON no needless leading zero. Digits of any script
    /// are digits.
    ///
    /// # Errors
    /// `invalid_amount`, `too_many_decimals`, `too_large`.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, Invalid> {
        let text = text::with_ascii_digits(text);
        let (major, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(Self::INVALID),
            Some(parts) => parts,
            None => (&*text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = major.len() > 1 && major.starts_with('0');
        if major.is_empty() || leading_zero || !digits(major) || !digits(fraction) {
            return Err(Self::INVALID);
        }
        let decimals = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
        let missing = currency.digits().checked_sub(decimals).ok_or(Self::TOO_MANY_DECIMALS)?;
        let minor = format!("{major}{fraction}").parse::<i64>().ok();
        let minor = minor.and_then(|minor| minor.checked_mul(10_i64.pow(missing)));
        minor.and_then(Self::from_minor).ok_or(Self::TOO_LARGE)
    }

    /// The amount in minor units.
    pub fn minor(self) -> i64 {
        self.0
    }

    /// The decimal string, with exactly the currency's digits: `1250.00`.
    pub fn format(self, currency: Currency) -> String {
        let unit = currency.minor_per_major();
        match currency.digits() as usize {
            0 => self.0.to_string(),
            digits => format!("{}.{:0digits$}", self.0 / unit, self.0 % unit),
        }
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` above [`Amount::MAX_MINOR`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::from_minor(self.0.checked_add(other.0)?)
    }

    /// The difference; `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Self::from_minor(self.0.checked_sub(other.0)?)
    }
}

/// A number of points, zero or more. An integer in JSON.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Points(i64);

impl Points {
    /// None.
    pub const ZERO: Self = Self(0);

    /// The most points that one account, or one entry, can hold.
    pub const MAX: i64 = 999_999_999_999;

    /// So many points; `None` below zero or above [`Points::MAX`].
    pub fn new(points: i64) -> Option<Self> {
        (0..=Self::MAX).contains(&points).then_some(Self(points))
    }

    /// How many.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Whether there are none.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` above [`Points::MAX`].
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::new(self.0.checked_add(other.0)?)
    }

    /// The difference; `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Self::new(self.0.checked_sub(other.0)?)
    }
}

impl TryFrom<i64> for Points {
    type Error = &'static str;

    fn try_from(points: i64) -> Result<Self, Self::Error> {
        Self::new(points).ok_or("points are out of range")
    }
}

impl From<Points> for i64 {
    fn from(points: Points) -> Self {
        points.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn minor(text: &str, code: &str) -> Option<i64> {
        Amount::parse(text, currency(code)).ok().map(Amount::minor)
    }

    #[test]
    fn an_amount_has_at_most_the_currency_s_digits() {
        assert_eq!(minor("25", "NPR"), Some(2_500));
        assert_eq!(minor("25.5", "NPR"), Some(2_550));
        assert_eq!(minor("25.00", "NPR"), Some(2_500));
        assert_eq!(minor("0.05", "NPR"), Some(5));
        assert_eq!(minor("0", "NPR"), Some(0));
        assert_eq!(minor("25.005", "BHD"), Some(25_005));
        assert_eq!(minor("25", "JPY"), Some(25));
        for (text, code) in [("25.000", "NPR"), ("25.0", "JPY"), ("25.", "JPY")] {
            assert_eq!(minor(text, code), None, "{text} {code}");
        }
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for bad in [
            "",
            ".",
            ".5",
            "5.",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1e3",
            "1,000",
            "1_000",
            "0x10",
            "01",
            "00",
            "1.2.3",
            "1.-5",
            "1.+5",
            "NaN",
            "inf",
            "1\0",
            "10000000000000",
            "99999999999999999999",
            &"9".repeat(1_000_000),
        ] {
            assert_eq!(minor(bad, "NPR"), None, "{}", bad.chars().take(40).collect::<String>());
        }
        assert_eq!(minor("9999999999999.99", "NPR"), Some(Amount::MAX_MINOR));
        assert_eq!((minor("१०", "NPR"), minor("１०.५", "NPR")), (Some(1_000), Some(1_050)));
    }

    #[test]
    fn an_amount_is_written_with_all_its_digits() {
        let write = |minor, code| Amount::from_minor(minor).unwrap().format(currency(code));
        assert_eq!(write(125_000, "NPR"), "1250.00");
        assert_eq!(write(5, "NPR"), "0.05");
        assert_eq!(write(0, "NPR"), "0.00");
        assert_eq!(write(5, "BHD"), "0.005");
        assert_eq!(write(1_250, "JPY"), "1250");
    }

    #[test]
    fn sums_never_leave_the_range() {
        let (one, most) = (Amount(1), Amount(Amount::MAX_MINOR));
        assert_eq!(most.checked_add(one), None);
        assert_eq!(Amount::ZERO.checked_sub(one), None);
        assert_eq!(most.checked_sub(most), Some(Amount::ZERO));
        let (one, most) = (Points(1), Points(Points::MAX));
        assert_eq!(most.checked_add(one), None);
        assert_eq!(Points::ZERO.checked_sub(one), None);
        assert_eq!(one.checked_add(one).map(Points::get), Some(2));
        assert_eq!(Amount::from_minor(-1), None);
        assert!(serde_json::from_str::<Points>("-1").is_err());
        assert_eq!(serde_json::to_string(&one).unwrap(), "1");
    }

    #[test]
    fn a_currency_is_an_iso_code_with_minor_units() {
        assert_eq!((currency("NPR").code(), currency("NPR").digits()), ("NPR", 2));
        for bad in ["", "npr", "NP", "NPRX", "AAA", "XAU", "XXX"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(minor in 0..=Amount::MAX_MINOR, code in 0_usize..3) {
            let currency = currency(["NPR", "JPY", "BHD"][code]);
            let amount = Amount::from_minor(minor).unwrap();
            prop_assert_eq!(Amount::parse(&amount.format(currency), currency), Ok(amount));
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), near in "[0-9.+e-]{0,20}") {
            for text in [text, near] {
                if let Ok(amount) = Amount::parse(&text, currency("NPR")) {
                    prop_assert!((0..=Amount::MAX_MINOR).contains(&amount.minor()));
                }
            }
        }
    }
}
