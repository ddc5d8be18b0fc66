//! Variants of the documented paths, for every operation.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use shared::http::operation::{ALL, Caller, Operation};
use tests::{UNKNOWN_ID, path_of};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{App, Callers, Needs, PASSWORD, Response, User, WithBody};

/// Spellings of a path that must not be treated as the path.
fn variants(path: &str) -> Vec<String> {
    let (folder, last) = path.rsplit_once('/').unwrap();
    let first = last.as_bytes()[0];
    let ends = [
        "%20", "%09", "%0A", "%00", "%23x", "%3Fx", "%3F", "%25", "%2F", "/", "%2F.", "%5C",
        ";x=1", "%3B", ".", "%2E", "+", "%C3%A9", "%FF", "%26a=b",
    ];
    let mut variants: Vec<_> = ends.iter().map(|end| format!("{path}{end}")).collect();
    variants.extend([
        format!("/{path}"),
        format!("/%2F{}", &path[1..]),
        format!("/x%2F..{path}"),
        format!("{folder}%2F{last}"),
        format!("{folder}%2f{last}"),
        format!("{folder}%5C{last}"),
        format!("{folder}//{last}"),
        format!("{folder}/%20{last}"),
        format!("{folder}/%{first:02x}{}", &last[1..]),
        format!("{folder}/%25{first:02x}{}", &last[1..]),
        path.replace('/', "%2F").replacen("%2F", "/", 1),
        path.to_uppercase(),
    ]);
    variants.retain(|variant| variant != path && variant.starts_with('/'));
    variants
}

/// Sends requests of permitted callers.
struct Requests<'a> {
    app: &'a App,
    callers: &'a Callers,
    with_body: Vec<WithBody>,
}

impl<'a> Requests<'a> {
    fn new(app: &'a App, callers: &'a Callers) -> Self {
        Self { app, callers, with_body: WithBody::all() }
    }

    /// Sends a request to this path, with the documented body.
    async fn send(&self, operation: &'static Operation, path: &str) -> Response {
        let with_body = self.with_body.iter().find(|each| each.operation == operation);
        let request = self.app.call_at(self.callers, operation, path, |request| match with_body {
            Some(WithBody { body, .. }) => {
                request.header("content-type", "application/json").body(body.to_string())
            }
            None => request,
        });
        request.send().await
    }
}

#[tokio::test]
async fn a_variant_of_a_path_gets_404_for_every_operation() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let callers = app.callers().await;
    let requests = Requests::new(&app, &callers);
    // A path parameter may be percent-encoded; the next test checks those.
    let is_fixed = |operation: &&Operation| !operation.path.ends_with('}');
    for operation in ALL.iter().filter(is_fixed) {
        let before = app.calls(&operation.route_key()).await;
        for path in variants(&path_of(operation, UNKNOWN_ID)) {
            let response = requests.send(operation, &path).await;
            assert_eq!(response.status, 404, "{} {path}: {response:?}", operation.route_key());
            response.problem(404, "not_found");
        }
        let after = app.calls(&operation.route_key()).await;
        assert_eq!(after, before, "{}", operation.route_key());
    }
    app.me(&callers.user.access_token).await.ok();
}

#[tokio::test]
async fn a_variant_of_a_path_parameter_gets_404_for_every_operation() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (callers, user) = (app.callers().await, app.register_user().await);
    let requests = Requests::new(&app, &callers);
    register_device(&app, &callers.user, "phone").await;
    let session_id = session_id(&app, &callers.user).await;
    for operation in ALL.iter().filter(|operation| operation.path.contains('{')) {
        let named = match operation.path.split(['{', '}']).nth(1).unwrap() {
            "device_id" => "phone",
            "session_id" => &session_id,
            "user_id" => &user.user_id,
            other => panic!("unknown path parameter {other}"),
        };
        let (first, rest) = (named.as_bytes()[0], &named[1..]);
        let mut others: Vec<_> = [
            "%20",
            "%09",
            "%0A",
            "%00",
            "%23x",
            "%3Fx",
            "%3F",
            "%2F",
            "%2F.",
            "%2Fx%2F..",
            "%5C",
            ";x",
            "%25",
            "%FF",
            "+",
            "%23",
            "%C2%A0",
        ]
        .iter()
        .map(|end| format!("{named}{end}"))
        .collect();
        others.extend([
            format!("%20{named}"),
            format!("x%2F..%2F{named}"),
            format!("%2E%2F{named}"),
            format!("%25{first:02x}{rest}"),
            "%FF".to_owned(),
            "%20".to_owned(),
        ]);
        for other in others {
            let response = requests.send(operation, &path_of(operation, &other)).await;
            assert_eq!(response.status, 404, "{} {other}: {response:?}", operation.route_key());
            response.problem(404, "not_found");
        }
    }
    app.me(&user.access_token).await.ok();
    app.me(&callers.user.access_token).await.ok();
    assert_eq!(devices(&app, &callers.user).await, ["phone"]);
}

/// The HTTP client would normalise these paths, so they are sent over a TCP connection.
#[tokio::test]
async fn a_path_with_dot_segments_gets_404_for_every_operation() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for operation in ALL {
        let path = path_of(operation, UNKNOWN_ID);
        let mut paths = vec![
            format!("/x/..{path}"),
            format!("/x/%2E%2e{path}"),
            format!("/.{path}"),
            format!("/%2e{path}"),
            format!("{path}/."),
            format!("{path}/x/.."),
            format!("{path}/x/%2E%2E"),
            path.replacen('/', "/x/%2E%2E/", 1),
        ];
        if operation.path.contains('{') {
            paths.extend([".", "..", "%2E", "%2e%2E", ".%2e"].map(|dots| path_of(operation, dots)));
        }
        for path in paths {
            let status =
                raw_status(&app, operation.method.as_str(), &path, &user.access_token).await;
            let unsigned = operation.caller == Caller::Service && status == 403;
            assert!(status == 404 || unsigned, "{} {path}: {status}", operation.route_key());
        }
    }
    app.me(&user.access_token).await.ok();
}

/// The status of the response to exactly this path.
async fn raw_status(app: &App, method: &str, path: &str, token: &str) -> u16 {
    let host = app.base_url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn register_device(app: &App, user: &User, device_id: &str) {
    let token = format!("{} {device_id}", user.user_id);
    let body = json!({"device_id": device_id, "fcm_token": token, "device_type": "IOS"});
    app.post("/auth/device", &body).bearer(&user.access_token).send().await.ok();
}

async fn devices(app: &App, user: &User) -> Vec<String> {
    let devices = app.get("/auth/devices").bearer(&user.access_token).send().await;
    let devices = devices.ok()["results"].as_array().unwrap().iter();
    devices.map(|device| device["device_id"].as_str().unwrap().to_owned()).collect()
}

async fn session_id(app: &App, user: &User) -> String {
    let sessions = app.get("/auth/sessions").bearer(&user.access_token).send().await;
    sessions.ok()["results"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_path_parameter_may_be_fully_percent_encoded() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let sessions = async |token: &str| {
        let response = app.get("/auth/sessions").bearer(token).send().await;
        response.ok()["results"].as_array().unwrap().clone()
    };
    let other = app.login(&user.phone, PASSWORD).await.text("access_token").to_owned();
    let listed = sessions(&user.access_token).await;
    let other_id = listed.iter().find(|session| session["current"] == Value::Bool(false)).unwrap();
    let encoded: String =
        other_id["id"].as_str().unwrap().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/auth/sessions/{encoded}");
    app.request("DELETE", &path).bearer(&user.access_token).send().await.ok();
    app.me(&other).await.problem(401, "session_ended");
}

/// The ids differ only in characters that a second decoding or trimming would change.
#[tokio::test]
async fn device_ids_that_a_url_parser_could_confuse_stay_distinct() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let delete = async |segment: &str| {
        let path = format!("/auth/devices/{segment}");
        app.request("DELETE", &path).bearer(&user.access_token).send().await
    };
    for kept in ["phone", "a b", "a+b", "phone;x", "ph.one", "phone&a=b", "ग", "a:b@c"] {
        register_device(&app, &user, kept).await;
        let encoded = utf8_percent_encode(kept, NON_ALPHANUMERIC).to_string();
        for end in ["%20", "%23", "%3F", "%3Fx", "%23x", "%2F", "%25"] {
            delete(&format!("{encoded}{end}")).await.problem(404, "not_found");
        }
        delete(&format!("%20{encoded}")).await.problem(404, "not_found");
        let twice = utf8_percent_encode(&encoded, NON_ALPHANUMERIC).to_string();
        if twice != encoded {
            delete(&twice).await.problem(404, "not_found");
        }
        assert_eq!(devices(&app, &user).await, [kept]);
        delete(&encoded).await.ok();
        assert_eq!(devices(&app, &user).await, [""; 0]);
    }
}
