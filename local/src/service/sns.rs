//! A stand-in for SNS: `Publish` to a phone number, by the query protocol.
//!
//! It refuses what AWS refuses and keeps what AWS would have sent.

mod attribute;
mod publish;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};

use crate::{
    outbox::{Channel, Outbox},
    random,
};

const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

/// A request's parameters.
type Parameters = BTreeMap<String, String>;

/// Why a request is refused: AWS's code and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    fn invalid_parameter(what: impl std::fmt::Display) -> Self {
        Self::new("InvalidParameter", format!("Invalid parameter: {what}"))
    }

    fn not_found(message: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::new("NotFound", message) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        xml(self.status, error_body("Sender", self.code, &self.message))
    }
}

/// The service.
pub(crate) fn router(outbox: Arc<Outbox>) -> Router {
    Router::new().route("/", post(act)).with_state(outbox)
}

async fn act(State(outbox): State<Arc<Outbox>>, body: Bytes) -> Response {
    let parameters: Parameters = form_urlencoded::parse(&body).into_owned().collect();
    match parameters.get("Action").map(String::as_str) {
        Some("Publish") => match publish::Sms::parse(&parameters) {
            Ok(sms) => {
                outbox.record(Channel::Sms, &sms.phone_number, &sms.message);
                published()
            }
            Err(refusal) => refusal.into_response(),
        },
        Some(action) => {
            let message = format!("Could not find operation {action} for version 2010-03-31");
            Refusal::new("InvalidAction", message).into_response()
        }
        None => Refusal::new("MissingAction", "Action is missing").into_response(),
    }
}

fn published() -> Response {
    let (message_id, request_id) = (random::uuid(), random::uuid());
    let body = format!(
        "<PublishResponse xmlns=\"{NAMESPACE}\"><PublishResult><MessageId>{message_id}</MessageId></PublishResult>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></PublishResponse>"
    );
    xml(StatusCode::OK, body)
}

/// What SNS says when it refuses. `fault` is `Sender` or `Receiver`.
pub(crate) fn error_body(fault: &str, code: &str, message: &str) -> String {
    let (message, request_id) = (escaped(message), random::uuid());
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{fault}</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn xml(status: StatusCode, body: String) -> Response {
    let request_id = HeaderName::from_static("x-amzn-requestid");
    let headers = [(header::CONTENT_TYPE, "text/xml".to_owned()), (request_id, random::uuid())];
    (status, headers, body).into_response()
}
