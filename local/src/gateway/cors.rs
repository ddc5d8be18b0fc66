//! CORS as an HTTP API answers it: preflights by itself, headers on everything else, and what a
//! function says about CORS is dropped.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("DELETE,GET,OPTIONS,PATCH,POST,PUT");
const ALLOW_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization,content-type,idempotency-key,if-match");
const EXPOSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag,idempotent-replayed,retry-after,x-amzn-remapped-www-authenticate,x-request-id",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// A CORS configuration.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    /// The configuration for `origins`; none at all without one.
    pub(crate) fn new(origins: Vec<String>) -> Option<Self> {
        (!origins.is_empty()).then_some(Self { origins })
    }

    /// The allowed origin to name, for a request from `origin`.
    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        let known = self.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
        known.then(|| origin.clone())
    }

    /// The answer to a preflight, if the request is one. An unknown origin gets one without headers.
    pub(super) fn preflight(&self, parts: &Parts) -> Option<Response> {
        let origin = parts.headers.get(header::ORIGIN)?;
        let asks = parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if parts.method != Method::OPTIONS || !asks {
            return None;
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        if let Some(allowed) = self.allowed(origin) {
            let headers = response.headers_mut();
            name_origin(headers, allowed);
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        Some(response)
    }

    /// Puts the headers on a function's answer to `origin`.
    pub(super) fn apply(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        drop_own(headers);
        if let Some(allowed) = origin.and_then(|origin| self.allowed(origin)) {
            name_origin(headers, allowed);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
        }
    }
}

fn name_origin(headers: &mut HeaderMap, allowed: HeaderValue) {
    if allowed != "*" {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
}

fn drop_own(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control-"))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_yaml_ng::Value;

    use super::*;

    fn cors() -> Cors {
        Cors::new(vec!["https://app.example".to_owned()]).unwrap()
    }

    fn preflight(origin: &str) -> Response {
        let request = Request::options("/auth/me")
            .header("origin", origin)
            .header("access-control-request-method", "GET");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        cors().preflight(&parts).unwrap()
    }

    #[test]
    fn a_preflight_is_answered_for_a_known_origin_only() {
        let known = preflight("https://app.example");
        assert_eq!(known.status(), StatusCode::NO_CONTENT);
        assert_eq!(known.headers()["access-control-allow-origin"], "https://app.example");
        assert_eq!(known.headers()["access-control-max-age"], "600");
        assert!(
            !preflight("https://evil.example")
                .headers()
                .contains_key("access-control-allow-origin")
        );
    }

    #[test]
    fn the_deployed_gateway_is_told_the_same() {
        let template: Value = serde_yaml_ng::from_str(crate::tables::TEMPLATE).unwrap();
        let Value::Tagged(choice) =
            &template["Resources"]["Api"]["Properties"]["CorsConfiguration"]
        else {
            panic!("it is not chosen by whether there are origins")
        };
        let deployed = |name: &str| match &choice.value[1][name] {
            Value::Sequence(names) => {
                names.iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>().join(",")
            }
            Value::Number(number) => number.to_string(),
            other => panic!("{name} is {other:?}"),
        };
        for (name, here) in [
            ("AllowMethods", ALLOW_METHODS),
            ("AllowHeaders", ALLOW_HEADERS),
            ("ExposeHeaders", EXPOSE_HEADERS),
            ("MaxAge", MAX_AGE),
        ] {
            assert_eq!(deployed(name), here.to_str().unwrap(), "{name}");
        }
    }

    #[test]
    fn a_functions_own_headers_are_dropped() {
        let mut headers = HeaderMap::new();
        headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
        cors().apply(None, &mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn nothing_is_configured_by_default() {
        assert!(Cors::new(Vec::new()).is_none());
    }
}
