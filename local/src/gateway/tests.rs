use std::{future::pending, time::Duration};

use aws_config::SdkConfig;
use axum::{Router, body::Bytes as Body_, http::HeaderMap, routing::get};
use http_body_util::BodyExt;
use shared::config::Config;

use super::*;
use crate::settings::Settings;

/// A gateway whose functions are all `router`.
fn gateway(router: Router) -> Gateway {
    let config = Config::read(|name| Settings::default().get(name)).unwrap();
    let sdk = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build();
    let client = aws_sdk_dynamodb::Client::new(&sdk);
    Gateway {
        functions: Functions::all(router),
        turns: Turns::default(),
        clock: Arc::new(MovableClock::new(None)),
        costs: Arc::default(),
        cors: None,
        staff: Staff::new(client, &config, &[]).unwrap(),
    }
}

async fn answer(gateway: Gateway, request: Request) -> (StatusCode, HeaderMap, Body_) {
    let peer = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000)));
    let response = handle(State(Arc::new(gateway)), peer, request).await;
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

fn request() -> Request {
    Request::get("/x?a=b").header("host", "localhost").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_crash_is_an_internal_server_error() {
    let router = Router::new().fallback(async || -> &'static str { panic!("as it should") });
    let gateway = gateway(router);
    let costs = Arc::clone(&gateway.costs);
    let (status, _, body) = answer(gateway, request()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(body, r#"{"message":"Internal Server Error"}"#);
    assert_eq!(costs.by_operation()["$default"].calls, 1);
}

#[tokio::test(start_paused = true)]
async fn thirty_seconds_are_the_most() {
    let router = Router::new().fallback(async || {
        tokio::time::sleep(INTEGRATION_TIMEOUT - Duration::from_secs(1)).await;
    });
    assert_eq!(answer(gateway(router), request()).await.0, StatusCode::OK);
    let (status, _, body) = answer(gateway(Router::new().fallback(pending::<()>)), request()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, r#"{"message":"Service Unavailable"}"#);
}

#[tokio::test]
async fn an_answer_of_six_megabytes_is_a_failure() {
    let of = |size: usize| gateway(Router::new().fallback(async move || "x".repeat(size)));
    assert_eq!(answer(of(5 * 1024 * 1024), request()).await.0, StatusCode::OK);
    let (status, ..) = answer(of(6 * 1024 * 1024), request()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn headers_cookies_and_bytes_go_there_and_back() {
    let echo = async |headers: HeaderMap, body: Body_| {
        let cookie = headers["cookie"].clone();
        let answer = [
            ("content-type", "application/octet-stream".to_owned()),
            ("x-two", headers["x-two"].to_str().unwrap().to_owned()),
            ("set-cookie", cookie.to_str().unwrap().to_owned()),
            ("www-authenticate", "Bearer".to_owned()),
        ];
        (axum::response::AppendHeaders(answer), body)
    };
    let router = Router::new().route("/x", get(echo).post(echo));
    let request = Request::post("/x").header("host", "localhost");
    let request = request.header("x-two", "a").header("x-two", "b");
    let request = request.header("cookie", "one=1; two=2");
    let request = request.header("content-type", "application/octet-stream");
    let bytes: Vec<u8> = (0..=255).collect();
    let request = request.body(Body::from(bytes.clone())).unwrap();
    let (status, headers, body) = answer(gateway(router), request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body, bytes);
    assert_eq!(headers["x-two"], "a,b");
    assert_eq!(headers["set-cookie"], "one=1; two=2");
    assert_eq!(headers["x-amzn-remapped-www-authenticate"], "Bearer");
    assert!(!headers.contains_key("www-authenticate"));
}

#[test]
fn routes_are_the_operations_and_the_default() {
    let me = Route::of(&Method::GET, "/auth/me");
    assert_eq!((&*me.key, me.template), ("GET /auth/me", Some("/auth/me")));
    for (method, path) in [(Method::DELETE, "/auth/me"), (Method::GET, "/nowhere")] {
        let route = Route::of(&method, path);
        assert_eq!((&*route.key, route.function), ("$default", DEFAULT_FUNCTION));
    }
}
