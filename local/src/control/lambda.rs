//! Lambda's Invoke API, for events of one's own, and the schedule's event.
//!
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use lambda_runtime::Diagnostic;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use shared::{http::operation::Function, runtime::clock::whole_second};

use super::{Control, Control_, only};
use crate::{
    aws::REGION,
    gateway::{Failed, MAX_INVOCATION_BYTES},
    problem::Problem,
    random,
};

/// Below `/_local`, which with `/lambda` is the endpoint's URL for clients of AWS.
pub(super) const PATH: &str = "/lambda/2015-03-31/functions/{function}/invocations";

/// The longest that a function has.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What a client of Lambda is told by name.
type ServiceError = (StatusCode, &'static str, String);

pub(super) fn route() -> MethodRouter<Arc<Control>> {
    only(post(invoke).layer(DefaultBodyLimit::max(MAX_INVOCATION_BYTES)), "POST")
}

/// Hands an event to a function as it stands, and its answer back as it stands.
async fn invoke(State(control): Control_, Path(name): Path<String>, event: Bytes) -> Response {
    let (function, event) = match read(&name, &event) {
        Ok(read) => read,
        Err((status, kind, message)) => {
            let kind_header = [(HeaderName::from_static("x-amzn-errortype"), kind)];
            return (status, kind_header, Json(json!({ "Type": "User", "Message": message })))
                .into_response();
        }
    };
    let mut answer = match control.invoker.invoke(function, event, TIMEOUT).await {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(failed) => {
            let unhandled = [(HeaderName::from_static("x-amz-function-error"), "Unhandled")];
            (unhandled, Json(diagnostic(failed))).into_response()
        }
    };
    let version = header::HeaderValue::from_static("$LATEST");
    answer.headers_mut().insert(HeaderName::from_static("x-amz-executed-version"), version);
    answer
}

fn read(name: &str, event: &[u8]) -> Result<(Function, String), ServiceError> {
    let function = Function::ALL.into_iter().find(|function| function.name() == name);
    let function = function.ok_or_else(|| {
        let message =
            format!("Function not found: arn:aws:lambda:{REGION}:000000000000:function:{name}");
        (StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
    })?;
    let text = std::str::from_utf8(event).ok();
    let text = text.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    let text = text.ok_or_else(|| {
        let message = "Could not parse request body into json".to_owned();
        (StatusCode::BAD_REQUEST, "InvalidRequestContentException", message)
    })?;
    Ok((function, text.to_owned()))
}

/// What Lambda says of an invocation that has no answer.
fn diagnostic(failed: Failed) -> Diagnostic {
    let error_message = failed.to_string();
    match failed {
        Failed::Error(diagnostic) => diagnostic,
        Failed::TimedOut(_) => {
            Diagnostic { error_type: "Sandbox.Timedout".to_owned(), error_message }
        }
        Failed::Crashed(_) => {
            Diagnostic { error_type: "Runtime.ExitError".to_owned(), error_message }
        }
    }
}

/// Invokes the function that sweeps with the event that EventBridge sends.
pub(super) async fn sweep(State(control): Control_) -> Result<Response, Problem> {
    let event = scheduled(&control).to_string();
    let swept = control.invoker.invoke(Function::Admin, event, TIMEOUT).await;
    let swept = swept.map_err(|failed| Problem::failed(&failed))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], swept).into_response())
}

fn scheduled(control: &Control) -> Value {
    json!({
        "version": "0",
        "id": random::uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": whole_second(control.clock.now()),
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:000000000000:rule/sweep")],
        "detail": {},
    })
}
