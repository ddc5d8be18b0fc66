//! The `kyc` table: the submissions.
//!
//! `USER#id` is the only submission of a person. Every change is a transaction that requires the
//! revision that was read and that also changes the account. So nothing is written for a deleted
//! account, and the list of accounts shows the same status as the submission. A document's number
//! is stored in the clear in this item and nowhere else: its claim has only a digest, see
//! [`crate::kyc::number_claim`].

use crate::{
    dynamodb::{Item, Key, Table, Transaction, item, n, s},
    http::problem::Problem,
    kyc::{Submission, queue},
    value::UserId,
};

/// The key of a user's submission.
pub fn key(user_id: UserId) -> Key<Submission> {
    Key::new(Table::Kyc, &[("pk", &format!("USER#{user_id}"))])
}

/// Writes a submission, if the stored one has the revision before it, or does not exist where this
/// is the first. The stored view must be the one that was read: a view does not change the
/// revision, and must not be lost.
pub(super) fn put<L>(
    transaction: &mut Transaction<L>,
    label: L,
    submission: &Submission,
) -> Result<(), Problem> {
    let mut new = item("kyc_submission", submission)?;
    new.extend(key(submission.user_id).key);
    if let Some(status) = submission.index_status() {
        let shard = queue::shard_of(submission.user_id);
        new.insert("status_shard".to_owned(), s(queue::partition(status, shard)));
        let position = queue::Position::of(submission);
        new.insert("queued_at_id".to_owned(), s(position.sort_key()));
    }
    match submission.revision {
        1 => transaction.create(label, Table::Kyc, "pk", new),
        revision => {
            let mut values = revision_value(revision - 1)?;
            let viewed = new.get("viewed").cloned();
            let same_view = match &viewed {
                Some(_) => "viewed = :viewed",
                None => "attribute_not_exists(viewed)",
            };
            values.extend(viewed.map(|viewed| (":viewed".to_owned(), viewed)));
            let condition = format!("revision = :revision AND {same_view}");
            transaction.put_if(label, Table::Kyc, new, condition, values);
        }
    }
    Ok(())
}

/// Removes a submission, if its revision has not changed.
pub(super) fn remove<L>(
    transaction: &mut Transaction<L>,
    label: L,
    submission: &Submission,
) -> Result<(), Problem> {
    let values = revision_value(submission.revision)?;
    transaction.delete(label, key(submission.user_id), Some("revision = :revision"), values);
    Ok(())
}

/// The value of `:revision` in a condition.
pub(super) fn revision_value(revision: u64) -> Result<Item, Problem> {
    let revision = i64::try_from(revision).map_err(Problem::internal)?;
    Ok(Item::from([(":revision".to_owned(), n(revision))]))
}
