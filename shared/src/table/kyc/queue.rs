//! The index `by_status`: submissions of one status, oldest change first.
//!
//! The index is spread over four partitions, so that no one takes all writes. A page asks all four
//! and merges what they answer.

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    super::{Store, Table, from_item, read::Span, seconds},
    KycStatus, Submission, claim, key,
};
use crate::{
    document::DocumentType,
    id::{SubmissionId, UserId},
    problem::Problem,
};

const SHARDS: u8 = 4;
/// Rows of each partition that one page reads at most: 200 in all.
const MAX_ROWS: usize = 50;
const INDEX: &str = "by_status";

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

    /// Its bytes, for a cursor.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.second.to_be_bytes());
        bytes[8..].copy_from_slice(self.user_id.as_bytes());
        bytes
    }

    /// Reads [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
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
    let (mut rows, horizon) = merged(store, status, Span::After(&from), limit).await?;
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    let next = match (is_cut, horizon) {
        (true, _) => rows.last().and_then(Row::position),
        (false, horizon) => horizon.as_deref().and_then(Position::parse),
    };
    // What is being given up has left the status that it is still found under.
    rows.retain(|row| row.status == status);
    Ok((rows, next))
}

/// How many submissions wait for a review, counted up to 200.
pub async fn waiting(store: &Store) -> Result<usize, Problem> {
    let shards = (0..SHARDS).map(async |shard| {
        let of = partition(KycStatus::Pending, shard);
        let (partition, sort) = (("status_shard", of.as_str()), ("queued_at_id", Span::After("0")));
        let rows = store.index_span(Table::Kyc, INDEX, partition, sort, MAX_ROWS).await?;
        Ok::<_, Problem>(rows.len())
    });
    Ok(try_join_all(shards).await?.into_iter().sum())
}

/// The rows of a span. Where a partition may hold more than it answered, rows after its last are
/// left out: that one is the horizon.
async fn merged(
    store: &Store,
    status: KycStatus,
    span: Span<'_>,
    limit: usize,
) -> Result<(Vec<Row>, Option<String>), Problem> {
    let limit = limit.clamp(1, MAX_ROWS);
    let shards = (0..SHARDS).map(async |shard| {
        let of = partition(status, shard);
        let partition = ("status_shard", of.as_str());
        let sort = ("queued_at_id", span);
        let items = store.index_span(Table::Kyc, INDEX, partition, sort, limit).await?;
        items.into_iter().map(from_item).collect::<Result<Vec<Row>, _>>()
    });
    let shards = try_join_all(shards).await?;
    let full = shards.iter().filter(|rows| rows.len() == limit);
    let horizon = full.filter_map(|rows| rows.last()).map(|row| row.queued_at_id.clone()).min();
    let mut rows: Vec<Row> = shards.into_iter().flatten().collect();
    rows.sort_by(|one, other| one.queued_at_id.cmp(&other.queued_at_id));
    if let Some(horizon) = &horizon {
        rows.retain(|row| row.queued_at_id <= *horizon);
    }
    Ok((rows, horizon))
}

/// At most `limit` submissions, and at most 50, whose files have been awaited for a day at `now`, or
/// that were given up and have files left, oldest first: for the sweep, which gives them up with
/// [`super::review::abandon`]. Read consistently, so those that have moved on are not among them.
pub async fn abandoned(
    store: &Store,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Submission>, Problem> {
    let latest = now.as_second() - claim::PROVISIONAL_SECONDS;
    let before = format!("{:012}#", latest.max(0) + 1);
    let span = Span::Before(&before);
    let (mut rows, _) = merged(store, KycStatus::AwaitingDocuments, span, limit).await?;
    rows.truncate(limit.min(MAX_ROWS));
    let keys: Vec<_> = rows.iter().map(|row| key(row.user_id).consistent()).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let found = store.read(keys).await?.into_iter().flatten();
    Ok(found.filter(|submission| submission.is_abandoned(now)).collect())
}

impl Submission {
    /// Whether its files have been awaited for a day, or it was given up and has files left.
    pub fn is_abandoned(&self, now: Timestamp) -> bool {
        let is_old = now.as_second() - self.updated_at.as_second() >= claim::PROVISIONAL_SECONDS;
        match self.status {
            KycStatus::AwaitingDocuments => is_old,
            KycStatus::NotSubmitted => self.file_keys().next().is_some(),
            _ => false,
        }
    }
}
