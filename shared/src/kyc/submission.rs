//! The `kyc` table: what people submit to prove who they are, and whose document a number is of.
//!
//! `USER#id` is a person's one submission. Whatever changes it is a transaction that is held by
//! its revision and that changes the account too, so that nothing is written for an account that
//! is gone, and the staff's list never says another status than the record. The number of a
//! document is in this record in the clear, and nowhere else: [`claim`] keeps its digest.

use std::fmt;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret::Digest,
    dynamodb::{Item, Key, Store, Table, Transaction, digest, item, n, s, seconds},
    http::{etag::ETag, problem::Problem},
    kyc::document::{Document, DocumentNumber, DocumentType},
    value::{SubmissionId, UserId},
};

/// Where the check of a person's identity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KycStatus {
    /// Nothing was submitted.
    NotSubmitted,
    /// Files were promised and have not been looked at.
    AwaitingDocuments,
    /// It waits for a review.
    Pending,
    /// The person is known.
    Approved,
    /// The documents were refused.
    Rejected,
}

impl KycStatus {
    /// Its name in answers and items.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSubmitted => "NOT_SUBMITTED",
            Self::AwaitingDocuments => "AWAITING_DOCUMENTS",
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Rejected => "REJECTED",
        }
    }
}

/// A person's submission.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Whose it is.
    pub user_id: UserId,
    /// Its id. A new submission in place of an old one has a new id; a change keeps it.
    pub submission_id: SubmissionId,
    /// What kind of document it is.
    pub document_type: DocumentType,
    /// Its number, in the clear.
    pub document_number: DocumentNumber,
    /// What stands for the number in its claim.
    #[serde(with = "digest")]
    pub number_digest: Digest,
    /// Whether the claim stays: the number was handed in for review.
    pub is_number_firm: bool,
    /// The numbers that were handed in before and stay claimed.
    #[serde(with = "digest::list", default)]
    pub earlier_numbers: Vec<Digest>,
    /// Where it stands.
    pub status: KycStatus,
    /// The files.
    pub documents: Vec<Document>,
    /// The keys of files that others replaced, and that may still be in the bucket.
    #[serde(default)]
    pub replaced: Vec<String>,
    /// Until when the last of these may still arrive. They are deleted before, and once more after.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub replaced_until: Option<Timestamp>,
    /// When it was handed in for review.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub submitted_at: Option<Timestamp>,
    /// When it was approved.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub verified_at: Option<Timestamp>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rejection_reason: Option<String>,
    /// Who approved or rejected it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reviewed_by: Option<UserId>,
    /// The last look of staff at it, or at what it has replaced.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub viewed: Option<Viewed>,
    /// The UTC day of the last attempt.
    pub attempts_day: Date,
    /// The attempts of that day.
    pub attempts: u32,
    /// How often on that day its files were read through and were not what was promised.
    #[serde(default)]
    pub failed_checks: u32,
    /// When nobody needs it any more, where it only counts attempts. Also the TTL.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
    /// Raised by every change.
    pub revision: u64,
    /// When it was made.
    #[serde(with = "seconds::required")]
    pub created_at: Timestamp,
    /// When it last changed: its place in the queue.
    #[serde(with = "seconds::required")]
    pub updated_at: Timestamp,
}

/// The last look of staff at somebody's submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewed {
    /// What they saw.
    pub revision: u64,
    /// Who looked.
    pub by: UserId,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("user_id", &self.user_id)
            .field("submission_id", &self.submission_id)
            .field("status", &self.status)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Submission {
    /// The tag of its state.
    pub fn etag(&self) -> ETag {
        ETag::of(self.submission_id, self.revision)
    }

    /// The same, as the next change of it is to be saved.
    pub fn revised(self) -> Self {
        Self { revision: self.revision + 1, ..self }
    }

    /// Whether staff have looked at another state of it, and at this one not.
    pub fn has_changed_since_viewed(&self) -> bool {
        self.viewed.as_ref().is_some_and(|viewed| viewed.revision != self.revision)
    }

    /// The digests of all numbers that are claimed for it.
    fn claimed_numbers(&self) -> impl Iterator<Item = &Digest> {
        self.earlier_numbers.iter().chain([&self.number_digest])
    }

    /// The keys of all files that there may be of it.
    pub fn file_keys(&self) -> impl Iterator<Item = &str> {
        let documents = self.documents.iter().map(|document| document.key.as_str());
        documents.chain(self.replaced.iter().map(String::as_str))
    }

    /// The same, without those that others replaced.
    pub fn settled(self) -> Self {
        Self { replaced: Vec::new(), replaced_until: None, ..self }
    }

    /// The part of the index that it is in. One that was given up stays where the sweep finds it
    /// for as long as there are files of it.
    fn queued_as(&self) -> Option<KycStatus> {
        match self.status {
            KycStatus::NotSubmitted if self.file_keys().next().is_none() => None,
            KycStatus::NotSubmitted => Some(KycStatus::AwaitingDocuments),
            status => Some(status),
        }
    }
}

/// Where a user's submission is.
pub fn key(user_id: UserId) -> Key<Submission> {
    Key::new(Table::Kyc, &[("pk", &format!("USER#{user_id}"))])
}

/// Puts a submission in place of the one whose revision is one less: of none, if it is the first. The
/// last look at it must be the one that was read: a look changes nothing else, and is not forgotten.
pub(super) fn put<L>(
    transaction: &mut Transaction<L>,
    label: L,
    submission: &Submission,
) -> Result<(), Problem> {
    let mut new = item("kyc_submission", submission)?;
    new.extend(key(submission.user_id).key);
    if let Some(status) = submission.queued_as() {
        let shard = super::queue::shard_of(submission.user_id);
        new.insert("status_shard".to_owned(), s(super::queue::partition(status, shard)));
        let position = super::queue::Position::of(submission);
        new.insert("queued_at_id".to_owned(), s(position.sort_key()));
    }
    match submission.revision {
        1 => transaction.create(label, Table::Kyc, "pk", new),
        revision => {
            let mut values = of_revision(revision - 1)?;
            let viewed = new.get("viewed").cloned();
            let is_last = match &viewed {
                Some(_) => "viewed = :viewed",
                None => "attribute_not_exists(viewed)",
            };
            values.extend(viewed.map(|viewed| (":viewed".to_owned(), viewed)));
            let condition = format!("revision = :revision AND {is_last}");
            transaction.put_if(label, Table::Kyc, new, condition, values);
        }
    }
    Ok(())
}

/// Removes a submission, if it is still as it was read.
pub(super) fn remove<L>(
    transaction: &mut Transaction<L>,
    label: L,
    submission: &Submission,
) -> Result<(), Problem> {
    let values = of_revision(submission.revision)?;
    transaction.delete(label, key(submission.user_id), Some("revision = :revision"), values);
    Ok(())
}

pub(super) fn of_revision(revision: u64) -> Result<Item, Problem> {
    let revision = i64::try_from(revision).map_err(Problem::internal)?;
    Ok(Item::from([(":revision".to_owned(), n(revision))]))
}

/// Deletes what there is of a person: the claims of their numbers first, then the record, by
/// which the claims are found. For an account that is gone, for which nothing is written any more.
/// The same call finishes what a failed one began. The files are the caller's to delete.
pub async fn delete_all(store: &Store, user_id: UserId) -> Result<(), Problem> {
    let Some(submission) = store.read(key(user_id).consistent()).await? else { return Ok(()) };
    let claims = submission
        .claimed_numbers()
        .map(|number| super::number_claim::delete(store, number, user_id));
    let claims = futures_util::future::join_all(claims);
    let (deleted, cleared) = tokio::join!(claims, super::cleanup::forget_clearing(store, user_id));
    deleted.into_iter().chain([cleared]).collect::<Result<(), _>>()?;
    let condition = "attribute_exists(pk)";
    store.delete(key(user_id), condition, Item::new()).await.map(drop)
}
