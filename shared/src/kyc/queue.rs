//! The index `by_status`: submissions of one status, oldest change first.
//!
//! The index is spread over four partitions, so that no one takes all writes. A page asks all four
//! and merges what they answer.

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    dynamodb::{Item, Store, Table, from_item, read::Span, seconds},
    http::{cursor, problem::Problem},
    kyc::{KycStatus, Submission, document::DocumentType, number_claim},
    value::{SubmissionId, UserId},
};

const SHARDS: u8 = 4;
/// Rows of each partition that one page reads at most: 200 in all.
const MAX_ROWS: usize = 50;
const INDEX: &str = "by_status";
const SORT: &str = "queued_at_id";

/// A row of the queue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Row {
    /// Whose submission.
    pub user_id: UserId,
    /// Which.
    pub submission_id: SubmissionId,
    /// What kind of document it is.
    pub document_type: DocumentType,
    /// Where it stands.
    pub status: KycStatus,
    /// When it was handed in.
    #[serde(with = "seconds::optional", default)]
    pub submitted_at: Option<Timestamp>,
    /// Its place in the queue.
    queued_at_id: String,
}

impl Row {
    /// Its place in the queue.
    pub fn position(&self) -> Option<Position> {
        Position::parse(&self.queued_at_id)
    }
}

/// A place in the queue: the second of the last change, then the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    second: i64,
    user_id: UserId,
}

impl Position {
    /// The place in which the sweep finds something from `due_at` on.
    pub(super) fn found_at(due_at: Timestamp, user_id: UserId) -> Self {
        Self { second: due_at.as_second() - number_claim::PROVISIONAL_SECONDS, user_id }
    }

    pub(super) fn of(submission: &Submission) -> Self {
        Self { second: submission.updated_at.as_second(), user_id: submission.user_id }
    }

    /// Twelve digits, so that times sort.
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

pub(super) fn shard_of(user_id: UserId) -> u8 {
    user_id.as_bytes()[15] % SHARDS
}

pub(super) fn partition(status: KycStatus, shard: u8) -> String {
    format!("{}#{shard}", status.as_str())
}

/// A page of the submissions of one status, oldest change first, after `after`; and where to go
/// on, if there may be more. One round trip, at most 200 rows. A page may be short with more to
/// come. The index is a moment behind the records: nothing is decided on its word.
pub async fn queue(
    store: &Store,
    status: KycStatus,
    after: Option<Position>,
    limit: usize,
) -> Result<(Vec<Row>, Option<Position>), Problem> {
    // Every place in the queue comes after "0": no key may be empty.
    let from = after.map_or_else(|| "0".to_owned(), |position| position.sort_key());
    let (items, next) = merged(store, status, Span::After(&from), limit).await?;
    let mut rows = items.into_iter().map(from_item).collect::<Result<Vec<Row>, _>>()?;
    // What is being given up has left the status that it is still found under.
    rows.retain(|row| row.status == status);
    Ok((rows, next))
}

/// How many submissions wait for a review, counted up to 200.
pub async fn waiting(store: &Store) -> Result<usize, Problem> {
    let shards = (0..SHARDS).map(async |shard| {
        let of = partition(KycStatus::Pending, shard);
        let (partition, sort) = (("status_shard", of.as_str()), (SORT, Span::After("0")));
        let rows = store.index_span(Table::Kyc, INDEX, partition, sort, MAX_ROWS).await?;
        Ok::<_, Problem>(rows.len())
    });
    Ok(try_join_all(shards).await?.into_iter().sum())
}

/// The first rows of a span, at most `limit` and at most 50, and where to go on, if there may be
/// more. Where a partition may hold more than it answered, rows after its last are left out: that
/// one is the horizon.
pub(super) async fn merged(
    store: &Store,
    status: KycStatus,
    span: Span<'_>,
    limit: usize,
) -> Result<(Vec<Item>, Option<Position>), Problem> {
    let limit = limit.clamp(1, MAX_ROWS);
    let shards = (0..SHARDS).map(async |shard| {
        let of = partition(status, shard);
        let partition = ("status_shard", of.as_str());
        let items = store.index_span(Table::Kyc, INDEX, partition, (SORT, span), limit).await?;
        Ok::<_, Problem>(items)
    });
    let shards = try_join_all(shards).await?;
    let full = shards.iter().filter(|rows| rows.len() == limit);
    let horizon = full.filter_map(|rows| rows.last()).filter_map(place).min().map(str::to_owned);
    let mut rows: Vec<Item> = shards.into_iter().flatten().collect();
    rows.sort_by(|one, other| place(one).cmp(&place(other)));
    if let Some(horizon) = &horizon {
        rows.retain(|row| place(row) <= Some(horizon.as_str()));
    }
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    let next = match is_cut {
        true => rows.last().and_then(place),
        false => horizon.as_deref(),
    };
    let no_position = || Problem::internal("a sort key of the review queue is no position");
    let next = next.map(|key| Position::parse(key).ok_or_else(no_position)).transpose()?;
    Ok((rows, next))
}

fn place(item: &Item) -> Option<&str> {
    item.get(SORT)?.as_s().ok().map(String::as_str)
}
