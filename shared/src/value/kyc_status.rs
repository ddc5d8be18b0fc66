//! The state of the identity check.

use serde::{Deserialize, Serialize};

/// The state of the check of a person's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KycStatus {
    /// No document was submitted, or the submission was abandoned.
    NotSubmitted,
    /// The files have not been uploaded and checked yet.
    AwaitingDocuments,
    /// The submission waits for a review.
    Pending,
    /// Staff approved the identity.
    Approved,
    /// Staff rejected the documents.
    Rejected,
}

impl KycStatus {
    /// Its name in responses and items.
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
