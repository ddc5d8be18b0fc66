//! The canonical bytes of a request: what idempotency fingerprints and cursor bindings are made of.
//!
//! The bytes depend on names and values that are written down here and in the API, never on `Debug`
//! output or on the names of Rust types: a refactoring must not make a safe retry a conflict.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::crypto::secret::{Digest, MacKey};

/// What a request asks for, as names and values. The order in which they are added does not matter.
#[derive(Clone, PartialEq, Eq)]
pub struct Canonical {
    /// What the request is: two requests of different kinds never have the same bytes.
    kind: &'static str,
    fields: BTreeMap<&'static str, String>,
}

impl Canonical {
    /// A request of this kind, without fields yet.
    pub fn new(kind: &'static str) -> Self {
        Self { kind, fields: BTreeMap::new() }
    }

    /// Adds a field.
    ///
    /// # Panics
    /// In development, when the name is used twice.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let before = self.fields.insert(name, value.into());
        debug_assert!(before.is_none(), "{name} is used twice");
        self
    }

    /// Adds a field where there is a value. An absent field differs from an empty one.
    pub fn with_some(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds the word that a value is written as in requests and items, where there is a value.
    pub fn with_word(self, name: &'static str, value: Option<impl Serialize>) -> Self {
        let word = value.map(|value| match serde_json::to_value(value) {
            Ok(serde_json::Value::String(word)) => word,
            other => other.unwrap_or_default().to_string(),
        });
        self.with_some(name, word)
    }

    /// The kind, then each name and its value in the order of the names. Whoever digests these
    /// frames them: each part is preceded by its length.
    fn parts(&self) -> Vec<&[u8]> {
        let fields = self.fields.iter();
        let fields = fields.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        std::iter::once(self.kind.as_bytes()).chain(fields).collect()
    }

    /// The digest, for requests that hold nothing that could be guessed and must not be.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.parts())
    }

    /// The digest under a key, for requests that hold personal data.
    pub fn keyed_digest(&self, key: &MacKey) -> Digest {
        key.digest(self.kind, &self.parts())
    }
}

/// The values may be personal data.
impl std::fmt::Debug for Canonical {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canonical").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::wallet::Direction;

    fn sample() -> Canonical {
        Canonical::new("sample").with("name", "Sita").with_word("way", Some(Direction::Credit))
    }

    /// Every part after its length: 8 bytes, big-endian.
    #[test]
    fn the_bytes_are_pinned() {
        let mut bytes = Vec::new();
        bytes.extend(b"\0\0\0\0\0\0\0\x06sample");
        bytes.extend(b"\0\0\0\0\0\0\0\x04name\0\0\0\0\0\0\0\x04Sita");
        bytes.extend(b"\0\0\0\0\0\0\0\x03way\0\0\0\0\0\0\0\x06CREDIT");
        let expected: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(sample().digest().as_bytes(), &expected);
    }

    #[test]
    fn the_order_does_not_matter_and_all_else_does() {
        let reordered = Canonical::new("sample").with_word("way", Some(Direction::Credit));
        assert_eq!(reordered.with("name", "Sita").digest(), sample().digest());
        let others = [
            Canonical::new("other").with("name", "Sita").with("way", "CREDIT"),
            Canonical::new("sample").with("name", "Sita"),
            Canonical::new("sample").with("name", "Sita").with("way", "DEBIT"),
            Canonical::new("sample").with("name", "Sit").with("way", "aCREDIT"),
            sample().with("empty", ""),
        ];
        for other in others {
            assert_ne!(other.digest(), sample().digest(), "{:?}", other.fields);
        }
        let absent = sample().with_some("empty", None::<String>);
        assert_eq!(absent.digest(), sample().digest());
    }
}
