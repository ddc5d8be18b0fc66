//! Malformed bodies, for every operation with a documented request body.

use serde_json::{Value, json};
use tests::UNKNOWN_ID;

use crate::harness::{
    App, Callers, Needs, PASSWORD, Request, Response, WithBody, random_ip, random_phone,
};

impl WithBody {
    /// A request with this body by a permitted caller.
    pub fn request(&self, app: &App, callers: &Callers, body: impl Into<Vec<u8>>) -> Request {
        let json = |request: Request| request.header("content-type", "application/json").body(body);
        app.call(callers, self.operation, UNKNOWN_ID, json)
    }

    async fn send(&self, app: &App, callers: &Callers, body: impl Into<Vec<u8>>) -> Response {
        self.request(app, callers, body).send().await
    }
}

#[track_caller]
fn assert_4xx(response: &Response, what: &str) {
    response.assert_problem();
    assert!((400..500).contains(&response.status), "{what}: {response:?}");
}

#[track_caller]
fn assert_no_5xx(response: &Response, what: &str) {
    assert!(response.status < 500, "{what}: {response:?}");
    if response.status >= 400 {
        response.assert_problem();
    }
}

/// A 400 for this field or for fields inside it, and for no others. The items of a batch are refused
/// one by one, each with a result.
#[track_caller]
fn assert_refuses(response: &Response, name: &str, what: &str) {
    if name.contains("[0]") && response.status == 200 {
        assert_eq!(response.json["results"][0]["status"], "rejected", "{what}: {response:?}");
        return;
    }
    assert_eq!((response.status, &*response.code_or_none()), (400, "validation_failed"), "{what}");
    let fields = response.fields();
    let is_inside = |field: &str| {
        let rest = field.strip_prefix(name).unwrap_or("other");
        rest.is_empty() || rest.starts_with(['.', '['])
    };
    assert!(!fields.is_empty(), "{what}");
    assert!(fields.into_iter().all(is_inside), "{what}: {response:?}");
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_gets_400() {
    let Some(app) = App::start(Needs::Gateway).await else { return };
    let callers = app.callers().await;
    let deep_arrays = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let deep_field = format!("{{\"identifier\":{deep_arrays}}}");
    let bodies: Vec<&[u8]> = vec![
        b"",
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
        b"\r\n",
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
    for operation in WithBody::by(&callers) {
        for body in &bodies {
            let response = operation.send(&app, &callers, *body).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            let what = format!("{} {shown}", operation.name());
            assert_eq!((response.status, response.text("code")), (400, "invalid_json"), "{what}");
        }
    }
}

#[tokio::test]
async fn a_missing_body_gets_400_and_is_never_an_empty_object() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let callers = app.callers().await;
    for operation in WithBody::by(&callers) {
        for headers in [
            &[][..],
            &[("content-type", "application/json")],
            &[("content-type", "application/json; charset=utf-8"), ("content-length", "0")],
            &[("content-type", "text/plain")],
            &[("content-encoding", "identity")],
        ] {
            let request = app.call(&callers, operation.operation, UNKNOWN_ID, |request| {
                headers.iter().fold(request, |request, (name, value)| request.header(name, value))
            });
            let response = request.send().await;
            response.problem(400, "invalid_json");
        }
    }
}

#[tokio::test]
async fn an_operation_without_a_documented_body_ignores_a_body() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let with_body = WithBody::all();
    let has_body = |operation| with_body.iter().any(|each| each.operation == operation);
    for operation in shared::http::operation::ALL.iter().filter(|operation| !has_body(*operation)) {
        // Some of these operations end a session.
        let callers = app.callers().await;
        for body in ["", "{}", "not JSON"] {
            let prepared = |request: Request| match body {
                "" => request,
                body => request.body(body),
            };
            let response = app.call(&callers, operation, UNKNOWN_ID, prepared).send().await;
            assert_no_5xx(&response, &operation.route_key());
            let code = response.code_or_none();
            let body_codes = ["invalid_json", "unsupported_media_type", "body_too_large"];
            assert!(!body_codes.contains(&&*code), "{}: {response:?}", operation.route_key());
        }
    }
}

#[tokio::test]
async fn rfc_9110_a_body_with_a_content_coding_gets_415() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let callers = app.callers().await;
    let empty_object_in_gzip: &[u8] =
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0";
    for operation in WithBody::by(&callers) {
        let plain = operation.body.to_string();
        for (coding, body) in [
            ("gzip", empty_object_in_gzip),
            ("gzip", plain.as_bytes()),
            ("x-gzip", plain.as_bytes()),
            ("GZIP", b""),
            ("br", plain.as_bytes()),
            ("identity, deflate", plain.as_bytes()),
            ("nonsense", plain.as_bytes()),
        ] {
            let request =
                operation.request(&app, &callers, body).header("content-encoding", coding);
            let response = request.send().await;
            let what = format!("{} {coding}", operation.name());
            assert_eq!(
                (response.status, response.header("accept-encoding")),
                (415, Some("identity")),
                "{what}"
            );
            response.problem(415, "unsupported_media_type");
        }
        for coding in ["identity", "Identity", "identity, identity"] {
            let request = operation.request(&app, &callers, "[").header("content-encoding", coding);
            request.send().await.problem(400, "invalid_json");
        }
    }
}

#[tokio::test]
async fn asvs_4_1_1_a_body_with_another_content_type_gets_415() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let callers = app.callers().await;
    for operation in WithBody::by(&callers) {
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
            let request = app.call(&callers, operation.operation, UNKNOWN_ID, |request| {
                let request = request.body(operation.body.to_string());
                match content_type {
                    Some(content_type) => request.header("content-type", content_type),
                    None => request,
                }
            });
            let response = request.send().await;
            assert_eq!(response.status, 415, "{} {content_type:?}: {response:?}", operation.name());
            response.problem(415, "unsupported_media_type");
        }
        for content_type in ["application/json", "Application/JSON;charset=UTF-8"] {
            let request = app.call(&callers, operation.operation, UNKNOWN_ID, |request| {
                request.header("content-type", content_type).body("[")
            });
            request.send().await.problem(400, "invalid_json");
        }
    }
}

#[tokio::test]
async fn a_body_over_64_kib_gets_413_and_one_of_64_kib_is_read() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let callers = app.callers().await;
    for operation in WithBody::by(&callers) {
        let sized = |bytes: usize| format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes - 10));
        assert_eq!(sized(65_536).len(), 65_536);
        let response = operation.send(&app, &callers, sized(65_536)).await;
        assert!(![413, 415].contains(&response.status), "{}: {response:?}", operation.name());
        assert_ne!(response.code_or_none(), "invalid_json", "{}", operation.name());
        for bytes in [65_537, 200_000, 3_000_000] {
            let response = operation.send(&app, &callers, sized(bytes)).await;
            response.problem(413, "body_too_large");
        }
    }
}

#[tokio::test]
async fn every_field_of_the_wrong_type_is_named() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let callers = app.callers().await;
    for operation in WithBody::by(&callers) {
        for (pointer, name) in operation.fields() {
            let kind = std::mem::discriminant(operation.body.pointer(&pointer).unwrap());
            for wrong in [
                json!("true"),
                json!(true),
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
                if std::mem::discriminant(&wrong) == kind {
                    continue;
                }
                let body = operation.with(&pointer, wrong.clone()).to_string();
                let response = operation.send(&app, &callers, body).await;
                assert_refuses(&response, &name, &format!("{} {name} {wrong}", operation.name()));
            }
        }
    }
}

#[tokio::test]
async fn all_fields_of_wrong_types_are_named_together() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let callers = app.callers().await;
    for operation in WithBody::by(&callers) {
        let fields = operation.body.as_object().unwrap();
        let wrong = |value: &Value| if value.is_array() { json!({}) } else { json!([1]) };
        let body: Value = fields.iter().map(|(name, value)| (name.clone(), wrong(value))).collect();
        let response = operation.send(&app, &callers, body.to_string()).await;
        response.problem(400, "validation_failed");
        let (named, name) = (response.fields(), operation.name());
        let is_named = |field: &str| named.contains(&field);
        let groups = &operation.alternatives;
        for field in fields.keys() {
            let is_alternative = groups.iter().any(|group| group.contains(&&**field));
            assert!(is_alternative || is_named(field), "{name} {field}: {response:?}");
        }
        for group in groups {
            assert!(group.iter().any(|field| is_named(field)), "{name} {group:?}: {response:?}");
        }
        assert!(named.iter().all(|field| fields.contains_key(*field)), "{name}: {response:?}");
    }
}

#[tokio::test]
async fn long_texts_and_large_numbers_are_refused_by_field_name() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let callers = app.callers().await;
    for operation in WithBody::by(&callers) {
        for (pointer, name) in operation.fields() {
            let what = format!("{} {name}", operation.name());
            if operation.body.pointer(&pointer).unwrap().is_string() {
                for long in ["x".repeat(60_000), "9".repeat(60_000), "🦉".repeat(15_000)] {
                    let body = operation.with(&pointer, long.into()).to_string();
                    assert_refuses(&operation.send(&app, &callers, body).await, &name, &what);
                }
            }
            let marked = operation.with(&pointer, "NUMBER".into()).to_string();
            for number in ["1e300", "9223372036854775808", "18446744073709551616", "-1e-999999"] {
                let body = marked.replace("\"NUMBER\"", number);
                assert_refuses(&operation.send(&app, &callers, body).await, &name, &what);
            }
            // The JSON parser refuses numbers that no float can hold, and no field is read.
            for number in [&*"9".repeat(50_000), "1e400"] {
                let body = marked.replace("\"NUMBER\"", number);
                operation.send(&app, &callers, body).await.problem(400, "invalid_json");
            }
        }
    }
}

#[tokio::test]
async fn control_characters_and_unusual_unicode_cause_no_5xx() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let callers = app.callers().await;
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
        "",
        " ",
        "\t",
        "-",
        "+",
        "@",
        "#",
        "٠١٢٣٤٥",
        "１２３４５６",
    ];
    for operation in WithBody::by(&callers) {
        for (pointer, name) in operation.fields() {
            for text in texts {
                let body = operation.with(&pointer, text.into()).to_string();
                let response = operation.send(&app, &callers, body).await;
                assert_no_5xx(&response, &format!("{} {name} {text:?}", operation.name()));
                assert_eq!(response.header("set-cookie"), None);
            }
        }
    }
}

#[tokio::test]
async fn duplicate_and_unusual_keys_cause_no_5xx() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let callers = app.callers().await;
    for operation in WithBody::by(&callers) {
        let name = operation.name();
        for field in operation.body.as_object().unwrap().keys() {
            let twice = format!("{{\"{field}\":7,\"{field}\":[]}}");
            assert_4xx(&operation.send(&app, &callers, twice).await, &name);
        }
        let odd = json!({"": 1, "__proto__": {"all": true}, "\u{0}": 2, "constructor": null});
        assert_no_5xx(&operation.send(&app, &callers, odd.to_string()).await, &name);
        let many: serde_json::Map<_, _> =
            (0..5_000).map(|number| (format!("k{number}"), json!(1))).collect();
        let many = Value::Object(many).to_string();
        assert_no_5xx(&operation.send(&app, &callers, many).await, &name);
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let strange = json!({"deep": [[{"a": null}]], "b": 1e300});
    let phone = random_phone();
    let body = json!({"identifier": phone, "purpose": "REGISTER", "strange": strange});
    app.post("/auth/otp/request", &body).with_client_ip(&random_ip()).send().await.ok();
    let otp = app.code_for(&phone).await;
    let body = json!({"identifier": phone, "otp": otp, "purpose": "REGISTER", "strange": strange});
    app.post("/auth/otp/verify", &body).send().await.ok();
    let body = json!({"identifier": user.phone, "password": PASSWORD, "strange": strange});
    app.login_with(&body).await.ok();
    let body = json!({"refresh_token": user.refresh_token, "strange": strange});
    app.post("/auth/refresh", &body).send().await.ok();
    app.logout(&user.access_token, &body).await.ok();
}
