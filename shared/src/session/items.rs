//! The `sessions` table.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::Account,
    crypto::{key_items::Slot, secret::Digest},
    dynamodb::{
        Change, Item, Key, Outcome, Store, Table, Transaction, digest, from_item, item, n, s,
        seconds, time,
    },
    http::problem::Problem,
    session::{
        device::{self, Device},
        rotation::{self, SessionState, Verdict},
    },
    value::{SessionId, UserId},
};

/// How many sessions a user has at most; the oldest gives way.
pub const MAX_PER_USER: usize = 20;

/// A session. Its item is deleted when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is.
    pub user_id: UserId,
    /// Its id, which orders sessions by their beginning.
    pub session_id: SessionId,
    /// How often it was refreshed: the number in the newest refresh token.
    pub counter: u64,
    /// Digest of the idempotency key that took the last step, if there was one.
    #[serde(with = "digest::optional", skip_serializing_if = "Option::is_none", default)]
    pub last_key: Option<Digest>,
    /// The slot of the MAC key of its refresh tokens.
    pub mac_slot: Slot,
    /// Whether it was begun by staff.
    pub is_staff: bool,
    /// The device that was registered in it.
    #[serde(flatten)]
    pub device: Option<SessionDevice>,
    /// When it began.
    #[serde(with = "seconds::required")]
    pub created_at: Timestamp,
    /// When it was begun or last refreshed.
    #[serde(with = "seconds::required")]
    pub last_used_at: Timestamp,
    /// When a credential was last presented in it.
    #[serde(with = "seconds::required")]
    pub auth_time: Timestamp,
    /// When it ends unless it is refreshed before; never after `absolute_end`. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
    /// When it ends whatever happens.
    #[serde(with = "seconds::required")]
    pub absolute_end: Timestamp,
}

/// The device that a session registered: a hint, see [`crate::session::device`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionDevice {
    /// Its name in the user's namespace.
    pub device_id: String,
    /// What the person calls it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device_name: Option<String>,
    /// What stands for its push token.
    #[serde(with = "digest")]
    pub device_token: Digest,
}

impl SessionDevice {
    /// What its items are found by.
    fn named(&self) -> (&str, &Digest) {
        (&self.device_id, &self.device_token)
    }
}

impl Session {
    /// A session that begins now.
    pub fn begin(
        user_id: UserId,
        session_id: SessionId,
        mac_slot: Slot,
        is_staff: bool,
        now: Timestamp,
    ) -> Self {
        let absolute_end = rotation::absolute_end(now);
        Self {
            user_id,
            session_id,
            counter: 0,
            last_key: None,
            mac_slot,
            is_staff,
            device: None,
            created_at: now,
            last_used_at: now,
            auth_time: now,
            expires_at: rotation::idle_end(now, absolute_end),
            absolute_end,
        }
    }

    /// Whether it lives at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.absolute_end
    }

    fn state(&self) -> SessionState {
        SessionState {
            counter: self.counter,
            last_key: self.last_key,
            idle_end: self.expires_at,
            absolute_end: self.absolute_end,
        }
    }
}

/// Where a session is.
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

/// Removes a session, if it is there.
pub fn remove<L>(transaction: &mut Transaction<L>, label: L, session: &Session) {
    remove_by_id(transaction, label, session.user_id, session.session_id);
}

/// Removes sessions with their devices: each session under the first label, each device under what
/// `labelled` makes of its session. A device may have moved on, and refuses the transaction then. A
/// transaction names an item once, so of two sessions that name one device or one token the second
/// is left with it: where the first is not refused, it is the device's.
pub fn remove_with_devices<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    labelled: impl Fn(SessionId) -> L,
    sessions: &[Session],
) {
    let mut named = BTreeSet::new();
    for session in sessions {
        remove(transaction, label, session);
        let Some(device) = &session.device else { continue };
        let names = [device.device_id.clone(), device.device_token.text()];
        if names.iter().all(|name| !named.contains(name)) {
            named.extend(names);
            let id = session.session_id;
            device::remove(transaction, labelled(id), (session.user_id, id), device.named());
        }
    }
}

/// Removes the session of that id, if it is there.
pub fn remove_by_id<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    session_id: SessionId,
) {
    transaction.delete(label, key(user_id, session_id), None, Item::new());
}

/// Removes every session of a user, without a look at their devices.
pub async fn delete_all(store: &Store, user_id: UserId) -> Result<(), Problem> {
    let user_id = user_id.to_string();
    store.delete_partition(Table::Sessions, ("user_id", &user_id), "session_id").await
}

/// Ends all sessions of an account but the one that is `kept`, in a transaction that holds its
/// number of sign-ins: those of the list, and those that a list which was read beside the account
/// may not show yet.
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

/// Notes when a credential was last presented in a session that still is.
pub fn set_auth_time<L>(transaction: &mut Transaction<L>, label: L, session: &Session) {
    let key = key(session.user_id, session.session_id);
    let change = Change::new(key, "SET auth_time = :at")
        .only_if("attribute_exists(session_id)")
        .with(":at", time(session.auth_time));
    transaction.change(label, change);
}

/// Notes the device that a living session registers, in the place of the one that was seen there: of
/// two at once one comes later, and knows of the other.
pub fn link_device<L>(
    transaction: &mut Transaction<L>,
    label: L,
    session: &Session,
    device: &Device,
    token: &Digest,
) {
    let name = match device.device_name {
        Some(_) => ", device_name = :name",
        None => " REMOVE device_name",
    };
    let update = format!("SET device_id = :device, device_token = :token{name}");
    let unchanged = match session.device {
        Some(_) => "device_id = :before",
        None => "attribute_not_exists(device_id)",
    };
    let mut change = Change::new(key(session.user_id, session.session_id), update)
        .only_if(format!("attribute_exists(session_id) AND {unchanged}"))
        .with(":device", s(&*device.device_id))
        .with(":token", s(token.text()));
    if let Some(before) = &session.device {
        change = change.with(":before", s(&*before.device_id));
    }
    if let Some(name) = &device.device_name {
        change = change.with(":name", s(&**name));
    }
    transaction.change(label, change);
}

/// All sessions of a user, oldest first, those that have run out among them.
pub async fn list(
    store: &Store,
    user_id: UserId,
    consistent: bool,
) -> Result<Vec<Session>, Problem> {
    let user_id = user_id.to_string();
    let items = store.query(Table::Sessions, ("user_id", &user_id), consistent).await?;
    items.into_iter().map(from_item).collect()
}

/// What became of a refresh.
#[derive(Debug, Clone, PartialEq)]
pub enum Refreshed {
    /// The session, whose counter is that of the token to answer with.
    To(Box<Session>),
    /// The token had been succeeded and its successor used: somebody has a copy.
    Theft(Box<Session>),
    /// There is no such session, or it has run out.
    Ended,
}

/// Moves a session one step: one conditional write decides, and what it returns when it refuses
/// tells a repeated request from a stolen token.
pub async fn refresh(
    store: &Store,
    user_id: UserId,
    session_id: SessionId,
    presented: u64,
    step_key: Option<Digest>,
    now: Timestamp,
) -> Result<Refreshed, Problem> {
    let idle_end = rotation::idle_end(now, Timestamp::MAX);
    let set_key = if step_key.is_some() { ", last_key = :key" } else { " REMOVE last_key" };
    // A session that comes within the idle limit of its absolute end is cut off there: the
    // condition reads `absolute_end` itself, `expires_at` may lie after it.
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
        Outcome::Done(item) => Ok(Refreshed::To(Box::new(from_item(item)?))),
        Outcome::Refused(None) => Ok(Refreshed::Ended),
        Outcome::Refused(Some(item)) => {
            let session: Session = from_item(item)?;
            Ok(match rotation::judge(&session.state(), presented, step_key, now) {
                Verdict::Again => Refreshed::To(Box::new(session)),
                Verdict::Theft => Refreshed::Theft(Box::new(session)),
                Verdict::Expired | Verdict::Invalid => Refreshed::Ended,
                // The session was at this step when it was judged and not when it was written:
                // it has moved back, which nothing does.
                Verdict::Step { .. } => {
                    return Err(Problem::unavailable("a session changed under a refresh"));
                }
            })
        }
    }
}

fn number(counter: u64) -> Result<i64, Problem> {
    i64::try_from(counter).map_err(Problem::internal)
}

/// Ends a session that lives, and then the registration of its device: whether it did live.
pub async fn end_alive(
    store: &Store,
    user_id: UserId,
    session_id: SessionId,
    now: Timestamp,
) -> Result<bool, Problem> {
    let values = Item::from([(":now".to_owned(), time(now))]);
    let alive = "expires_at > :now AND absolute_end > :now";
    let Outcome::Done(ended) = store.delete(key(user_id, session_id), alive, values).await? else {
        return Ok(false);
    };
    // What it was is not known when the answer to its deletion was lost; its device is then not
    // shown any more and goes by its TTL.
    if ended.contains_key("session_id") {
        release_device(store, &from_item(ended)?).await?;
    }
    Ok(true)
}

/// Ends the registration of the device that was registered in a session, if it still is.
pub async fn release_device(store: &Store, session: &Session) -> Result<(), Problem> {
    let Some(device) = &session.device else { return Ok(()) };
    device::release(store, (session.user_id, session.session_id), device.named()).await
}

/// Ends the registrations of the devices of sessions that are over. One that is left is not shown
/// any more, and goes by its TTL.
pub async fn release_devices(store: &Store, ended: &[Session]) {
    let releases = ended.iter().map(|session| release_device(store, session));
    for problem in join_all(releases).await.into_iter().filter_map(Result::err) {
        tracing::warn!(cause = problem.cause_chain(), "a device was not released");
    }
}

/// Ends sessions of a user, whatever state they are in. All or, after a failure, some of them:
/// the same call finishes.
pub async fn end_all(store: &Store, sessions: &[Session]) -> Result<(), Problem> {
    for some in sessions.chunks(crate::dynamodb::write::MAX_TRANSACTION_ITEMS) {
        let mut transaction = Transaction::default();
        some.iter().for_each(|session| remove(&mut transaction, (), session));
        // Nothing in it is conditional, so nothing can be refused.
        store.commit(transaction).await.map(drop)?;
    }
    let releases = sessions.iter().map(|session| release_device(store, session));
    join_all(releases).await.into_iter().collect()
}
