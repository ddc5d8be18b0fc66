//! The headers of every response, and the responses of unknown routes.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, Response, random_ip, random_phone};

/// Successful and failed responses of several operations.
async fn every_operation(app: &App) -> Vec<(&'static str, u16, Response)> {
    let new = app.new_user().await;
    let phone = random_phone();
    let mut responses = vec![
        ("otp/request", 200, app.request_otp(&phone, "REGISTER").await),
        ("otp/request", 429, app.request_otp(&phone, "REGISTER").await),
        ("otp/request", 400, app.request_otp("nobody", "REGISTER").await),
    ];
    let code = app.code_for(&phone).await;
    responses.push(("otp/verify", 200, app.verify(&phone, &code, "REGISTER").await));
    responses.push(("otp/verify", 400, app.verify(&phone, &code, "REGISTER").await));
    let registered = app.register(&new).await;
    let (access, refresh) =
        (registered.text("access_token").to_owned(), registered.text("refresh_token").to_owned());
    responses.push(("register", 201, registered));
    responses.push(("register", 400, app.register(&new).await));
    responses.push(("login", 200, app.login(&new.phone, PASSWORD).await));
    responses.push(("login", 400, app.login(&new.phone, "not the password").await));
    responses.push(("me", 200, app.me(&access).await));
    responses.push(("me", 401, app.me("garbage").await));
    responses.push(("refresh", 200, app.refresh(&refresh).await));
    responses.push(("refresh", 401, app.refresh("garbage").await));
    responses.push(("refresh", 400, app.refresh("").await));
    responses.push(("logout", 401, app.logout("garbage", &json!({})).await));
    responses.push(("logout", 400, app.logout(&access, &json!({})).await));
    responses.push(("logout", 200, app.logout(&access, &json!({"all": true})).await));
    responses.push(("health", 200, app.get("/health").send().await));
    responses.push(("jwks", 200, app.get("/.well-known/jwks.json").send().await));
    responses.push(("unknown", 404, app.get("/nowhere").send().await));
    responses.push(("method", 405, app.request("DELETE", "/auth/me").send().await));
    let large = app.post_bytes("/auth/login", vec![b' '; 70_000]);
    responses.push(("large", 413, large.send().await));
    let text = app.request("POST", "/auth/login").header("content-type", "text/plain").body("x");
    responses.push(("text", 415, text.send().await));
    responses
}

#[tokio::test]
async fn asvs_14_3_2_every_response_has_the_security_headers_and_no_banner() {
    let Some(app) = App::start(Needs::Gateway).await else { return };
    let mut ids = std::collections::HashSet::new();
    for (what, status, response) in every_operation(&app).await {
        assert_eq!(response.status, status, "{what}: {response:?}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{what}");
        let cache = response.header("cache-control").unwrap_or_default();
        match what {
            "jwks" => assert!(cache.contains("max-age"), "{cache}"),
            _ => assert_eq!(cache, "no-store", "{what} {status}"),
        }
        let id = response.header("x-request-id").unwrap_or_default().to_owned();
        assert!(!id.is_empty() && ids.insert(id), "{what} {status}: one id per request");
        for banner in ["server", "x-powered-by", "x-amzn-remapped-server", "via", "x-runtime"] {
            assert_eq!(response.header(banner), None, "{what}");
        }
        assert_eq!(response.header("set-cookie"), None, "{what}");
        assert_eq!(response.header("access-control-allow-origin"), None, "{what}");
        match status {
            200 | 201 => {
                assert_eq!(response.header("content-type"), Some("application/json"), "{what}");
                assert_eq!(response.header("x-amzn-remapped-www-authenticate"), None);
                assert_eq!(response.header("retry-after"), None);
            }
            _ => response.assert_problem(),
        }
    }
}

#[tokio::test]
async fn a_401_has_the_challenge_header_that_the_gateway_renames() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for response in
        [app.me("garbage").await, app.get("/auth/me").send().await, app.refresh("x").await]
    {
        assert_eq!(response.header("x-amzn-remapped-www-authenticate"), Some("Bearer"));
        assert_eq!(response.header("www-authenticate"), None);
    }
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

/// API Gateway decodes the path after it has chosen the route, so these requests use `$default`.
#[tokio::test]
async fn an_encoded_slash_does_not_bypass_authentication() {
    let Some(app) = App::start(Needs::ApiGateway).await else { return };
    for path in
        ["/auth%2Fme", "/auth/%6de", "/auth/otp%2Frequest", "/auth%2flogout", "/x/..%2Fauth/me"]
    {
        for method in ["GET", "POST"] {
            let response = app.request(method, path).send().await;
            response.assert_problem();
            assert!([401, 404, 405].contains(&response.status), "{method} {path}: {response:?}");
        }
    }
}

#[tokio::test]
async fn an_unsupported_method_gets_405_with_allow() {
    let Some(app) = App::start(Needs::ApiGateway).await else { return };
    let routes = [
        ("/auth/otp/request", "POST"),
        ("/auth/otp/verify", "POST"),
        ("/auth/register", "POST"),
        ("/auth/login", "POST"),
        ("/auth/logout", "POST"),
        ("/auth/refresh", "POST"),
        ("/auth/me", "GET"),
        ("/.well-known/jwks.json", "GET"),
        ("/health", "GET"),
    ];
    for (path, allowed) in routes {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            if method == allowed {
                continue;
            }
            let response = app.request(method, path).send().await;
            response.problem(405, "method_not_allowed");
            assert_eq!(response.header("allow"), Some(allowed), "{method} {path}");
        }
        // HEAD is not supported either; the response to it has no body.
        let head = app.request("HEAD", path).send().await;
        assert_eq!((head.status, head.header("allow")), (405, Some(allowed)), "{path}");
        assert!(head.bytes.is_empty());
        assert_eq!(head.header("x-content-type-options"), Some("nosniff"));
    }
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
        let response = app.post("/auth/login", &body).from_ip(&random_ip()).send().await;
        response.problem(400, "invalid_credentials");
    }
}
