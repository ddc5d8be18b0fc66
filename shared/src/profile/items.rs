//! The `profiles` table.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    account,
    dynamodb::{Item, Key, Store, Table, Transaction, item, n, seconds},
    http::problem::Problem,
    value::UserId,
};

/// What a person says of themselves.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Whose it is.
    pub user_id: UserId,
    /// The whole name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub full_name: Option<String>,
    /// The birth date.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub date_of_birth: Option<Date>,
    /// The postal address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    /// An https URL of a picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub avatar_url: Option<String>,
    /// Raised by every change.
    pub revision: u64,
    /// When the account was made.
    #[serde(with = "seconds::required")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "seconds::required")]
    pub updated_at: Timestamp,
}

impl Profile {
    /// A profile that says nothing yet.
    pub fn empty(user_id: UserId, now: Timestamp) -> Self {
        Self {
            user_id,
            full_name: None,
            date_of_birth: None,
            address: None,
            avatar_url: None,
            revision: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether name, birth date and address are set.
    pub fn is_complete(&self) -> bool {
        self.full_name.is_some() && self.date_of_birth.is_some() && self.address.is_some()
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// Where a profile is.
pub fn key(user_id: UserId) -> Key<Profile> {
    Key::new(Table::Profiles, &[("user_id", &user_id.to_string())])
}

/// Adds a profile.
pub fn create<L>(
    transaction: &mut Transaction<L>,
    label: L,
    profile: &Profile,
) -> Result<(), Problem> {
    transaction.create(label, Table::Profiles, "user_id", item("profile", profile)?);
    Ok(())
}

/// Puts `after` in the place of `before`, if that still stands; answers it with its revision.
pub fn replace<L>(
    transaction: &mut Transaction<L>,
    label: L,
    before: &Profile,
    after: Profile,
) -> Result<Profile, Problem> {
    let revision = i64::try_from(before.revision).map_err(Problem::internal)?;
    let after = Profile { revision: before.revision + 1, ..after };
    let values = Item::from([(":revision".to_owned(), n(revision))]);
    let new = item("profile", &after)?;
    transaction.put_if(label, Table::Profiles, new, "revision = :revision", values);
    Ok(after)
}

/// What became of a change.
#[derive(Debug)]
pub enum Saved {
    /// It was made.
    As(Box<Profile>),
    /// Another change came between, or the profile is gone.
    Overtaken,
}

/// Writes `after` where `before` still stands, and with it, where that changed, what the account
/// says of the profile's completeness.
pub async fn save(store: &Store, before: &Profile, after: Profile) -> Result<Saved, Problem> {
    let mut transaction = Transaction::default();
    let after = replace(&mut transaction, (), before, after)?;
    if before.is_complete() != after.is_complete() {
        account::set_profile_complete(&mut transaction, (), after.user_id, after.is_complete());
    }
    Ok(match store.commit(transaction).await? {
        Ok(()) => Saved::As(Box::new(after)),
        Err(_) => Saved::Overtaken,
    })
}
