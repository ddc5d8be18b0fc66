use axum::http::Request;

use super::*;

fn event(request: axum::http::request::Builder, body: &[u8]) -> Result<Value, Refusal> {
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let incoming = Incoming {
        parts: &parts,
        body,
        identity: None,
        source_ip: "203.0.113.7".parse().unwrap(),
        request_id: "JKJaXmPLvHcESHA=",
        now: "2026-03-12T19:03:58Z".parse().unwrap(),
    };
    let json = incoming.to_json("GET /admin/users/{user_id}", Some("/admin/users/{user_id}"))?;
    Ok(serde_json::from_str(&json).unwrap())
}

fn get(path: &str) -> axum::http::request::Builder {
    Request::get(path).header("host", "127.0.0.1:9000")
}

#[test]
fn repeated_headers_are_joined_and_cookies_are_apart() {
    let request = get("/").header("X-Two", "a").header("x-two", "b");
    let request = request.header("cookie", "one=1; two=2").header("cookie", "three=3");
    let event = event(request, b"").unwrap();
    assert_eq!(event["headers"]["x-two"], "a,b");
    assert_eq!(event["cookies"], json!(["one=1", "two=2", "three=3"]));
    assert!(event["headers"].get("cookie").is_none());
    assert!(event.get("body").is_none());
}

#[test]
fn the_query_is_raw_and_joined() {
    let event = event(get("/?to=%2B977&status=A&status=B"), b"").unwrap();
    assert_eq!(event["rawQueryString"], "to=%2B977&status=A&status=B");
    assert_eq!(event["queryStringParameters"], json!({"to": "+977", "status": "A,B"}));
}

#[test]
fn the_path_is_decoded_and_its_parameters_are_named() {
    let event = event(get("/admin/users/a%20b%2Fc"), b"").unwrap();
    assert_eq!(event["rawPath"], "/admin/users/a b/c");
    assert_eq!(event["requestContext"]["http"]["path"], "/admin/users/a b/c");
    assert_eq!(event["pathParameters"], json!({"user_id": "a b/c"}));
    assert_eq!(raw_path("/users/me%3Fadmin=true"), "/users/me");
}

#[test]
fn the_context_says_where_and_when() {
    let event = event(get("/").header("user-agent", "curl/8"), b"").unwrap();
    let context = &event["requestContext"];
    assert_eq!(context["http"]["sourceIp"], "203.0.113.7");
    assert_eq!(context["http"]["protocol"], "HTTP/1.1");
    assert_eq!(context["http"]["userAgent"], "curl/8");
    assert_eq!(context["stage"], "$default");
    assert_eq!(context["time"], "12/Mar/2026:19:03:58 +0000");
    assert_eq!(context["timeEpoch"], 1_773_342_238_000_u64);
    assert_eq!(event["headers"]["x-forwarded-for"], "203.0.113.7");
}

#[test]
fn text_is_passed_on_and_all_else_encoded() {
    let body = |content_type: &str, body: &[u8]| {
        let event = event(get("/").header("content-type", content_type), body).unwrap();
        (event["body"].as_str().unwrap().to_owned(), event["isBase64Encoded"].as_bool().unwrap())
    };
    assert_eq!(body("application/json; charset=utf-8", b"{}"), ("{}".to_owned(), false));
    assert_eq!(body("application/problem+json", b"{}"), ("{}".to_owned(), false));
    assert_eq!(body("application/json", b"\xff"), ("/w==".to_owned(), true));
    assert_eq!(body("image/png", b"abc"), ("YWJj".to_owned(), true));
    assert_eq!(body("application/x-www-form-urlencoded", b"a=b"), ("YT1i".to_owned(), true));
}

#[test]
fn what_lambda_http_cannot_read_is_refused() {
    let refused = [
        Request::get("/").header("host", "bad host"),
        Request::get("/").header("host", "[::1"),
        Request::options("*").header("host", "a.example"),
        get("/").header("x-name", "S\u{ed}t\u{101}".as_bytes()),
    ];
    for request in refused {
        assert_eq!(event(request, b""), Err(Refusal::BAD_REQUEST));
    }
}

#[test]
fn a_test_speaks_from_another_address() {
    let peer = "127.0.0.1:40000".parse().unwrap();
    let parts =
        |text: &str| get("/").header(SOURCE_IP_HEADER, text).body(()).unwrap().into_parts().0;
    let mut spoken = parts("2001:db8::7");
    assert_eq!(source_ip(&mut spoken, peer), Ok("2001:db8::7".parse().unwrap()));
    assert!(spoken.headers.get(SOURCE_IP_HEADER).is_none());
    assert_eq!(source_ip(&mut parts("not an address"), peer), Err(Refusal::BAD_REQUEST));
}
