//! The index `by_status`: the submissions of a status, oldest change first.
//!
//! The index has four partitions for each status, so that writes are distributed. A page queries
//! all four and merges the results.

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    dynamodb::{Item, Store, Table, from_item, query::SortKeyRange, seconds},
    http::{cursor, problem::Problem},
    kyc::{Submission, document::DocumentType, submission::PROVISIONAL_SECONDS},
    value::{KycStatus, SubmissionId, UserId},
};

const SHARDS: u8 = 4;
/// The most rows that a page reads of each partition: 200 in all.
const MAX_ROWS: usize = 50;
const INDEX: &str = "by_status";
const SORT: &str = "queued_at_id";

/// A row of the queue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Row {
    /// The user.
    pub user_id: UserId,
    /// The submission.
    pub submission_id: SubmissionId,
    /// The type of the document.
    pub document_type: DocumentType,
    /// The status.
    pub status: KycStatus,
    /// When it was submitted for review.
    #[serde(with = "seconds::optional", default)]
    pub submitted_at: Option<Timestamp>,
    /// The sort key of the index.
    queued_at_id: String,
}

impl Row {
    /// Its position in the queue.
    pub fn position(&self) -> Option<Position> {
        Position::parse(&self.queued_at_id)
    }
}

/// A position in the queue: the second of the last change, then the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    second: i64,
    user_id: UserId,
}

impl Position {
    /// The position at which the cleanup job finds a row from `due_at` on.
    pub(super) fn due_at(due_at: Timestamp, user_id: UserId) -> Self {
        Self { second: due_at.as_second() - PROVISIONAL_SECONDS, user_id }
    }

    /// The position of a submission.
    pub(super) fn of(submission: &Submission) -> Self {
        Self { second: submission.updated_at.as_second(), user_id: submission.user_id }
    }

    /// The sort key of the index. The time has twelve digits, so that keys sort by time.
    pub(super) fn sort_key(&self) -> String {
        format!("{:012}#{}", self.second, self.user_id)
    }

    fn parse(sort_key: &str) -> Option<Self> {
        let (second, user_id) = sort_key.split_once('#')?;
        Some(Self { second: second.parse().ok()?, user_id: UserId::parse(user_id).ok()? })
    }
}

impl cursor::Position for Position {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.second.to_be_bytes()[..], self.user_id.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (second, user_id) = bytes.split_at_checked(8)?;
        let second = i64::from_be_bytes(second.try_into().ok()?);
        Some(Self { second, user_id: UserId::from_bytes(user_id.try_into().ok()?)? })
    }
}

/// The shard of a user's rows.
pub(super) fn shard_of(user_id: UserId) -> u8 {
    user_id.as_bytes()[15] % SHARDS
}

/// The partition key of the index.
pub(super) fn partition(status: KycStatus, shard: u8) -> String {
    format!("{}#{shard}", status.as_str())
}

/// A page of the submissions of a status, oldest change first, after `after`. Also the position of
/// the next page, if there may be more. One round trip that reads at most 200 rows. A page may have
/// fewer rows than `limit` even if there are more. The index is eventually consistent, so no
/// decision may rest on it.
pub async fn page(
    store: &Store,
    status: KycStatus,
    after: Option<Position>,
    limit: usize,
) -> Result<(Vec<Row>, Option<Position>), Problem> {
    // Every sort key is greater than "0". An empty key is not allowed.
    let from = after.map_or_else(|| "0".to_owned(), |position| position.sort_key());
    let (items, next) = merged(store, status, SortKeyRange::After(&from), limit).await?;
    let mut rows = items.into_iter().map(from_item).collect::<Result<Vec<Row>, _>>()?;
    // An abandoned submission with files is listed under a status that it no longer has.
    rows.retain(|row| row.status == status);
    Ok((rows, next))
}

/// The number of submissions that wait for a review, at most 200.
pub async fn count_pending(store: &Store) -> Result<usize, Problem> {
    let shards = (0..SHARDS).map(async |shard| {
        let partition = partition(KycStatus::Pending, shard);
        let (partition, sort) = (("status_shard", &*partition), (SORT, SortKeyRange::After("0")));
        let rows = store.query_index(Table::Kyc, INDEX, partition, sort, MAX_ROWS).await?;
        Ok::<_, Problem>(rows.len())
    });
    Ok(try_join_all(shards).await?.into_iter().sum())
}

/// The first rows of a span, at most `limit` and at most 50, and the position of the next page, if
/// there may be more. A partition that returned `limit` rows may have more. Rows after the last one
/// that such a partition returned are left out, because rows that were not read may come before
/// them.
pub(super) async fn merged(
    store: &Store,
    status: KycStatus,
    span: SortKeyRange<'_>,
    limit: usize,
) -> Result<(Vec<Item>, Option<Position>), Problem> {
    let limit = limit.clamp(1, MAX_ROWS);
    let shards = (0..SHARDS).map(async |shard| {
        let partition = partition(status, shard);
        let partition = ("status_shard", &*partition);
        let items = store.query_index(Table::Kyc, INDEX, partition, (SORT, span), limit).await?;
        Ok::<_, Problem>(items)
    });
    let shards = try_join_all(shards).await?;
    let full = shards.iter().filter(|rows| rows.len() == limit);
    let complete_to = full.filter_map(|rows| rows.last()).filter_map(sort_key).min();
    let complete_to = complete_to.map(str::to_owned);
    let mut rows: Vec<Item> = shards.into_iter().flatten().collect();
    rows.sort_by(|one, other| sort_key(one).cmp(&sort_key(other)));
    if let Some(complete_to) = &complete_to {
        rows.retain(|row| sort_key(row) <= Some(complete_to.as_str()));
    }
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    let next = if is_cut { rows.last().and_then(sort_key) } else { complete_to.as_deref() };
    let no_position = || Problem::internal("a sort key of the review queue is no position");
    let next = next.map(|key| Position::parse(key).ok_or_else(no_position)).transpose()?;
    Ok((rows, next))
}

fn sort_key(item: &Item) -> Option<&str> {
    item.get(SORT)?.as_s().ok().map(String::as_str)
}
