//! Ending sessions together with the registrations of their devices.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::{
    dynamodb::{
        Item, Store, Transaction, WriteOutcome, from_item, time, transaction::MAX_TRANSACTION_ITEMS,
    },
    http::problem::Problem,
    session::{Session, device, key, remove},
    value::{SessionId, UserId},
};

/// Removes sessions and the registrations of their devices. The sessions are of one user. Each
/// session is removed under `label`, each device under what `device_label` returns for the session.
/// If another session has registered a device since, the transaction is refused.
///
/// A transaction may name an item only once. Where two sessions name the same device or the same
/// push token, only the first one's registration is removed: if it is not refused, it is the valid
/// one.
pub fn remove_with_devices<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    device_label: impl Fn(SessionId) -> L,
    sessions: &[Session],
) {
    let mut named = BTreeSet::new();
    for session in sessions {
        remove(transaction, label, session);
        let Some(device) = &session.device else { continue };
        let names = [device.device_id.clone(), device.device_token.text()];
        if names.iter().all(|name| !named.contains(name)) {
            named.extend(names);
            let Session { user_id, session_id, .. } = *session;
            let (device_id, token) = (&*device.device_id, &device.device_token);
            let label = device_label(session_id);
            device::remove(transaction, label, user_id, session_id, device_id, token);
        }
    }
}

/// Ends a session and then the registration of its device, if the session has not ended yet.
/// Returns whether this call ended it.
pub async fn end_if_live(
    store: &Store,
    user_id: UserId,
    session_id: SessionId,
    now: Timestamp,
) -> Result<bool, Problem> {
    let values = Item::from([(":now".to_owned(), time(now))]);
    let alive = "expires_at > :now AND absolute_end > :now";
    let WriteOutcome::Applied(ended) =
        store.delete(key(user_id, session_id), alive, values).await?
    else {
        return Ok(false);
    };
    // The item is empty when the response to the deletion was lost. Its device is then no longer
    // listed, and the TTL deletes it.
    if ended.contains_key("session_id") {
        release_device(store, &from_item(ended)?).await?;
    }
    Ok(true)
}

/// Ends the registration of the device that was registered in a session, if it still belongs to it.
pub async fn release_device(store: &Store, session: &Session) -> Result<(), Problem> {
    let Some(device) = &session.device else { return Ok(()) };
    let (device_id, token) = (&*device.device_id, &device.device_token);
    device::release(store, session.user_id, session.session_id, device_id, token).await
}

/// Ends the registrations of the devices of sessions that have ended. One that cannot be ended is
/// no longer listed, and the TTL deletes it.
pub async fn release_devices(store: &Store, ended: &[Session]) {
    let releases = ended.iter().map(|session| release_device(store, session));
    for problem in join_all(releases).await.into_iter().filter_map(Result::err) {
        tracing::warn!(cause = problem.cause_chain(), "a device was not released");
    }
}

/// Ends sessions of a user, also those that have expired. After a failure some of them may be left:
/// the same call ends these.
pub async fn end_all(store: &Store, sessions: &[Session]) -> Result<(), Problem> {
    for chunk in sessions.chunks(MAX_TRANSACTION_ITEMS) {
        let mut transaction = Transaction::default();
        chunk.iter().for_each(|session| remove(&mut transaction, (), session));
        // No write has a condition, so none can be refused.
        store.commit(transaction).await.map(drop)?;
    }
    let releases = sessions.iter().map(|session| release_device(store, session));
    join_all(releases).await.into_iter().collect()
}
