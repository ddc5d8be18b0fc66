//! The list of accounts, newest first, spread over shards.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AccountStatus, LIST_SHARDS};
use crate::{
    email::Email,
    id::UserId,
    phone::PhoneNumber,
    problem::Problem,
    table::{
        Key, Span, Store, Table, from_item,
        kyc::KycStatus,
        newest::{Filter, Source},
        seconds,
    },
    username::Username,
};

/// What the list shows of an account.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Row {
    /// Its id.
    pub user_id: UserId,
    /// The name as it was typed.
    pub username: Username,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The phone number.
    pub phone_number: Option<PhoneNumber>,
    /// Whether it may sign in.
    pub status: AccountStatus,
    /// Where the check of the person's identity stands.
    pub kyc_status: KycStatus,
    /// Whether name, birth date and address are set.
    pub is_profile_complete: bool,
    /// Whether its sessions are staff sessions.
    pub is_staff: bool,
    /// When it was made.
    #[serde(with = "seconds::required")]
    pub joined_at: Timestamp,
    /// When somebody last signed in.
    #[serde(with = "seconds::optional", default)]
    pub last_login_at: Option<Timestamp>,
}

/// Which accounts are wanted: those that meet all of it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The status.
    pub status: Option<AccountStatus>,
    /// Where the check of the identity stands.
    pub kyc_status: Option<KycStatus>,
    /// What the username begins with, in lower case.
    pub username_prefix: Option<String>,
    /// When the account was made.
    pub joined: Span,
}

impl Wanted {
    /// Whether an account is wanted.
    pub fn has(&self, row: &Row) -> bool {
        let Self { status, kyc_status, username_prefix, joined } = self;
        let prefix = username_prefix.as_deref().unwrap_or_default();
        status.is_none_or(|status| status == row.status)
            && kyc_status.is_none_or(|status| status == row.kyc_status)
            && row.username.key().starts_with(prefix)
            && joined.holds(row.joined_at)
    }

    fn filter(&self) -> Result<Filter, Problem> {
        let mut filter = Filter::default();
        if let Some(status) = self.status {
            filter.equals("status", word(status)?);
        }
        if let Some(status) = self.kyc_status {
            filter.equals("kyc_status", word(status)?);
        }
        if let Some(prefix) = &self.username_prefix {
            filter.begins_with("username_key", prefix);
        }
        Ok(filter)
    }
}

fn word(status: impl Serialize) -> Result<AttributeValue, Problem> {
    serde_dynamo::to_attribute_value(status).map_err(Problem::internal)
}

/// Where the row of one account is.
pub fn row_key(user_id: UserId) -> Key<Row> {
    Key::new(Table::Users, &[("pk", &format!("USER#{user_id}"))])
}

/// A page of the accounts that are wanted and were made before the account `before`, newest first,
/// and the id to go on before.
pub async fn page(
    store: &Store,
    wanted: &Wanted,
    before: Option<UserId>,
    limit: usize,
) -> Result<(Vec<Row>, Option<UserId>), Problem> {
    let filter = wanted.filter()?;
    let shards = (0..LIST_SHARDS).map(|shard| Source {
        table: Table::Users,
        index: Some("by_joined"),
        partition: ("joined_shard", shard.to_string()),
        sort: "user_id",
        filter: filter.clone(),
    });
    let shards: Vec<_> = shards.collect();
    let before = before.map(|id| id.to_string());
    let (items, next) = store.newest(&shards, wanted.joined, before.as_deref(), limit).await?;
    let rows = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
    let next = next.map(|id| UserId::parse(&id)).transpose();
    Ok((rows, next.map_err(|_| Problem::internal("a sort key of the user list is not an id"))?))
}
