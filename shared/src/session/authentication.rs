//! From a bearer token to a person who is signed in.
//!
//! [`Claims`] are a token that verifies. A [`Principal`] is a session that lives. Only the authenticator
//! turns one into the other, in the very round trip that fetches the data: a revoked session is
//! refused at the next request, and the check costs no extra latency.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, FromRequestParts, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{header, request::Parts};
use jiff::Timestamp;
use lambda_http::request::RequestContext;

use crate::{
    audit::{self, Action, Record},
    crypto::keyring::PublicKeys,
    dynamodb::{KeySet, Store},
    http::{
        ClientIp,
        operation::{self, Caller, Lookup},
        problem::{Code, Problem},
    },
    runtime::{
        clock::Clock,
        config::Config,
        lambda::{Environment, StartError},
    },
    session::{
        self, Session,
        access_token::{self, Claims},
    },
    value::UserId,
};

/// Whoever is signed in: the holder of a live session.
#[derive(Debug, Clone)]
pub struct Principal {
    session: Session,
}

impl Principal {
    /// The account.
    pub fn user_id(&self) -> UserId {
        self.session.user_id
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

/// A member of staff: the holder of a live session of a staff account, as the session says it at
/// this request.
#[derive(Debug, Clone)]
pub struct Staff {
    session: Session,
    source: ClientIp,
}

impl Staff {
    /// The member's own account.
    pub fn user_id(&self) -> UserId {
        self.session.user_id
    }

    /// An audit record of what they do to `subject`.
    pub fn record(&self, subject: UserId, action: Action) -> Record {
        Record::by(self.user_id(), subject, action, self.source)
    }
}

/// Checks tokens, and sessions beside the data.
#[derive(Debug, Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    store: Store,
    keys: PublicKeys,
    config: Arc<Config>,
    clock: Clock,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

impl Authenticator {
    /// An authenticator with the deployment's public keys and sessions.
    pub async fn load(environment: &Environment, store: &Store) -> Result<Self, StartError> {
        let keys = PublicKeys::load(store, environment.clock.now()).await?;
        Ok(Self::with_keys(environment, store, keys))
    }

    /// The same, over keys that are loaded already.
    pub fn with_keys(environment: &Environment, store: &Store, keys: PublicKeys) -> Self {
        let Environment { config, clock, .. } = environment.clone();
        Self(Arc::new(Inner { store: store.clone(), keys, config, clock }))
    }

    /// Puts the authenticator before a function's routes as well, for requests that are refused before a
    /// handler enters it: who may not come in is told that, and nothing of what they sent. Only such
    /// requests cost a round trip more.
    pub fn guard(&self, routes: Router) -> Router {
        routes.layer(middleware::from_fn_with_state(self.clone(), first))
    }

    /// Refuses who may not call this operation.
    async fn authorize(&self, parts: &mut Parts) -> Result<(), Problem> {
        let Lookup::Found(operation) = operation::find(&parts.method, parts.uri.path()) else {
            return Ok(());
        };
        if !matches!(operation.caller, Caller::User | Caller::Staff) {
            return Ok(());
        }
        let claims = Claims::from_request_parts(parts, self).await?;
        if operation.caller == Caller::User {
            return self.authenticate(&claims, ()).await.map(drop);
        }
        let source = ClientIp::from_request_parts(parts, self).await?;
        self.authenticate_staff(&claims, source, ()).await.map(drop)
    }

    /// Reads `reads` and the session of `claims` together, and answers both if the session lives.
    pub async fn authenticate<R: KeySet>(
        &self,
        claims: &Claims,
        reads: R,
    ) -> Result<(Principal, R::Items), Problem> {
        let session = session::key(claims.user_id, claims.session_id).consistent();
        let (session, found) = self.0.store.read((session, reads)).await?;
        Ok((self.require_live(session)?, found))
    }

    /// Checks the session of `claims` while `reading` is under way, and answers what was read only
    /// if the session lives: for what a batch of keys cannot say.
    pub async fn authenticate_while<T>(
        &self,
        claims: &Claims,
        reading: impl Future<Output = Result<T, Problem>>,
    ) -> Result<(Principal, T), Problem> {
        let (entered, found) = tokio::join!(self.authenticate(claims, ()), reading);
        let (principal, ()) = entered?;
        Ok((principal, found?))
    }

    /// As [`Self::authenticate`], for staff only. Who is not is refused, and that is audited.
    ///
    /// # Errors
    /// 403 `forbidden`.
    pub async fn authenticate_staff<R: KeySet>(
        &self,
        claims: &Claims,
        source: ClientIp,
        reads: R,
    ) -> Result<(Staff, R::Items), Problem> {
        let (principal, found) = self.authenticate(claims, reads).await?;
        Ok((self.require_staff(principal, source).await?, found))
    }

    /// As [`Self::authenticate_while`], for staff only. Who is not is refused, and that is audited.
    ///
    /// # Errors
    /// 403 `forbidden`.
    pub async fn authenticate_staff_while<T>(
        &self,
        claims: &Claims,
        source: ClientIp,
        reading: impl Future<Output = Result<T, Problem>>,
    ) -> Result<(Staff, T), Problem> {
        let (entered, found) = tokio::join!(self.authenticate(claims, ()), reading);
        let staff = self.require_staff(entered?.0, source).await?;
        Ok((staff, found?))
    }

    async fn require_staff(
        &self,
        principal: Principal,
        source: ClientIp,
    ) -> Result<Staff, Problem> {
        let Principal { session } = principal;
        if session.is_staff {
            return Ok(Staff { session, source });
        }
        let record = Record::own(session.user_id, Action::StaffRefused, source);
        audit::write(&self.0.store, &record, self.0.clock.now()).await?;
        Err(Problem::new(Code::Forbidden, "This operation is for staff."))
    }

    /// Refuses a member of staff who asks to do to themselves what only another may; that is
    /// audited.
    ///
    /// # Errors
    /// 403 `own_account`.
    pub async fn require_other_account(
        &self,
        staff: &Staff,
        subject: UserId,
    ) -> Result<(), Problem> {
        if subject != staff.user_id() {
            return Ok(());
        }
        let record = staff.record(subject, Action::OwnAccountRefused);
        audit::write(&self.0.store, &record, self.0.clock.now()).await?;
        Err(Problem::new(Code::OwnAccount, "Ask another member of staff."))
    }

    /// A principal, if the session is there and has not run out.
    pub fn require_live(&self, session: Option<Session>) -> Result<Principal, Problem> {
        match session {
            Some(session) if session.is_live(self.0.clock.now()) => Ok(Principal { session }),
            _ => Err(session_ended()),
        }
    }

    async fn verify(&self, token: &[u8], now: Timestamp) -> Result<Claims, Problem> {
        let invalid = || Problem::new(Code::InvalidAccessToken, "Refresh the session.");
        let token = std::str::from_utf8(token).map_err(|_| invalid())?;
        let kid = access_token::kid(token).ok_or_else(invalid)?;
        let keys = self.0.keys.with(&kid, now).await?;
        keys.verify(&self.0.config.token, token, now).ok_or_else(invalid)
    }
}

async fn first(
    State(authenticator): State<Authenticator>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let response = next.run(Request::from_parts(parts.clone(), body)).await;
    let problem = response.extensions().get::<Arc<Problem>>();
    if !problem.is_some_and(|problem| problem.is_reported_after_authentication()) {
        return response;
    }
    authenticator.authorize(&mut parts).await.map_or_else(Problem::into_response, |()| response)
}

/// A program that API Gateway let in by its IAM identity.
#[derive(Debug, Clone)]
pub struct Service {
    arn: String,
}

impl Service {
    /// The ARN of the identity.
    pub fn arn(&self) -> &str {
        &self.arn
    }
}

impl<S: Sync> FromRequestParts<S> for Service {
    type Rejection = Problem;

    /// Only API Gateway writes the request context: a path or a header proves nothing.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let identity = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                context.authorizer.as_ref().and_then(|authorizer| authorizer.iam.as_ref())
            }
            _ => None,
        };
        let arn = identity.and_then(|identity| identity.user_arn.clone());
        let arn = arn.filter(|arn| !arn.is_empty());
        arn.map(|arn| Self { arn }).ok_or_else(|| {
            Problem::new(Code::Forbidden, "This operation is for services with an IAM identity.")
        })
    }
}

/// How long ago a credential may have been presented for what needs a fresh sign-in, seconds.
pub const RECENT_SIGN_IN_SECONDS: i64 = 10 * 60;

/// Refuses a token whose sign-in is not fresh (ASVS 7.5.1).
///
/// # Errors
/// 403 `reauthentication_required`.
pub fn require_recent_sign_in(claims: &Claims, now: Timestamp) -> Result<(), Problem> {
    match now.as_second() - claims.auth_time.as_second() <= RECENT_SIGN_IN_SECONDS {
        true => Ok(()),
        false => Err(Problem::new(
            Code::ReauthenticationRequired,
            "Present a credential again: POST /auth/reauthenticate.",
        )),
    }
}

/// 401: the token is good, the session is not.
pub fn session_ended() -> Problem {
    Problem::new(Code::SessionEnded, "Sign in again.")
}

impl<S> FromRequestParts<S> for Claims
where
    Authenticator: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let authenticator = Authenticator::from_ref(state);
        let token = bearer(parts).ok_or_else(|| {
            let detail = "Send Authorization: Bearer and an access token.";
            Problem::new(Code::AuthenticationRequired, detail)
        })?;
        authenticator.verify(token, authenticator.0.clock.now()).await
    }
}

/// The token of RFC 6750, section 2.1, whatever its bytes are: an unreadable one was presented too.
/// The case of the scheme does not matter (RFC 9110, section 11.1).
fn bearer(parts: &Parts) -> Option<&[u8]> {
    let value = parts.headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}
