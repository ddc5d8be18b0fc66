//! The claim of a document's number: it belongs to one account.
//!
//! `NUMBER#digest` is put where there is none, where it is one's own, or where it has lapsed. It
//! is provisional until the documents are handed in, so that who only typed a number does not
//! keep it from its owner for longer than a day; then it is firm, also when they are rejected.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret::Digest,
    dynamodb::{Item, Key, Outcome, Store, Table, Transaction, item, s, seconds, time},
    http::problem::Problem,
    otp::after,
    value::UserId,
};

/// How long a provisional claim holds, and how long files may be awaited, seconds.
pub const PROVISIONAL_SECONDS: i64 = 24 * 60 * 60;

/// Who holds a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberClaim {
    /// The account.
    pub user_id: UserId,
    /// When a provisional claim lapses. Also the TTL: a firm one has none.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
}

/// Where the claim of a number is.
pub fn key(number: &Digest) -> Key<NumberClaim> {
    Key::new(Table::Kyc, &[("pk", &format!("NUMBER#{}", number.text()))])
}

/// Takes a number, or takes it again: firmly, or for a day.
pub(super) fn take<L>(
    transaction: &mut Transaction<L>,
    label: L,
    number: &Digest,
    user_id: UserId,
    is_firm: bool,
    now: Timestamp,
) -> Result<(), Problem> {
    let expires_at = (!is_firm).then(|| after(now, PROVISIONAL_SECONDS));
    let mut new = item("document_number_claim", &NumberClaim { user_id, expires_at })?;
    new.extend(key(number).key);
    let values =
        Item::from([(":user".to_owned(), s(user_id.to_string())), (":now".to_owned(), time(now))]);
    let condition = "attribute_not_exists(pk) OR user_id = :user OR expires_at <= :now";
    transaction.put_if(label, Table::Kyc, new, condition, values);
    Ok(())
}

/// Frees a number, if it is still the account's or nobody's.
pub(super) fn release<L>(
    transaction: &mut Transaction<L>,
    label: L,
    number: &Digest,
    user_id: UserId,
) {
    let condition = "attribute_not_exists(pk) OR user_id = :user";
    transaction.delete(label, key(number), Some(condition), of_user(user_id));
}

/// Frees a number alone, if it is the account's.
pub(super) async fn delete(store: &Store, number: &Digest, user_id: UserId) -> Result<(), Problem> {
    match store.delete(key(number), "user_id = :user", of_user(user_id)).await? {
        // Somebody else's by now, or nobody's.
        Outcome::Refused(_) | Outcome::Done(_) => Ok(()),
    }
}

fn of_user(user_id: UserId) -> Item {
    Item::from([(":user".to_owned(), s(user_id.to_string()))])
}
