//! The deletion of an account: the transaction that ends it, and the record of what is left to do.
//!
//! The account lives for as long as its item is there. The transaction deletes it together with
//! everything that leads to it, so that nobody can use the account afterwards and its names are
//! free. What is left is found by the user's id alone; the record stands until that is gone too.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::{self, Account},
    audit::{self, Record},
    crypto::secret,
    dynamodb::{
        Change, Item, Key, Outcome, Store, Table, Transaction, from_item, item, n, s, seconds, time,
    },
    http::problem::{Code, Problem},
    otp::after,
    profile,
    session::{self, Session},
    usage,
    value::{AuditId, SessionId, UserId},
    wallet::{self, Balance, Entry},
};

/// How long the request that deletes has for the rest, seconds, before the sweep takes over.
const FIRST_DUE_SECONDS: i64 = 60;
/// When the last look is due, seconds after the deletion: uploads that were under way have ended.
pub const LAST_LOOK_SECONDS: i64 = 60 * 60;
/// When what failed is tried again, seconds: the others come first.
const RETRY_SECONDS: i64 = 10 * 60;
/// Sessions that the transaction deletes. There are 20, and those that have run out; should there
/// ever be more, the clean-up deletes the others.
const MAX_SESSIONS: usize = 80;

/// What is left to do of a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Whose account it was.
    pub user_id: UserId,
    /// The audit entry of the deletion.
    pub receipt_id: AuditId,
    /// When the account was deleted.
    #[serde(with = "seconds::required")]
    pub deleted_at: Timestamp,
    /// When somebody has to look at it next.
    #[serde(with = "seconds::required")]
    pub due_at: Timestamp,
}

/// An account that is to be deleted, as it was read.
#[derive(Debug)]
pub struct Seen {
    /// The account.
    pub account: Account,
    /// Its wallet.
    pub balance: Balance,
    /// Its sessions, listed consistently.
    pub sessions: Vec<Session>,
}

impl Seen {
    /// Every session that there is: one that began between the reading of the list and of the
    /// account is named by the account.
    fn sessions(&self) -> Vec<SessionId> {
        let listed = self.sessions.iter().map(|session| session.session_id);
        let mut all: Vec<_> = listed.chain(self.account.recent_sessions.iter().copied()).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.dedup();
        all.truncate(MAX_SESSIONS);
        all
    }
}

/// The index of what is left to do, oldest first.
const BY_DELETION: &str = "by_deletion";
const PENDING: &str = "PENDING";

fn key(user_id: UserId) -> Key<Deletion> {
    Key::new(Table::Users, &[("pk", &format!("DELETED#{user_id}"))])
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Seen,
    Actor,
}

/// Deletes an account in one transaction, if it is as it was read: the account, its claims, its
/// sessions, its profile and its usage totals go, its wallet is closed and what was in it given up,
/// and `record` is noted. Where `record` has an actor, they must still be staff.
///
/// `None` when something changed since it was read.
///
/// # Errors
/// `forbidden` for an actor who no longer is, 503.
pub async fn begin(
    store: &Store,
    seen: &Seen,
    record: &Record,
    now: Timestamp,
) -> Result<Option<Deletion>, Problem> {
    let user_id = seen.account.user_id;
    let mut all = Transaction::default();
    account::delete(&mut all, Write::Seen, &seen.account)?;
    for session_id in seen.sessions() {
        session::remove_by_id(&mut all, Write::Seen, user_id, session_id);
    }
    all.delete(Write::Seen, profile::key(user_id), None, Item::new());
    all.delete(Write::Seen, usage::totals_key(user_id), None, Item::new());
    let forfeit = forfeit(&seen.balance, record, now);
    wallet::close(&mut all, Write::Seen, &seen.balance, forfeit.as_ref(), now)?;
    if let Some(actor) = record.actor() {
        account::must_be_staff(&mut all, Write::Actor, actor);
    }
    let forfeited = if forfeit.is_some() { "true" } else { "false" };
    let record = record.clone().with("balance_forfeited", forfeited);
    let receipt_id = audit::add(&mut all, Write::Seen, &record, now)?;
    let due_at = after(now, FIRST_DUE_SECONDS);
    let deletion = Deletion { user_id, receipt_id, deleted_at: now, due_at };
    put(&mut all, &deletion)?;
    match store.commit(all).await {
        Ok(Ok(())) => Ok(Some(deletion)),
        Ok(Err(refusals)) if refusals.iter().any(|refusal| refusal.label == Write::Actor) => {
            Err(Problem::new(Code::Forbidden, "Somebody has just taken your right to do this."))
        }
        Ok(Err(_)) => Ok(None),
        // Only its answers may have been lost.
        Err(problem) => match store.read(key(user_id).consistent()).await {
            Ok(Some(stands)) if stands.receipt_id == receipt_id => Ok(Some(stands)),
            _ => Err(problem),
        },
    }
}

/// The last entry of a wallet that is not empty.
fn forfeit(balance: &Balance, record: &Record, now: Timestamp) -> Option<Entry> {
    let actor = record.actor().map_or("system".to_owned(), |actor| actor.to_string());
    balance.forfeit(balance.next_entry_id(now, secret::random()), actor, now)
}

fn put(all: &mut Transaction<Write>, deletion: &Deletion) -> Result<(), Problem> {
    let mut new = item("deletion", deletion)?;
    new.extend(key(deletion.user_id).key);
    new.insert("deletion".to_owned(), s(PENDING));
    all.create(Write::Seen, Table::Users, "pk", new);
    Ok(())
}

/// The deletions that somebody has to look at by `now`, at most `limit`, oldest first, after `start`;
/// and where to go on, if there may be more.
pub async fn due(
    store: &Store,
    now: Timestamp,
    start: Option<Item>,
    limit: i32,
) -> Result<(Vec<Deletion>, Option<Item>), Problem> {
    let (of, by) = (("deletion", PENDING), ("due_at", now));
    let (items, next) = store.until(Table::Users, BY_DELETION, of, by, start, limit).await?;
    let due: Result<_, _> = items.into_iter().map(from_item).collect();
    Ok((due?, next))
}

/// Notes that nothing of the person was left at `now`. Before the last look the record stays until
/// then; after it there is nothing more to do.
pub async fn passed(store: &Store, deletion: &Deletion, now: Timestamp) -> Result<(), Problem> {
    let last_look = after(deletion.deleted_at, LAST_LOOK_SECONDS);
    if now < last_look {
        return look_again(store, deletion, last_look).await;
    }
    // One that is gone was finished by another sweep.
    store.delete(key(deletion.user_id), "attribute_exists(pk)", Item::new()).await.map(drop)
}

/// Puts off a deletion that failed, so that it does not stand in the way of others.
pub async fn put_off(store: &Store, deletion: &Deletion, now: Timestamp) -> Result<(), Problem> {
    look_again(store, deletion, after(now, RETRY_SECONDS)).await
}

/// Sets when the next look is due, if no other did since: two sweeps at once want the same.
async fn look_again(store: &Store, seen: &Deletion, due_at: Timestamp) -> Result<(), Problem> {
    let change = Change::new(key(seen.user_id), "SET due_at = :next")
        .only_if("due_at = :seen")
        .with(":seen", time(seen.due_at))
        .with(":next", n(due_at.as_second()));
    match store.update(change).await? {
        Outcome::Done(_) | Outcome::Refused(_) => Ok(()),
    }
}
