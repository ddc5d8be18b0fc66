//! `/_local/` over HTTP.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::primitives::ByteStream;
use local::{Options, Stack};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

async fn stack() -> Stack {
    Stack::start(Options::default()).await.unwrap()
}

async fn call(stack: &Stack, method: Method, path: &str, body: Value) -> Response {
    let request = Client::new().request(method, format!("{}/_local/{path}", stack.base_url()));
    let request = if body.is_null() { request } else { request.json(&body) };
    request.send().await.unwrap()
}

async fn refusal(stack: &Stack, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let response = call(stack, method, path, body).await;
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
    (response.status(), response.json().await.unwrap())
}

async fn now(stack: &Stack) -> jiff::Timestamp {
    let clock: Value = call(stack, Method::GET, "clock", Value::Null).await.json().await.unwrap();
    clock["now"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_clock_moves_by_what_is_asked() {
    let stack = stack().await;
    let before = now(&stack).await;
    let moved = call(&stack, Method::POST, "clock", json!({"advance_seconds": 86_400})).await;
    let moved: Value = moved.json().await.unwrap();
    let moved: jiff::Timestamp = moved["now"].as_str().unwrap().parse().unwrap();
    assert!(moved.as_second() - before.as_second() >= 86_400);
    assert!(now(&stack).await >= moved);
}

#[tokio::test]
async fn bad_input_is_named() {
    let stack = stack().await;
    let bad = [
        (Method::POST, "clock", json!({"advance_seconds": -1}), "advance_seconds"),
        (Method::POST, "clock", json!({}), "advance_seconds"),
        (Method::GET, "messages?to=nobody", Value::Null, "to"),
        (Method::POST, "faults", json!({"service": "s3", "kind": "fire", "times": 1}), "kind"),
    ];
    for (method, path, body, field) in bad {
        let (status, problem) = refusal(&stack, method, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let (status, problem) = refusal(&stack, Method::POST, "clock", json!("soon")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_json")));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let stack = stack().await;
    for path in ["nothing", "", "messages/1"] {
        let (status, _) = refusal(&stack, Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let response = call(&stack, Method::DELETE, "clock", Value::Null).await;
    assert_eq!(response.headers()["allow"], "GET, POST");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_reset_forgets_all_but_the_keys() {
    let stack = stack().await;
    let dynamodb = stack.dynamodb();
    let s = |text: &str| AttributeValue::S(text.to_owned());
    let user = dynamodb.put_item().table_name(stack.table_name("users")).item("pk", s("USER#1"));
    user.send().await.unwrap();
    let key = dynamodb.put_item().table_name(stack.table_name("keys"));
    key.item("pk", s("TEST")).item("slot", s("1")).send().await.unwrap();
    let s3 = aws_sdk_s3::Client::new(stack.sdk_config());
    let document = s3.put_object().bucket(stack.table_name("kyc")).key("a/b");
    document.body(ByteStream::from_static(b"bytes")).send().await.unwrap();
    call(&stack, Method::POST, "clock", json!({"advance_seconds": 3_600})).await;
    let advanced = now(&stack).await;

    let response = call(&stack, Method::POST, "reset", Value::Null).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let count = async |table: &str| {
        let scan = stack.dynamodb().scan().table_name(stack.table_name(table));
        scan.send().await.unwrap().count()
    };
    assert_eq!(count("users").await, 0);
    assert!(count("keys").await >= 1);
    let objects = s3.list_objects_v2().bucket(stack.table_name("kyc")).send().await.unwrap();
    assert!(objects.contents().is_empty());
    assert!(now(&stack).await < advanced);
    let ttl = dynamodb.describe_time_to_live().table_name(stack.table_name("otp")).send().await;
    let ttl = ttl.unwrap().time_to_live_description.unwrap();
    assert_eq!(ttl.attribute_name(), Some("expires_at"));
}

#[tokio::test]
async fn faults_meet_the_products_clients_and_no_others() {
    let stack = stack().await;
    let fault = json!({"service": "sns", "operation": "Publish", "kind": "error_500", "times": 3});
    let added = call(&stack, Method::POST, "faults", fault).await;
    assert_eq!(added.status(), StatusCode::NO_CONTENT);
    let publish = |sdk| {
        let sns = aws_sdk_sns::Client::new(sdk);
        sns.publish().phone_number("+9779841234567").message("a").send()
    };
    assert!(publish(stack.sdk_config()).await.is_ok());
    // Three attempts, which the SDK makes by itself.
    let error = publish(stack.product_sdk_config()).await.unwrap_err().into_service_error();
    assert!(error.is_internal_error_exception());
    assert!(publish(stack.product_sdk_config()).await.is_ok());
}

#[tokio::test]
async fn a_page_of_another_origin_or_a_name_made_to_lead_here_is_refused() {
    let stack = stack().await;
    let url = format!("{}/_local/messages", stack.base_url());
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "localhost.evil.example:9000"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ] {
        let response = Client::new().get(&url).header(name, value).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name}: {value}");
    }
    let own = Client::new().get(&url).header("origin", stack.base_url()).send().await.unwrap();
    assert_eq!(own.status(), StatusCode::OK);
}
