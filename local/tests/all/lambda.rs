//! Lambda's Invoke API under `/_local/lambda`.

use local::{Options, Stack};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

async fn stack() -> Stack {
    Stack::start(Options::default()).await.unwrap()
}

async fn send(stack: &Stack, method: Method, function: &str, body: impl Into<String>) -> Response {
    let endpoint = format!("{}/_local/lambda", stack.base_url());
    let url = format!("{endpoint}/2015-03-31/functions/{function}/invocations");
    Client::new().request(method, url).body(body.into()).send().await.unwrap()
}

async fn invoke(stack: &Stack, function: &str, event: &Value) -> (Option<String>, Value) {
    let response = send(stack, Method::POST, function, event.to_string()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-amz-executed-version"], "$LATEST");
    let failed = response.headers().get("x-amz-function-error");
    let failed = failed.map(|kind| kind.to_str().unwrap().to_owned());
    (failed, response.json().await.unwrap())
}

fn health() -> Value {
    json!({
        "version": "2.0",
        "routeKey": "GET /health",
        "rawPath": "/health",
        "rawQueryString": "",
        "headers": {"host": "localhost"},
        "requestContext": {
            "routeKey": "GET /health",
            "http": {"method": "GET", "path": "/health", "sourceIp": "203.0.113.7"},
            "stage": "$default",
        },
        "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn an_event_goes_in_and_the_functions_own_answer_comes_out() {
    let stack = stack().await;
    let (failed, answer) = invoke(&stack, "auth", &health()).await;
    assert_eq!(failed, None);
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(false)));
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"status": "ok"}));
    // Another function has no such path.
    assert_eq!(invoke(&stack, "wallet", &health()).await.1["statusCode"], 404);
    let costs = Client::new().get(format!("{}/_local/costs", stack.base_url())).send().await;
    let costs: Value = costs.unwrap().json().await.unwrap();
    assert_eq!(costs["operations"]["GET /health"]["calls"], 2);
}

#[tokio::test]
async fn a_scheduled_event_is_work_for_the_function_that_has_a_schedule() {
    let stack = stack().await;
    let event = json!({"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}});
    let (failed, answer) = invoke(&stack, "admin", &event).await;
    assert_eq!((failed, &answer["failed"]), (None, &json!(0)));
    let (failed, answer) = invoke(&stack, "auth", &event).await;
    assert_eq!(failed.as_deref(), Some("Unhandled"));
    assert!(!answer["errorMessage"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn an_event_that_is_none_is_the_functions_error() {
    let stack = stack().await;
    for function in ["auth", "admin"] {
        for event in [json!({}), json!([]), json!(null), json!({"Records": []})] {
            let (failed, answer) = invoke(&stack, function, &event).await;
            assert_eq!(failed.as_deref(), Some("Unhandled"), "{function} {event}");
            for member in ["errorType", "errorMessage"] {
                assert!(!answer[member].as_str().unwrap().is_empty(), "{function} {event}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_invocation_is_refused_as_lambda_does() {
    let stack = stack().await;
    let event = health().to_string();
    let unknown = send(&stack, Method::POST, "nobody", event).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.headers()["x-amzn-errortype"], "ResourceNotFoundException");
    let told: Value = unknown.json().await.unwrap();
    assert!(told["Message"].as_str().unwrap().ends_with("function:nobody"), "{told}");

    for body in ["", "{", "no JSON"] {
        let refused = send(&stack, Method::POST, "auth", body).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(refused.headers()["x-amzn-errortype"], "InvalidRequestContentException");
    }
    let other = send(&stack, Method::GET, "auth", "").await;
    assert_eq!(other.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(other.headers()["allow"], "POST");
}

#[tokio::test]
async fn six_megabytes_are_the_most() {
    let stack = stack().await;
    let of = |size: usize| format!("\"{}\"", "x".repeat(size - 2));
    let most = 6 * 1024 * 1024;
    assert_eq!(send(&stack, Method::POST, "auth", of(most)).await.status(), StatusCode::OK);
    let larger = send(&stack, Method::POST, "auth", of(most + 1)).await;
    assert_eq!(larger.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
