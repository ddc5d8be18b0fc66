//! The files: where they are sent, and whether they are what was promised.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    http::problem::{Code, FieldError, Problem},
    kyc::{
        KycStatus, Submission,
        bucket::{Documents, Presigned, UploadedFile},
        document::{ContentType, Document, Side},
    },
};

use crate::pdf;

/// Where and how a file is to be sent.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Upload {
    side: Side,
    /// The method of the request.
    #[cfg_attr(feature = "openapi", schema(example = "PUT"))]
    method: &'static str,
    /// Whoever has it may send this file, and no other.
    #[cfg_attr(feature = "openapi", schema(format = "uri"))]
    url: String,
    /// The headers that the request must have, exactly.
    headers: BTreeMap<String, String>,
    /// Ten minutes from now.
    expires_at: Timestamp,
}

/// Where the files are to be sent that nobody has looked at yet.
pub(crate) async fn uploads(
    documents: &Documents,
    submission: &Submission,
    now: Timestamp,
) -> Result<Vec<Upload>, Problem> {
    let mut uploads = Vec::new();
    if submission.status != KycStatus::AwaitingDocuments {
        return Ok(uploads);
    }
    for document in submission.documents.iter().filter(|document| !document.is_checked) {
        let Presigned { method, url, headers, expires_at } =
            documents.presign_upload(document, now).await?;
        let headers = headers.into_iter().collect();
        uploads.push(Upload { side: document.side, method, url, headers, expires_at });
    }
    Ok(uploads)
}

/// What is wrong with the files of a submission.
#[derive(Debug)]
pub(crate) struct Fault {
    /// `document_missing` where one is not there, else `document_invalid`, with each such side.
    pub(crate) problem: Problem,
    /// Whether any was there to be read.
    pub(crate) was_read: bool,
}

/// Looks at every file of a submission, all at once: what is wrong with them, if anything.
pub(crate) async fn check(
    documents: &Documents,
    submission: &Submission,
) -> Result<Option<Fault>, Problem> {
    let looks = submission.documents.iter().map(async |document| {
        let arrived = documents.inspect(document).await?;
        Ok::<_, Problem>((arrived.is_some(), fault(document, arrived.as_ref())))
    });
    let looks: Result<Vec<_>, _> = join_all(looks).await.into_iter().collect();
    let (arrived, faults): (Vec<_>, Vec<_>) = looks?.into_iter().unzip();
    let faults: Vec<FieldError> = faults.into_iter().flatten().collect();
    if faults.is_empty() {
        return Ok(None);
    }
    let is_missing = |fault: &FieldError| fault.code == Code::DocumentMissing.as_str();
    let code = match faults.iter().any(is_missing) {
        true => Code::DocumentMissing,
        false => Code::DocumentInvalid,
    };
    Ok(Some(Fault { problem: Problem::fields(code, faults), was_read: arrived.contains(&true) }))
}

/// What is wrong with a file, if anything.
fn fault(document: &Document, arrived: Option<&UploadedFile>) -> Option<FieldError> {
    let (code, detail) = match arrived {
        None => (Code::DocumentMissing.as_str(), "This has not arrived."),
        Some(arrived) => problem_of(document, arrived)?,
    };
    Some(FieldError { field: document.side.field().into(), code, detail: detail.into() })
}

fn problem_of(document: &Document, arrived: &UploadedFile) -> Option<(&'static str, &'static str)> {
    let invalid = |detail| Some((Code::DocumentInvalid.as_str(), detail));
    if !arrived.matches(document) {
        return invalid("This is not what was promised.");
    }
    if arrived.has_other_headers {
        return invalid("This was sent with headers other than those of the upload.");
    }
    match document.expected.content_type {
        ContentType::Pdf => problem_of_pdf(&arrived.bytes),
        content_type => {
            let found = infer::get(&arrived.bytes);
            let is_of_its_type = found.is_some_and(|it| it.mime_type() == content_type.as_str());
            if is_of_its_type { None } else { invalid("This is not a file of its type.") }
        }
    }
}

fn problem_of_pdf(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let not_a_pdf = Some((Code::DocumentInvalid.as_str(), "This is not a PDF."));
    // A program stays one, whatever is written into it.
    if infer::is_app(bytes) {
        return not_a_pdf;
    }
    let Some(header_at) = pdf::header(bytes) else { return not_a_pdf };
    let encrypted = ("encrypted", "This PDF is encrypted. Save it without protection.");
    pdf::is_encrypted(bytes, header_at).then_some(encrypted)
}
