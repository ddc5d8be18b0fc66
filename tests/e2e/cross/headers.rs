//! The headers of every response, and the responses of unknown routes.

use std::collections::BTreeSet;

use serde_json::json;
use shared::http::operation::{ALL, Caller, Operation};
use tests::{UNKNOWN_ID, path_of};

use crate::harness::{App, Callers, Needs, Request, WithBody, random_ip, random_phone};

/// A request to an operation by a permitted caller, with the documented body if there is one.
fn permitted_request(app: &App, callers: &Callers, operation: &'static Operation) -> Request {
    let with_body = WithBody::all().into_iter().find(|each| each.operation == operation);
    app.call(callers, operation, UNKNOWN_ID, |request| match with_body {
        Some(WithBody { body, .. }) => {
            request.header("content-type", "application/json").body(body.to_string())
        }
        None => request,
    })
}

/// `events` checks the same for the success of every operation.
#[tokio::test]
async fn asvs_14_3_2_every_response_has_the_security_headers_and_no_banner() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut ids = std::collections::HashSet::new();
    let mut statuses = std::collections::BTreeMap::new();
    for operation in ALL {
        // Some of these operations end a session.
        let callers = app.callers().await;
        let (method, path) = (operation.method.as_str(), path_of(operation, UNKNOWN_ID));
        let mut responses = vec![
            permitted_request(&app, &callers, operation).send().await,
            app.request(method, &path).send().await,
            app.request(method, &path).bearer("garbage").send().await,
            app.call(&callers, operation, "no id", |request| request.body("[")).send().await,
        ];
        for other in ["PROPFIND", "TRACE"] {
            responses.push(app.request(other, &path).send().await);
        }
        for response in responses {
            let what = format!("{} {}", operation.route_key(), response.status);
            if response.headers.contains_key("x-request-id") {
                response.assert_headers(&what);
                let id = response.header("x-request-id").unwrap().to_owned();
                assert!(ids.insert(id), "{what}: one id per request");
            } else {
                // A response of API Gateway itself.
                let is_unsigned = operation.caller == Caller::Service && response.status == 403;
                assert!(is_unsigned, "{what}: {response:?}");
                continue;
            }
            if response.status >= 400 {
                response.assert_problem();
            } else {
                assert_eq!(response.header("content-type"), Some("application/json"), "{what}");
            }
            *statuses.entry(response.status).or_insert(0) += 1;
        }
    }
    for status in [200, 201, 400, 401, 404, 405, 415] {
        assert!(statuses.contains_key(&status), "no response had {status}: {statuses:?}");
    }
}

#[tokio::test]
async fn rfc_6750_every_401_has_a_challenge_that_tells_an_invalid_token_from_a_missing_one() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let ended = app.register_user().await;
    app.logout(&ended.access_token, &json!({"all": true})).await.ok();
    let ended = format!("Bearer {}", ended.access_token);
    let requests: [(Option<&[u8]>, &str, &str); 10] = [
        (None, "authentication_required", "Bearer"),
        (Some(b""), "authentication_required", "Bearer"),
        (Some(b"Bearer"), "authentication_required", "Bearer"),
        (Some(b"Basic dXNlcjpwYXNz"), "authentication_required", "Bearer"),
        (Some(b"DPoP x"), "authentication_required", "Bearer"),
        (Some(b"Bearer x"), "invalid_access_token", "Bearer error=\"invalid_token\""),
        (Some(b"bearer   x"), "invalid_access_token", "Bearer error=\"invalid_token\""),
        (Some(b"Bearer x y"), "invalid_access_token", "Bearer error=\"invalid_token\""),
        (Some(b"Bearer a.b.c"), "invalid_access_token", "Bearer error=\"invalid_token\""),
        (Some(ended.as_bytes()), "session_ended", "Bearer error=\"invalid_token\""),
    ];
    let has_user =
        |operation: &&Operation| [Caller::User, Caller::Staff].contains(&operation.caller);
    for operation in ALL.iter().filter(has_user) {
        for (authorization, code, challenge) in requests {
            let request = app.request(operation.method.as_str(), &path_of(operation, UNKNOWN_ID));
            let request = match authorization {
                Some(authorization) => request.header("authorization", authorization),
                None => request,
            };
            let response = request.send().await;
            response.problem(401, code);
            // API Gateway renames the header.
            assert_eq!(response.header("x-amzn-remapped-www-authenticate"), Some(challenge));
            assert_eq!(response.header("www-authenticate"), None);
        }
    }
    let refused = app.refresh("x").await;
    refused.problem(401, "invalid_refresh_token");
    assert_eq!(refused.header("x-amzn-remapped-www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn an_unknown_path_gets_a_404_problem_with_every_method() {
    let Some(app) = App::start(Needs::ApiGateway).await else { return };
    for path in [
        "/",
        "/nowhere",
        "/auth",
        "/auth/",
        "/auth/me/",
        "/Auth/Me",
        "/auth/me/x",
        "/auth/otp",
        "/auth//me",
        "/auth/otp/request/",
        "/health/",
        "/.well-known/",
        "/.well-known/jwks",
        "/_internal",
        "/admin",
        "/debug",
        "/metrics",
        "/auth/me;x=1",
        "/%00",
        "/..%2f",
        "/auth/otp/request.json",
        "/favicon.ico",
        "/openapi.json",
        "/.env",
        "/internal/",
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let response = app.request(method, path).send().await;
            assert_eq!(response.status, 404, "{method} {path}: {response:?}");
            response.problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn an_unsupported_method_gets_405_with_allow() {
    let Some(app) = App::start(Needs::ApiGateway).await else { return };
    let paths: BTreeSet<_> = ALL.iter().map(|operation| operation.path).collect();
    for path in paths {
        let of_path: Vec<_> = ALL.iter().filter(|operation| operation.path == path).collect();
        let mut served: BTreeSet<_> =
            of_path.iter().map(|operation| operation.method.as_str()).collect();
        if of_path.iter().any(|operation| operation.serves_head()) {
            served.insert("HEAD");
        }
        let requested = path_of(of_path[0], UNKNOWN_ID);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            if served.contains(method) {
                continue;
            }
            let response = app.request(method, &requested).send().await;
            response.problem(405, "method_not_allowed");
            let allowed = response.header("allow").unwrap().split(", ").collect();
            assert_eq!(served, allowed, "{method} {path}");
        }
        if !served.contains("HEAD") {
            let head = app.request("HEAD", &requested).send().await;
            assert_eq!(head.status, 405, "{path}");
            assert!(head.bytes.is_empty());
            head.assert_headers(path);
        }
    }
}

#[tokio::test]
async fn rfc_9110_head_returns_the_headers_of_get_without_a_body() {
    let Some(app) = App::start(Needs::ApiGateway).await else { return };
    let mut served = 0;
    for operation in ALL.iter().filter(|operation| operation.serves_head()) {
        let get = app.get(operation.path).send().await;
        let head = app.request("HEAD", operation.path).send().await;
        assert_eq!((get.status, head.status), (200, 200), "{}", operation.path);
        assert!(head.bytes.is_empty() && !get.bytes.is_empty());
        head.assert_headers(operation.path);
        for name in ["content-type", "cache-control", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{} {name}", operation.path);
        }
        served += 1;
    }
    assert_eq!(served, 2, "the health check and the public keys");
}

#[tokio::test]
async fn cors_is_off_by_default_and_limited_to_the_configured_origins() {
    let Some(app) = App::with(&[("CORS_ORIGINS", "https://app.example")]).await else { return };
    let good = app.get("/health").header("origin", "https://app.example").send().await;
    assert_eq!(good.header("access-control-allow-origin"), Some("https://app.example"));
    let other = app.get("/health").header("origin", "https://evil.example").send().await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    let Some(app) = App::start(Needs::Own).await else { return };
    let off = app.get("/health").header("origin", "https://app.example").send().await;
    assert_eq!(off.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_429_and_a_503_have_retry_after_in_header_and_body() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    app.request_otp(&phone, "REGISTER").await.ok();
    let limited = app.request_otp(&phone, "REGISTER").await;
    assert_eq!(limited.status, 429);
    assert_eq!(limited.header("retry-after").unwrap(), limited.retry_after().to_string());
    app.inject_fault("sns", "Publish", "throttle", 1).await;
    let failed = app.request_otp(&random_phone(), "REGISTER").await;
    assert_eq!(failed.status, 503);
    assert_eq!(failed.header("retry-after").unwrap(), failed.retry_after().to_string());
}

#[tokio::test]
async fn asvs_6_3_2_there_is_no_default_account_and_no_master_code() {
    let Some(app) = App::start(Needs::Own).await else { return };
    assert!(app.rows("users").await.is_empty());
    let phone = random_phone();
    app.request_otp(&phone, "REGISTER").await.ok();
    let code = app.code_for(&phone).await;
    for master in ["000000", "123456", "111111", "999999"] {
        if master != code {
            app.verify(&phone, master, "REGISTER").await.problem(400, "invalid_otp");
        }
    }
    for (identifier, password) in
        [("admin@example.com", "admin123"), ("root@example.com", "changeme")]
    {
        let body = json!({"identifier": identifier, "password": password});
        let response = app.post("/auth/login", &body).with_client_ip(&random_ip()).send().await;
        response.problem(400, "invalid_credentials");
    }
}
