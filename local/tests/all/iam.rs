//! A request that another backend signs, over HTTP.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use local::{Options, Stack};
use reqwest::{Client, Response, StatusCode};

const BODY: &str = r#"{"events":[]}"#;
/// Which goes with the request and is signed too.
const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/json"), ("x-local-source-ip", "203.0.113.7")];

/// The headers that a signature with `secret` adds.
#[allow(clippy::disallowed_methods, reason = "a signature is of the real time")]
fn signature(url: &str, secret: &str) -> Vec<(String, String)> {
    let identity: Identity = Credentials::new("local", secret, None, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("execute-api")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let body = SignableBody::Bytes(BODY.as_bytes());
    let request = SignableRequest::new("POST", url, HEADERS.into_iter(), body).unwrap();
    let (instructions, _) = sign(request, &parameters.into()).unwrap().into_parts();
    let headers = instructions.headers();
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn post(url: &str, signature: Vec<(String, String)>) -> Response {
    let headers = HEADERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = headers.into_iter().chain(signature);
    let request =
        headers.fold(Client::new().post(url), |request, (name, value)| request.header(name, value));
    request.body(BODY).send().await.unwrap()
}

#[tokio::test]
async fn a_signed_request_reaches_the_function_and_no_other_does() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let url = format!("{}/internal/usage-events", stack.base_url());
    let accepted = post(&url, signature(&url, "local")).await;
    assert_ne!(accepted.status(), StatusCode::FORBIDDEN);
    // The function speaks: no events are no request that it takes.
    assert_eq!(accepted.headers()["content-type"], "application/problem+json");
    let bearer = vec![("authorization".to_owned(), "Bearer a.b.c".to_owned())];
    for headers in [vec![], bearer, signature(&url, "other")] {
        let refused = post(&url, headers).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(refused.text().await.unwrap(), r#"{"message":"Forbidden"}"#);
    }
}

#[tokio::test]
async fn a_signature_is_of_the_real_time() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let clock = format!("{}/_local/clock", stack.base_url());
    let moved = Client::new().post(clock).body(r#"{"advance_seconds":3600}"#);
    let moved = moved.header("content-type", "application/json").send().await.unwrap();
    assert!(moved.status().is_success());
    let url = format!("{}/internal/usage-events", stack.base_url());
    assert_ne!(post(&url, signature(&url, "local")).await.status(), StatusCode::FORBIDDEN);
}
