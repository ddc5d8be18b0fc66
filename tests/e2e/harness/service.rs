//! Another backend, which signs its requests with AWS Signature Version 4.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use serde_json::{Value, json};
use tests::openapi::violations;

use super::{App, Request, Response, User};

impl Request {
    /// Signed by the IAM identity of the local stack.
    #[allow(clippy::disallowed_methods, reason = "a signature needs the real time")]
    pub fn signed(self) -> Self {
        let (client, request) = self.0.build_split();
        let mut request = request.unwrap();
        let identity: Identity = Credentials::new("local", "local", None, None, "tests").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let (method, url) = (request.method().as_str(), request.url().as_str());
        let signable = SignableRequest::new(method, url, headers, SignableBody::Bytes(body));
        let (instructions, _) = sign(signable.unwrap(), &parameters.into()).unwrap().into_parts();
        for (name, value) in instructions.headers() {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        Self(reqwest::RequestBuilder::from_parts(client, request))
    }
}

impl Response {
    /// Checks the response against the OpenAPI document, and the headers that every response has.
    #[track_caller]
    pub fn documented(self, method: &str, path: &str) -> Self {
        let wrong = violations(&method.parse().unwrap(), path, self.status, &self.json);
        assert!(wrong.is_empty(), "{method} {path}: {wrong:?} in {self:?}");
        self.assert_headers(&format!("{method} {path}"));
        if self.status >= 400 {
            self.assert_problem();
        } else {
            assert_eq!(self.header("content-type"), Some("application/json"), "{method} {path}");
            assert_eq!(self.header("x-amzn-remapped-www-authenticate"), None, "{method} {path}");
            assert_eq!(self.header("retry-after"), None, "{method} {path}");
        }
        self
    }

    /// Checks the headers of every response: the required ones, and none that names the software.
    #[track_caller]
    pub fn assert_headers(&self, what: &str) {
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{what}");
        assert!(self.header("x-request-id").is_some_and(|id| !id.is_empty()), "{what}");
        let cache = self.header("cache-control").unwrap_or_default();
        if what.contains("/.well-known/jwks.json") && self.status == 200 {
            assert!(cache.contains("max-age"), "{what}: {cache}");
        } else {
            assert_eq!(cache, "no-store", "{what}");
        }
        for banner in ["server", "x-powered-by", "x-amzn-remapped-server", "via", "x-runtime"] {
            assert_eq!(self.header(banner), None, "{what}");
        }
        assert_eq!(self.header("set-cookie"), None, "{what}");
        assert_eq!(self.header("access-control-allow-origin"), None, "{what}");
    }
}

/// A wallet entry of money.
pub fn money(user: &User, direction: &str, amount: &str) -> Value {
    movement(user, direction, "amount", json!(amount))
}

/// A wallet entry of points.
pub fn points(user: &User, direction: &str, points: i64) -> Value {
    movement(user, direction, "points", json!(points))
}

fn movement(user: &User, direction: &str, field: &str, quantity: Value) -> Value {
    json!({
        "user_id": user.user_id,
        "direction": direction,
        field: quantity,
        "reference": "rental-1",
        "reason": "A rental",
    })
}

impl App {
    /// `POST /internal/wallet/entries` of a service.
    pub async fn post_entry(&self, key: &str, body: &Value) -> Response {
        let path = "/internal/wallet/entries";
        let response = self.post(path, body).key(key).signed().send().await;
        response.documented("POST", path)
    }

    /// The same, repeated while the response is 503.
    pub async fn post_entry_with_retry(self, key: String, body: Value) -> Response {
        loop {
            let response = self.post_entry(&key, &body).await;
            if response.status != 503 {
                return response;
            }
            response.problem(503, "unavailable");
        }
    }

    /// `POST /internal/usage-events` of a service.
    pub async fn usage_events(&self, events: &Value) -> Response {
        let path = "/internal/usage-events";
        let response = self.post(path, &json!({ "events": events })).signed().send().await;
        response.documented("POST", path)
    }

    /// `GET /users/wallet`.
    pub async fn wallet(&self, user: &User) -> Response {
        let response = self.get("/users/wallet").bearer(&user.access_token).send().await;
        response.documented("GET", "/users/wallet")
    }

    /// `GET /users/analytics/usage-stats` with this query.
    pub async fn usage_stats(&self, user: &User, query: &str) -> Response {
        let path = "/users/analytics/usage-stats";
        let request = self.get(&format!("{path}{query}")).bearer(&user.access_token);
        request.send().await.documented("GET", path)
    }
}
