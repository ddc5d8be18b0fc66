//! Another backend: requests signed with AWS Signature Version 4.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use serde_json::{Value, json};
use tests::openapi::violations;

use super::{Answer, App, Request, User};

impl Request {
    /// Signed as the local stack's IAM identity.
    #[allow(clippy::disallowed_methods, reason = "a signature is of the real time")]
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

impl Answer {
    /// Itself, when it is as the OpenAPI document has it, with the headers of all answers.
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

    /// It carries the headers of all responses, and none that says what runs here.
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

/// A movement of `user`'s money.
pub fn money(user: &User, direction: &str, amount: &str) -> Value {
    movement(user, direction, "amount", json!(amount))
}

/// A movement of `user`'s points.
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
    pub async fn post_entry(&self, key: &str, body: &Value) -> Answer {
        let path = "/internal/wallet/entries";
        let answer = self.post(path, body).key(key).signed().send().await;
        answer.documented("POST", path)
    }

    /// The same, sent again for as long as the answer is 503.
    pub async fn post_entry_persistently(self, key: String, body: Value) -> Answer {
        loop {
            let answer = self.post_entry(&key, &body).await;
            if answer.status != 503 {
                return answer;
            }
            answer.problem(503, "unavailable");
        }
    }

    /// `POST /internal/usage-events` of a service.
    pub async fn usage_events(&self, events: &Value) -> Answer {
        let path = "/internal/usage-events";
        let answer = self.post(path, &json!({ "events": events })).signed().send().await;
        answer.documented("POST", path)
    }

    /// `GET /users/wallet`.
    pub async fn wallet(&self, user: &User) -> Answer {
        let answer = self.get("/users/wallet").bearer(&user.access_token).send().await;
        answer.documented("GET", "/users/wallet")
    }

    /// `GET /users/analytics/usage-stats` with this query.
    pub async fn usage_stats(&self, user: &User, query: &str) -> Answer {
        let path = "/users/analytics/usage-stats";
        let request = self.get(&format!("{path}{query}")).bearer(&user.access_token);
        request.send().await.documented("GET", path)
    }
}
