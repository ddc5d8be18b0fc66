//! The review of identities: the queue, the files, the decision.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use shared::{
    account,
    audit::{self, Action, Record},
    crypto::canonical::Canonical,
    dynamodb::Transaction,
    http::{
        ClientIp, Json, ListQuery, PathParameter,
        cursor::{self, PageRequest, QueryBinding},
        etag::IfMatch,
        fields::{self, Body, Fields, List},
        problem::{Code, Problem},
    },
    kyc::{
        self, KycStatus, Submission,
        document::{ContentType, Document, DocumentType, Side},
        queue::{self, Position, Row},
        review::{self, Decision},
    },
    session::{access_token::Claims, authentication::Staff},
    value::{Invalid, SubmissionId, UserId, text},
};

use crate::app::App;

/// How long a file can be fetched, seconds.
const VIEW_SECONDS: i64 = 60;
/// How often a submission is looked at anew that has changed meanwhile.
const ATTEMPTS: usize = 8;
const MAX_REASON_CHARS: usize = 500;

/// The query of a queue.
pub(crate) struct Listing {
    status: KycStatus,
    page: PageRequest,
}

impl List for Listing {
    const PARAMETERS: &'static [&'static str] = &["status", "limit", "cursor"];
}

impl Body for Listing {
    fn read(fields: &mut Fields) -> Option<Self> {
        let status = fields.optional("status", status);
        let page = PageRequest::read(fields);
        Some(Self { status: status?.unwrap_or(KycStatus::Pending), page: page? })
    }
}

/// The status of a submission that there is.
fn status(text: &str) -> Result<KycStatus, Invalid> {
    let detail = "This must be AWAITING_DOCUMENTS, PENDING, APPROVED or REJECTED.";
    let invalid = Invalid { code: "invalid_status", detail };
    let status = fields::one_of(text, invalid)?;
    if status == KycStatus::NotSubmitted { Err(invalid) } else { Ok(status) }
}

/// A submission in a queue.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KycRow))]
pub(crate) struct RowView {
    user_id: UserId,
    id: SubmissionId,
    document_type: DocumentType,
    status: KycStatus,
    submitted_at: Option<Timestamp>,
}

impl From<Row> for RowView {
    fn from(row: Row) -> Self {
        let Row { user_id, submission_id: id, document_type, status, submitted_at, .. } = row;
        Self { user_id, id, document_type, status, submitted_at }
    }
}

/// A page of a queue.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KycPage))]
pub(crate) struct PageView {
    results: Vec<RowView>,
    /// Where the list goes on; null at its end. A page may be short, even empty, with a cursor.
    next_cursor: Option<String>,
}

/// `GET /admin/kyc`.
pub(crate) async fn list(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    ListQuery(Listing { status, page }): ListQuery<Listing>,
) -> Result<impl IntoResponse, Problem> {
    let (_, key) = app.cursor_keys.current(app.clock.now()).await?;
    let filters = Canonical::new("GET /admin/kyc").with("status", status.as_str());
    let binding = QueryBinding::new(claims.user_id, &filters);
    let after: Option<Position> = page.position(&key, &binding).map_err(Problem::invalid_cursor)?;
    let page = queue::page(&app.store, status, after, page.limit());
    let (_, (rows, next)) =
        app.authenticator.authenticate_staff_while(&claims, source, page).await?;
    Ok(Json(PageView {
        results: rows.into_iter().map(RowView::from).collect(),
        next_cursor: next.map(|position| cursor::seal(&key, &binding, &position)),
    }))
}

/// A submission, as the staff who judge it see it.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KycFiles))]
pub(crate) struct FilesView {
    user_id: UserId,
    id: SubmissionId,
    document_type: DocumentType,
    /// The whole number, to be compared with the document.
    #[cfg_attr(feature = "openapi", schema(example = "27-01-70-12345"))]
    document_number: String,
    status: KycStatus,
    submitted_at: Option<Timestamp>,
    /// None before it is handed in.
    documents: Vec<FileView>,
}

/// A file that can be fetched for a minute.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KycFile))]
pub(crate) struct FileView {
    side: Side,
    content_type: ContentType,
    /// Bytes.
    size: u64,
    /// Who has it may fetch the file, until it expires.
    url: String,
    expires_at: Timestamp,
}

/// `GET /admin/kyc/{user_id}/documents`. That they were looked at is on record before they can be.
pub(crate) async fn documents(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    PathParameter(user_id): PathParameter,
) -> Result<Response, Problem> {
    let (user_id, now) = (app.subject(&claims, source, &user_id).await?, app.clock.now());
    for _ in 0..ATTEMPTS {
        let (staff, submission) = look(&app, &claims, source, user_id).await?;
        let record = of_submission(staff.record(user_id, Action::DocumentsViewed), &submission);
        let mut audit = Transaction::default();
        audit::add(&mut audit, (), &record, now)?;
        if review::record_view(&app.store, &submission, staff.user_id(), audit).await? {
            let etag = [(header::ETAG, submission.etag().to_string())];
            return Ok((etag, Json(files(&app, submission, now).await?)).into_response());
        }
    }
    Err(Problem::unavailable("a submission changed too often to be looked at"))
}

/// The submission of somebody whose account there is. Of a deleted person it is shown to nobody,
/// whatever of it is still to be cleared away.
async fn look(
    app: &App,
    claims: &Claims,
    source: ClientIp,
    user_id: UserId,
) -> Result<(Staff, Submission), Problem> {
    let reads = (kyc::key(user_id).consistent(), account::key(user_id).consistent());
    let (staff, (submission, account)) =
        app.authenticator.authenticate_staff(claims, source, reads).await?;
    let submission = submission.filter(|_| account.is_some());
    let submission = submission.filter(|found| found.status != KycStatus::NotSubmitted);
    Ok((staff, submission.ok_or_else(submission_not_found)?))
}

async fn files(app: &App, submission: Submission, now: Timestamp) -> Result<FilesView, Problem> {
    let is_submitted = submission.status != KycStatus::AwaitingDocuments;
    let mut documents = Vec::new();
    for document in submission.documents.iter().filter(|_| is_submitted) {
        let Document { side, expected, .. } = document;
        let view = app.documents.presign_view(document, VIEW_SECONDS, now).await?;
        documents.push(FileView {
            side: *side,
            content_type: expected.content_type,
            size: expected.size,
            url: view.url,
            expires_at: view.expires_at,
        });
    }
    Ok(FilesView {
        user_id: submission.user_id,
        id: submission.submission_id,
        document_type: submission.document_type,
        document_number: submission.document_number.as_str().to_owned(),
        status: submission.status,
        submitted_at: submission.submitted_at,
        documents,
    })
}

/// A decision.
pub(crate) struct Judgement(Decision);

impl Body for Judgement {
    fn read(fields: &mut Fields) -> Option<Self> {
        let is_approval = fields.required("decision", |text| match text {
            "APPROVE" => Ok(true),
            "REJECT" => Ok(false),
            _ => {
                Err(Invalid { code: "invalid_decision", detail: "This must be APPROVE or REJECT." })
            }
        });
        let reason = fields.optional("rejection_reason", reason);
        match (is_approval?, reason?) {
            (true, None) => Some(Self(Decision::Approve)),
            (false, Some(reason)) => Some(Self(Decision::Reject(reason))),
            (false, None) => fields.refuse_missing("rejection_reason"),
            (true, Some(_)) => {
                let detail = "This goes with REJECT only.";
                fields.refuse("rejection_reason", Invalid { code: "unexpected", detail })
            }
        }
    }
}

/// 1 to 500 characters, which may be on several lines.
fn reason(text: &str) -> Result<String, Invalid> {
    text::lines(text, 1..=MAX_REASON_CHARS)
}

/// What became of a submission.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KycReviewed))]
pub(crate) struct ReviewedView {
    user_id: UserId,
    id: SubmissionId,
    status: KycStatus,
    verified_at: Option<Timestamp>,
    rejection_reason: Option<String>,
}

/// `POST /admin/kyc/{user_id}/review`.
pub(crate) async fn review(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    PathParameter(user_id): PathParameter,
    if_match: IfMatch,
    Json(Judgement(decision)): Json<Judgement>,
) -> Result<impl IntoResponse, Problem> {
    let (user_id, now) = (app.subject(&claims, source, &user_id).await?, app.clock.now());
    let (staff, ()) = app.authenticator.authenticate_staff(&claims, source, ()).await?;
    app.authenticator.require_other_account(&staff, user_id).await?;
    let judged = review::review(
        &app.store,
        user_id,
        staff.user_id(),
        &decision,
        &if_match,
        now,
        |all, submission| {
            let record = of_submission(staff.record(user_id, Action::KycReviewed), submission);
            let record = record.with("decision", decision.as_str());
            audit::add(all, (), &record, now).map(drop)
        },
    );
    let judged = judged.await?;
    if judged.status == KycStatus::Approved {
        tidy(&app, &judged).await;
    }
    Ok(Json(ReviewedView {
        user_id,
        id: judged.submission_id,
        status: judged.status,
        verified_at: judged.verified_at,
        rejection_reason: judged.rejection_reason,
    }))
}

/// Deletes the files that are not the approved ones: replaced ones that could not be deleted then,
/// or that arrived late. Nothing can take their place any more. What stays goes with the account.
async fn tidy(app: &App, approved: &Submission) {
    let kept: Vec<_> = approved.documents.iter().map(|document| &*document.key).collect();
    if let Err(problem) = app.documents.delete_all_except(approved.user_id, &kept).await {
        tracing::warn!(cause = problem.cause_chain(), "files that were replaced are still there");
    }
}

/// `DELETE /admin/kyc/{user_id}/document-number`: another account may have it then.
pub(crate) async fn release_number(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    PathParameter(user_id): PathParameter,
) -> Result<impl IntoResponse, Problem> {
    let (user_id, now) = (app.subject(&claims, source, &user_id).await?, app.clock.now());
    let (staff, ()) = app.authenticator.authenticate_staff(&claims, source, ()).await?;
    app.authenticator.require_other_account(&staff, user_id).await?;
    let freed = review::release_number(&app.store, user_id, staff.user_id(), |all, submission| {
        let record = of_submission(staff.record(user_id, Action::DocumentNumberFreed), submission);
        audit::add(all, (), &record, now).map(drop)
    });
    freed.await?;
    Ok(Json(json!({ "message": "The number is free for another account." })))
}

/// Says which submission it was, and which state of it.
fn of_submission(record: Record, submission: &Submission) -> Record {
    let record = record.with("submission_id", submission.submission_id.to_string());
    record.with("revision", submission.revision.to_string())
}

fn submission_not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such submission.")
}
