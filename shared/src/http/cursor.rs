//! Paging: where a list goes on, and how long a page is.
//!
//! A cursor is authenticated, not encrypted: a position holds ids and times only, never personal
//! data, because query strings end up in logs.

use crate::{
    crypto::{
        canonical::Canonical,
        secret::{Digest, MacKey, base64url, from_base64url},
    },
    http::fields::Fields,
    value::{AuditId, EntryId, Invalid, UserId, text},
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
    /// The binding of a query: the kind is the operation's route key, the fields are the filters
    /// after parsing. The page's length is no filter: it may change from page to page.
    pub fn new(caller: UserId, query: &Canonical) -> Self {
        let query = query.digest();
        Self(Digest::sha256(&[DOMAIN.as_bytes(), caller.as_bytes(), query.as_bytes()]))
    }
}

/// A place in a list.
pub trait Position: Sized {
    /// Its bytes, at most [`MAX_POSITION_BYTES`].
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads [`Position::to_bytes`].
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! id_positions {
    ($($id:ident)+) => {$(
        impl Position for $id {
            fn to_bytes(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Self::from_bytes(bytes.try_into().ok()?)
            }
        }
    )+};
}

id_positions!(AuditId EntryId UserId);

/// Which page of a list: the parameters `limit` and `cursor`.
#[derive(Debug, Clone)]
pub struct PageRequest {
    limit: Limit,
    /// As it was sent: it is verified when the query is known.
    cursor: Option<String>,
}

impl PageRequest {
    /// Reads the parameters.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let limit = fields.optional("limit", Limit::parse);
        let cursor = fields.optional("cursor", |text| Ok(text.to_owned()));
        Some(Self { limit: limit?.unwrap_or_default(), cursor: cursor? })
    }

    /// The most results.
    pub fn limit(&self) -> usize {
        self.limit.get()
    }

    /// Where the page begins; `None` for the first one.
    ///
    /// # Errors
    /// `invalid_cursor` for a cursor that was altered, belongs to another query, or verifies and is no
    /// position of this list: it never starts the list again.
    pub fn position<P: Position>(
        &self,
        key: &MacKey,
        binding: &QueryBinding,
    ) -> Result<Option<P>, Invalid> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        P::from_bytes(&open(key, binding, cursor)?).map(Some).ok_or(INVALID)
    }
}

/// The cursor that leads back to `position` in the query of `binding`.
pub fn seal(key: &MacKey, binding: &QueryBinding, position: &impl Position) -> String {
    seal_bytes(key, binding, &position.to_bytes())
}

fn seal_bytes(key: &MacKey, binding: &QueryBinding, position: &[u8]) -> String {
    assert!(position.len() <= MAX_POSITION_BYTES, "a position is a table's key");
    let tag = key.mac(DOMAIN, &[&[VERSION], binding.0.as_bytes(), position]);
    base64url(&[&[VERSION], tag.as_slice(), position].concat())
}

/// The bytes in a cursor that [`seal`] made with the same key for the same query.
fn open(key: &MacKey, binding: &QueryBinding, text: &str) -> Result<Vec<u8>, Invalid> {
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
    /// Reads the `limit` parameter: decimal digits of any script.
    ///
    /// # Errors
    /// `invalid_limit`, `too_small`, `too_large`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let detail = "This must be a number from 1 to 100.";
        let text = text::with_ascii_digits(text);
        let digits = text.strip_prefix('-').unwrap_or(&text);
        // `parse` alone would read `+5` too.
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Invalid { code: "invalid_limit", detail });
        }
        match text.parse() {
            Ok(limit @ 1..=100) => Ok(Self(limit)),
            Ok(0) => Err(Invalid { code: "too_small", detail }),
            _ if digits.len() < text.len() => Err(Invalid { code: "too_small", detail }),
            _ => Err(Invalid { code: "too_large", detail }),
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

    fn caller(number: u8) -> UserId {
        UserId::new(jiff::Timestamp::UNIX_EPOCH, [number; 10])
    }

    fn query() -> Canonical {
        Canonical::new("GET /users").with("status", "ACTIVE").with("username", "sita")
    }

    fn binding() -> QueryBinding {
        QueryBinding::new(caller(1), &query())
    }

    #[test]
    fn a_cursor_belongs_to_one_caller_and_one_query() {
        let cursor = seal_bytes(&key(), &binding(), b"here");
        for other in [
            QueryBinding::new(caller(2), &query()),
            QueryBinding::new(caller(1), &query().with("email", "")),
            QueryBinding::new(caller(1), &Canonical::new("GET /users")),
        ] {
            assert_eq!(open(&key(), &other, &cursor), Err(INVALID));
        }
        assert_eq!(open(&MacKey::new([8; 32]), &binding(), &cursor), Err(INVALID));
    }

    #[test]
    fn the_longest_position_fits() {
        let position = [1; MAX_POSITION_BYTES];
        let cursor = seal_bytes(&key(), &binding(), &position);
        assert_eq!(open(&key(), &binding(), &cursor).unwrap(), position);
        assert_eq!(open(&key(), &binding(), &"A".repeat(10_000_000)), Err(INVALID));
    }

    #[test]
    fn a_limit_is_from_1_to_100() {
        assert_eq!(Limit::default().get(), 20);
        assert_eq!(Limit::parse("1").unwrap().get(), 1);
        assert_eq!(Limit::parse("100").unwrap().get(), 100);
        assert_eq!(Limit::parse("५").unwrap().get(), 5);
        let code = |text: &str| Limit::parse(text).map(drop).map_err(|invalid| invalid.code);
        for bad in ["", "-", "+5", " 5", "5.0", "1e1", "--1", "ten"] {
            assert_eq!(code(bad), Err("invalid_limit"), "{bad}");
        }
        for small in ["0", "00", "-0", "-1", "-99999999999"] {
            assert_eq!(code(small), Err("too_small"), "{small}");
        }
        for large in ["101", "256", "99999999999"] {
            assert_eq!(code(large), Err("too_large"), "{large}");
        }
    }

    fn page(cursor: Option<String>) -> PageRequest {
        PageRequest { limit: Limit::default(), cursor }
    }

    fn a_position_that_does_not_parse_is_refused<P: Position + std::fmt::Debug + PartialEq>(
        good: &P,
    ) {
        let at = |cursor| page(cursor).position::<P>(&key(), &binding());
        assert_eq!(at(None), Ok(None));
        assert_eq!(at(Some(seal(&key(), &binding(), good))).unwrap().as_ref(), Some(good));
        let bytes = good.to_bytes();
        for bad in [&[][..], &bytes[1..], &[&bytes[..], &[0]].concat(), &vec![0; bytes.len()]] {
            assert_eq!(at(Some(seal_bytes(&key(), &binding(), bad))), Err(INVALID), "{bad:?}");
        }
        assert_eq!(at(Some(String::new())), Err(INVALID));
    }

    #[test]
    fn a_cursor_that_verifies_and_is_no_position_is_refused() {
        use crate::{kyc::queue, value::id};

        let at = jiff::Timestamp::UNIX_EPOCH;
        let user_id = id::UserId::new(at, [1; 10]);
        a_position_that_does_not_parse_is_refused(&user_id);
        a_position_that_does_not_parse_is_refused(&id::EntryId::new(at, [2; 10]));
        a_position_that_does_not_parse_is_refused(&id::AuditId::new(at, [3; 10]));
        let bytes = [&7_i64.to_be_bytes()[..], user_id.as_bytes()].concat();
        let place = <queue::Position as Position>::from_bytes(&bytes).unwrap();
        a_position_that_does_not_parse_is_refused(&place);
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back(position in prop::collection::vec(any::<u8>(), 0..=200)) {
            let cursor = seal_bytes(&key(), &binding(), &position);
            prop_assert_eq!(open(&key(), &binding(), &cursor), Ok(position));
        }

        #[test]
        fn an_altered_cursor_is_refused(
            position in prop::collection::vec(any::<u8>(), 0..=50), at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_=. -]",
        ) {
            let cursor = seal_bytes(&key(), &binding(), &position);
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
