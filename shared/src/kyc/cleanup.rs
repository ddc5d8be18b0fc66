//! What the sweep has to look at, all in one part of the index `by_status`, which finds it a day
//! after its place in there: submissions whose files have been awaited for a day, submissions that
//! were given up and have files left, and [`Clearing`]s.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    dynamodb::{Change, Item, Key, Outcome, Store, Table, Transaction, from_item, item, read, s},
    http::problem::Problem,
    kyc::{
        KycStatus, Submission,
        document::{DocumentType, SETTLED_SECONDS},
        key, number_claim,
        queue::{self, Position},
    },
    otp::after,
    value::{SubmissionId, UserId},
};

/// When what failed is tried again, seconds: the others come first.
const RETRY_SECONDS: i64 = 10 * 60;

/// Files of somebody that are not the submission's and may still arrive: `CLEARING#id` stands from
/// the review on until they were looked for after the last of them could. Until then the record has
/// them noted.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Clearing {
    user_id: UserId,
    // What every row of the index has. None of its status is shown to anybody.
    submission_id: SubmissionId,
    document_type: DocumentType,
    status: KycStatus,
}

fn clearing_key(user_id: UserId) -> Key<Clearing> {
    Key::new(Table::Kyc, &[("pk", &format!("CLEARING#{user_id}"))])
}

/// Has the sweep look for the files that are noted as replaced, where there are any.
pub(super) fn clear_later<L>(
    transaction: &mut Transaction<L>,
    label: L,
    submission: &Submission,
    now: Timestamp,
) -> Result<(), Problem> {
    if submission.replaced.is_empty() {
        return Ok(());
    }
    let Submission { user_id, submission_id, document_type, replaced_until, .. } = *submission;
    let due_at = replaced_until.unwrap_or_else(|| after(now, SETTLED_SECONDS));
    let status = KycStatus::NotSubmitted;
    let clearing = Clearing { user_id, submission_id, document_type, status };
    let mut new = item("kyc_clearing", &clearing)?;
    new.extend(clearing_key(user_id).key);
    let shard = queue::shard_of(user_id);
    let partition = queue::partition(KycStatus::AwaitingDocuments, shard);
    new.insert("status_shard".to_owned(), s(partition));
    new.insert("queued_at_id".to_owned(), s(Position::found_at(due_at, user_id).sort_key()));
    transaction.put(label, Table::Kyc, new);
    Ok(())
}

/// Deletes the note of what is to be cleared away: the account is gone, and its deletion looks.
pub(super) async fn forget_clearing(store: &Store, user_id: UserId) -> Result<(), Problem> {
    store.delete(clearing_key(user_id), "attribute_exists(pk)", Item::new()).await.map(drop)
}

/// Something that the sweep has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Due {
    /// Whose it is.
    pub user_id: UserId,
    pk: String,
    queued_at_id: String,
}

/// What the sweep has to look at by `now`, at most `limit` and at most 50, longest due first, after
/// `after`; and where to go on, if there may be more. A row shows once, also while it moves in the
/// index. The index is a moment behind: nothing is decided on its word.
pub async fn due(
    store: &Store,
    now: Timestamp,
    after: Option<Position>,
    limit: usize,
) -> Result<(Vec<Due>, Option<Position>), Problem> {
    let latest = now.as_second() - number_claim::PROVISIONAL_SECONDS;
    let before = format!("{:012}#", latest.max(0) + 1);
    // The place after another, and of one that is there twice the first.
    let from = after.map_or_else(|| "0".to_owned(), |position| position.sort_key() + "#");
    let span = read::Span::Between(&from, &before);
    let of = KycStatus::AwaitingDocuments;
    let (items, next) = queue::merged(store, of, span, limit).await?;
    let due: Result<Vec<Due>, _> = items.into_iter().map(from_item).collect();
    Ok((once(due?), next))
}

/// Of rows of the same item, which shows twice while it moves, the first.
fn once(mut due: Vec<Due>) -> Vec<Due> {
    let mut seen = HashSet::new();
    due.retain(|due| seen.insert(due.pk.clone()));
    due
}

/// What there is to do about something that is due.
#[derive(Debug)]
pub enum Work {
    /// This submission is to be given up, with [`crate::kyc::review::abandon`].
    GiveUp(Box<Submission>),
    /// All files but those of these keys are to be deleted, then [`cleared`].
    Clear(Vec<String>),
    /// Nothing any more: it has moved on.
    Nothing,
}

/// Reads what there is to do, consistently.
pub async fn work(store: &Store, due: &Due, now: Timestamp) -> Result<Work, Problem> {
    let found = store.read(key(due.user_id).consistent()).await?;
    if due.is_clearing() {
        let documents = found.into_iter().flat_map(|submission| submission.documents);
        return Ok(Work::Clear(documents.map(|document| document.key).collect()));
    }
    let found = found.filter(|submission| submission.is_abandoned(now)).map(Box::new);
    Ok(found.map_or(Work::Nothing, Work::GiveUp))
}

/// Notes that all was cleared away, unless there is more by now.
pub async fn cleared(store: &Store, due: &Due) -> Result<(), Problem> {
    let values = Item::from([(":seen".to_owned(), s(&*due.queued_at_id))]);
    let key = clearing_key(due.user_id);
    match store.delete(key, "queued_at_id = :seen", values).await? {
        Outcome::Done(_) | Outcome::Refused(_) => Ok(()),
    }
}

/// Puts off what failed, so that it does not stand in the way of others. Its place in the index
/// alone changes, whatever else is in it: the next change of it sets that right.
pub async fn put_off(store: &Store, due: &Due, now: Timestamp) -> Result<(), Problem> {
    let next = Position::found_at(after(now, RETRY_SECONDS), due.user_id).sort_key();
    let change = Change::new(due.key(), "SET queued_at_id = :next")
        .only_if("queued_at_id = :seen")
        .with(":seen", AttributeValue::S(due.queued_at_id.clone()))
        .with(":next", s(next));
    match store.update(change).await? {
        Outcome::Done(_) | Outcome::Refused(_) => Ok(()),
    }
}

impl Due {
    fn is_clearing(&self) -> bool {
        self.pk.starts_with("CLEARING#")
    }

    fn key(&self) -> Key<Item> {
        Key::new(Table::Kyc, &[("pk", &self.pk)])
    }
}

impl Submission {
    /// Whether its files have been awaited for a day, or it was given up and has files left.
    pub fn is_abandoned(&self, now: Timestamp) -> bool {
        let is_old =
            now.as_second() - self.updated_at.as_second() >= number_claim::PROVISIONAL_SECONDS;
        match self.status {
            KycStatus::AwaitingDocuments => is_old,
            KycStatus::NotSubmitted => self.file_keys().next().is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_shows_twice_is_looked_at_once() {
        let user_id = UserId::new("2026-01-31T10:00:00Z".parse().unwrap(), [1; 10]);
        let row = |pk: &str, place: &str| {
            let (pk, queued_at_id) = (format!("{pk}#{user_id}"), place.to_owned());
            Due { user_id, pk, queued_at_id }
        };
        let rows = [row("USER", "1"), row("CLEARING", "1"), row("USER", "2")];
        assert_eq!(once(rows.to_vec()), rows[..2]);
    }
}
