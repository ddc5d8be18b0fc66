//! A person's KYC submission.

use std::fmt;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret::Digest,
    dynamodb::{digest, seconds},
    http::etag::ETag,
    kyc::document::{Document, DocumentNumber, DocumentType},
    value::{KycStatus, SubmissionId, UserId},
};

/// How long a provisional claim of a number is valid, and how long files are awaited, seconds.
pub const PROVISIONAL_SECONDS: i64 = 24 * 60 * 60;

/// A person's submission.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// The user.
    pub user_id: UserId,
    /// The submission's id. A new submission that replaces an old one has a new id; a change keeps
    /// it.
    pub submission_id: SubmissionId,
    /// The type of the document.
    pub document_type: DocumentType,
    /// The document's number, in the clear.
    pub document_number: DocumentNumber,
    /// The digest of the number in its claim.
    #[serde(with = "digest")]
    pub number_digest: Digest,
    /// Whether the claim is confirmed, because the number was submitted for review. It does not
    /// expire.
    pub is_number_firm: bool,
    /// Earlier numbers that were submitted for review and stay claimed.
    #[serde(with = "digest::list", default)]
    pub earlier_numbers: Vec<Digest>,
    /// The status.
    pub status: KycStatus,
    /// The files.
    pub documents: Vec<Document>,
    /// The keys of replaced files, which may still be in the bucket.
    #[serde(default)]
    pub replaced: Vec<String>,
    /// Until when uploads of the replaced files may still end. The files are deleted before that
    /// time, and once more after it.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub replaced_until: Option<Timestamp>,
    /// When it was submitted for review.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub submitted_at: Option<Timestamp>,
    /// When it was approved.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub verified_at: Option<Timestamp>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rejection_reason: Option<String>,
    /// The staff member who approved or rejected it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reviewed_by: Option<UserId>,
    /// The last view of it, or of the submission that it replaced, by staff.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub viewed: Option<Viewed>,
    /// The UTC day of the last attempt.
    pub attempts_day: Date,
    /// The number of attempts on that day.
    pub attempts: u32,
    /// How often on that day its uploaded files did not match the expected ones.
    #[serde(default)]
    pub failed_checks: u32,
    /// When it may be deleted, if it exists only to count attempts. Also the TTL.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
    /// Incremented by every change.
    pub revision: u64,
    /// When it was created.
    #[serde(with = "seconds::required")]
    pub created_at: Timestamp,
    /// When it was last changed. The review queue is sorted by this.
    #[serde(with = "seconds::required")]
    pub updated_at: Timestamp,
}

/// A view of a submission by staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewed {
    /// The revision that was viewed.
    pub revision: u64,
    /// The staff member.
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
    /// The entity tag of its revision.
    pub fn etag(&self) -> ETag {
        ETag::of(self.submission_id, self.revision)
    }

    /// The submission with the next revision, as every change must save it.
    pub fn with_next_revision(self) -> Self {
        Self { revision: self.revision + 1, ..self }
    }

    /// Whether staff viewed an earlier revision of it last, not the current one.
    pub fn has_changed_since_viewed(&self) -> bool {
        self.viewed.as_ref().is_some_and(|viewed| viewed.revision != self.revision)
    }

    /// The digests of all numbers that are claimed for it.
    pub(super) fn claimed_numbers(&self) -> impl Iterator<Item = &Digest> {
        self.earlier_numbers.iter().chain([&self.number_digest])
    }

    /// The keys of all its files, also of replaced ones. Not every file has to exist.
    pub fn file_keys(&self) -> impl Iterator<Item = &str> {
        let documents = self.documents.iter().map(|document| document.key.as_str());
        documents.chain(self.replaced.iter().map(String::as_str))
    }

    /// The submission without replaced files.
    pub fn without_replaced_files(self) -> Self {
        Self { replaced: Vec::new(), replaced_until: None, ..self }
    }

    /// The status under which it is listed in the index `by_status`, if it is. An abandoned
    /// submission stays listed while it has files, so that the cleanup job finds it.
    pub(super) fn index_status(&self) -> Option<KycStatus> {
        match self.status {
            KycStatus::NotSubmitted if self.file_keys().next().is_none() => None,
            KycStatus::NotSubmitted => Some(KycStatus::AwaitingDocuments),
            status => Some(status),
        }
    }

    /// Whether it is to be abandoned: it has waited for its files for a day, or it was abandoned
    /// and still has files.
    pub fn can_be_abandoned(&self, now: Timestamp) -> bool {
        let age = now.as_second() - self.updated_at.as_second();
        match self.status {
            KycStatus::AwaitingDocuments => age >= PROVISIONAL_SECONDS,
            KycStatus::NotSubmitted => self.file_keys().next().is_some(),
            _ => false,
        }
    }
}
