//! What is logged and what is never logged (ASVS 16.2.5).

use std::{
    cell::Cell,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::harness::{App, Needs, random_email, random_ip, random_username};

/// Collects the text of every event and span of our own crates, and the warnings and errors of
/// others, which `shared::runtime::log` always writes.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<String>>);

struct Words<'a>(&'a mut String);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

const OURS: [&str; 8] = ["shared", "otp", "auth", "profile", "kyc", "wallet", "analytics", "admin"];

thread_local! {
    static LISTENS: Cell<bool> = const { Cell::new(false) };
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let krate = metadata.target().split("::").next().unwrap_or_default();
        OURS.contains(&krate) || *metadata.level() <= Level::WARN
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if LISTENS.get() {
            let mut text = self.0.lock().unwrap();
            text.push_str(event.metadata().target());
            text.push(' ');
            event.record(&mut Words(&mut text));
            text.push('\n');
        }
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        if LISTENS.get() {
            attributes.record(&mut Words(&mut self.0.lock().unwrap()));
        }
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        if LISTENS.get() {
            values.record(&mut Words(&mut self.0.lock().unwrap()));
        }
    }
}

const DOCUMENT_NUMBER: &str = "PLANTED-4417-9921";

/// Submits a document, with faults. Returns the path of its upload.
async fn submit_document(app: &App, access_token: &str) -> String {
    let file = json!({"content_type": "image/png", "size": 1, "sha256": "0".repeat(64)});
    let body = json!({"document_number": DOCUMENT_NUMBER, "documents": {"front": file}});
    let post = async |path: &str| app.post(path, &body).bearer(access_token).send().await;
    let response = post("/users/kyc").await;
    response.body(201);
    app.inject_fault("dynamodb", "TransactWriteItems", "throttle", 5).await;
    post("/users/kyc").await.problem(503, "unavailable");
    app.inject_fault("s3", "GetObject", "error_500", 4).await;
    post("/users/kyc/submit").await.problem(503, "unavailable");
    let url = response.json["uploads"][0]["url"].as_str().unwrap();
    let (object, _) = url.split_once('?').unwrap();
    let (_, path) = object.split_once("-kyc/").unwrap();
    path.to_owned()
}

/// Runs on one thread, so that the collected lines are of this stack only. The subscriber is global,
/// because a thread-local one is disabled by the cached interest of other threads.
#[tokio::test(flavor = "current_thread")]
async fn asvs_16_2_5_responses_are_logged_and_secrets_are_not() {
    let collector = Collector::default();
    let subscriber = tracing_subscriber::registry().with(collector.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    LISTENS.set(true);
    let Some(app) = App::start(Needs::Own).await else { return };

    let (email, username) = (random_email(), random_username());
    let (password, wrong) = ("planted kettle orbit 4417", "planted wrong guess 9921");
    let new = app.new_user().await.with("email", email.as_str()).with("password", password);
    let new = new.with("username", username.as_str());
    let client_ip = new.client_ip.clone();
    let registered = app.register(&new).await;
    registered.body(201);
    app.register(&new).await.assert_problem();
    let code = {
        app.advance(3_600).await;
        app.request_otp(&new.phone, "LOGIN").await.ok();
        app.code_for(&new.phone).await
    };
    let verified = app.verify(&new.phone, &code, "LOGIN").await;
    app.verify(&new.phone, &code, "LOGIN").await.problem(400, "invalid_otp");
    app.login(&new.phone, wrong).await.problem(400, "invalid_credentials");
    app.login(&email, wrong).await.problem(400, "invalid_credentials");
    let login = app.login(&new.phone, password).await;
    let refreshed = app.refresh(login.text("refresh_token")).await;
    app.refresh(refreshed.text("refresh_token")).await.ok();
    app.refresh(login.text("refresh_token")).await.problem(401, "refresh_token_reused");
    app.me(login.text("access_token")).await.assert_problem();
    app.me(registered.text("access_token")).await.assert_problem();
    let signed_in = app.login(&new.phone, password).await;
    let url = submit_document(&app, signed_in.text("access_token")).await;
    // Log lines about failures are the most likely to contain secrets.
    for (service, operation) in
        [("sns", "Publish"), ("ses", "SendEmail"), ("dynamodb", "TransactWriteItems")]
    {
        app.inject_fault(service, operation, "throttle", 6).await;
        app.request_otp_from(&random_ip(), &new.phone, "CHANGE_IDENTIFIER").await;
        app.request_otp_from(&random_ip(), &email, "CHANGE_IDENTIFIER").await;
        app.advance(60).await;
    }
    app.inject_fault("dynamodb", "BatchGetItem", "error_500", 20).await;
    app.login(&new.phone, password).await.problem(503, "unavailable");
    let planted = json!({"username": username, "password": password, "phone_number": "+97798"});
    app.post_bytes("/auth/register", format!("{planted}garbage")).send().await;

    let logged = collector.0.lock().unwrap().clone();
    for expected in
        ["POST /auth/login", "POST /auth/register", "status", "request_id", "invalid_otp"]
    {
        assert!(logged.contains(expected), "{expected} is not in:\n{logged}");
    }
    let id = registered.header("x-request-id").unwrap();
    assert!(logged.contains(id), "operators search the log by request id");
    let verification = new.body["verification_token"].as_str().unwrap();
    let secrets = [
        ("code", code.as_str()),
        ("password", password),
        ("wrong password", wrong),
        ("access token", registered.text("access_token")),
        ("access token", login.text("access_token")),
        ("refresh token", registered.text("refresh_token")),
        ("refresh token", login.text("refresh_token")),
        ("refresh token", refreshed.text("refresh_token")),
        ("verification token", verification),
        ("verification token", verified.text("verification_token")),
        ("document number", DOCUMENT_NUMBER),
        ("upload", &url),
        ("phone number", &new.phone[4..]),
        ("e-mail", &email),
        ("username", &username),
        ("source address", &client_ip),
    ];
    for (what, secret) in secrets {
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a {what} was logged");
    }
}
