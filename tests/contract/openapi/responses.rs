//! The responses of a running stack match the document.

use http::Method;
use local::{Options, Stack};
use serde_json::{Value, json};
use tests::openapi::violations;

const PHONE: &str = "9841234567";
const PASSWORD: &str = "orange lamp tuesday 77";

struct Client {
    stack: Stack,
    http: reqwest::Client,
}

impl Client {
    async fn start() -> Self {
        let stack = Stack::start(Options::default()).await.unwrap();
        Self { stack, http: reqwest::Client::new() }
    }

    /// Sends a request and checks its response against the document.
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let url = format!("{}{path}", self.stack.base_url());
        let mut request = self.http.request(method.clone(), url);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body: Value = response.json().await.unwrap();
        let kind = if status < 400 { "application/json" } else { "application/problem+json" };
        assert_eq!(headers["content-type"], kind, "{method} {path} {body}");
        let wrong = violations(&method, path, status, &body);
        assert!(wrong.is_empty(), "{method} {path} {status} {body}: {wrong:#?}");
        (status, body)
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, "", Some(&body)).await
    }

    async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.call(Method::GET, path, token, None).await
    }

    /// Requests and exchanges a code for [`PHONE`]. Returns the verification token.
    async fn verified(&self, purpose: &str) -> Value {
        let body = json!({ "identifier": PHONE, "purpose": purpose });
        assert_eq!(self.post("/auth/otp/request", body.clone()).await.0, 200);
        assert_eq!(self.post("/auth/otp/request", body).await.0, 429);
        let outbox = format!("{}/_local/messages", self.stack.base_url());
        let messages: Value = self.http.get(outbox).send().await.unwrap().json().await.unwrap();
        let code = &messages[0]["code"];
        let mut body = json!({ "identifier": PHONE, "purpose": purpose, "otp": "000000" });
        if code == "000000" {
            body["otp"] = json!("000001");
        }
        assert_eq!(self.post("/auth/otp/verify", body.clone()).await.0, 400);
        body["otp"] = code.clone();
        let (status, verified) = self.post("/auth/otp/verify", body).await;
        assert_eq!(status, 200);
        verified["verification_token"].clone()
    }
}

#[tokio::test]
async fn every_response_of_a_registration_matches_the_document() {
    let client = Client::start().await;
    assert_eq!(client.get("/health", "").await.0, 200);
    assert_eq!(client.get("/.well-known/jwks.json", "").await.0, 200);

    let mut body = json!({
        "username": "sita.rai",
        "password": "password",
        "phone_number": PHONE,
        "email": "sita@example.com",
        "verification_token": client.verified("REGISTER").await,
    });
    assert_eq!(client.post("/auth/register", body.clone()).await.1["code"], "weak_password");
    body["password"] = json!(PASSWORD);
    let (status, registered) = client.post("/auth/register", body).await;
    assert_eq!(status, 201);

    let access = registered["access_token"].as_str().unwrap();
    assert_eq!(client.get("/auth/me", access).await.0, 200);
    let body = json!({ "refresh_token": registered["refresh_token"] });
    let (status, refreshed) = client.post("/auth/refresh", body).await;
    assert_eq!(status, 200);

    let body = json!({ "identifier": PHONE, "password": "another lamp monday" });
    assert_eq!(client.post("/auth/login", body).await.0, 400);
    let body = json!({ "identifier": PHONE, "password": PASSWORD });
    assert_eq!(client.post("/auth/login", body).await.0, 200);

    let body = json!({ "refresh_token": refreshed["refresh_token"] });
    let (status, _) = client.call(Method::POST, "/auth/logout", access, Some(&body)).await;
    assert_eq!(status, 200);
    assert_eq!(client.get("/auth/me", access).await.1["code"], "session_ended");
    assert_eq!(client.post("/auth/refresh", body).await.0, 401);
    client.stack.stop().await;
}

#[tokio::test]
async fn every_common_problem_matches_the_document() {
    let client = Client::start().await;
    assert_eq!(client.get("/auth/me", "").await.0, 401);
    assert_eq!(client.get("/auth/me", "no.such.token").await.0, 401);
    assert_eq!(client.get("/nowhere", "").await.0, 404);
    assert_eq!(client.get("/auth/login", "").await.0, 405);
    assert_eq!(client.post("/auth/login", json!([])).await.1["code"], "invalid_json");
    assert_eq!(client.post("/auth/login", json!({})).await.1["code"], "validation_failed");
    let body = json!({ "identifier": "a".repeat(70_000) });
    assert_eq!(client.post("/auth/login", body).await.0, 413);
    let body = json!({ "identifier": "+12025550123", "purpose": "REGISTER" });
    assert_eq!(client.post("/auth/otp/request", body).await.1["code"], "unsupported_country");
    client.stack.stop().await;
}
