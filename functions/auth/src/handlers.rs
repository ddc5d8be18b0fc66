//! The operations at the edge.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use shared::{
    crypto::secret::base64url,
    deletion::ForfeitBalance,
    http::{ClientIp, Json, OptionalIdempotencyKey, PathParameter, Query, problem::Problem},
    kyc, profile,
    runtime::metrics::Metric,
    session::{Session, access_token::Claims},
    user::view,
    value::{SessionId, UserId},
    wallet,
};

use crate::{
    account,
    app::App,
    body, credential,
    device::{self, DeviceBody, DeviceView},
    export, identifier, login, register, session,
    tokens::Tokens,
};

/// Somebody is signed in.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SignedIn {
    user_id: UserId,
    /// A sentence for a person.
    message: &'static str,
    #[serde(flatten)]
    tokens: Tokens,
}

/// `POST /auth/register`.
pub(crate) async fn register(
    State(app): State<App>,
    source: ClientIp,
    Json(body): Json<body::Register>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let session = register::register(&app, body, source, now).await?;
    app.metrics.count(Metric::Registered, now);
    let tokens = app.mint.tokens(&session, now).await?;
    let answer = SignedIn { user_id: session.user_id, message: "The account was made.", tokens };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `POST /auth/login`.
pub(crate) async fn login(
    State(app): State<App>,
    source: ClientIp,
    Json(body): Json<body::Login>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    let session = login::login(&app, body, source, now).await;
    match &session {
        Ok(_) => app.metrics.count(Metric::SignedIn, now),
        Err(problem) if problem.status().is_server_error() => {}
        Err(_) => app.metrics.count(Metric::SignInFailed, now),
    }
    let session = session?;
    let tokens = app.mint.tokens(&session, now).await?;
    Ok(Json(SignedIn { user_id: session.user_id, message: "You are signed in.", tokens }))
}

/// `POST /auth/logout`.
pub(crate) async fn logout(
    State(app): State<App>,
    claims: Claims,
    Json(body): Json<body::Logout>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    match body {
        body::Logout::All => session::end_all(&app, &claims).await?,
        body::Logout::Of { name, token } => {
            session::end(&app, &claims, (name, &token), now).await?;
        }
    }
    Ok(Json(json!({ "message": "You are signed out." })))
}

/// The tokens, also under the names that SimpleJWT clients read.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Refreshed {
    /// The same as `access_token`.
    access: String,
    /// The same as `refresh_token`.
    refresh: String,
    #[serde(flatten)]
    tokens: Tokens,
}

/// `POST /auth/refresh`.
pub(crate) async fn refresh(
    State(app): State<App>,
    source: ClientIp,
    OptionalIdempotencyKey(key): OptionalIdempotencyKey,
    Json(body): Json<body::Refresh>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    let session = session::refresh(&app, &body.refresh_token, key, source, now).await?;
    let tokens = app.mint.tokens(&session, now).await?;
    let (access, refresh) = (tokens.access_token.clone(), tokens.refresh_token.clone());
    Ok(Json(Refreshed { access, refresh, tokens }))
}

/// `GET /auth/me`: the session and all that is shown of the user, in one round trip. The session
/// is read consistently, the rest is not: what is missing right after a registration is read once
/// more, consistently.
pub(crate) async fn me(State(app): State<App>, claims: Claims) -> Result<Response, Problem> {
    let id = claims.user_id;
    for consistent in [false, true] {
        let reads = (
            shared::account::key(id).consistent_if(consistent),
            profile::key(id).consistent_if(consistent),
            kyc::key(id).consistent_if(consistent),
            wallet::balance_key(id).consistent_if(consistent),
        );
        let (_, found) = app.authenticator.authenticate(&claims, reads).await?;
        if let (Some(account), Some(profile), submission, Some(balance)) = found {
            let currency = app.config.currency;
            let user = view::user(&account, &profile, submission.as_ref(), &balance, currency);
            return Ok(Json(user).into_response());
        }
    }
    Err(Problem::internal("an account, its profile or its wallet is missing"))
}

/// A new access token.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Renewed {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
}

/// `POST /auth/reauthenticate`: the same session, a new `auth_time`.
pub(crate) async fn reauthenticate(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    Json(body): Json<body::Reauthenticate>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    let session = credential::reauthenticate(&app, &claims, body, source, now).await?;
    let tokens = app.mint.tokens(&session, now).await?;
    let Tokens { access_token, token_type, expires_in, .. } = tokens;
    Ok(Json(Renewed { access_token, token_type, expires_in }))
}

/// `POST /auth/password/change`.
pub(crate) async fn change_password(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    Json(body): Json<body::ChangePassword>,
) -> Result<impl IntoResponse, Problem> {
    credential::change_password(&app, &claims, body, source, app.clock.now()).await?;
    Ok(Json(json!({ "message": "The password was changed. All other sessions have ended." })))
}

/// `POST /auth/password/reset`.
pub(crate) async fn reset_password(
    State(app): State<App>,
    source: ClientIp,
    Json(body): Json<body::ResetPassword>,
) -> Result<impl IntoResponse, Problem> {
    credential::reset_password(&app, body, source, app.clock.now()).await?;
    Ok(Json(json!({ "message": "The password was set. All sessions have ended." })))
}

/// `POST /auth/identifier`.
pub(crate) async fn change_identifier(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    Json(body): Json<body::ChangeIdentifier>,
) -> Result<impl IntoResponse, Problem> {
    identifier::change(&app, &claims, body, source, app.clock.now()).await?;
    Ok(Json(json!({ "message": "It is yours to sign in with." })))
}

/// A list that is never long enough for a second page.
#[derive(Serialize)]
struct Listed<T> {
    results: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> From<Vec<T>> for Listed<T> {
    fn from(results: Vec<T>) -> Self {
        Self { results, next_cursor: None }
    }
}

/// `POST /auth/device`.
pub(crate) async fn register_device(
    State(app): State<App>,
    claims: Claims,
    Json(body): Json<DeviceBody>,
) -> Result<impl IntoResponse, Problem> {
    let device = device::register(&app, &claims, &body, app.clock.now()).await?;
    Ok(Json(DeviceView::from(device)))
}

/// `GET /auth/devices`.
pub(crate) async fn devices(
    State(app): State<App>,
    claims: Claims,
) -> Result<impl IntoResponse, Problem> {
    let devices = device::devices(&app, &claims, app.clock.now()).await?;
    let devices: Vec<_> = devices.into_iter().map(DeviceView::from).collect();
    Ok(Json(Listed::from(devices)))
}

/// `DELETE /auth/devices/{device_id}`.
pub(crate) async fn unregister_device(
    State(app): State<App>,
    claims: Claims,
    PathParameter(device_id): PathParameter,
) -> Result<impl IntoResponse, Problem> {
    device::unregister(&app, &claims, &device_id).await?;
    Ok(Json(json!({ "message": "The device is no longer registered." })))
}

/// A session that lives.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Session))]
pub(crate) struct SessionView {
    id: SessionId,
    device_name: Option<String>,
    created_at: Timestamp,
    /// When it was begun or last refreshed.
    last_used: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

/// `GET /auth/sessions`.
pub(crate) async fn sessions(
    State(app): State<App>,
    claims: Claims,
) -> Result<impl IntoResponse, Problem> {
    let sessions = device::sessions(&app, &claims, app.clock.now()).await?;
    let view = |session: Session| SessionView {
        id: session.session_id,
        device_name: session.device.and_then(|device| device.device_name),
        created_at: session.created_at,
        last_used: session.last_used_at,
        current: session.session_id == claims.session_id,
    };
    let sessions: Vec<_> = sessions.into_iter().map(view).collect();
    Ok(Json(Listed::from(sessions)))
}

/// `DELETE /auth/sessions/{session_id}`.
pub(crate) async fn end_session(
    State(app): State<App>,
    claims: Claims,
    PathParameter(session_id): PathParameter,
) -> Result<impl IntoResponse, Problem> {
    // What is no id names no session.
    let session_id = SessionId::parse(&session_id);
    let session_id = session_id.map_err(|_| device::not_found().report_after_authentication())?;
    device::end_session(&app, &claims, session_id, app.clock.now()).await?;
    Ok(Json(json!({ "message": "The session has ended." })))
}

/// `DELETE /auth/account`.
pub(crate) async fn delete_account(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    Query(forfeit): Query<ForfeitBalance>,
) -> Result<impl IntoResponse, Problem> {
    let deleted = account::delete(&app, &claims, forfeit, source, app.clock.now()).await?;
    Ok(Json(deleted))
}

/// `GET /auth/account/export`.
pub(crate) async fn export_account(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
) -> Result<impl IntoResponse, Problem> {
    let found = export::read(&app, &claims, source, app.clock.now()).await?;
    Ok(Json(found.view(app.config.currency)).into_response())
}

/// `GET /.well-known/jwks.json`: RFC 7517, with the key type of RFC 8037.
pub(crate) async fn jwks(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    app.mint.prepare(now).await?;
    let keys = app.public_keys.published(now).await?.into_iter().map(|(kid, key)| {
        let x = base64url(&key);
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x })
    });
    let keys: Vec<_> = keys.collect();
    Ok(([(header::CACHE_CONTROL, "public, max-age=300")], Json(json!({ "keys": keys }))))
}

/// `GET /health`: the function runs; nothing else is asked.
pub(crate) async fn health() -> impl IntoResponse {
    Json(json!({ "status": "ok" }))
}
