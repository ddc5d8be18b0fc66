//! Paging: where a list goes on, and how long a page is.
//!
//! A cursor is authenticated, not encrypted: a position holds ids and times only, never personal
//! data, because query strings end up in logs.

use crate::{
    crypto::secret::{Digest, MacKey, base64url, from_base64url},
    value::Invalid,
};

/// The most bytes of a position.
pub const MAX_POSITION_BYTES: usize = 1_024;

const DOMAIN: &str = "cursor";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + 32;
/// The text of the longest cursor.
const MAX_CHARS: usize = (HEAD_BYTES + MAX_POSITION_BYTES).div_ceil(3) * 4;
const INVALID: Invalid =
    Invalid { code: "invalid_cursor", detail: "This cursor does not belong to this query." };

/// What a cursor is good for: one operation, one caller, one set of filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryBinding(Digest);

impl QueryBinding {
    /// The binding of `operation` (its route key) called by `caller` (their id, empty where there
    /// is none) with `filters`: names and values after parsing, in any order. The page's length
    /// is no filter: it may change from page to page.
    pub fn new(operation: &str, caller: &[u8], filters: &[(&str, &str)]) -> Self {
        let mut filters = filters.to_vec();
        filters.sort_unstable();
        let mut parts = vec![DOMAIN.as_bytes(), operation.as_bytes(), caller];
        parts.extend(filters.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        Self(Digest::sha256(&parts))
    }
}

/// The cursor that leads back to `position` in the query of `binding`.
///
/// # Panics
/// When `position` is longer than [`MAX_POSITION_BYTES`]: no key of a table is.
pub fn seal(key: &MacKey, binding: &QueryBinding, position: &[u8]) -> String {
    assert!(position.len() <= MAX_POSITION_BYTES, "a position is a table's key");
    let tag = key.mac(DOMAIN, &[&[VERSION], binding.0.as_bytes(), position]);
    base64url(&[&[VERSION], tag.as_slice(), position].concat())
}

/// The position in a cursor that [`seal`] made with the same key for the same query.
pub fn open(key: &MacKey, binding: &QueryBinding, text: &str) -> Result<Vec<u8>, Invalid> {
    if text.len() > MAX_CHARS {
        return Err(INVALID);
    }
    let bytes = from_base64url(text).ok_or(INVALID)?;
    let (version, rest) = bytes.split_first().ok_or(INVALID)?;
    let (tag, position) = rest.split_first_chunk::<32>().ok_or(INVALID)?;
    let ours = key.verify(DOMAIN, &[&[*version], binding.0.as_bytes(), position], tag);
    if *version != VERSION || !ours {
        return Err(INVALID);
    }
    Ok(position.to_vec())
}

/// The most results of a page, 1 to 100; 20 when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u8);

impl Limit {
    const INVALID: Invalid =
        Invalid { code: "invalid_limit", detail: "This must be a number from 1 to 100." };

    /// Reads the `limit` parameter: decimal digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // `u8` alone would read `+5` too.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(limit @ 1..=100) if digits => Ok(Self(limit)),
            _ => Err(Self::INVALID),
        }
    }

    /// How many.
    pub fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> MacKey {
        MacKey::new([7; 32])
    }

    fn binding() -> QueryBinding {
        QueryBinding::new("GET /users", b"staff", &[("status", "ACTIVE"), ("username", "sita")])
    }

    #[test]
    fn the_order_of_filters_does_not_matter_and_all_else_does() {
        let of = QueryBinding::new;
        assert_eq!(
            of("GET /users", b"staff", &[("username", "sita"), ("status", "ACTIVE")]),
            binding()
        );
        let cursor = seal(&key(), &binding(), b"here");
        for other in [
            of("GET /audit", b"staff", &[("status", "ACTIVE"), ("username", "sita")]),
            of("GET /users", b"other", &[("status", "ACTIVE"), ("username", "sita")]),
            of("GET /users", b"staff", &[("status", "BANNED"), ("username", "sita")]),
            of("GET /users", b"staff", &[("status", "ACTIVE")]),
            of("GET /users", b"staff", &[("status", "ACTIVEusername"), ("", "sita")]),
        ] {
            assert_eq!(open(&key(), &other, &cursor), Err(INVALID));
        }
        assert_eq!(open(&MacKey::new([8; 32]), &binding(), &cursor), Err(INVALID));
    }

    #[test]
    fn the_longest_position_fits() {
        let position = [1; MAX_POSITION_BYTES];
        let cursor = seal(&key(), &binding(), &position);
        assert_eq!(open(&key(), &binding(), &cursor).unwrap(), position);
        assert_eq!(open(&key(), &binding(), &"A".repeat(10_000_000)), Err(INVALID));
    }

    #[test]
    fn a_limit_is_from_1_to_100() {
        assert_eq!(Limit::default().get(), 20);
        assert_eq!(Limit::parse("1").unwrap().get(), 1);
        assert_eq!(Limit::parse("100").unwrap().get(), 100);
        for bad in ["", "0", "101", "256", "-1", "+5", " 5", "5.0", "1e1", "५", "99999999999"] {
            assert_eq!(Limit::parse(bad), Err(Limit::INVALID), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back(position in prop::collection::vec(any::<u8>(), 0..=200)) {
            let cursor = seal(&key(), &binding(), &position);
            prop_assert_eq!(open(&key(), &binding(), &cursor), Ok(position));
        }

        #[test]
        fn an_altered_cursor_is_refused(
            position in prop::collection::vec(any::<u8>(), 0..=50), at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_=. -]",
        ) {
            let cursor = seal(&key(), &binding(), &position);
            let at = at.index(cursor.len());
            let altered = format!("{}{to}{}", &cursor[..at], &cursor[at + 1..]);
            prop_assume!(altered != cursor);
            prop_assert_eq!(open(&key(), &binding(), &altered), Err(INVALID));
            prop_assert_eq!(open(&key(), &binding(), &cursor[..at]), Err(INVALID));
            prop_assert_eq!(open(&key(), &binding(), &format!("{cursor}{to}")), Err(INVALID));
        }

        #[test]
        fn any_text_is_refused(text in any::<String>()) {
            prop_assert_eq!(open(&key(), &binding(), &text), Err(INVALID));
        }
    }
}
