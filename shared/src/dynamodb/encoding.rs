//! How items store times and digests: modules for `#[serde(with = "…")]`.

/// Times as whole seconds since 1970.
pub(crate) mod seconds {
    pub(crate) use jiff::fmt::serde::timestamp::second::{optional, required};
}

/// Digests as base64url.
pub(crate) mod digest {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::crypto::secret::Digest;

    pub(crate) fn serialize<S: Serializer>(
        digest: &Digest,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.text())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::from_text(&text).ok_or_else(|| D::Error::custom("not a digest"))
    }

    /// A digest that may be absent. The field also needs `default`.
    pub(crate) mod optional {
        use super::{Deserializer, Digest, Serializer};

        pub(crate) fn serialize<S: Serializer>(
            digest: &Option<Digest>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match digest {
                Some(digest) => super::serialize(digest, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Digest>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }

    /// A list of digests.
    pub(crate) mod list {
        use super::{Deserialize, Deserializer, Digest, Error, Serializer};

        pub(crate) fn serialize<S: Serializer>(
            digests: &[Digest],
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(digests.iter().map(Digest::text))
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Vec<Digest>, D::Error> {
            let texts = Vec::<String>::deserialize(deserializer)?;
            let digests = texts.iter().map(|text| Digest::from_text(text));
            digests.collect::<Option<_>>().ok_or_else(|| D::Error::custom("not digests"))
        }
    }
}
