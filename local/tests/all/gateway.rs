//! The gateway's own answers, and what it passes on, over HTTP.

use std::collections::BTreeMap;

use local::{Options, Stack};
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn stack() -> Stack {
    Stack::start(Options::default()).await.unwrap()
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let stack = stack().await;
    for path in ["/health", "/nowhere", "/auth/me"] {
        let response = reqwest::get(format!("{}{path}", stack.base_url())).await.unwrap();
        assert_eq!(response.headers()["apigw-requestid"].len(), 16, "{path}");
    }
}

#[tokio::test]
async fn ten_megabytes_and_ten_kilobytes_are_too_much() {
    let stack = stack().await;
    let url = format!("{}/auth/login", stack.base_url());
    let large = Client::new().post(&url).body(vec![b' '; 10 * 1024 * 1024 + 1]);
    let response = large.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.text().await.unwrap(), r#"{"message":"Request Entity Too Large"}"#);
    let long = Client::new().post(&url).header("x-long", "a".repeat(10_240));
    assert_eq!(long.send().await.unwrap().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn a_source_address_is_an_address() {
    let stack = stack().await;
    let from = |address: &str| {
        let request = Client::new().get(format!("{}/health", stack.base_url()));
        request.header("x-local-source-ip", address).send()
    };
    assert_ne!(from("203.0.113.7").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(from("next door").await.unwrap().status(), StatusCode::BAD_REQUEST);
}

/// Sends bytes as they are and reads the status line.
async fn raw(stack: &Stack, request: &str) -> String {
    let address = stack.base_url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn hostile_requests_never_reach_a_function_that_would_panic() {
    let stack = stack().await;
    let hostile = [
        "GET /auth/me HTTP/1.1\r\nHost: bad host\r\nConnection: close\r\n\r\n",
        "GET /auth/me HTTP/1.1\r\nHost: [::1\r\nConnection: close\r\n\r\n",
        "GET /auth/me HTTP/1.1\r\nHost: a\r\nX-Name: \u{101}\r\nConnection: close\r\n\r\n",
        "GET /auth/me?a b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ];
    for request in hostile {
        assert!(raw(&stack, request).await.starts_with("HTTP/1.1 400"), "{request}");
    }
    let odd = [
        "GET /%00%ff%20%3F%23 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET //a/../%2e%2e/b?%zz&=&&a=%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET http://elsewhere.example/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: %%\r\nConnection: close\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nCookie: ;;=\r\nConnection: close\r\n\r\n",
    ];
    for request in odd {
        assert!(!raw(&stack, request).await.starts_with("HTTP/1.1 5"), "{request}");
    }
}

async fn options(stack: &Stack, origin: &str) -> (StatusCode, HeaderMap) {
    let request = Client::new().request(Method::OPTIONS, format!("{}/auth/me", stack.base_url()));
    let request = request.header("origin", origin).header("access-control-request-method", "GET");
    let response = request.send().await.unwrap();
    (response.status(), response.headers().clone())
}

#[tokio::test]
async fn cors_is_off_until_origins_are_named() {
    let (status, headers) = options(&stack().await, "https://app.example").await;
    assert_ne!(status, StatusCode::NO_CONTENT);
    assert!(!headers.contains_key("access-control-allow-origin"));
    let settings = BTreeMap::from([("CORS_ORIGINS".to_owned(), "https://app.example".to_owned())]);
    let stack = Stack::start(Options { settings, ..Options::default() }).await.unwrap();
    let (status, headers) = options(&stack, "https://app.example").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(headers["access-control-allow-origin"], "https://app.example");
    let request = Client::new().get(format!("{}/auth/me", stack.base_url()));
    let response = request.header("origin", "https://app.example").send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
}

#[tokio::test]
async fn what_no_route_matches_goes_to_the_default_function() {
    let stack = stack().await;
    let get = |path: &str| reqwest::get(format!("{}{path}", stack.base_url()));
    assert_eq!(get("/nowhere").await.unwrap().status(), StatusCode::NOT_FOUND);
    let costs: Value = get("/_local/costs").await.unwrap().json().await.unwrap();
    assert_eq!(costs["operations"]["$default"]["calls"], 1);
}
