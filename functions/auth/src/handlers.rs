//! The operations at the edge.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::json;
use shared::{
    http::{Json, MaybeIdempotencyKey, Source},
    id::UserId,
    problem::Problem,
    secret::base64url,
    table::{account, kyc, profile, wallet},
    token::Claims,
    view,
};

use crate::{App, body, login, register, session, tokens::Tokens};

#[derive(Serialize)]
struct SignedIn {
    user_id: UserId,
    message: &'static str,
    #[serde(flatten)]
    tokens: Tokens,
}

/// `POST /auth/register`.
pub(crate) async fn register(
    State(app): State<App>,
    source: Source,
    Json(body): Json<body::Register>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let session = register::register(&app, body, source, now).await?;
    let tokens = app.mint.tokens(&session, now).await?;
    let answer = SignedIn { user_id: session.user_id, message: "The account was made.", tokens };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `POST /auth/login`.
pub(crate) async fn login(
    State(app): State<App>,
    source: Source,
    Json(body): Json<body::Login>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    let session = login::login(&app, body, source, now).await?;
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
        body::Logout::Of(token) => session::end(&app, &claims, &token, now).await?,
    }
    Ok(Json(json!({ "message": "You are signed out." })))
}

/// The tokens, also under the names that SimpleJWT clients read.
#[derive(Serialize)]
struct Refreshed {
    access: String,
    refresh: String,
    #[serde(flatten)]
    tokens: Tokens,
}

/// `POST /auth/refresh`.
pub(crate) async fn refresh(
    State(app): State<App>,
    source: Source,
    MaybeIdempotencyKey(key): MaybeIdempotencyKey,
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
            account::key(id).read_consistently(consistent),
            profile::key(id).read_consistently(consistent),
            kyc::key(id).read_consistently(consistent),
            wallet::balance_key(id).read_consistently(consistent),
        );
        let (_, found) = app.gate.enter(&claims, reads).await?;
        if let (Some(account), Some(profile), submission, Some(balance)) = found {
            let currency = app.config.currency;
            let user = view::user(&account, &profile, submission.as_ref(), &balance, currency);
            return Ok(Json(user).into_response());
        }
    }
    Err(Problem::internal("an account, its profile or its wallet is missing"))
}

/// `GET /.well-known/jwks.json`: RFC 7517, with the key type of RFC 8037.
pub(crate) async fn jwks(State(app): State<App>) -> impl IntoResponse {
    let keys = app.public_keys.published(app.clock.now()).into_iter().map(|(kid, key)| {
        let x = base64url(&key);
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x })
    });
    let keys: Vec<_> = keys.collect();
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(json!({ "keys": keys })))
}

/// `GET /health`: the function runs; nothing else is asked.
pub(crate) async fn health() -> impl IntoResponse {
    Json(json!({ "status": "ok" }))
}
