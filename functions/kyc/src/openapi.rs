//! The operations as the OpenAPI document shows them.

use http::{Method, StatusCode};
use shared::{
    http::problem::Code,
    kyc::document::{ContentType, DocumentType},
    openapi::OperationDoc,
    user::view::KycView,
};
use utoipa::ToSchema;

use crate::{
    body::{Edits, NewSubmission},
    handlers::SubmissionView,
};

/// A document, and the files of it that will be uploaded.
#[derive(ToSchema)]
#[schema(as = KycSubmissionRequest)]
#[allow(dead_code, reason = "only its schema is used")]
struct SubmissionRequest {
    /// `CITIZENSHIP` when it is not said.
    document_type: Option<DocumentType>,
    /// Letters and digits, spaces and `-`, `/`, `.`.
    #[schema(min_length = 3, max_length = 40, example = "27-01-70-12345")]
    document_number: String,
    documents: DocumentFiles,
}

/// The files of a document.
#[derive(ToSchema)]
#[schema(as = KycDocuments)]
#[allow(dead_code, reason = "only its schema is used")]
struct DocumentFiles {
    front: DocumentFile,
    back: Option<DocumentFile>,
}

/// What is to be changed. What is absent stays; null is the same as absent, but for the back: that
/// is removed.
#[derive(ToSchema)]
#[schema(as = KycChange)]
#[allow(dead_code, reason = "only its schema is used")]
struct ChangeRequest {
    document_type: Option<DocumentType>,
    /// Letters and digits, spaces and `-`, `/`, `.`.
    #[schema(min_length = 3, max_length = 40, example = "27-01-70-12345")]
    document_number: Option<String>,
    documents: Option<ChangedFiles>,
}

/// The files that are replaced.
#[derive(ToSchema)]
#[schema(as = KycChangedDocuments)]
#[allow(dead_code, reason = "only its schema is used")]
struct ChangedFiles {
    front: Option<DocumentFile>,
    back: Option<DocumentFile>,
}

/// A file that will be uploaded.
#[derive(ToSchema)]
#[schema(as = KycDocument)]
#[allow(dead_code, reason = "only its schema is used")]
struct DocumentFile {
    content_type: ContentType,
    /// Bytes.
    #[schema(minimum = 1, maximum = 10_485_760, example = 348_160)]
    size: u64,
    /// The digest of the file, hexadecimal.
    #[schema(
        pattern = "^[0-9A-Fa-f]{64}$",
        example = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )]
    sha256: String,
}

/// The operations of this function.
pub fn operations() -> Vec<OperationDoc> {
    vec![create(), change(), submit(), status()]
}

fn create() -> OperationDoc {
    OperationDoc::new(Method::POST, "/users/kyc", "createKyc", "Submit an identity document")
        .description(
            "Replaces the submission before it, unless that was approved. Send each file as \
             `uploads` says, then `POST /users/kyc/submit`.",
        )
        .body::<SubmissionRequest, NewSubmission>()
        .answers::<SubmissionView>(StatusCode::CREATED, "The submission, and where its files go.")
        .replayable()
        .problems(&CONFLICTS)
        .problems(&[Code::TooManyRequests, Code::NoSubmission])
}

fn change() -> OperationDoc {
    OperationDoc::new(Method::PATCH, "/users/kyc", "changeKyc", "Change the submission")
        .description(
            "Sets a review back. What changes nothing is answered with the submission as it is, \
             and with new `uploads` for the files that are still awaited.",
        )
        .body::<ChangeRequest, Edits>()
        .answers::<SubmissionView>(StatusCode::OK, "The submission, and where its files go.")
        .problems(&CONFLICTS)
        .problems(&[Code::NoSubmission, Code::TooManyRequests])
}

fn submit() -> OperationDoc {
    let path = "/users/kyc/submit";
    OperationDoc::new(Method::POST, path, "submitKyc", "Hand the submission in for review")
        .description("Looks at every file. The same again while it waits for its review.")
        .answers::<SubmissionView>(StatusCode::OK, "The submission, which waits for its review.")
        .problems(&[Code::DocumentMissing, Code::DocumentInvalid, Code::DocumentInUse])
        .problems(&[Code::NoSubmission, Code::KycApproved, Code::TooManyRequests])
}

fn status() -> OperationDoc {
    let path = "/users/kyc/status";
    OperationDoc::new(Method::GET, path, "getKycStatus", "Read where the check stands")
        .answers::<KycView>(StatusCode::OK, "Where it stands.")
}

const CONFLICTS: [Code; 3] = [Code::DocumentInUse, Code::TooManyDocuments, Code::KycApproved];
