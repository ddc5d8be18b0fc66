use std::{future::pending, time::Duration};

use aws_config::SdkConfig;
use axum::{Router, body::Bytes as Body_, http::HeaderMap, routing::get};
use http_body_util::BodyExt;
use lambda_http::request::RequestContext;
use serde_json::Value;
use shared::runtime::config::Config;

use super::{
    iam::tests::{BODY, signed_for},
    *,
};
use crate::{aws::costs::Costs, settings::Settings};

/// A gateway whose functions are all `router`.
fn gateway(router: Router) -> Gateway {
    measured(router, Arc::default())
}

/// One that writes down what they cost.
fn measured(router: Router, costs: Arc<Costs>) -> Gateway {
    let config = Config::read(|name| Settings::default().get(name)).unwrap();
    let sdk = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build();
    let client = aws_sdk_dynamodb::Client::new(&sdk);
    let clock = Arc::new(MovableClock::new(None));
    Gateway {
        invoker: Invoker::new(Functions::all(router), Arc::clone(&clock), costs),
        clock,
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
    let costs = Arc::<Costs>::default();
    let gateway = measured(router, Arc::clone(&costs));
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
    for (method, path) in [
        (Method::DELETE, "/auth/me"),
        (Method::GET, "/nowhere"),
        (Method::HEAD, "/health"),
        (Method::POST, "/auth%2Flogin"),
        (Method::POST, "/auth/login%20"),
    ] {
        let route = Route::of(&method, path);
        assert_eq!((&*route.key, route.function), ("$default", DEFAULT_FUNCTION));
    }
}

/// A gateway whose functions answer the authorizer that they see.
fn mirror() -> Gateway {
    gateway(Router::new().fallback(async |request: Request| {
        let Some(RequestContext::ApiGatewayV2(context)) = request.extensions().get() else {
            panic!("no context");
        };
        axum::Json(json!(context.authorizer))
    }))
}

/// What the functions see when this is signed.
async fn seen(method: &Method, path: &str) -> Value {
    let gateway = mirror();
    let parts = signed_for(method, path, gateway.clock.wall_now());
    let (status, _, body) = answer(gateway, Request::from_parts(parts, Body::from(BODY))).await;
    assert_eq!(status, StatusCode::OK, "{method} {path}");
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn operations_for_services_and_no_others_have_an_identity() {
    let services = operation::ALL.iter().filter(|operation| operation.caller == Caller::Service);
    for operation in services {
        let seen = seen(&operation.method, operation.path).await;
        assert_eq!(seen["iam"]["userArn"], "arn:aws:iam::000000000000:user/local");
        let unsigned = Request::builder().method(&operation.method).uri(operation.path);
        let unsigned = unsigned.header("host", "localhost").body(Body::from(BODY)).unwrap();
        let (status, _, body) = answer(mirror(), unsigned).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(body, r#"{"message":"Forbidden"}"#);
    }
    let elsewhere = [
        (Method::GET, "/auth/me"),
        (Method::POST, "/auth/login"),
        (Method::GET, "/internal/usage-events"),
        (Method::POST, "/internal/usage-events/"),
        (Method::POST, "/nowhere"),
    ];
    for (method, path) in elsewhere {
        assert_eq!(seen(&method, path).await, Value::Null, "{method} {path}");
    }
}
