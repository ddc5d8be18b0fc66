//! Problem details (RFC 9457) of `/_local/`.

use std::error::Error;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// What was wrong with a request to `/_local/`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Value>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new() }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such path under /_local/.")
    }

    pub(crate) fn elsewhere() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "/_local/ is for this machine only.")
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "The path has other methods; see Allow.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub(crate) fn not_json() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", "The body must be a JSON object.")
    }

    pub(crate) fn invalid(field: &str, detail: &str) -> Self {
        Self::invalid_fields(&[(field, detail.to_owned())])
    }

    pub(crate) fn invalid_fields(errors: &[(&str, String)]) -> Self {
        let described = errors
            .iter()
            .map(|(field, detail)| json!({"field": field, "code": "invalid", "detail": detail}));
        let errors = described.collect();
        Self {
            errors,
            ..Self::new(StatusCode::BAD_REQUEST, "validation_failed", "Some fields are not valid.")
        }
    }

    pub(crate) fn too_many(error: &dyn Error) -> Self {
        Self::new(StatusCode::CONFLICT, "too_many", error.to_string())
    }

    /// Nobody but the developer sees this, so it says why.
    pub(crate) fn failed(error: &dyn Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
    }

    #[cfg(test)]
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if !self.errors.is_empty() {
            body["errors"] = self.errors.into();
        }
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, content_type, Json(body)).into_response()
    }
}
