//! A request builder.

use serde_json::Value;

use super::{App, Response};

/// A request; nothing is sent before [`Request::send`].
#[derive(Debug)]
pub struct Request(pub(super) reqwest::RequestBuilder);

impl App {
    /// A request of any method.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let method = method.parse().unwrap();
        let base_url = if path.starts_with("/_local/") { &self.local_url } else { &self.base_url };
        Request(self.client.request(method, format!("{base_url}{path}")))
    }

    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    /// A POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Request {
        Request(self.request("POST", path).0.json(body))
    }

    /// A POST of these bytes as `application/json`.
    pub fn post_bytes(&self, path: &str, body: impl Into<Vec<u8>>) -> Request {
        let request = self.request("POST", path).0;
        Request(request.header("content-type", "application/json").body(body.into()))
    }
}

impl Request {
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        Self(self.0.header(name, value.as_ref()))
    }

    /// With this access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// From this client IP.
    pub fn with_client_ip(self, client_ip: &str) -> Self {
        self.header("x-local-source-ip", client_ip)
    }

    /// With an `Idempotency-Key`.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self(self.0.body(body.into()))
    }

    pub async fn send(self) -> Response {
        Response::of(self.0.send().await.unwrap()).await
    }
}
