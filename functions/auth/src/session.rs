//! Refreshing and ending sessions.

use jiff::Timestamp;
use shared::{
    audit::{self, Action},
    crypto::secret::Digest,
    dynamodb::Transaction,
    http::{
        ClientIp, IdempotencyKey,
        problem::{Code, Problem},
    },
    runtime::metrics::Metric,
    session::{self, RefreshOutcome, RefreshToken, Session, access_token::Claims, authentication},
};

use crate::app::App;

/// The session one step further, or the same step again for the one who took it.
pub(crate) async fn refresh(
    app: &App,
    text: &str,
    key: Option<IdempotencyKey>,
    source: ClientIp,
    now: Timestamp,
) -> Result<Session, Problem> {
    let token = read(app, text, now).await?.ok_or_else(invalid)?;
    let key = key.map(|key| Digest::sha256(&[b"refresh step", key.as_bytes()]));
    let RefreshToken { user_id, session_id, counter, .. } = token;
    let refreshed = session::refresh(&app.store, user_id, session_id, counter, key, now).await?;
    match refreshed {
        RefreshOutcome::Refreshed(session) => Ok(*session),
        RefreshOutcome::Ended => Err(invalid()),
        RefreshOutcome::Theft(session) => {
            app.metrics.count(Metric::RefreshTheft, now);
            end_stolen(app, &session, source, now).await?;
            let detail =
                "It was used before by somebody else. The session has ended: sign in again.";
            Err(Problem::new(Code::RefreshTokenReused, detail))
        }
    }
}

async fn read(app: &App, text: &str, now: Timestamp) -> Result<Option<RefreshToken>, Problem> {
    match RefreshToken::parse(text) {
        Ok(unverified) => app.mint.read(unverified, now).await,
        Err(_) => Ok(None),
    }
}

/// 401, or at logout 400: not ours, or of a session that is over.
fn invalid() -> Problem {
    Problem::new(Code::InvalidRefreshToken, "Sign in again.")
}

async fn end_stolen(
    app: &App,
    session: &Session,
    source: ClientIp,
    now: Timestamp,
) -> Result<(), Problem> {
    let mut transaction = Transaction::default();
    session::remove(&mut transaction, (), session);
    let action = Action::RefreshTokenReused;
    audit::add_own(&mut transaction, (), session.user_id, action, source, now)?;
    // The only condition is that the audit entry is new, and its id is.
    app.store.commit(transaction).await.map(drop)?;
    if let Err(problem) = session::release_device(&app.store, session).await {
        tracing::warn!(cause = problem.cause_chain(), "a device was not released");
    }
    Ok(())
}

/// Ends the session of one of the caller's refresh tokens. That the caller's own session lives
/// is the condition of its deletion where it is the one, and read before where it is another.
pub(crate) async fn end(
    app: &App,
    claims: &Claims,
    (field, text): (&'static str, &str),
    now: Timestamp,
) -> Result<(), Problem> {
    let token = read(app, text, now).await?.filter(|token| token.user_id == claims.user_id);
    let Some(token) = token else {
        app.authenticator.authenticate(claims, ()).await?;
        let detail = "It is not a refresh token of yours.";
        return Err(Problem::field(Code::InvalidRefreshToken, field, detail)
            .with_status(http::StatusCode::BAD_REQUEST));
    };
    if token.session_id != claims.session_id {
        app.authenticator.authenticate(claims, ()).await?;
        // One that is over already is what was asked for.
        session::end_if_live(&app.store, token.user_id, token.session_id, now).await?;
        return Ok(());
    }
    match session::end_if_live(&app.store, token.user_id, token.session_id, now).await? {
        true => Ok(()),
        false => Err(authentication::session_ended()),
    }
}

/// Ends every session of the caller, their own last: after a failure they can ask again.
pub(crate) async fn end_all(app: &App, claims: &Claims) -> Result<(), Problem> {
    let mut sessions = session::list(&app.store, claims.user_id, true).await?;
    let own = sessions.iter().position(|session| session.session_id == claims.session_id);
    let own = own.map(|at| sessions.remove(at));
    app.authenticator.require_live(own.clone())?;
    sessions.extend(own);
    session::end_all(&app.store, &sessions).await
}
