//! Which service and operation an HTTP request of the SDK is.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http::Uri;
use serde::{Deserialize, Serialize};

use super::Endpoints;

/// The services that the product calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    Dynamodb,
    S3,
    Sns,
    Ses,
}

/// One call of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) operation: String,
}

impl Call {
    /// What `request` asks for. A request to nowhere known is none.
    pub(crate) fn of(request: &HttpRequest, endpoints: &Endpoints) -> Option<Self> {
        let service = service(request.uri(), endpoints)?;
        let operation = match service {
            Service::Dynamodb => dynamodb_operation(request),
            Service::S3 => s3_operation(request),
            Service::Sns => form_action(request),
            Service::Ses => ses_operation(request),
        };
        Some(Self { service, operation: operation.unwrap_or_default() })
    }
}

fn service(uri: &str, endpoints: &Endpoints) -> Option<Service> {
    let known = [
        (&endpoints.dynamodb, Service::Dynamodb),
        (&endpoints.s3, Service::S3),
        (&endpoints.sns, Service::Sns),
        (&endpoints.ses, Service::Ses),
    ];
    let uri: Uri = uri.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let at = |endpoint: &str| endpoint.strip_prefix("http://") == Some(authority);
    known.into_iter().find(|(endpoint, _)| at(endpoint)).map(|(_, service)| service)
}

fn dynamodb_operation(request: &HttpRequest) -> Option<String> {
    let target = request.headers().get("x-amz-target")?;
    target.split_once('.').map(|(_, operation)| operation.to_owned())
}

fn form_action(request: &HttpRequest) -> Option<String> {
    let mut fields = form_urlencoded::parse(request.body().bytes()?);
    fields.find(|(name, _)| name == "Action").map(|(_, action)| action.into_owned())
}

fn ses_operation(request: &HttpRequest) -> Option<String> {
    let path = request.uri().parse::<Uri>().ok()?.path().to_owned();
    (request.method() == "POST" && path == "/v2/email/outbound-emails")
        .then(|| "SendEmail".to_owned())
}

/// The SDK names most operations in `x-id`.
fn s3_operation(request: &HttpRequest) -> Option<String> {
    let uri: Uri = request.uri().parse().ok()?;
    let query: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()).collect();
    let has = |name: &str| query.iter().any(|(key, _)| key == name);
    if let Some((_, operation)) = query.iter().find(|(name, _)| name == "x-id") {
        return Some(operation.clone().into_owned());
    }
    let of_an_object = uri.path().trim_matches('/').contains('/');
    let operation = match (request.method(), of_an_object) {
        ("HEAD", true) => "HeadObject",
        ("HEAD", false) => "HeadBucket",
        ("GET", false) if has("list-type") => "ListObjectsV2",
        ("POST", false) if has("delete") => "DeleteObjects",
        _ => return None,
    };
    Some(operation.to_owned())
}
