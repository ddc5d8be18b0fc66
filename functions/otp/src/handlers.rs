//! The two operations at the edge: bodies, answers, and how long an answer takes.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::{
    crypto::secret::Code,
    http::{
        ClientIp, Json, OptionalIdempotencyKey,
        fields::{Body, Fields},
        problem::Problem,
    },
    otp,
    value::{Identifier, Purpose},
};
use tokio::time::Instant;

use crate::{
    app::App,
    request::{self, Replay},
    verify,
};

/// Which code is asked for.
pub(crate) struct RequestBody {
    pub(crate) identifier: Identifier,
    pub(crate) purpose: Purpose,
}

impl Body for RequestBody {
    fn read(fields: &mut Fields) -> Option<Self> {
        let region = fields.context.region;
        let identifier = fields.required("identifier", |text| Identifier::parse(text, region));
        let purpose = fields.required("purpose", Purpose::parse);
        Some(Self { identifier: identifier?, purpose: purpose? })
    }
}

/// A code was asked for; whether one was sent is not told.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OtpRequested))]
pub(crate) struct Requested {
    /// A sentence for a person.
    message: &'static str,
    /// Seconds until the code is no longer valid.
    expires_in: i64,
    /// Seconds until another code may be asked for.
    resend_in: i64,
}

/// `POST /auth/otp/request`. Every answer takes the configured time at least, so that its length
/// does not tell whether something was sent.
pub(crate) async fn request(
    State(app): State<App>,
    source: ClientIp,
    key: Result<OptionalIdempotencyKey, Problem>,
    body: Result<Json<RequestBody>, Problem>,
) -> Response {
    let started = Instant::now();
    let least = Duration::from_millis(app.config.otp.min_response_ms.into());
    let response = answer_request(&app, source, key, body).await.into_response();
    tokio::time::sleep_until(started + least).await;
    response
}

async fn answer_request(
    app: &App,
    source: ClientIp,
    key: Result<OptionalIdempotencyKey, Problem>,
    body: Result<Json<RequestBody>, Problem>,
) -> Result<Response, Problem> {
    let (OptionalIdempotencyKey(key), Json(body)) = (key?, body?);
    let outcome = request::request(app, source, key, &body).await?;
    let requested = |expires_in: i64, resend_in: i64| {
        let message = "If the code can be sent, it is on its way.";
        Json(Requested { message, expires_in, resend_in })
    };
    Ok(match outcome {
        request::Outcome::Carried => {
            let resend_in = app.config.otp.resend_seconds.into();
            requested(otp::CODE_SECONDS, resend_in).into_response()
        }
        request::Outcome::Replayed(Replay { expires_in, resend_in }) => {
            let header = [("idempotent-replayed", "true")];
            (header, requested(expires_in, resend_in)).into_response()
        }
    })
}

/// A code to be exchanged for a verification token.
pub(crate) struct VerifyBody {
    pub(crate) identifier: Identifier,
    pub(crate) otp: Code,
    pub(crate) purpose: Purpose,
}

impl Body for VerifyBody {
    fn read(fields: &mut Fields) -> Option<Self> {
        let region = fields.context.region;
        let identifier = fields.required("identifier", |text| Identifier::parse(text, region));
        let otp = fields.required("otp", Code::parse);
        let purpose = fields.required("purpose", Purpose::parse);
        Some(Self { identifier: identifier?, otp: otp?, purpose: purpose? })
    }
}

/// What a right code is exchanged for.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = OtpVerified))]
pub(crate) struct Verified {
    /// Opaque; for one use, by the same identifier, for the same purpose.
    verification_token: String,
    /// A sentence for a person.
    message: &'static str,
    /// Seconds until the token is no longer valid.
    expires_in: i64,
}

/// `POST /auth/otp/verify`.
pub(crate) async fn verify(
    State(app): State<App>,
    Json(body): Json<VerifyBody>,
) -> Result<impl IntoResponse, Problem> {
    let token = verify::verify(&app, &body).await?;
    Ok(Json(Verified {
        verification_token: token.text(),
        message: "The code was right.",
        expires_in: otp::TOKEN_SECONDS,
    }))
}
