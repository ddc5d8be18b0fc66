//! The operations at the edge.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    http::{Json, OptionalIdempotencyKey, problem::Problem},
    kyc::{self, KycStatus, Submission, document::DocumentType},
    session::access_token::Claims,
    user::view::KycView,
    value::SubmissionId,
};

use crate::{
    app::App,
    body::{Edits, NewSubmission},
    file::{self, Upload},
    submission,
};

/// A submission, as its person sees it.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = KycSubmission))]
pub(crate) struct SubmissionView {
    id: SubmissionId,
    document_type: DocumentType,
    /// All but the last four letters and digits are hidden, or more, so that at least half of them are.
    #[cfg_attr(feature = "openapi", schema(example = "**********2345"))]
    document_number: String,
    status: KycStatus,
    verified_at: Option<Timestamp>,
    rejection_reason: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// The files that are to be sent before it is handed in.
    uploads: Vec<Upload>,
}

impl SubmissionView {
    async fn of(app: &App, submission: Submission, now: Timestamp) -> Result<Self, Problem> {
        let uploads = file::uploads(&app.documents, &submission, now).await?;
        Ok(Self {
            id: submission.submission_id,
            document_type: submission.document_type,
            document_number: submission.document_number.masked(),
            status: submission.status,
            verified_at: submission.verified_at,
            rejection_reason: submission.rejection_reason,
            created_at: submission.created_at,
            updated_at: submission.updated_at,
            uploads,
        })
    }
}

/// `POST /users/kyc`.
pub(crate) async fn create(
    State(app): State<App>,
    claims: Claims,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Json(body): Json<NewSubmission>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let (submission, is_replayed) =
        submission::create(&app, &claims, key.as_ref(), &body, now).await?;
    let view = Json(SubmissionView::of(&app, submission, now).await?);
    Ok(match is_replayed {
        true => (StatusCode::CREATED, [("idempotent-replayed", "true")], view).into_response(),
        false => (StatusCode::CREATED, view).into_response(),
    })
}

/// `PATCH /users/kyc`.
pub(crate) async fn change(
    State(app): State<App>,
    claims: Claims,
    Json(edits): Json<Edits>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    let submission = submission::change(&app, &claims, &edits, now).await?;
    Ok(Json(SubmissionView::of(&app, submission, now).await?))
}

/// `POST /users/kyc/submit`.
pub(crate) async fn submit(
    State(app): State<App>,
    claims: Claims,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    let submission = submission::submit(&app, &claims, now).await?;
    Ok(Json(SubmissionView::of(&app, submission, now).await?))
}

/// `GET /users/kyc/status`: the session and the submission, in one round trip.
pub(crate) async fn status(
    State(app): State<App>,
    claims: Claims,
) -> Result<impl IntoResponse, Problem> {
    let (_, submission) = app.authenticator.authenticate(&claims, kyc::key(claims.user_id)).await?;
    Ok(Json(KycView::from(submission.as_ref())).into_response())
}
