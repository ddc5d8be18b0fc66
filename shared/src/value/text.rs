//! Text that people type: white space, normal form, digits of any script, and characters that are
//! refused.

use std::{borrow::Cow, ops::RangeInclusive};

use icu_normalizer::ComposingNormalizer;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

use crate::value::Invalid;

/// The text is longer than allowed.
pub const TOO_LONG: Invalid = Invalid { code: "too_long", detail: "This is too long." };
/// The text is shorter than allowed.
pub const TOO_SHORT: Invalid = Invalid { code: "too_short", detail: "This is too short." };
const INVALID_TEXT: Invalid = Invalid {
    code: "invalid_text",
    detail: "This has control characters, line separators or direction controls.",
};
const INVISIBLE_TEXT: Invalid =
    Invalid { code: "invisible_text", detail: "This has no visible character." };

/// The text without white space at its ends. Zero-width spaces count as white space here: web
/// pages and keyboards leave them there.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}'))
}

/// A text of one line: trimmed, in NFC, of so many characters.
///
/// # Errors
/// `invalid_text`, `too_short`, `too_long`, `invisible_text`.
pub fn line(text: &str, chars: RangeInclusive<usize>) -> Result<String, Invalid> {
    clean(text, chars, is_refused)
}

/// A text that may have several lines: as [`line`], with each line end as `\n`.
///
/// # Errors
/// As [`line`].
pub fn lines(text: &str, chars: RangeInclusive<usize>) -> Result<String, Invalid> {
    clean(&text.replace("\r\n", "\n"), chars, |c| c != '\n' && is_refused(c))
}

fn clean(
    text: &str,
    chars: RangeInclusive<usize>,
    is_refused: impl Fn(char) -> bool,
) -> Result<String, Invalid> {
    let text = trim(text);
    if text.chars().any(is_refused) {
        return Err(INVALID_TEXT);
    }
    let text = nfc(text);
    within(text.chars().count(), chars)?;
    match text.chars().all(is_invisible) && !text.is_empty() {
        true => Err(INVISIBLE_TEXT),
        false => Ok(text.into_owned()),
    }
}

/// The text in Unicode's normal form NFC, and else unchanged.
pub fn nfc(text: &str) -> Cow<'_, str> {
    ComposingNormalizer::new_nfc().normalize(text)
}

/// Whether a length is in range.
///
/// # Errors
/// `too_short`, `too_long`.
pub fn within(length: usize, range: RangeInclusive<usize>) -> Result<(), Invalid> {
    match length {
        _ if length < *range.start() => Err(TOO_SHORT),
        _ if length > *range.end() => Err(TOO_LONG),
        _ => Ok(()),
    }
}

/// Control characters, line and paragraph separators, and the controls of direction with which one
/// text can be made to look like another.
fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether nothing is seen of it. The Braille blank counts: it is a symbol that looks like a space.
fn is_invisible(c: char) -> bool {
    let is_format = || category(c) == GeneralCategory::Format;
    let is_ignorable = || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    c.is_whitespace() || c == '\u{2800}' || is_ignorable() || is_format()
}

/// Whether a character is a punctuation mark or a symbol of any script. Emoji are not.
pub fn is_symbol(c: char) -> bool {
    use GeneralCategory::{
        ClosePunctuation, ConnectorPunctuation, CurrencySymbol, DashPunctuation, FinalPunctuation,
        InitialPunctuation, MathSymbol, ModifierSymbol, OpenPunctuation, OtherPunctuation,
    };
    matches!(
        category(c),
        ClosePunctuation
            | ConnectorPunctuation
            | CurrencySymbol
            | DashPunctuation
            | FinalPunctuation
            | InitialPunctuation
            | MathSymbol
            | ModifierSymbol
            | OpenPunctuation
            | OtherPunctuation
    )
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

/// The digits of a text as ASCII, whatever script they are of, without the spaces, hyphens and
/// direction marks that people, and what they copy from, put between them. What else is in the
/// text stays.
pub fn with_plain_digits(text: &str) -> String {
    let kept = text.chars().filter(|c| !is_gap(*c));
    kept.map(ascii_digit).collect()
}

/// The text with the digits of any script as ASCII; everything else stays.
pub fn with_ascii_digits(text: &str) -> String {
    text.chars().map(ascii_digit).collect()
}

fn ascii_digit(c: char) -> char {
    decimal_digit(c).map_or(c, |digit| char::from(b'0' + digit))
}

/// The value of a decimal digit of any script.
pub fn decimal_digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.is_ascii_digit().then(|| c as u8 - b'0');
    }
    let is_digit = |code: u32| {
        char::from_u32(code).is_some_and(|c| category(c) == GeneralCategory::DecimalNumber)
    };
    let code = u32::from(c);
    if !is_digit(code) {
        return None;
    }
    // Unicode keeps the ten digits of a script together, in order, from zero.
    let before = (1..=code).take_while(|back| is_digit(code - back)).count();
    u8::try_from(before % 10).ok()
}

/// Spaces, hyphens and direction marks.
pub fn is_gap(c: char) -> bool {
    let is_space = c == '\t' || category(c) == GeneralCategory::SpaceSeparator;
    is_space
        || matches!(
            c,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
        )
        || matches!(c, '\u{200b}' | '\u{feff}' | '\u{ad}')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Result<String, &'static str> {
        line(text, 2..=20).map_err(|invalid| invalid.code)
    }

    fn every_char() -> impl Iterator<Item = char> {
        (0..=0x10_ffff).filter_map(char::from_u32)
    }

    #[test]
    fn white_space_of_any_kind_is_trimmed() {
        let ends = every_char().filter(|c| c.is_whitespace());
        let ends: String = ends.chain(['\u{200b}', '\u{feff}']).collect();
        assert!(ends.chars().count() > 20);
        assert_eq!(trim(&format!("{ends}a{ends}b{ends}")), format!("a{ends}b"));
        assert_eq!(code(&format!("{ends}Sita Rai{ends}")), Ok("Sita Rai".into()));
    }

    #[test]
    fn texts_that_look_the_same_are_the_same() {
        assert_eq!(code("Rene\u{301}"), Ok("Ren\u{e9}".into()));
        assert_eq!(code("\u{958}\u{958}"), Ok("\u{915}\u{93c}\u{915}\u{93c}".into()));
        assert_eq!(line(&"e\u{301}".repeat(20), 1..=20), Ok("\u{e9}".repeat(20)));
        assert_eq!(line(&"e\u{301}".repeat(21), 1..=20), Err(TOO_LONG));
        // Compatibility forms look different: they stay.
        assert_eq!(code("\u{fb01}n"), Ok("\u{fb01}n".into()));
    }

    #[test]
    fn controls_and_separators_within_a_text_are_refused() {
        let separators = ['\u{2028}', '\u{2029}'];
        let bidi = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        let all: Vec<_> =
            every_char().filter(|c| c.is_control()).chain(separators).chain(bidi).collect();
        assert_eq!(all.len(), 65 + 2 + 9);
        for bad in all {
            assert_eq!(code(&format!("Si{bad}ta")), Err("invalid_text"), "{bad:?}");
            let several = lines(&format!("Si{bad}ta"), 1..=9);
            assert_eq!(several.is_ok(), bad == '\n', "{bad:?}");
        }
        assert_eq!(lines(" Ward 4\r\nLalitpur\r\n", 1..=20), Ok("Ward 4\nLalitpur".into()));
    }

    #[test]
    fn a_text_must_be_seen_and_may_have_joiners() {
        for bad in [
            "\u{200c}\u{200d}",
            "\u{2060}\u{2061}",
            "\u{ad}\u{ad}",
            "\u{3164}\u{3164}",
            "\u{115f}\u{1160}",
            "\u{ffa0} \u{ffa0}",
            "\u{2800}\u{2800}",
            "\u{fe0f}\u{fe0f}",
            "\u{e0041}\u{e0042}",
            "\u{200e}\u{200f}",
            "\u{34f}\u{180e}",
            "\u{17b4}\u{17b5}",
        ] {
            assert_eq!(code(bad), Err("invisible_text"), "{bad:?}");
        }
        for good in
            ["क\u{94d}\u{200d}ष", "نام\u{200c}ها", "👩\u{200d}🚀!", "\u{200e}ab", "..", "--"]
        {
            assert_eq!(code(good), Ok(good.into()));
        }
    }

    #[test]
    fn each_bound_has_its_own_code() {
        assert_eq!(code(""), Err("too_short"));
        assert_eq!(code(" \u{3000}a "), Err("too_short"));
        assert_eq!(code(&"é".repeat(20)), Ok("é".repeat(20)));
        assert_eq!(code(&"é".repeat(21)), Err("too_long"));
        assert_eq!(code(&format!("a\t{}", "b".repeat(30))), Err("invalid_text"));
    }

    #[test]
    fn the_digits_of_every_script_count_from_zero_to_nine() {
        let digits: Vec<_> = every_char()
            .filter(|c| category(*c) == GeneralCategory::DecimalNumber)
            .map(|c| (c, decimal_digit(c)))
            .collect();
        assert!(digits.len() >= 700, "{}", digits.len());
        for (script, ten) in digits.chunks(10).enumerate() {
            let values: Vec<_> = ten.iter().map(|(_, value)| value.unwrap()).collect();
            assert_eq!(values, (0..10).collect::<Vec<u8>>(), "{script}: {ten:?}");
        }
        assert!(
            every_char()
                .all(|c| c.to_digit(10).map(|d| d as u8) == decimal_digit(c) || !c.is_ascii())
        );
        for other in ['a', '²', '½', '\u{2160}', '一', '①', '৴'] {
            assert_eq!(decimal_digit(other), None, "{other}");
        }
    }

    #[test]
    fn gaps_between_digits_are_dropped() {
        for text in ["493027", "493 027", "493-027", "४९३०२७", "٤٩٣\u{a0}٠٢٧", "４９３－０２７"]
        {
            assert_eq!(with_plain_digits(text), "493027", "{text}");
        }
        assert_eq!(with_plain_digits("\u{202a}+977\u{2011}98\u{202c}"), "+97798");
        assert_eq!(with_plain_digits("4.9\n3"), "4.9\n3");
    }

    proptest! {
        #[test]
        fn reading_twice_is_reading_once(text in any::<String>()) {
            if let Ok(once) = line(&text, 1..=1_000) {
                prop_assert_eq!(line(&once, 1..=1_000), Ok(once.clone()));
            }
            if let Ok(once) = lines(&text, 1..=1_000) {
                prop_assert_eq!(lines(&once, 1..=1_000), Ok(once.clone()));
            }
        }
    }
}
