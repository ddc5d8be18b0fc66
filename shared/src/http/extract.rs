//! What every answer has in common, and what handlers extract from a request.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{FromRef, FromRequest, FromRequestParts, Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use lambda_http::request::RequestContext;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    http::{
        fields::{Body, Fields, List},
        operation::{self, Lookup},
        problem::{Code, Problem},
    },
    runtime::{
        clock::Clock,
        config::{Config, DefaultRoute},
    },
    value::{Context, Invalid},
};

/// The largest body that is read, bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long an operation may take before it is answered 503: less than API Gateway waits.
const DEADLINE: Duration = Duration::from_secs(20);

/// Puts around a function's routes what every answer needs: 404 and 405 problems, the request's
/// id, the security headers, one log line.
pub fn with_common_layers(routes: Router, config: &Config) -> Router {
    let answer = middleware::from_fn_with_state(config.default_route, answer);
    routes.fallback(not_found).layer(answer)
}

async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "No operation has this path.")
}

async fn answer(
    State(default_route): State<DefaultRoute>,
    request: Request,
    next: Next,
) -> Response {
    let request_id = request_id(request.extensions());
    let (operation, response) = match find(&request, default_route) {
        Lookup::Found(operation) => {
            let answered = tokio::time::timeout(DEADLINE, next.run(request)).await;
            let response = answered.unwrap_or_else(|_| {
                Problem::unavailable("the request took too long").into_response()
            });
            (operation.route_key(), response)
        }
        Lookup::OtherMethods(methods) => {
            ("$default".to_owned(), Problem::method_not_allowed(&methods).into_response())
        }
        Lookup::Unknown => ("$default".to_owned(), not_found().await.into_response()),
    };
    let problem = response.extensions().get::<Arc<Problem>>().cloned();
    let mut response = match &problem {
        Some(problem) => problem.render(&request_id),
        None => response,
    };
    log(&operation, &request_id, response.status(), problem.as_deref());
    protect(response.headers_mut(), &request_id);
    response
}

/// What a request leads to. API Gateway matches routes before it decodes the path, so a request that
/// arrives by `$default` may have the path of an operation by now (`/auth%2Flogin`). It did not pass
/// that route's throttle and authorization, and its path is not the documented one: 404.
fn find(request: &Request, default_route: DefaultRoute) -> Lookup {
    let found = operation::find(request.method(), request.uri().path());
    let Lookup::Found(operation) = &found else { return found };
    let route_key = match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.route_key.as_deref(),
        _ => None,
    };
    let is_routed = route_key.is_some_and(|key| key == operation.route_key());
    let has_no_route = operation.method != *request.method();
    match is_routed || has_no_route || default_route == DefaultRoute::Serve {
        true => found,
        false => Lookup::Unknown,
    }
}

fn request_id(extensions: &http::Extensions) -> String {
    match extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    }
    .unwrap_or_default()
}

/// Logs an answer, and what only the operator may know of its problem, once.
fn log(operation: &str, request_id: &str, status: StatusCode, problem: Option<&Problem>) {
    let status = status.as_u16();
    let code = problem.map(|problem| problem.code().as_str());
    let cause = problem.and_then(Problem::cause_chain);
    if status >= 500 {
        tracing::error!(operation, request_id, status, code, cause, "answered");
    } else {
        tracing::info!(operation, request_id, status, code, cause, "answered");
    }
}

fn protect(headers: &mut HeaderMap, request_id: &str) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
}

/// A JSON body: extracted with every bad field named, answered as `application/json`.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

impl<T, S> FromRequest<S> for Json<T>
where
    T: Body,
    Arc<Config>: FromRef<S>,
    Clock: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let object = object(request).await;
        let fields = object.map(|object| Fields::new(object, fields_context(state)));
        let read = fields.and_then(|fields| fields.parse().map_err(Problem::validation));
        read.map(Self).map_err(Problem::report_after_authentication)
    }
}

fn fields_context<S>(state: &S) -> Context
where
    Arc<Config>: FromRef<S>,
    Clock: FromRef<S>,
{
    let config = Arc::<Config>::from_ref(state);
    let now = Clock::from_ref(state).now();
    let reserved_usernames = config.reserved_usernames.clone();
    Context { region: config.phone_region, currency: config.currency, now, reserved_usernames }
}

/// The query's parameters, read like a body's fields. Those that nothing reads are ignored.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: Body,
    Arc<Config>: FromRef<S>,
    Clock: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let fields = Fields::from_query(query, fields_context(state));
        let read = fields.parse().map(Self).map_err(Problem::validation);
        read.map_err(Problem::report_after_authentication)
    }
}

/// The query's parameters of a list, none of which is unknown: a mistyped filter must not return
/// everything.
#[derive(Debug)]
pub struct ListQuery<T>(pub T);

impl<T, S> FromRequestParts<S> for ListQuery<T>
where
    T: List,
    Arc<Config>: FromRef<S>,
    Clock: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        read_list(query, fields_context(state))
            .map(Self)
            .map_err(Problem::report_after_authentication)
    }
}

/// Reads the query of a list.
///
/// # Errors
/// 400 `unknown_parameter` where a parameter is unknown, else 400 `validation_failed`: each names all
/// that is wrong.
pub fn read_list<T: List>(query: &str, context: Context) -> Result<T, Problem> {
    let fields = Fields::from_query(query, context);
    let mut errors = fields.unknown_parameters(T::PARAMETERS);
    let code = match errors.is_empty() {
        true => Code::ValidationFailed,
        false => Code::UnknownParameter,
    };
    match fields.parse() {
        Ok(list) if errors.is_empty() => Ok(list),
        Ok(_) => Err(Problem::fields(code, errors)),
        Err(others) => {
            errors.extend(others);
            Err(Problem::fields(code, errors))
        }
    }
}

/// Reads the object. A body that was lost on its way never counts as an empty object.
async fn object(request: Request) -> Result<Map<String, Value>, Problem> {
    let (parts, body) = request.into_parts();
    if !is_identity(&parts.headers) {
        return Err(Problem::encoded_body());
    }
    let bytes = axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .map_err(|_| Problem::new(Code::BodyTooLarge, "A body may be 64 KiB long."))?;
    if bytes.is_empty() {
        return Err(Problem::new(Code::InvalidJson, "This operation needs a JSON object."));
    }
    if !is_json(&parts.headers) {
        let detail = "Send the body as application/json.";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::new(Code::InvalidJson, "The body must be a JSON object.")),
        Err(error) => {
            let place = format!("Line {}, column {}.", error.line(), error.column());
            Err(Problem::new(Code::InvalidJson, place))
        }
    }
}

/// Whether the body is sent as it is. An empty list member says nothing (RFC 9110, section 5.6.1).
fn is_identity(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings.all(|coding| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    })
}

/// The one parameter of a path. A text that cannot be one names nothing: 404.
#[derive(Debug)]
pub struct PathParameter(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathParameter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameter = Path::<String>::from_request_parts(parts, state).await;
        let nothing = |_| Problem::new(Code::NotFound, "There is no such thing.");
        let Path(parameter) =
            parameter.map_err(nothing).map_err(Problem::report_after_authentication)?;
        Ok(Self(parameter))
    }
}

/// Where a request came from, as API Gateway saw it; no header can change it.
///
/// Limits treat an IPv6 /64 as one address: it is what one subscriber gets.
#[derive(Debug, Clone, Copy)]
pub struct ClientIp(IpAddr);

impl ClientIp {
    /// The bytes that a limit counts by.
    pub fn limit_key(self) -> Vec<u8> {
        match self.0.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        }
    }

    /// The address without what tells one subscriber from another: an IPv4 /24, an IPv6 /48.
    pub fn truncated(self) -> String {
        match self.0.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let address = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        address
            .and_then(|text| text.parse().ok())
            .map(Self)
            .ok_or_else(|| Problem::internal("the event has no source address"))
    }
}

/// The `Idempotency-Key` header: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    const INVALID: Invalid = Invalid {
        code: "invalid_idempotency_key",
        detail: "This header must be 1 to 255 visible ASCII characters.",
    };

    /// Reads a header's value.
    pub fn parse(value: &[u8]) -> Result<Self, Invalid> {
        let fits = (1..=255).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        match std::str::from_utf8(value) {
            Ok(text) if fits => Ok(Self(text.to_owned())),
            _ => Err(Self::INVALID),
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The idempotency key of a request that may carry one.
#[derive(Debug)]
pub struct OptionalIdempotencyKey(pub Option<IdempotencyKey>);

impl<S: Sync> FromRequestParts<S> for OptionalIdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        const NAME: &str = "Idempotency-Key";
        let Some(value) = parts.headers.get(NAME) else { return Ok(Self(None)) };
        let key = IdempotencyKey::parse(value.as_bytes());
        let invalid = |invalid| Problem::invalid(NAME, invalid).report_after_authentication();
        key.map(|key| Self(Some(key))).map_err(invalid)
    }
}

/// The idempotency key of a request that must carry one.
#[derive(Debug)]
pub struct RequiredIdempotencyKey(pub IdempotencyKey);

impl<S: Sync> FromRequestParts<S> for RequiredIdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        const MISSING: Invalid =
            Invalid { code: "required", detail: "Send an Idempotency-Key header." };
        let OptionalIdempotencyKey(key) =
            OptionalIdempotencyKey::from_request_parts(parts, state).await?;
        let missing = || Problem::invalid("Idempotency-Key", MISSING).report_after_authentication();
        key.map(Self).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_counted_by_what_one_subscriber_gets() {
        let key = |text: &str| ClientIp(text.parse().unwrap()).limit_key();
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        let truncated = |text: &str| ClientIp(text.parse().unwrap()).truncated();
        assert_eq!(truncated("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(truncated("2001:db8:1:2::1"), "2001:db8:1::/48");
    }

    #[test]
    fn an_idempotency_key_is_visible_ascii() {
        assert!(IdempotencyKey::parse(b"a").is_ok());
        assert!(IdempotencyKey::parse(&[b'a'; 255]).is_ok());
        for bad in [&b""[..], &[b'a'; 256], b"a b", b"\xc3\xa9", b"a\n"] {
            assert!(IdempotencyKey::parse(bad).is_err());
        }
    }

    #[test]
    fn rfc_9110_only_identity_is_no_encoding() {
        let judge = |values: &[&'static str]| {
            let values = values
                .iter()
                .map(|value| (header::CONTENT_ENCODING, HeaderValue::from_static(value)));
            is_identity(&values.fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            }))
        };
        for plain in [&[][..], &[""], &["identity"], &["Identity"], &["identity, identity", ""]] {
            assert!(judge(plain), "{plain:?}");
        }
        for coded in [&["gzip"][..], &["identity, gzip"], &["identity", "br"], &["x"], &["gzip,"]] {
            assert!(!judge(coded), "{coded:?}");
        }
    }

    #[test]
    fn only_json_counts_as_json() {
        let judge = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(
                header::CONTENT_TYPE,
                HeaderValue::from_static(value),
            )]))
        };
        assert!(judge("application/json"));
        assert!(judge("Application/JSON; charset=utf-8"));
        assert!(!judge("text/json"));
        assert!(!judge("application/jsonp"));
    }
}
