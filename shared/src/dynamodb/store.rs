//! The tables of a deployment, and the client that reaches them.

use std::{sync::Arc, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::Client;

use crate::{dynamodb::error::ConflictClassifier, runtime::config::Config};

/// The tables. The name in AWS is `TABLE_PREFIX` followed by the name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Accounts, and the claims that make names unique.
    Users,
    /// Live sessions.
    Sessions,
    /// Push registrations, and the owner of each push token.
    Devices,
    /// Profiles.
    Profiles,
    /// Identity documents.
    Kyc,
    /// Balances and the ledger.
    Wallets,
    /// Usage statistics.
    Usage,
    /// Codes, verification tokens and their limits.
    Otp,
    /// The audit log.
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
    pub(super) client: Client,
    prefix: Arc<str>,
}

impl Store {
    /// The tables that `config` names, reached with the settings of `sdk`.
    ///
    /// The SDK retries throttling, conflicts and timeouts for at most 6 seconds. That leaves the
    /// function time to respond before API Gateway gives up on it.
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
            .retry_classifier(ConflictClassifier)
            .build();
        let prefix = Arc::from(config.table_prefix.as_str());
        Self { client: Client::from_conf(client), prefix }
    }

    pub(crate) fn name(&self, table: Table) -> String {
        format!("{}{}", self.prefix, table.base_name())
    }
}
