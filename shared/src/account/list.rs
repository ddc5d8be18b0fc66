//! The list of accounts, newest first. Its index is spread over several partitions.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    account::{AccountStatus, LIST_SHARDS},
    dynamodb::{
        Key, Store, Table, TimeRange, from_item,
        merged_query::{Filter, Source},
        s, seconds,
    },
    http::problem::Problem,
    kyc::KycStatus,
    value::{Email, PhoneNumber, UserId, Username},
};

/// An account as the list shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AccountRow {
    /// Its id.
    pub user_id: UserId,
    /// The username as it was typed.
    pub username: Username,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The phone number.
    pub phone_number: Option<PhoneNumber>,
    /// Whether it may sign in.
    pub status: AccountStatus,
    /// The status of the identity check.
    pub kyc_status: KycStatus,
    /// Whether name, birth date and address are set.
    pub is_profile_complete: bool,
    /// Whether its sessions are staff sessions.
    pub is_staff: bool,
    /// When it was created.
    #[serde(with = "seconds::required")]
    pub joined_at: Timestamp,
    /// When the user last signed in.
    #[serde(with = "seconds::optional", default)]
    pub last_login_at: Option<Timestamp>,
}

/// The conditions that listed accounts meet, all of them.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// The status.
    pub status: Option<AccountStatus>,
    /// The status of the identity check.
    pub kyc_status: Option<KycStatus>,
    /// The prefix of the username, in lower case.
    pub username_prefix: Option<String>,
    /// When the account was created.
    pub joined: TimeRange,
}

impl AccountFilter {
    /// Whether an account meets the conditions.
    pub fn matches(&self, row: &AccountRow) -> bool {
        let Self { status, kyc_status, username_prefix, joined } = self;
        let prefix = username_prefix.as_deref().unwrap_or_default();
        status.is_none_or(|status| status == row.status)
            && kyc_status.is_none_or(|status| status == row.kyc_status)
            && row.username.key().starts_with(prefix)
            && joined.contains(row.joined_at)
    }

    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        if let Some(status) = self.status {
            filter.equals("status", s(status.as_str()));
        }
        if let Some(status) = self.kyc_status {
            filter.equals("kyc_status", s(status.as_str()));
        }
        if let Some(prefix) = &self.username_prefix {
            filter.begins_with("username_key", prefix);
        }
        filter
    }
}

/// The key of the row of one account.
pub fn row_key(user_id: UserId) -> Key<AccountRow> {
    Key::new(Table::Users, &[("pk", &format!("USER#{user_id}"))])
}

/// A page of the wanted accounts that are older than the account `before`, newest first. Also
/// returns the id to continue before if there may be more.
pub async fn page(
    store: &Store,
    wanted: &AccountFilter,
    before: Option<UserId>,
    limit: usize,
) -> Result<(Vec<AccountRow>, Option<UserId>), Problem> {
    let filter = wanted.filter();
    let shards = (0..LIST_SHARDS).map(|shard| Source {
        table: Table::Users,
        index: Some("by_joined"),
        partition: ("joined_shard", shard.to_string()),
        sort: "user_id",
        filter: filter.clone(),
    });
    let shards: Vec<_> = shards.collect();
    let before = before.map(|id| id.to_string());
    let (items, next) =
        store.query_merged(&shards, wanted.joined, before.as_deref(), limit).await?;
    let rows = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
    let next = next.map(|id| UserId::parse(&id)).transpose();
    Ok((rows, next.map_err(|_| Problem::internal("a sort key of the user list is not an id"))?))
}
