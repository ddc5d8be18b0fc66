//! The `kyc` table.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Item, Key, Store, Table, s, seconds};
use crate::{id::UserId, problem::Problem};

/// Where the check of a person's identity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KycStatus {
    /// Nothing was submitted.
    NotSubmitted,
    /// Files were promised and have not arrived.
    AwaitingDocuments,
    /// It waits for a review.
    Pending,
    /// The person is known.
    Approved,
    /// The documents were refused.
    Rejected,
}

/// What is known of a person's submission.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Submission {
    /// Where it stands.
    pub status: KycStatus,
    /// When it was submitted.
    #[serde(with = "seconds::optional", default)]
    pub submitted_at: Option<Timestamp>,
    /// When it was approved.
    #[serde(with = "seconds::optional", default)]
    pub verified_at: Option<Timestamp>,
    /// Why it was rejected.
    #[serde(default)]
    pub rejection_reason: Option<String>,
}

/// Where a user's submission is.
pub fn key(user_id: UserId) -> Key<Submission> {
    Key::new(Table::Kyc, &[("pk", &format!("USER#{user_id}"))])
}

/// All that a submission says of a document, for the person that it is of.
#[derive(Deserialize)]
pub struct Held {
    /// What is known of the submission.
    #[serde(flatten)]
    pub submission: Submission,
    /// What kind of document it is.
    #[serde(default)]
    pub document_type: Option<String>,
    /// Its number, in the clear.
    #[serde(default)]
    pub document_number: Option<String>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("submission", &self.submission).finish_non_exhaustive()
    }
}

/// Where a user's submission is, with what it says of the document.
pub fn held_key(user_id: UserId) -> Key<Held> {
    Key::new(Table::Kyc, &[("pk", &format!("USER#{user_id}"))])
}

/// The claim of a document number that a submission holds.
#[derive(Deserialize)]
struct NumberClaim {
    #[serde(default)]
    number_claim: Option<String>,
}

/// Deletes a user's submission and frees its document number: the number first, so that a
/// submission that is still there names what is left to do.
pub async fn delete_all(store: &Store, user_id: UserId) -> Result<(), Problem> {
    let pk = format!("USER#{user_id}");
    let at: Key<NumberClaim> = Key::new(Table::Kyc, &[("pk", &pk)]);
    let Some(held) = store.read(at.consistent()).await? else { return Ok(()) };
    if let Some(claim) = held.number_claim {
        let claim: Key<NumberClaim> = Key::new(Table::Kyc, &[("pk", &claim)]);
        let values = Item::from([(":user".to_owned(), s(user_id.to_string()))]);
        store.delete(claim, "user_id = :user", values).await?;
    }
    store.delete(key(user_id), "attribute_exists(pk)", Item::new()).await.map(drop)
}
