//! The review of identities.

use http::{Method, StatusCode};
use shared::{http::problem::Code, openapi::OperationDoc};
use utoipa::ToSchema;

use super::{Done, about_user};
use crate::kyc::{FilesView, Judgement, PageView, ReviewedView};

/// Which submissions.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Listing {
    /// Those of this status; `PENDING` when it is not said.
    #[schema(pattern = "^(AWAITING_DOCUMENTS|PENDING|APPROVED|REJECTED)$")]
    status: Option<String>,
    /// At most so many, 20 when it is not said.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before, with the same `status`.
    cursor: Option<String>,
}

/// A decision.
#[derive(ToSchema)]
#[schema(as = KycDecision)]
#[allow(dead_code, reason = "only its schema is used")]
struct Decision {
    /// `APPROVE` or `REJECT`.
    #[schema(pattern = "^(APPROVE|REJECT)$", example = "REJECT")]
    decision: String,
    /// Why it is rejected, for the person. With `REJECT` only, and needed there.
    #[schema(min_length = 1, max_length = 500, example = "The picture cannot be read.")]
    rejection_reason: Option<String>,
}

pub(super) fn operations() -> Vec<OperationDoc> {
    vec![list(), documents(), review(), release_number()]
}

fn list() -> OperationDoc {
    OperationDoc::new(Method::GET, "/admin/kyc", "listKyc", "List the submissions of a status")
        .list::<Listing, crate::kyc::Listing>()
        .answers::<PageView>(StatusCode::OK, "A page of submissions, the oldest change first.")
}

fn documents() -> OperationDoc {
    let path = "/admin/kyc/{user_id}/documents";
    about_user(Method::GET, path, "viewKycDocuments", "Look at the documents of a user")
        .description("The URLs live for 60 seconds. That they were asked for is audited.")
        .answers::<FilesView>(StatusCode::OK, "The submission and its files.")
        .etag()
}

fn review() -> OperationDoc {
    let path = "/admin/kyc/{user_id}/review";
    about_user(Method::POST, path, "reviewKyc", "Judge the documents of a user")
        .description(
            "Only what waits for a review can be judged. With `If-Match`, the tag of the documents, \
             only what was looked at is.",
        )
        .body::<Decision, Judgement>()
        .needed_with("decision", "REJECT", &["rejection_reason"])
        .answers::<ReviewedView>(StatusCode::OK, "The submission as it is now.")
        .if_match()
        .problems(&[Code::KycNotPending, Code::OwnAccount])
}

fn release_number() -> OperationDoc {
    let path = "/admin/kyc/{user_id}/document-number";
    about_user(Method::DELETE, path, "freeDocumentNumber", "Free the number of a rejected document")
        .description(
            "A number belongs to the account that handed it in, even where it was rejected or \
             given up. Freed, another account can hand it in.",
        )
        .answers::<Done>(StatusCode::OK, "It is free.")
        .problems(&[Code::KycNotRejected, Code::OwnAccount])
}
