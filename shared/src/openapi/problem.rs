//! Problems as the document shows them: RFC 9457, one narrowed schema per set of codes.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use crate::{http::problem::Code, openapi::TOKEN_CODES};

/// The failures that many operations share, by their name among the components.
const SHARED: &[(&str, u16, &[Code])] = &[
    ("InvalidBody", 400, &[Code::ValidationFailed, Code::InvalidJson]),
    ("Unauthorized", 401, &TOKEN_CODES),
    ("Forbidden", 403, &[Code::Forbidden]),
    ("NotFound", 404, &[Code::NotFound]),
    ("MethodNotAllowed", 405, &[Code::MethodNotAllowed]),
    ("PreconditionFailed", 412, &[Code::PreconditionFailed]),
    ("BodyTooLarge", 413, &[Code::BodyTooLarge]),
    ("UnsupportedMediaType", 415, &[Code::UnsupportedMediaType]),
    ("IdempotencyKeyReused", 422, &[Code::IdempotencyKeyReused]),
    ("TooManyRequests", 429, &[Code::TooManyRequests]),
    ("InternalError", 500, &[Code::Internal]),
    ("Unavailable", 503, &[Code::Unavailable]),
];

fn words(codes: &[Code]) -> BTreeSet<&'static str> {
    codes.iter().map(|code| code.as_str()).collect()
}

/// A failure with one of `codes`: a reference where many operations share it.
pub(super) fn response(status: u16, codes: &BTreeSet<&'static str>) -> Value {
    let shared = SHARED.iter().find(|(_, of, shared)| *of == status && words(shared) == *codes);
    match shared {
        Some((name, ..)) => json!({ "$ref": format!("#/components/responses/{name}") }),
        None => own_response(status, codes),
    }
}

fn own_response(status: u16, codes: &BTreeSet<&'static str>) -> Value {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let listed: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
    let schema = json!({
        "allOf": [{ "$ref": "#/components/schemas/Problem" }],
        "properties": { "status": { "const": status }, "code": { "enum": codes } },
    });
    json!({
        "description": format!("{}: {}.", reason.unwrap_or_default(), listed.join(", ")),
        "content": { "application/problem+json": { "schema": schema } },
        "headers": headers(status),
    })
}

fn headers(status: u16) -> Value {
    let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    let mut headers = json!({ "X-Request-Id": header("RequestId") });
    match status {
        401 => {
            headers["WWW-Authenticate"] = header("Challenge");
            headers["x-amzn-Remapped-WWW-Authenticate"] = header("Challenge");
        }
        405 => headers["Allow"] = header("Allow"),
        429 | 503 => headers["Retry-After"] = header("RetryAfter"),
        _ => {}
    }
    headers
}

/// The components that every document has.
pub fn components() -> Value {
    let shared = SHARED
        .iter()
        .map(|(name, status, codes)| ((*name).to_owned(), own_response(*status, &words(codes))));
    json!({
        "schemas": { "Problem": problem(), "ProblemCode": codes(), "FieldError": field_error() },
        "responses": shared.collect::<serde_json::Map<_, _>>(),
        "headers": {
            "RequestId": text_header("The id of this request, for support."),
            "Challenge": text_header(
                "`Bearer`, with `error=\"invalid_token\"` where an access token was presented. API \
                 Gateway renames `WWW-Authenticate` to `x-amzn-Remapped-WWW-Authenticate`.",
            ),
            "Allow": text_header("The methods that this path has."),
            "RetryAfter": {
                "description": "Seconds to wait before the request is sent again.",
                "required": true,
                "schema": { "type": "integer", "minimum": 1 },
            },
            "IdempotentReplayed": {
                "description": "There when an earlier request with the same key is answered again.",
                "schema": { "const": "true" },
            },
        },
        "parameters": {
            "IdempotencyKey": {
                "in": "header",
                "name": "Idempotency-Key",
                "description": "Names this request, so that sending it again does nothing twice. Kept for 24 hours.",
                "required": false,
                "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
                "example": "4f6c1f0e-2f0b-4a57-a0c6-6f5a6a1f7f0d",
            },
            "RequiredIdempotencyKey": {
                "in": "header",
                "name": "Idempotency-Key",
                "description": "Names this request, so that sending it again does nothing twice. Kept for 24 hours.",
                "required": true,
                "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
                "example": "4f6c1f0e-2f0b-4a57-a0c6-6f5a6a1f7f0d",
            },
        },
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "An access token, from registering, signing in or refreshing.",
            },
            "iam": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "AWS Signature Version 4 of an IAM identity that may call this route.",
                "x-amazon-apigateway-authtype": "awsSigv4",
            },
        },
    })
}

fn text_header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn codes() -> Value {
    json!({
        "description": "A stable word for a program. More may come: treat an unknown one by the status.",
        "type": "string",
        "enum": words(Code::ALL),
    })
}

fn problem() -> Value {
    json!({
        "description": "Problem details (RFC 9457).",
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "One for each code." },
            "title": { "type": "string", "description": "What the code means, always the same." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "A sentence for a person." },
            "code": { "$ref": "#/components/schemas/ProblemCode" },
            "request_id": { "type": "string", "description": "As in `X-Request-Id`." },
            "errors": {
                "type": "array",
                "description": "The fields that were refused, all of them at once.",
                "minItems": 1,
                "items": { "$ref": "#/components/schemas/FieldError" },
            },
            "retry_after": {
                "type": "integer",
                "minimum": 1,
                "description": "Seconds, as in `Retry-After`; with 429 and 503.",
            },
        },
        "examples": [{
            "type": "/problems/validation_failed",
            "title": "Some fields are not valid",
            "status": 400,
            "detail": "Correct the fields that are named in errors.",
            "code": "validation_failed",
            "request_id": "JKJaXmPLvHcESHA=",
            "errors": [{
                "field": "purpose",
                "code": "required",
                "detail": "This field is required.",
            }],
        }],
    })
}

fn field_error() -> Value {
    json!({
        "type": "object",
        "required": ["field", "code", "detail"],
        "properties": {
            "field": { "type": "string", "description": "Its name, dotted where it is nested; or a header's." },
            "code": {
                "type": "string",
                "pattern": "^[a-z0-9_]+$",
                "description": "A stable word for a program.",
            },
            "detail": { "type": "string", "description": "A sentence for a person." },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::{FieldError, Problem};

    #[tokio::test]
    async fn the_schema_has_the_members_that_a_problem_is_rendered_with() {
        let error = FieldError { field: "a".into(), code: "b", detail: "c".into() };
        let rendered = Problem::validation(vec![error]).retry_after(1).render("r");
        let body = axum::body::to_bytes(rendered.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let names =
            |value: &Value| -> Vec<_> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(names(&problem()["properties"]), names(&body));
        assert_eq!(names(&field_error()["properties"]), names(&body["errors"][0]));
    }

    #[test]
    fn every_shared_failure_is_of_its_codes_own_status() {
        for (name, status, codes) in SHARED {
            assert!(codes.iter().all(|code| code.status().as_u16() == *status), "{name}");
        }
    }
}
