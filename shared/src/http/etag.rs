//! Entity tags and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1).

use std::fmt;

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};

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

    fn read(headers: &HeaderMap) -> Result<Self, Invalid> {
        const INVALID: Invalid =
            Invalid { code: "invalid_if_match", detail: "This header must be * or quoted tags." };
        let Some(value) = headers.get(header::IF_MATCH) else { return Ok(Self::Absent) };
        let value = value.to_str().map_err(|_| INVALID)?.trim();
        if value == "*" {
            return Ok(Self::Any);
        }
        let tags: Vec<_> = value.split(',').map(|tag| tag.trim().to_owned()).collect();
        let quoted = |tag: &String| {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"')
        };
        tags.iter().all(quoted).then_some(Self::OneOf(tags)).ok_or(INVALID)
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let invalid = |invalid| Problem::invalid("If-Match", invalid).before_the_gate();
        Self::read(&parts.headers).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &'static str) -> Result<IfMatch, Invalid> {
        let value = HeaderValue::from_static(value);
        IfMatch::read(&HeaderMap::from_iter([(header::IF_MATCH, value)]))
    }

    #[test]
    fn rfc_9110_if_match_compares_strongly() {
        let current = ETag::of_revision(7);
        assert!(IfMatch::Absent.allows(&current));
        assert!(read("*").unwrap().allows(&current));
        assert!(read("\"6\", \"7\"").unwrap().allows(&current));
        assert!(!read("\"6\"").unwrap().allows(&current));
        assert!(!read("W/\"7\"").unwrap().allows(&current));
        assert!(read("7").is_err());
        assert!(read("\"").is_err());
    }
}
