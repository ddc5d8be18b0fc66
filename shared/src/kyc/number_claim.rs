//! The claim of a document's number: a number belongs to one account.
//!
//! `NUMBER#digest` is written if it does not exist, is the account's own or has expired. A claim is
//! provisional, for a day, until the documents are submitted for review: a user who only typed a
//! number must not block its owner for longer. From the review on the claim is confirmed, even if
//! the documents are rejected.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret::Digest,
    dynamodb::{Item, Key, Store, Table, Transaction, WriteOutcome, item, s, seconds, time},
    http::problem::Problem,
    runtime::clock::after,
    value::UserId,
};

pub use crate::kyc::submission::PROVISIONAL_SECONDS;

/// The owner of a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberClaim {
    /// The account.
    pub user_id: UserId,
    /// When a provisional claim expires; none for a confirmed one. Also the TTL.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
}

/// The key of the claim of a number.
pub fn key(number: &Digest) -> Key<NumberClaim> {
    Key::new(Table::Kyc, &[("pk", &format!("NUMBER#{}", number.text()))])
}

/// Claims a number, or renews the account's own claim: confirmed, or provisionally for a day.
pub(super) fn claim<L>(
    transaction: &mut Transaction<L>,
    label: L,
    number: &Digest,
    user_id: UserId,
    is_confirmed: bool,
    now: Timestamp,
) -> Result<(), Problem> {
    let expires_at = (!is_confirmed).then(|| after(now, PROVISIONAL_SECONDS));
    let mut new = item("document_number_claim", &NumberClaim { user_id, expires_at })?;
    new.extend(key(number).key);
    let values =
        Item::from([(":user".to_owned(), s(user_id.to_string())), (":now".to_owned(), time(now))]);
    let condition = "attribute_not_exists(pk) OR user_id = :user OR expires_at <= :now";
    transaction.put_if(label, Table::Kyc, new, condition, values);
    Ok(())
}

/// Releases a number, in a transaction that is refused if another account owns it.
pub(super) fn release<L>(
    transaction: &mut Transaction<L>,
    label: L,
    number: &Digest,
    user_id: UserId,
) {
    let condition = "attribute_not_exists(pk) OR user_id = :user";
    transaction.delete(label, key(number), Some(condition), of_user(user_id));
}

/// Releases a number in a write of its own, if the account owns it.
pub(super) async fn delete(store: &Store, number: &Digest, user_id: UserId) -> Result<(), Problem> {
    match store.delete(key(number), "user_id = :user", of_user(user_id)).await? {
        // Refused: another account owns the number now, or nobody does.
        WriteOutcome::ConditionFailed(_) | WriteOutcome::Applied(_) => Ok(()),
    }
}

fn of_user(user_id: UserId) -> Item {
    Item::from([(":user".to_owned(), s(user_id.to_string()))])
}
