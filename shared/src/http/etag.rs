//! Entity tags and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).

use std::fmt;

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderValue, header, request::Parts};

use crate::{http::problem::Problem, value::Invalid};

/// A strong entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// The tag of a record's revision.
    pub fn of_revision(revision: u64) -> Self {
        Self(format!("\"{revision}\""))
    }

    /// The tag of a revision of what has this id, where another one may come in its place.
    pub fn of(id: impl fmt::Display, revision: u64) -> Self {
        Self(format!("\"{id}.{revision}\""))
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a request says of the state that it wants to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing.
    Absent,
    /// `*`: whatever it is.
    Any,
    /// One of these. A weak tag is among them as it was sent, and matches nothing.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// Whether a change of a record with that tag is wanted.
    pub fn allows(&self, current: &ETag) -> bool {
        match self {
            Self::Absent | Self::Any => true,
            Self::OneOf(tags) => tags.contains(&current.0),
        }
    }

    /// Reads the header. `headers::IfMatch` takes a malformed tag for one that matches nothing: its
    /// sender would get 412 whatever it read before.
    fn read(headers: &HeaderMap) -> Result<Self, Invalid> {
        const INVALID: Invalid =
            Invalid { code: "invalid_if_match", detail: "This header must be * or quoted tags." };
        // Repeated lines are one list (RFC 9110, section 5.3).
        let lines: Vec<_> =
            headers.get_all(header::IF_MATCH).iter().map(HeaderValue::as_bytes).collect();
        if lines.is_empty() {
            return Ok(Self::Absent);
        }
        let list = lines.join(&b","[..]);
        match list.trim_ascii() {
            b"*" => Ok(Self::Any),
            list => entity_tags(list).map(Self::OneOf).ok_or(INVALID),
        }
    }
}

/// The members of a list of entity tags. Commas may stand inside of tags, and members may be empty
/// (RFC 9110, section 5.6.1.2). A list without a tag matches nothing (section 13.1.1).
fn entity_tags(list: &[u8]) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    let mut rest = skip_empty_members(list);
    while !rest.is_empty() {
        let opaque = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"")?;
        let length = opaque.iter().position(|byte| *byte == b'"')?;
        let is_tag = |byte: &u8| byte.is_ascii_graphic() || *byte >= 0x80;
        if !opaque[..length].iter().all(is_tag) {
            return None;
        }
        let after = &opaque[length + 1..];
        tags.push(String::from_utf8_lossy(&rest[..rest.len() - after.len()]).into_owned());
        let after = after.trim_ascii_start();
        if !after.is_empty() && !after.starts_with(b",") {
            return None;
        }
        rest = skip_empty_members(after);
    }
    Some(tags)
}

fn skip_empty_members(list: &[u8]) -> &[u8] {
    let start = list.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'));
    &list[start.unwrap_or(list.len())..]
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let invalid = |invalid| Problem::invalid("If-Match", invalid).report_after_authentication();
        Self::read(&parts.headers).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[&[u8]]) -> Result<IfMatch, Invalid> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, HeaderValue::from_bytes(line).unwrap());
        }
        IfMatch::read(&headers)
    }

    fn tags(lines: &[&str]) -> Vec<String> {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        match read(&lines) {
            Ok(IfMatch::OneOf(tags)) => tags,
            other => panic!("{lines:?}: {other:?}"),
        }
    }

    #[test]
    fn rfc_9110_if_match_compares_strongly() {
        let current = ETag::of_revision(7);
        assert!(read(&[]).unwrap().allows(&current));
        assert!(read(&[b" * "]).unwrap().allows(&current));
        assert!(read(&[b"\"6\", \"7\""]).unwrap().allows(&current));
        assert!(!read(&[b"\"6\""]).unwrap().allows(&current));
        assert!(!read(&[b"W/\"7\""]).unwrap().allows(&current));
    }

    #[test]
    fn rfc_9110_a_list_has_commas_within_tags_empty_members_and_several_lines() {
        assert_eq!(tags(&[r#""a,b""#]), [r#""a,b""#]);
        assert_eq!(tags(&[r#""a,b" , "c""#]), [r#""a,b""#, r#""c""#]);
        assert_eq!(tags(&[r#""","#]), [r#""""#]);
        assert_eq!(tags(&[r#", ,"a",,"b" ,"#]), [r#""a""#, r#""b""#]);
        assert_eq!(tags(&[r#""a""#, "", r#"W/"b","c""#]), [r#""a""#, r#"W/"b""#, r#""c""#]);
        assert_eq!(tags(&[r#""a\","b""#]), [r#""a\""#, r#""b""#]);
        assert_eq!(tags(&["\"é\""]), ["\"é\""]);
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        let bad: [&[u8]; 11] = [
            b"7",
            b"\"",
            b"\"a",
            b"a\"",
            b"\"a\"b",
            b"\"a\" \"b\"",
            b"w/\"a\"",
            b"W/ \"a\"",
            b"\"a b\"",
            b"*, \"a\"",
            b"\"a\", *",
        ];
        for value in bad {
            assert!(read(&[value]).is_err(), "{value:?}");
        }
        assert!(read(&[b"*", b"*"]).is_err());
    }

    proptest! {
        #[test]
        fn every_list_is_read_as_it_was_written(
            opaque in proptest::collection::vec("[!#-~]{0,8}", 1..6),
            separator in "[ \t]{0,2},[ \t,]{0,3}",
        ) {
            let expected: Vec<_> = opaque.iter().map(|opaque| format!("\"{opaque}\"")).collect();
            prop_assert_eq!(tags(&[&expected.join(&separator)]), expected);
        }

        #[test]
        fn any_bytes_are_answered(value in proptest::collection::vec(32..=255u8, 0..40)) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let _ = IfMatch::read(&HeaderMap::from_iter([(header::IF_MATCH, value)]));
            }
        }
    }
}
