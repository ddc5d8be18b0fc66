//! Malformed bodies, on operations that read one.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, PASSWORD, Request, Response, WITH_BODY, random_ip, random_phone, random_username,
};

/// A POST to `path` with an access token.
pub fn post_as(app: &App, path: &str, access_token: &str, body: impl Into<Vec<u8>>) -> Request {
    app.post_bytes(path, body).bearer(access_token).from_ip(&random_ip())
}

/// Each path with a body in which every field is well-formed.
pub fn well_formed_bodies() -> Vec<(&'static str, Value)> {
    let (phone, token) = (random_phone(), "A".repeat(43));
    vec![
        ("/auth/otp/request", json!({"identifier": phone, "purpose": "LOGIN"})),
        ("/auth/otp/verify", json!({"identifier": phone, "otp": "123456", "purpose": "LOGIN"})),
        (
            "/auth/register",
            json!({
                "username": random_username(), "password": PASSWORD, "verification_token": token,
                "email": "a@example.com", "phone_number": phone, "referral_code": "ABCDEFGH",
            }),
        ),
        (
            "/auth/login",
            json!({"identifier": phone, "password": PASSWORD, "verification_token": token}),
        ),
        ("/auth/logout", json!({"refresh_token": token, "all": false})),
        ("/auth/refresh", json!({ "refresh_token": token })),
    ]
}

#[track_caller]
fn assert_4xx(response: &Response, what: &str) {
    response.assert_problem();
    assert!((400..500).contains(&response.status), "{what}: {response:?}");
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_gets_400() {
    let Some(app) = App::start(Needs::Gateway).await else { return };
    let token = app.register_user().await.access_token;
    let deep_arrays = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let deep_field = format!("{{\"identifier\":{deep_arrays}}}");
    let bodies: Vec<&[u8]> = vec![
        b"{",
        b"}",
        b"nope",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{'a':1}",
        b"{\"a\":NaN}",
        b"{\"a\":01}",
        b"{}{}",
        b"{} x",
        b"[]",
        b"[{}]",
        b"null",
        b"true",
        b"7",
        b"\"text\"",
        b" ",
        b"\0",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
        b"\xff\xfe{\0}\0",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\\udc00\\ud800\"}",
        b"{\"a\":\"\x01\"}",
        b"{\"a\":1e999}",
        b"{\"a\":\"\\x\"}",
        deep_arrays.as_bytes(),
        deep_objects.as_bytes(),
        deep_field.as_bytes(),
    ];
    for path in WITH_BODY {
        for body in &bodies {
            let response = post_as(&app, path, &token, *body).send().await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert_4xx(&response, &format!("{path} {shown}"));
            assert_eq!(
                (response.status, response.text("code")),
                (400, "invalid_json"),
                "{path} {shown}"
            );
        }
    }
}

#[tokio::test]
async fn asvs_4_1_1_a_body_with_another_content_type_gets_415() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let token = app.register_user().await.access_token;
    for (path, body) in well_formed_bodies() {
        for content_type in [
            None,
            Some("text/plain"),
            Some("text/json"),
            Some("application/jsonp"),
            Some("json"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/octet-stream"),
            Some("application/xml"),
            Some(""),
        ] {
            let request = app.request("POST", path).bearer(&token).body(body.to_string());
            let request = match content_type {
                Some(content_type) => request.header("content-type", content_type),
                None => request,
            };
            let response = request.send().await;
            assert_eq!(response.status, 415, "{path} {content_type:?}: {response:?}");
            response.problem(415, "unsupported_media_type");
        }
        for content_type in ["application/json", "Application/JSON;charset=UTF-8"] {
            let request = app.request("POST", path).bearer(&token).from_ip(&random_ip());
            let request = request.header("content-type", content_type).body(body.to_string());
            assert_ne!(request.send().await.status, 415, "{path} {content_type}");
        }
    }
}

#[tokio::test]
async fn a_body_over_64_kib_gets_413_and_one_of_64_kib_is_read() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let token = app.register_user().await.access_token;
    for path in WITH_BODY {
        let sized = |bytes: usize| format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes - 10));
        assert_eq!(sized(65_536).len(), 65_536);
        let response = post_as(&app, path, &token, sized(65_536)).send().await;
        response.problem(400, "validation_failed");
        for bytes in [65_537, 200_000, 3_000_000] {
            let response = post_as(&app, path, &token, sized(bytes)).send().await;
            response.problem(413, "body_too_large");
        }
    }
}

#[tokio::test]
async fn every_field_of_the_wrong_type_is_named() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let token = app.register_user().await.access_token;
    for (path, body) in well_formed_bodies() {
        for name in body.as_object().unwrap().keys() {
            for wrong in [
                json!(7),
                json!(-1.5),
                json!(1e308),
                json!(u64::MAX),
                json!([]),
                json!(["a"]),
                json!({}),
                json!({"S": "x"}),
                json!([[[[]]]]),
                json!([null]),
            ] {
                let mut body = body.clone();
                body[name] = wrong;
                let response = post_as(&app, path, &token, body.to_string()).send().await;
                response.refuses(&[name]);
            }
            let flag = if name == "all" { json!("true") } else { json!(true) };
            let mut body = body.clone();
            body[name] = flag;
            post_as(&app, path, &token, body.to_string()).send().await.refuses(&[name]);
        }
    }
}

#[tokio::test]
async fn all_fields_of_wrong_types_are_named_together() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let token = app.register_user().await.access_token;
    for (path, mut body) in well_formed_bodies() {
        let names: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        for name in &names {
            body[name] = json!([1]);
        }
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        post_as(&app, path, &token, body.to_string()).send().await.refuses(&names);
    }
}

#[tokio::test]
async fn long_texts_and_large_numbers_are_refused_by_field_name() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let token = app.register_user().await.access_token;
    for (path, body) in well_formed_bodies() {
        for name in body.as_object().unwrap().keys().filter(|name| *name != "all") {
            for long in ["x".repeat(60_000), "9".repeat(60_000), "🦉".repeat(15_000)] {
                let mut body = body.clone();
                body[name] = long.into();
                post_as(&app, path, &token, body.to_string()).send().await.refuses(&[name]);
            }
            let number = "9".repeat(50_000);
            let raw = format!("{{\"{name}\":{number}}}");
            assert_4xx(&post_as(&app, path, &token, raw).send().await, name);
            for raw in [format!("{{\"{name}\":1e400}}"), format!("{{\"{name}\":-1e-999999}}")] {
                assert_4xx(&post_as(&app, path, &token, raw).send().await, name);
            }
        }
    }
}

#[tokio::test]
async fn control_characters_and_unusual_unicode_get_4xx() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let token = app.register_user().await.access_token;
    let texts = [
        "\0",
        "a\0b",
        "\u{7}\u{1b}[2J",
        "\r\nset-cookie: a=b",
        "\u{202e}abc",
        "\u{feff}abc",
        "a\u{300}\u{301}\u{302}",
        "\u{10ffff}",
        "ﷺﷺﷺ",
        "${jndi:ldap://x}",
        "' OR '1'='1",
        "{{7*7}}",
        "../../etc/passwd",
        "%00%0a",
        "USER#1",
        "attribute_exists(pk)",
        ":zero",
        " ",
        "\t",
        "-",
        "+",
        "@",
        "#",
        "٠١٢٣٤٥",
        "１２３４５６",
    ];
    for (path, body) in well_formed_bodies() {
        for name in body.as_object().unwrap().keys() {
            for text in texts {
                let mut body = body.clone();
                body[name] = text.into();
                let response = post_as(&app, path, &token, body.to_string()).send().await;
                assert_4xx(&response, &format!("{path} {name} {text:?}"));
            }
        }
    }
}

#[tokio::test]
async fn duplicate_and_unusual_keys_get_4xx() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let token = app.register_user().await.access_token;
    for (path, body) in well_formed_bodies() {
        for name in body.as_object().unwrap().keys() {
            let twice = format!("{{\"{name}\":7,\"{name}\":[]}}");
            assert_4xx(&post_as(&app, path, &token, twice).send().await, name);
        }
        let odd = json!({"": 1, "__proto__": {"all": true}, "\u{0}": 2, "constructor": null});
        assert_4xx(&post_as(&app, path, &token, odd.to_string()).send().await, path);
        let many: serde_json::Map<_, _> =
            (0..5_000).map(|number| (format!("k{number}"), json!(1))).collect();
        let many = Value::Object(many).to_string();
        assert_4xx(&post_as(&app, path, &token, many).send().await, path);
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let strange = json!({"deep": [[{"a": null}]], "b": 1e300});
    let phone = random_phone();
    let body = json!({"identifier": phone, "purpose": "REGISTER", "strange": strange});
    app.post("/auth/otp/request", &body).from_ip(&random_ip()).send().await.ok();
    let otp = app.code_for(&phone).await;
    let body = json!({"identifier": phone, "otp": otp, "purpose": "REGISTER", "strange": strange});
    app.post("/auth/otp/verify", &body).send().await.ok();
    let body = json!({"identifier": user.phone, "password": PASSWORD, "strange": strange});
    app.login_with(&body).await.ok();
    let body = json!({"refresh_token": user.refresh_token, "strange": strange});
    app.post("/auth/refresh", &body).send().await.ok();
    app.logout(&user.access_token, &body).await.ok();
}
