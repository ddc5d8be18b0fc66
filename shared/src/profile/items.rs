//! The items of the `profiles` table.

use crate::{
    account,
    dynamodb::{Item, Key, Store, Table, Transaction, item, n},
    http::problem::Problem,
    profile::Profile,
    value::UserId,
};

/// The outcome of saving a profile.
#[derive(Debug)]
pub enum SaveOutcome {
    /// It was saved; this is the new profile.
    Saved(Box<Profile>),
    /// The profile has been changed or deleted since it was read.
    Conflict,
}

/// The key of a profile.
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

/// Replaces `before` by `after` with the next revision, and returns it. Requires that the stored
/// profile has the revision of `before`.
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

/// Replaces `before` by `after`. Also updates the account if the profile has become complete or
/// incomplete.
pub async fn save(store: &Store, before: &Profile, after: Profile) -> Result<SaveOutcome, Problem> {
    let mut transaction = Transaction::default();
    let after = replace(&mut transaction, (), before, after)?;
    if before.is_complete() != after.is_complete() {
        account::set_profile_complete(&mut transaction, (), after.user_id, after.is_complete());
    }
    Ok(match store.commit(transaction).await? {
        Ok(()) => SaveOutcome::Saved(Box::new(after)),
        Err(_) => SaveOutcome::Conflict,
    })
}
