//! The deletion of an account: the transaction that deletes it, and the record of the cleanup that
//! remains.
//!
//! An account exists as long as its item exists. The transaction deletes the account and every item
//! through which it is found, so that nobody can use it afterwards and its names are free. The
//! other items are found by the user's id. The record exists until they are deleted too.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::{self, Account},
    audit::{self, Record},
    crypto::secret,
    dynamodb::{
        Change, Item, Key, Store, Table, Transaction, WriteOutcome, from_item, item, n, s, seconds,
        time,
    },
    http::problem::{Code, Problem},
    profile,
    runtime::clock::after,
    session::{self, Session},
    usage,
    value::{AuditId, SessionId, UserId},
    wallet::{self, Balance, Entry},
};

/// When the cleanup job takes over from the request, seconds after the deletion.
const FIRST_DUE_SECONDS: i64 = 60;
/// When the last cleanup is due, seconds after the deletion. Uploads that had started have ended
/// then.
pub const LAST_CLEANUP_SECONDS: i64 = 60 * 60;
/// When a failed cleanup is tried again, seconds later.
const RETRY_SECONDS: i64 = 10 * 60;
/// The most sessions that the transaction deletes. A user has 20, and some that have expired; the
/// cleanup deletes all others.
const MAX_SESSIONS: usize = 80;

/// A deletion whose cleanup is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The user whose account was deleted.
    pub user_id: UserId,
    /// The audit entry of the deletion.
    pub receipt_id: AuditId,
    /// When the account was deleted.
    #[serde(with = "seconds::required")]
    pub deleted_at: Timestamp,
    /// When the next cleanup is due.
    #[serde(with = "seconds::required")]
    pub due_at: Timestamp,
}

/// The state of an account that was read before its deletion.
#[derive(Debug)]
pub struct AccountSnapshot {
    /// The account.
    pub account: Account,
    /// Its wallet.
    pub balance: Balance,
    /// Its sessions, listed consistently.
    pub sessions: Vec<Session>,
}

impl AccountSnapshot {
    /// All sessions. A session that was created after the list was read is in the account's recent
    /// ones.
    fn sessions(&self) -> Vec<SessionId> {
        let listed = self.sessions.iter().map(|session| session.session_id);
        let mut all: Vec<_> = listed.chain(self.account.recent_sessions.iter().copied()).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.dedup();
        all.truncate(MAX_SESSIONS);
        all
    }
}

/// The index of deletions whose cleanup is not complete, earliest due first.
const BY_DELETION: &str = "by_deletion";
const PENDING: &str = "PENDING";

fn key(user_id: UserId) -> Key<Deletion> {
    Key::new(Table::Users, &[("pk", &format!("DELETED#{user_id}"))])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    /// A write that requires the state that was read.
    Snapshot,
    Actor,
}

/// Deletes an account in one transaction, if it has not changed since `snapshot` was read. The
/// transaction deletes the account, its claims, its sessions, its profile and its usage totals. It
/// closes the wallet, whose money is forfeited, and adds the audit entry. An actor of `record` must
/// still be staff.
///
/// Returns `None` if something has changed since `snapshot` was read.
///
/// # Errors
/// `forbidden` for an actor who is no longer staff, 503.
pub async fn delete_account(
    store: &Store,
    snapshot: &AccountSnapshot,
    record: &Record,
    now: Timestamp,
) -> Result<Option<Deletion>, Problem> {
    let user_id = snapshot.account.user_id;
    let mut all = Transaction::default();
    account::delete(&mut all, Write::Snapshot, &snapshot.account)?;
    for session_id in snapshot.sessions() {
        session::remove_by_id(&mut all, Write::Snapshot, user_id, session_id);
    }
    all.delete(Write::Snapshot, profile::key(user_id), None, Item::new());
    all.delete(Write::Snapshot, usage::totals_key(user_id), None, Item::new());
    let forfeit = forfeit(&snapshot.balance, record, now);
    wallet::close(&mut all, Write::Snapshot, &snapshot.balance, forfeit.as_ref(), now)?;
    if let Some(actor) = record.actor() {
        account::must_be_staff(&mut all, Write::Actor, actor);
    }
    let record = record.clone().with("balance_forfeited", forfeit.is_some().to_string());
    let receipt_id = audit::add(&mut all, Write::Snapshot, &record, now)?;
    let due_at = after(now, FIRST_DUE_SECONDS);
    let deletion = Deletion { user_id, receipt_id, deleted_at: now, due_at };
    put(&mut all, &deletion)?;
    match store.commit(all).await {
        Ok(Ok(())) => Ok(Some(deletion)),
        Ok(Err(refusals)) if refusals.iter().any(|refusal| refusal.label == Write::Actor) => {
            Err(Problem::new(Code::Forbidden, "You are no longer staff."))
        }
        Ok(Err(_)) => Ok(None),
        // The transaction may have been carried out, and only its response was lost.
        Err(problem) => match store.read(key(user_id).consistent()).await {
            Ok(Some(stored)) if stored.receipt_id == receipt_id => Ok(Some(stored)),
            _ => Err(problem),
        },
    }
}

/// The entry that takes the remaining money, if there is any.
fn forfeit(balance: &Balance, record: &Record, now: Timestamp) -> Option<Entry> {
    let actor = record.actor().map_or("system".to_owned(), |actor| actor.to_string());
    balance.forfeit(balance.next_entry_id(now, secret::random()), actor, now)
}

fn put(all: &mut Transaction<Write>, deletion: &Deletion) -> Result<(), Problem> {
    let mut new = item("deletion", deletion)?;
    new.extend(key(deletion.user_id).key);
    new.insert("deletion".to_owned(), s(PENDING));
    all.create(Write::Snapshot, Table::Users, "pk", new);
    Ok(())
}

/// The deletions whose cleanup is due at `now`, at most `limit`, earliest first, after `start`.
/// Also the start of the next page, if there may be more.
pub async fn due(
    store: &Store,
    now: Timestamp,
    start: Option<Item>,
    limit: i32,
) -> Result<(Vec<Deletion>, Option<Item>), Problem> {
    let (partition, until) = (("deletion", PENDING), ("due_at", now));
    let page = store.query_until(Table::Users, BY_DELETION, partition, until, start, limit);
    let (items, next) = page.await?;
    let due: Result<_, _> = items.into_iter().map(from_item).collect();
    Ok((due?, next))
}

/// Stores that a cleanup at `now` was complete. The record is deleted if it was the last one;
/// otherwise it stays until the last cleanup is due.
pub async fn complete(store: &Store, deletion: &Deletion, now: Timestamp) -> Result<(), Problem> {
    let last_cleanup = after(deletion.deleted_at, LAST_CLEANUP_SECONDS);
    if now < last_cleanup {
        return set_due(store, deletion, last_cleanup).await;
    }
    // A record that does not exist was deleted by a concurrent run.
    store.delete(key(deletion.user_id), "attribute_exists(pk)", Item::new()).await.map(drop)
}

/// Postpones a deletion whose cleanup failed, so that the others come first.
pub async fn postpone(store: &Store, deletion: &Deletion, now: Timestamp) -> Result<(), Problem> {
    set_due(store, deletion, after(now, RETRY_SECONDS)).await
}

/// Sets when the next cleanup is due, unless a concurrent run has set it.
async fn set_due(store: &Store, deletion: &Deletion, due_at: Timestamp) -> Result<(), Problem> {
    let change = Change::new(key(deletion.user_id), "SET due_at = :next")
        .only_if("due_at = :seen")
        .with(":seen", time(deletion.due_at))
        .with(":next", n(due_at.as_second()));
    match store.update(change).await? {
        WriteOutcome::Applied(_) | WriteOutcome::ConditionFailed(_) => Ok(()),
    }
}
