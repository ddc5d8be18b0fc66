//! The operations as the OpenAPI document shows them.

use http::{Method, StatusCode};
use shared::{
    http::problem::Code,
    openapi::{OperationDoc, entry::Entry},
    value::UserId,
    wallet::Direction,
};
use utoipa::ToSchema;

use crate::handlers::{BalanceView, EntryBody};

/// A movement of money, or of points.
#[derive(ToSchema)]
#[schema(as = WalletEntryRequest)]
#[allow(dead_code, reason = "only its schema is used")]
struct NewEntry {
    /// Whose wallet.
    user_id: UserId,
    #[schema(inline)]
    direction: Direction,
    /// Money, more than nothing, in no more digits than the currency has.
    #[schema(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$", example = "25.00")]
    amount: Option<String>,
    /// Points, more than none.
    #[schema(minimum = 1, maximum = 999_999_999_999_i64, example = 25)]
    points: Option<i64>,
    /// The deployment's currency. Another one is refused.
    #[schema(pattern = "^[A-Z]{3}$", example = "NPR")]
    currency: Option<String>,
    /// What it is about, for a program. No personal data.
    #[schema(min_length = 1, max_length = 200, example = "rental-7181")]
    reference: String,
    /// Why, for a person. No personal data.
    #[schema(min_length = 1, max_length = 200, example = "Rental at Thamel Chowk")]
    reason: String,
}

/// A page of entries.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct WalletEntryPage {
    results: Vec<Entry>,
    /// Where the list goes on; null at its end. A page may be short, even empty, with a cursor.
    next_cursor: Option<String>,
}

/// Which entries.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Listing {
    /// Entries of money only, or of points only.
    #[schema(pattern = "^(MONEY|POINTS)$")]
    asset: Option<String>,
    /// At most so many, 20 when it is not said.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before, with the same `asset`.
    cursor: Option<String>,
}

/// The operations of this function.
pub fn operations() -> Vec<OperationDoc> {
    vec![balance(), transactions(), post_entry()]
}

fn balance() -> OperationDoc {
    OperationDoc::new(Method::GET, "/users/wallet", "getWallet", "Read one's balances")
        .answers::<BalanceView>(StatusCode::OK, "The balances.")
}

fn transactions() -> OperationDoc {
    let path = "/users/wallet/transactions";
    OperationDoc::new(Method::GET, path, "getTransactions", "List the entries of one's wallet")
        .list::<Listing, crate::handlers::Listing>()
        .answers::<WalletEntryPage>(StatusCode::OK, "A page of entries, newest first.")
}

fn post_entry() -> OperationDoc {
    let path = "/internal/wallet/entries";
    OperationDoc::new(Method::POST, path, "postWalletEntry", "Move money or points")
        .description(
            "Changes a balance together with its ledger entry, once for an `Idempotency-Key`. \
             Keys belong to the account. After a 503 the same request is safe to send again.",
        )
        .body::<NewEntry, EntryBody>()
        .exactly_one_of(&["amount", "points"])
        .answers::<Entry>(StatusCode::CREATED, "The entry.")
        .idempotent()
        .problems(&[Code::InsufficientBalance, Code::NotFound])
}
