//! API Gateway's HTTP API, as far as this API can tell: every request becomes a payload 2.0 event
//! for one of the seven functions, and its answer becomes a response.

mod answer;
mod cors;
mod event;
mod function;
mod iam;
mod invoker;
mod limit;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::json;
use shared::http::operation::{self, Caller, DEFAULT_FUNCTION, Function, Lookup};

pub(crate) use self::{
    cors::Cors,
    function::Functions,
    invoker::{Failed, Invoker},
    limit::MAX_INVOCATION_BYTES,
};
use crate::{clock::MovableClock, random, staff::Staff};

/// How long an integration may take.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// What the gateway needs to answer.
pub(crate) struct Gateway {
    pub(crate) invoker: Invoker,
    pub(crate) clock: Arc<MovableClock>,
    pub(crate) cors: Option<Cors>,
    pub(crate) staff: Staff,
}

/// What the gateway answers by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: &'static str,
}

impl Refusal {
    const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message }
    }

    const BAD_REQUEST: Self = Self::new(StatusCode::BAD_REQUEST, "Bad Request");
    const FORBIDDEN: Self = Self::new(StatusCode::FORBIDDEN, "Forbidden");
    const TOO_LARGE: Self = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    const HEADERS_TOO_LARGE: Self =
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
    const FAILED: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    const TIMED_OUT: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, axum::Json(json!({ "message": self.message }))).into_response()
    }
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    key: String,
    /// The operation's path, with its parameters.
    template: Option<&'static str>,
    /// Whether the route has `AWS_IAM` authorization.
    is_for_services: bool,
    function: Function,
}

impl Route {
    fn of(method: &Method, path: &str) -> Self {
        match operation::find(method, path) {
            // HEAD finds an operation and has no route.
            Lookup::Found(operation) if operation.method == *method => Self {
                key: operation.route_key(),
                template: Some(operation.path),
                is_for_services: operation.caller == Caller::Service,
                function: operation.function,
            },
            _ => Self {
                key: "$default".to_owned(),
                template: None,
                is_for_services: false,
                function: DEFAULT_FUNCTION,
            },
        }
    }
}

/// Answers one request.
pub(crate) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let request_id = random::gateway_request_id();
    let (parts, body) = request.into_parts();
    let preflight = gateway.cors.as_ref().and_then(|cors| cors.preflight(&parts));
    let mut response = match preflight {
        Some(preflight) => preflight,
        None => gateway.answer(parts, body, peer, &request_id).await,
    };
    let name = HeaderName::from_static("apigw-requestid");
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(name, request_id);
    }
    response
}

impl Gateway {
    async fn answer(
        &self,
        parts: Parts,
        body: Body,
        peer: SocketAddr,
        request_id: &str,
    ) -> Response {
        let origin = parts.headers.get(header::ORIGIN).cloned();
        let answer = self.integrate(parts, body, peer, request_id).await;
        let mut response = answer.unwrap_or_else(Refusal::into_response);
        if let Some(cors) = &self.cors {
            cors.apply(origin.as_ref(), response.headers_mut());
        }
        response
    }

    async fn integrate(
        &self,
        mut parts: Parts,
        body: Body,
        peer: SocketAddr,
        request_id: &str,
    ) -> Result<Response, Refusal> {
        limit::check_headers(&parts)?;
        let body: Bytes = limit::read_body(body).await?;
        let route = Route::of(&parts.method, parts.uri.path());
        let now = self.clock.now();
        let identity = match route.is_for_services {
            true => {
                let identity = iam::identity(&parts, &body, self.clock.wall_now());
                Some(identity.ok_or(Refusal::FORBIDDEN)?)
            }
            false => None,
        };
        // After the signature, which may cover the header that this takes away.
        let source_ip = event::source_ip(&mut parts, peer)?;
        let event =
            event::Incoming { parts: &parts, body: &body, source_ip, identity, request_id, now };
        let event = event.to_json(&route.key, route.template)?;
        limit::check_event(&event)?;
        let answer = self.invoke(&route, event).await?;
        limit::check_answer(&answer)?;
        let is_head = parts.method == Method::HEAD;
        let response = answer::to_response(&answer, is_head).ok_or(Refusal::FAILED)?;
        if route.key == "POST /auth/register" && response.status() == StatusCode::CREATED {
            self.staff.promote().await;
        }
        Ok(response)
    }

    /// The function's answer, or what API Gateway makes of there being none.
    async fn invoke(&self, route: &Route, event: String) -> Result<String, Refusal> {
        let answer = self.invoker.invoke(route.function, event, INTEGRATION_TIMEOUT).await;
        answer.map_err(|failed| match failed {
            Failed::TimedOut(_) => Refusal::TIMED_OUT,
            failed => {
                tracing::error!(function = route.function.name(), %failed, "an invocation failed");
                Refusal::FAILED
            }
        })
    }
}

#[cfg(test)]
mod tests;
