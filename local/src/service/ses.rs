//! A stand-in for SES v2: `SendEmail`.
//!
//! Every sender counts as verified. It refuses what AWS refuses and keeps what AWS would have sent.

mod address;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use crate::{
    outbox::{Channel, Outbox},
    random,
};

/// AWS's own limits: a message and its recipients.
const MAX_REQUEST_BYTES: usize = 40 * 1024 * 1024;
const MAX_RECIPIENTS: usize = 50;

/// Why a request is refused: AWS's code and its message, which can be null.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: Some(message.into()) }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
    }

    fn missing(member: &str) -> Self {
        Self::bad_request(format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must not be null"
        ))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error_type = HeaderName::from_static("x-amzn-errortype");
        let request_id = HeaderName::from_static("x-amzn-requestid");
        let headers = [(error_type, self.code.to_owned()), (request_id, random::uuid())];
        (self.status, headers, Json(json!({ "message": self.message }))).into_response()
    }
}

/// An e-mail that AWS would send.
#[derive(Debug, PartialEq, Eq)]
struct Email {
    recipients: Vec<String>,
    body: String,
}

/// The service.
pub(crate) fn router(outbox: Arc<Outbox>) -> Router {
    let unknown = || async {
        Refusal {
            message: None,
            ..Refusal::new(StatusCode::NOT_FOUND, "UnknownOperationException", "")
        }
    };
    Router::new()
        .route("/v2/email/outbound-emails", post(send))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(outbox)
}

async fn send(State(outbox): State<Arc<Outbox>>, body: Bytes) -> Result<Response, Refusal> {
    let request: Value = serde_json::from_slice(&body).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, "SerializationException", error.to_string())
    })?;
    let email = Email::parse(&request)?;
    for recipient in &email.recipients {
        outbox.record(Channel::Email, recipient, &email.body);
    }
    let message_id = format!("{}-{}-000000", random::hex::<8>(), random::uuid());
    Ok(Json(json!({ "MessageId": message_id })).into_response())
}

impl Email {
    fn parse(request: &Value) -> Result<Self, Refusal> {
        let content = &request["Content"];
        if !content.is_object() {
            return Err(Refusal::missing("content"));
        }
        if let Some(name) = content["Template"]["TemplateName"].as_str() {
            let message = format!("Template {name} does not exist");
            return Err(Refusal::new(StatusCode::NOT_FOUND, "NotFoundException", message));
        }
        let simple = &content["Simple"];
        if !simple.is_object() {
            return Err(Refusal::bad_request(
                "Content must be one of Simple, Raw, Template: only Simple is served here",
            ));
        }
        check_sender(request)?;
        let recipients = recipients(&request["Destination"])?;
        for address in strings(&request["ReplyToAddresses"])? {
            address::check(&address).map_err(Refusal::bad_request)?;
        }
        if recipients.is_empty() {
            return Err(Refusal::bad_request("Must specify at least one destination address."));
        }
        if recipients.len() > MAX_RECIPIENTS {
            return Err(Refusal::bad_request("Recipient count exceeds 50."));
        }
        let recipients =
            recipients.iter().map(|recipient| address::bare(recipient).to_owned()).collect();
        Ok(Self { recipients, body: body(simple)? })
    }
}

fn check_sender(request: &Value) -> Result<(), Refusal> {
    match request["FromEmailAddress"].as_str() {
        // AWS answers a null message here.
        None | Some("") => Err(Refusal { message: None, ..Refusal::bad_request("") }),
        Some(sender) => address::check(sender).map_err(Refusal::bad_request),
    }
}

/// To, Cc and Bcc, in the order in which AWS checks them.
fn recipients(destination: &Value) -> Result<Vec<String>, Refusal> {
    let mut recipients = Vec::new();
    for member in ["ToAddresses", "CcAddresses", "BccAddresses"] {
        for recipient in strings(&destination[member])? {
            address::check(&recipient).map_err(Refusal::bad_request)?;
            recipients.push(recipient);
        }
    }
    Ok(recipients)
}

fn strings(list: &Value) -> Result<Vec<String>, Refusal> {
    let serialization = |_| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "SerializationException",
            "Expected a list of strings",
        )
    };
    match list {
        Value::Null => Ok(Vec::new()),
        list => serde_json::from_value(list.clone()).map_err(serialization),
    }
}

/// The text, or the HTML where there is no text.
fn body(simple: &Value) -> Result<String, Refusal> {
    match simple["Subject"]["Data"].as_str() {
        None => return Err(Refusal::missing("content.simple.subject.data")),
        Some("") => return Err(Refusal::bad_request("Subject cannot be empty.")),
        Some(_) => {}
    }
    let text = simple["Body"]["Text"]["Data"].as_str();
    match text.or_else(|| simple["Body"]["Html"]["Data"].as_str()) {
        None => Err(Refusal::missing("content.simple.body")),
        Some("") => Err(Refusal::bad_request("Body cannot be empty.")),
        Some(body) => Ok(body.to_owned()),
    }
}
