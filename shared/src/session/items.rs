//! The `sessions` table.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    account::Account,
    crypto::secret::Digest,
    dynamodb::{
        Change, Item, Key, Store, Table, Transaction, WriteOutcome, from_item, item, n, s, time,
    },
    http::problem::Problem,
    session::{
        Session,
        rotation::{self, RefreshDecision},
    },
    value::{SessionId, UserId},
};

/// The key of a session.
pub fn key(user_id: UserId, session_id: SessionId) -> Key<Session> {
    let (user_id, session_id) = (user_id.to_string(), session_id.to_string());
    Key::new(Table::Sessions, &[("user_id", &user_id), ("session_id", &session_id)])
}

/// Adds a session.
pub fn create<L>(
    transaction: &mut Transaction<L>,
    label: L,
    session: &Session,
) -> Result<(), Problem> {
    transaction.create(label, Table::Sessions, "session_id", item("session", session)?);
    Ok(())
}

/// Removes a session, if it exists.
pub fn remove<L>(transaction: &mut Transaction<L>, label: L, session: &Session) {
    remove_by_id(transaction, label, session.user_id, session.session_id);
}

/// Removes the session with this id, if it exists.
pub fn remove_by_id<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    session_id: SessionId,
) {
    transaction.delete(label, key(user_id, session_id), None, Item::new());
}

/// Deletes all sessions of a user, and no devices.
pub async fn delete_all(store: &Store, user_id: UserId) -> Result<(), Problem> {
    let user_id = user_id.to_string();
    store.delete_partition(Table::Sessions, ("user_id", &user_id), "session_id").await
}

/// Ends all sessions of an account except `kept`: the listed ones, and the recent ones of the
/// account, which a list that was read at the same time may not contain yet. Another write of the
/// transaction must require that nobody has signed in since the account was read.
pub fn remove_all<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    account: &Account,
    listed: &[Session],
    kept: Option<SessionId>,
    now: Timestamp,
) {
    let listed = listed.iter().map(|session| session.session_id);
    let all: BTreeSet<_> = listed.chain(account.recent_sessions(now)).collect();
    for session_id in all.into_iter().filter(|id| Some(*id) != kept) {
        transaction.delete(label, key(account.user_id, session_id), None, Item::new());
    }
}

/// Stores when a credential was last presented in a session, if the session still exists.
pub fn set_auth_time<L>(transaction: &mut Transaction<L>, label: L, session: &Session) {
    let key = key(session.user_id, session.session_id);
    let change = Change::new(key, "SET auth_time = :at")
        .only_if("attribute_exists(session_id)")
        .with(":at", time(session.auth_time));
    transaction.change(label, change);
}

/// All sessions of a user, oldest first, also those that have expired.
pub async fn list(
    store: &Store,
    user_id: UserId,
    consistent: bool,
) -> Result<Vec<Session>, Problem> {
    let user_id = user_id.to_string();
    let items = store.query_all(Table::Sessions, ("user_id", &user_id), consistent).await?;
    items.into_iter().map(from_item).collect()
}

/// The result of a refresh.
#[derive(Debug, Clone, PartialEq)]
pub enum RefreshOutcome {
    /// The session. Its counter is the counter of the token to return.
    Refreshed(Box<Session>),
    /// The token was used before by another client. Somebody has a copy of it.
    Theft(Box<Session>),
    /// The session does not exist, or it has expired.
    Ended,
}

/// Refreshes a session with one conditional write. When the condition fails, the item that DynamoDB
/// returns shows whether the request was repeated or the token was stolen.
pub async fn refresh(
    store: &Store,
    user_id: UserId,
    session_id: SessionId,
    presented: u64,
    step_key: Option<Digest>,
    now: Timestamp,
) -> Result<RefreshOutcome, Problem> {
    let idle_end = rotation::idle_end(now, Timestamp::MAX);
    let set_key = if step_key.is_some() { ", last_key = :key" } else { " REMOVE last_key" };
    // `absolute_end` is not known here, so `expires_at` may be set to a later time. The condition
    // therefore checks both.
    let update =
        format!("SET #counter = :next, last_used_at = :now, expires_at = :idle_end{set_key}");
    let mut change = Change::new(key(user_id, session_id), update)
        .only_if("#counter = :presented AND expires_at > :now AND absolute_end > :now")
        .name("#counter", "counter")
        .with(":presented", n(number(presented)?))
        .with(":next", n(number(presented + 1)?))
        .with(":now", time(now))
        .with(":idle_end", time(idle_end));
    if let Some(key) = step_key {
        change = change.with(":key", s(key.text()));
    }
    match store.update(change).await? {
        WriteOutcome::Applied(item) => Ok(RefreshOutcome::Refreshed(Box::new(from_item(item)?))),
        WriteOutcome::ConditionFailed(None) => Ok(RefreshOutcome::Ended),
        WriteOutcome::ConditionFailed(Some(item)) => {
            let session: Session = from_item(item)?;
            Ok(match rotation::decide(&session.state(), presented, step_key, now) {
                RefreshDecision::Repeat => RefreshOutcome::Refreshed(Box::new(session)),
                RefreshDecision::Theft => RefreshOutcome::Theft(Box::new(session)),
                RefreshDecision::Expired | RefreshDecision::Invalid => RefreshOutcome::Ended,
                // The condition of the write is true in this case, so the item contradicts itself.
                RefreshDecision::Advance { .. } => {
                    let cause = "a refresh was refused although its condition is true";
                    return Err(Problem::unavailable(cause));
                }
            })
        }
    }
}

fn number(counter: u64) -> Result<i64, Problem> {
    i64::try_from(counter).map_err(Problem::internal)
}
