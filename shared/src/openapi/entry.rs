//! The schema of a ledger entry, which several functions return.

use jiff::Timestamp;
use utoipa::ToSchema;

use crate::{value::EntryId, wallet::Direction};

/// A ledger entry, of money or of points.
#[derive(Debug, ToSchema)]
#[schema(as = WalletEntry)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub enum Entry {
    /// Of money.
    Money(MoneyEntry),
    /// Of points.
    Points(PointsEntry),
}

/// An entry of money. Amounts are decimal strings in the currency's own digits.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct MoneyEntry {
    id: EntryId,
    #[schema(inline)]
    direction: Direction,
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$", example = "25.00")]
    amount: String,
    #[schema(pattern = "^[A-Z]{3}$", example = "NPR")]
    currency: String,
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$", example = "100.00")]
    balance_before: String,
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$", example = "125.00")]
    balance_after: String,
    #[schema(example = "rental-7181")]
    reference: String,
    #[schema(example = "Rental at Thamel Chowk")]
    reason: String,
    created_at: Timestamp,
}

/// An entry of points.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct PointsEntry {
    id: EntryId,
    #[schema(inline)]
    direction: Direction,
    points: i64,
    balance_before: i64,
    balance_after: i64,
    #[schema(example = "referral")]
    reference: String,
    #[schema(example = "Somebody registered with your code")]
    reason: String,
    created_at: Timestamp,
}
