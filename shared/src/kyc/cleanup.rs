//! The work of the cleanup job: submissions that have waited for their files for a day, abandoned
//! submissions that still have files, and [`Clearing`]s.
//!
//! All of them are listed in the index `by_status` under `AWAITING_DOCUMENTS`. A row is due a day
//! after the time in its sort key.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    dynamodb::{
        Change, Item, Key, Store, Table, Transaction, WriteOutcome, from_item, item, query, s,
    },
    http::problem::Problem,
    kyc::{
        Submission,
        document::{DocumentType, SETTLED_SECONDS},
        key,
        queue::{self, Position},
        submission::PROVISIONAL_SECONDS,
    },
    runtime::clock::after,
    value::{KycStatus, SubmissionId, UserId},
};

/// When failed work is tried again, seconds later.
const RETRY_SECONDS: i64 = 10 * 60;

/// A note that replaced files of a user have to be deleted. Their uploads may still end, so the
/// deletion runs later. `CLEARING#id` exists from the review until then. Before the review, the
/// submission itself lists its replaced files.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Clearing {
    user_id: UserId,
    // Every row of the index has these. This status is never shown.
    submission_id: SubmissionId,
    document_type: DocumentType,
    status: KycStatus,
}

fn clearing_key(user_id: UserId) -> Key<Clearing> {
    Key::new(Table::Kyc, &[("pk", &format!("CLEARING#{user_id}"))])
}

/// Schedules the deletion of the submission's replaced files, if it has any.
pub(super) fn schedule_clearing<L>(
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
    new.insert("queued_at_id".to_owned(), s(Position::due_at(due_at, user_id).sort_key()));
    transaction.put(label, Table::Kyc, new);
    Ok(())
}

/// Deletes the [`Clearing`] of a deleted account: the account's deletion deletes all files.
pub(super) async fn delete_clearing(store: &Store, user_id: UserId) -> Result<(), Problem> {
    store.delete(clearing_key(user_id), "attribute_exists(pk)", Item::new()).await.map(drop)
}

/// A row of the index that is due.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct DueRow {
    /// The user.
    pub user_id: UserId,
    pk: String,
    queued_at_id: String,
}

/// The rows that are due at `now`, at most `limit` and at most 50, earliest first, after `after`.
/// Also the position of the next page, if there may be more. An item is returned once, even if the
/// index shows two rows of it for a moment. The index is eventually consistent, so no decision may
/// rest on it.
pub async fn due(
    store: &Store,
    now: Timestamp,
    after: Option<Position>,
    limit: usize,
) -> Result<(Vec<DueRow>, Option<Position>), Problem> {
    let latest = now.as_second() - PROVISIONAL_SECONDS;
    let before = format!("{:012}#", latest.max(0) + 1);
    // `Between` includes its start: the appended character makes it the first key after the
    // position.
    let from = after.map_or_else(|| "0".to_owned(), |position| position.sort_key() + "#");
    let span = query::SortKeyRange::Between(&from, &before);
    let (items, next) = queue::merged(store, KycStatus::AwaitingDocuments, span, limit).await?;
    let due: Result<Vec<DueRow>, _> = items.into_iter().map(from_item).collect();
    Ok((without_duplicates(due?), next))
}

/// The first row of each item.
fn without_duplicates(mut due: Vec<DueRow>) -> Vec<DueRow> {
    let mut seen = HashSet::new();
    due.retain(|row| seen.insert(row.pk.clone()));
    due
}

/// The work for a row that is due.
#[derive(Debug)]
pub enum CleanupTask {
    /// Abandon this submission with [`crate::kyc::review::abandon`].
    Abandon(Box<Submission>),
    /// Delete all of the user's files except those with these keys, then call [`mark_cleared`].
    DeleteFilesExcept(Vec<String>),
    /// Nothing: it has changed since the index was read.
    Nothing,
}

/// Reads the work for a row, with a consistent read.
pub async fn load_task(
    store: &Store,
    due: &DueRow,
    now: Timestamp,
) -> Result<CleanupTask, Problem> {
    let submission = store.read(key(due.user_id).consistent()).await?;
    if due.is_clearing() {
        let documents = submission.into_iter().flat_map(|submission| submission.documents);
        return Ok(CleanupTask::DeleteFilesExcept(
            documents.map(|document| document.key).collect(),
        ));
    }
    let abandoned = submission.filter(|submission| submission.can_be_abandoned(now));
    Ok(abandoned.map(Box::new).map_or(CleanupTask::Nothing, CleanupTask::Abandon))
}

/// Deletes a [`Clearing`] whose files were deleted, unless it was scheduled again since.
pub async fn mark_cleared(store: &Store, due: &DueRow) -> Result<(), Problem> {
    let values = Item::from([(":seen".to_owned(), s(&*due.queued_at_id))]);
    let key = clearing_key(due.user_id);
    match store.delete(key, "queued_at_id = :seen", values).await? {
        WriteOutcome::Applied(_) | WriteOutcome::ConditionFailed(_) => Ok(()),
    }
}

/// Postpones failed work, so that the other rows come first. Only the position in the index
/// changes. The next change of the submission sets the position again.
pub async fn postpone(store: &Store, due: &DueRow, now: Timestamp) -> Result<(), Problem> {
    let next = Position::due_at(after(now, RETRY_SECONDS), due.user_id).sort_key();
    let change = Change::new(due.key(), "SET queued_at_id = :next")
        .only_if("queued_at_id = :seen")
        .with(":seen", AttributeValue::S(due.queued_at_id.clone()))
        .with(":next", s(next));
    match store.update(change).await? {
        WriteOutcome::Applied(_) | WriteOutcome::ConditionFailed(_) => Ok(()),
    }
}

impl DueRow {
    fn is_clearing(&self) -> bool {
        self.pk.starts_with("CLEARING#")
    }

    fn key(&self) -> Key<Item> {
        Key::new(Table::Kyc, &[("pk", &self.pk)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_with_two_rows_in_the_index_is_returned_once() {
        let user_id = UserId::new("2026-01-31T10:00:00Z".parse().unwrap(), [1; 10]);
        let row = |pk: &str, sort_key: &str| {
            let (pk, queued_at_id) = (format!("{pk}#{user_id}"), sort_key.to_owned());
            DueRow { user_id, pk, queued_at_id }
        };
        let rows = [row("USER", "1"), row("CLEARING", "1"), row("USER", "2")];
        assert_eq!(without_duplicates(rows.to_vec()), rows[..2]);
    }
}
