//! The `kyc` table.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Key, Table, seconds};
use crate::id::UserId;

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
