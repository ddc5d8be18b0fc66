//! Thin helpers over the DynamoDB client: the one place where a failed condition becomes an
//! answer, a busy table a retry, and everything else a problem.
//!
//! The modules below hold one table each: its keys, its items, its operations. Items carry
//! `item_type` and `schema_version`; times in them are whole seconds since 1970, because TTL and
//! conditions need numbers. TTL only cleans: what has expired is recognised on read.

mod batch;
mod error;
pub(crate) mod merged_query;
pub(crate) mod read;
pub(crate) mod write;

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::{http::problem::Problem, runtime::config::Config};

pub use merged_query::Span;
pub use read::{Key, Reads};
pub use write::{Change, Outcome, Refusal, Transaction};

/// An item as DynamoDB knows it.
pub type Item = HashMap<String, AttributeValue>;

/// The tables. A deployment's names are these after `TABLE_PREFIX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Accounts, and the claims that make names unique.
    Users,
    /// Live sessions.
    Sessions,
    /// Push registrations, and who holds each push token.
    Devices,
    /// Profiles.
    Profiles,
    /// Identity documents.
    Kyc,
    /// Balances and the ledger.
    Wallets,
    /// Usage statistics.
    Usage,
    /// Codes, verification tokens and the limits around them.
    Otp,
    /// The audit trail.
    Audit,
    /// Signing and MAC keys.
    Keys,
}

impl Table {
    fn base_name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::Devices => "devices",
            Self::Profiles => "profiles",
            Self::Kyc => "kyc",
            Self::Wallets => "wallets",
            Self::Usage => "usage",
            Self::Otp => "otp",
            Self::Audit => "audit",
            Self::Keys => "keys",
        }
    }
}

/// The tables of one deployment.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    prefix: Arc<str>,
}

impl Store {
    /// The tables that `config` names, reached as `sdk` says.
    ///
    /// Throttles, conflicts and time-outs are retried inside within 6 seconds, which leaves a
    /// function time to answer before API Gateway gives up on it.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_secs(2))
            .operation_timeout(Duration::from_secs(6))
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(5)
            .with_initial_backoff(Duration::from_millis(40))
            .with_max_backoff(Duration::from_millis(500));
        let client = aws_sdk_dynamodb::config::Builder::from(sdk)
            .timeout_config(timeouts)
            .retry_config(retries)
            .retry_classifier(error::Conflicts)
            .build();
        let prefix = Arc::from(config.table_prefix.as_str());
        Self { client: Client::from_conf(client), prefix }
    }

    pub(crate) fn name(&self, table: Table) -> String {
        format!("{}{}", self.prefix, table.base_name())
    }
}

/// A string attribute.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub fn n(number: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// A time, whole seconds.
pub fn time(at: Timestamp) -> AttributeValue {
    n(at.as_second())
}

/// An item of `value` with its type and schema version.
pub(crate) fn item<T: Serialize>(item_type: &str, value: &T) -> Result<Item, Problem> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(Problem::internal)?;
    item.insert("item_type".to_owned(), s(item_type));
    item.insert("schema_version".to_owned(), n(1));
    Ok(item)
}

/// Reads an item. What was wrong with it stays unsaid: it could quote personal data.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Problem> {
    let name = std::any::type_name::<T>();
    serde_dynamo::from_item(item)
        .map_err(|_| Problem::internal(format!("an item could not be read as {name}")))
}

/// Times as whole seconds in items.
pub(crate) mod seconds {
    pub(crate) use jiff::fmt::serde::timestamp::second::{optional, required};
}

/// Digests as base64url in items.
pub(crate) mod digest {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::crypto::secret::Digest;

    pub(crate) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&digest.text())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(from)?;
        Digest::from_text(&text).ok_or_else(|| D::Error::custom("not a digest"))
    }

    pub(crate) mod optional {
        use super::{Deserializer, Digest, Serializer};

        pub(crate) fn serialize<S: Serializer>(
            digest: &Option<Digest>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match digest {
                Some(digest) => super::serialize(digest, to),
                None => to.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Digest>, D::Error> {
            super::deserialize(from).map(Some)
        }
    }

    pub(crate) mod list {
        use super::{Deserialize, Deserializer, Digest, Error, Serializer};

        pub(crate) fn serialize<S: Serializer>(
            digests: &[Digest],
            to: S,
        ) -> Result<S::Ok, S::Error> {
            to.collect_seq(digests.iter().map(Digest::text))
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Vec<Digest>, D::Error> {
            let texts = Vec::<String>::deserialize(from)?;
            let digests = texts.iter().map(|text| Digest::from_text(text));
            digests.collect::<Option<_>>().ok_or_else(|| D::Error::custom("not digests"))
        }
    }
}
