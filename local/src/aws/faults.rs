//! Faults on demand: what AWS answers on a bad day.

use std::sync::Mutex;

use aws_smithy_runtime_api::{
    client::{
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    call::{Call, Service},
    stale::OldReadings,
};
use crate::{random, sync::lock};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The service answers that it is asked too often.
    Throttle,
    /// DynamoDB answers that another transaction was under way. Nothing is written.
    Conflict,
    /// The call never reaches the service.
    Timeout,
    /// The service answers 500. Nothing is done.
    #[serde(rename = "error_500")]
    Error500,
    /// The call is carried out and its answer never comes.
    LostResponse,
    /// An eventually consistent read of DynamoDB finds what the first one found.
    Stale,
}

/// After `after` calls of a service, or of one of its operations, that go well, the next `times` go
/// wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    pub(crate) service: Service,
    pub(crate) operation: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) after: u32,
    pub(crate) times: u32,
}

/// Faults that can be waiting at a time.
pub(crate) const MAX_WAITING: usize = 1_000;

/// There are [`MAX_WAITING`] faults already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_WAITING} faults are waiting already: DELETE them, or let them be met")]
pub(crate) struct TooMany;

/// The faults still to come, first come first served.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pending: Mutex<Vec<Fault>>,
    pub(crate) old_readings: OldReadings,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> Result<(), TooMany> {
        let mut waiting = lock(&self.pending);
        if waiting.len() == MAX_WAITING {
            return Err(TooMany);
        }
        waiting.push(fault);
        Ok(())
    }

    pub(crate) fn clear(&self) {
        lock(&self.pending).clear();
        self.old_readings.clear();
    }

    /// The faults that are still to come, with what is left of `after` and `times`.
    pub(crate) fn pending(&self) -> Vec<Fault> {
        lock(&self.pending).clone()
    }

    /// The fault that `call` meets, used up by one.
    pub(crate) fn take(&self, call: &Call) -> Option<Kind> {
        let mut faults = lock(&self.pending);
        let meets = |fault: &Fault| {
            let operation = fault.operation.as_ref();
            fault.service == call.service && operation.is_none_or(|name| *name == call.operation)
        };
        let position = faults.iter().position(meets)?;
        if faults[position].after > 0 {
            faults[position].after -= 1;
            return None;
        }
        let kind = faults[position].kind;
        faults[position].times -= 1;
        if faults[position].times == 0 {
            faults.remove(position);
        }
        Some(kind)
    }
}

/// A call without an answer.
pub(crate) fn timed_out() -> ConnectorError {
    let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "a fault that was asked for");
    ConnectorError::timeout(error.into())
}

/// The answer that `kind` makes `call` meet, if it makes one.
pub(crate) fn answer(kind: Kind, call: &Call, request: &HttpRequest) -> Option<HttpResponse> {
    let answer = match (kind, call.service) {
        (Kind::Throttle, Service::Dynamodb) => dynamodb(
            400,
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded.",
        ),
        (Kind::Throttle, Service::S3) => s3(503, "SlowDown", "Please reduce your request rate."),
        (Kind::Throttle, Service::Sns) => sns(400, "Sender", "Throttling", "Rate exceeded"),
        (Kind::Throttle, Service::Ses) => ses(
            429,
            "TooManyRequestsException",
            "Too many requests have been made to the operation.",
        ),
        (Kind::Error500, Service::Dynamodb) => {
            dynamodb(500, "InternalServerError", "Internal server error")
        }
        (Kind::Error500, Service::S3) => {
            s3(500, "InternalError", "We encountered an internal error. Please try again.")
        }
        (Kind::Error500, Service::Sns) => {
            sns(500, "Receiver", "InternalError", "An internal service error occurred.")
        }
        (Kind::Error500, Service::Ses) => {
            ses(500, "InternalServiceErrorException", "An internal service error occurred.")
        }
        (Kind::Conflict, _) => conflict(call, request),
        (Kind::Timeout | Kind::LostResponse | Kind::Stale, _) => return None,
    };
    Some(answer)
}

/// The answer to a call that the caller may not make.
pub(crate) fn denied(call: &Call) -> HttpResponse {
    let message = "User is not authorized to perform this action.";
    match call.service {
        Service::S3 => s3(403, "AccessDenied", "Access Denied"),
        Service::Sns => sns(403, "Sender", "AuthorizationError", message),
        Service::Ses => ses(403, "AccessDeniedException", message),
        Service::Dynamodb => dynamodb(400, "AccessDeniedException", message),
    }
}

/// A transaction is cancelled, with a reason for each of its items; anything else is refused.
fn conflict(call: &Call, request: &HttpRequest) -> HttpResponse {
    let conflict = "Transaction is ongoing for the item";
    if !call.operation.starts_with("Transact") {
        return dynamodb(400, "TransactionConflictException", conflict);
    }
    let body: Value =
        serde_json::from_slice(request.body().bytes().unwrap_or(b"")).unwrap_or_default();
    let count = body["TransactItems"].as_array().map_or(1, Vec::len).max(1);
    let mut reasons = vec![json!({"Code": "None"}); count - 1];
    reasons.insert(0, json!({"Code": "TransactionConflict", "Message": conflict}));
    let codes: Vec<_> = reasons.iter().filter_map(|reason| reason["Code"].as_str()).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    json_answer(
        400,
        "application/x-amz-json-1.0",
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": message,
            "CancellationReasons": reasons,
        }),
    )
}

fn dynamodb(status: u16, code: &str, message: &str) -> HttpResponse {
    let body =
        json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message});
    json_answer(status, "application/x-amz-json-1.0", &body)
}

fn ses(status: u16, code: &str, message: &str) -> HttpResponse {
    let mut answer = json_answer(status, "application/json", &json!({ "message": message }));
    answer.headers_mut().insert("x-amzn-errortype", code.to_owned());
    answer
}

fn sns(status: u16, fault: &str, code: &str, message: &str) -> HttpResponse {
    let body = crate::service::sns::error_body(fault, code, message);
    raw_answer(status, "text/xml", body)
}

fn s3(status: u16, code: &str, message: &str) -> HttpResponse {
    let id = random::hex::<8>().to_uppercase();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{id}</RequestId></Error>"
    );
    raw_answer(status, "application/xml", body)
}

fn json_answer(status: u16, content_type: &'static str, body: &Value) -> HttpResponse {
    raw_answer(status, content_type, body.to_string())
}

fn raw_answer(status: u16, content_type: &'static str, body: String) -> HttpResponse {
    let status = StatusCode::try_from(status).unwrap_or_else(|_| unreachable!("a constant above"));
    let mut answer = HttpResponse::new(status, SdkBody::from(body));
    answer.headers_mut().insert("content-type", content_type);
    answer.headers_mut().insert("x-amzn-requestid", random::uuid());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str) -> Call {
        Call { service: Service::Dynamodb, operation: operation.to_owned() }
    }

    #[test]
    fn a_fault_meets_its_operation_so_many_times() {
        let faults = Faults::default();
        let fault = Fault {
            service: Service::Dynamodb,
            operation: Some("PutItem".to_owned()),
            kind: Kind::Timeout,
            after: 0,
            times: 2,
        };
        faults.add(fault.clone()).unwrap();
        faults.add(Fault { operation: None, kind: Kind::Throttle, times: 1, ..fault }).unwrap();
        assert_eq!(faults.take(&call("PutItem")), Some(Kind::Timeout));
        assert_eq!(faults.take(&call("GetItem")), Some(Kind::Throttle));
        assert_eq!(faults.take(&call("GetItem")), None);
        assert_eq!(faults.take(&call("PutItem")), Some(Kind::Timeout));
        assert_eq!(faults.take(&call("PutItem")), None);
    }

    #[test]
    fn a_fault_can_wait_for_its_turn() {
        let faults = Faults::default();
        let fault = Fault {
            service: Service::Dynamodb,
            operation: None,
            kind: Kind::Timeout,
            after: 2,
            times: 1,
        };
        faults.add(fault).unwrap();
        let taken = [(); 4].map(|()| faults.take(&call("GetItem")));
        assert_eq!(taken, [None, None, Some(Kind::Timeout), None]);
    }

    #[test]
    fn no_more_than_the_limit_can_wait() {
        let faults = Faults::default();
        let fault = Fault {
            service: Service::Dynamodb,
            operation: None,
            kind: Kind::Timeout,
            after: 0,
            times: 1,
        };
        for _ in 0..MAX_WAITING {
            faults.add(fault.clone()).unwrap();
        }
        assert_eq!(faults.add(fault.clone()), Err(TooMany));
        assert_eq!(lock(&faults.pending).len(), MAX_WAITING);
        // One that was met makes room for another.
        assert_eq!(faults.take(&call("GetItem")), Some(Kind::Timeout));
        assert_eq!(faults.add(fault), Ok(()));
    }
}
