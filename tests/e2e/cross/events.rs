//! The sample events in `events/`, each sent to its function.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use shared::http::operation::{ALL, Caller, Function};
use tests::events::{self, SCHEDULED};

use crate::harness::{
    App, Needs, PASSWORD, Response, User,
    kyc::{jpeg, pdf},
    random_email, random_phone, random_username,
};

/// The password that the events set.
const NEW_PASSWORD: &str = "violet kettle friday 31";

/// Runs the events in an order in which each finds the state it needs.
struct Journey {
    app: App,
    events: BTreeMap<String, Value>,
    /// The values of the placeholders.
    values: BTreeMap<&'static str, String>,
    run: BTreeSet<String>,
}

impl Journey {
    fn new(app: App) -> Self {
        let (values, run) = (BTreeMap::new(), BTreeSet::new());
        let mut journey = Self { app, events: events::all(), values, run };
        journey.set("username", random_username());
        journey.set("phone", random_phone());
        journey.set("email", random_email());
        journey.set("device_id", format!("device-{}", random_username()));
        journey.set("fcm_token", format!("token-{}", random_username()));
        journey.set("document_number", format!("27-01-70-{}", &random_phone()[4..]));
        let now = real_now();
        journey.set("now", now.to_string());
        // In Kathmandu, the default time zone.
        let today = now + 5.hours() + 45.minutes();
        journey.set("today", today.strftime("%Y-%m-%d").to_string());
        journey
    }

    fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.values.insert(name, value.into());
    }

    fn value(&self, name: &str) -> &str {
        &self.values[name]
    }

    /// Stores members of a response for the events that follow.
    fn keep(&mut self, response: &Response, names: &[&'static str]) {
        for name in names {
            self.set(name, response.text(name));
        }
    }

    async fn invoke(&mut self, file: &str, function: Function) -> Value {
        let event = self.events.get(file).unwrap_or_else(|| panic!("no events/{file}"));
        let event = events::filled(event, &self.values);
        assert!(self.run.insert(file.to_owned()), "{file} is run twice");
        self.app.invoke(function, &event).await
    }

    /// Runs the event of an operation and checks the status and the schema of the response.
    async fn run(&mut self, key: &str, status: u16) -> Response {
        let operation = ALL.iter().find(|operation| operation.route_key() == key).unwrap();
        let file = events::file_name(operation);
        let response = self.invoke(&file, operation.function).await;
        let response = Response::of_invocation(&response)
            .documented(operation.method.as_str(), operation.path);
        assert_eq!(response.status, status, "{file}: {response:?}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{file}");
        response
    }

    /// Signs the user in again.
    async fn sign_in(&mut self, password: &str) {
        let response = self.app.login(self.value("phone"), password).await;
        response.ok();
        self.keep(&response, &["access_token", "refresh_token"]);
    }

    async fn verify(&mut self, identifier: &'static str, purpose: &str) {
        let token = self.app.verification_token(self.value(identifier), purpose).await;
        self.set("verification_token", token);
    }
}

#[allow(clippy::disallowed_methods, reason = "functions that run elsewhere have the real time")]
fn real_now() -> Timestamp {
    Timestamp::now()
}

impl Journey {
    async fn check_service(&mut self) {
        assert_eq!(self.run("GET /health", 200).await.json, json!({"status": "ok"}));
        let keys = self.run("GET /.well-known/jwks.json", 200).await;
        assert_eq!(keys.json["keys"][0]["crv"], "Ed25519");
    }

    async fn sign_up(&mut self) {
        let sent = self.run("POST /auth/otp/request", 200).await;
        assert_eq!(sent.json["expires_in"], 300);
        let code = self.app.code_for(self.value("phone")).await;
        self.set("otp", code);
        let verified = self.run("POST /auth/otp/verify", 200).await;
        self.keep(&verified, &["verification_token"]);
        let registered = self.run("POST /auth/register", 201).await;
        self.keep(&registered, &["user_id", "access_token", "refresh_token"]);
        let signed_in = self.run("POST /auth/login", 200).await;
        assert_eq!(signed_in.text("user_id"), self.value("user_id"));
        self.keep(&signed_in, &["access_token", "refresh_token"]);
        let refreshed = self.run("POST /auth/refresh", 200).await;
        self.keep(&refreshed, &["access_token", "refresh_token"]);
        let me = self.run("GET /auth/me", 200).await;
        assert_eq!(me.text("username"), self.value("username"));
        assert_eq!(
            (&me.json["phone_verified"], &me.json["points"]["total_points"]),
            (&json!(true), &json!(50))
        );
    }

    async fn use_devices_and_sessions(&mut self) {
        let device = self.run("POST /auth/device", 200).await;
        assert_eq!(device.text("device_id"), self.value("device_id"));
        let devices = self.run("GET /auth/devices", 200).await;
        assert_eq!(devices.json["results"], json!([device.json]));
        let sessions = self.run("GET /auth/sessions", 200).await;
        let sessions = sessions.json["results"].as_array().unwrap();
        let (current, others): (Vec<_>, Vec<_>) =
            sessions.iter().partition(|session| session["current"] == true);
        assert_eq!((current.len(), others.len()), (1, 1), "{sessions:?}");
        assert_eq!(current[0]["device_name"], device.json["device_name"]);
        self.set("session_id", others[0]["id"].as_str().unwrap());
        self.run("DELETE /auth/sessions/{session_id}", 200).await;
        self.run("DELETE /auth/devices/{device_id}", 200).await;
        let again = self.run("POST /auth/reauthenticate", 200).await;
        self.keep(&again, &["access_token"]);
    }

    async fn fill_profile(&mut self) {
        let put = self.run("PUT /users/profile", 200).await;
        assert_eq!(put.json["is_profile_complete"], true);
        self.set("etag", put.header("etag").unwrap());
        let changed = self.run("PATCH /users/profile", 200).await;
        assert_eq!(changed.json["full_name"], put.json["full_name"]);
        assert_ne!(changed.json["avatar_url"], put.json["avatar_url"]);
        assert_eq!(self.run("GET /users/profile", 200).await.json, changed.json);
        self.verify("email", "CHANGE_IDENTIFIER").await;
        self.run("POST /auth/identifier", 200).await;
        let me = self.app.me(self.value("access_token")).await;
        assert_eq!(
            (me.text("email"), &me.json["email_verified"]),
            (self.value("email"), &json!(true))
        );
    }

    /// The events declare these two files.
    async fn submit_identity(&mut self) {
        let submitted = self.run("POST /users/kyc", 201).await;
        assert_eq!(submitted.text("status"), "AWAITING_DOCUMENTS");
        let both = self.run("PATCH /users/kyc", 200).await;
        self.app.send_files(&both, &[&jpeg("front"), &pdf()]).await;
        let submitted_again = self.run("POST /users/kyc/submit", 200).await;
        assert_eq!(submitted_again.text("status"), "PENDING");
        let status = self.run("GET /users/kyc/status", 200).await;
        assert_eq!(status.text("status"), "PENDING");
    }

    async fn pay_and_rent(&mut self) {
        let entry = self.run("POST /internal/wallet/entries", 201).await;
        assert_eq!((entry.text("balance_before"), entry.text("balance_after")), ("0.00", "250.00"));
        let counted = self.run("POST /internal/usage-events", 200).await;
        let results = counted.json["results"].as_array().unwrap();
        let statuses: Vec<_> = results.iter().map(|result| &result["status"]).collect();
        assert_eq!(statuses, ["counted", "counted"]);
        assert_eq!(self.run("GET /users/wallet", 200).await.text("balance"), "250.00");
        let entries = self.run("GET /users/wallet/transactions", 200).await;
        assert_eq!(entries.json["results"], json!([entry.json]));
        let stats = self.run("GET /users/analytics/usage-stats", 200).await;
        assert_eq!(
            (stats.text("total_spent"), &stats.json["favorite_stations_count"]),
            ("45.50", &json!(1))
        );
        let series = stats.json["series"].as_array().unwrap();
        let days: Vec<_> = series.iter().map(|day| (&day["period"], &day["rentals"])).collect();
        assert_eq!(days, [(&json!(self.value("today")), &json!(1))]);
    }

    async fn sign_in_as_staff(&mut self) {
        let member: User = self.app.register_user().await;
        self.app.set_staff(&member, true).await;
        // The staff flag applies to later sessions only.
        self.set("staff_access_token", self.app.sign_in_again(&member).await.access_token);
    }

    async fn manage_user(&mut self) {
        let found = self.run("GET /admin/users", 200).await;
        assert_eq!(found.json["results"][0]["id"], self.value("user_id"));
        let changed = self.run("PATCH /admin/users/{user_id}", 200).await;
        assert_eq!(changed.json["profile"]["full_name"], "Maya Devi Gurung");
        let replaced = self.run("PUT /admin/users/{user_id}", 200).await;
        assert_eq!(replaced.json["profile"]["address"], "Lazimpat 12, Kathmandu");
        assert_eq!(replaced.json["profile"]["avatar_url"], changed.json["profile"]["avatar_url"]);
        let seen = self.run("GET /admin/users/{user_id}", 200).await;
        assert_eq!(seen.json["profile"], replaced.json["profile"]);
        let adjusted = self.run("POST /admin/users/{user_id}/wallet/adjustments", 201).await;
        assert_eq!(adjusted.text("balance_after"), "200.00");
    }

    async fn review_submission(&mut self) {
        let queue = self.run("GET /admin/kyc", 200).await;
        let waiting = queue.json["results"].as_array().unwrap();
        assert!(!waiting.is_empty() && waiting.iter().all(|row| row["status"] == "PENDING"));
        let seen = self.run("GET /admin/kyc/{user_id}/documents", 200).await;
        assert_eq!(seen.text("document_number"), self.value("document_number"));
        let url = seen.json["documents"][0]["url"].as_str().unwrap();
        assert_eq!(reqwest::get(url).await.unwrap().bytes().await.unwrap(), jpeg("front").bytes);
        self.set("etag", seen.header("etag").unwrap());
        let reviewed = self.run("POST /admin/kyc/{user_id}/review", 200).await;
        assert_eq!(reviewed.text("status"), "REJECTED");
        self.run("DELETE /admin/kyc/{user_id}/document-number", 200).await;
    }

    async fn end_user_sessions(&mut self) {
        self.run("DELETE /admin/users/{user_id}/sessions", 200).await;
        self.app.me(self.value("access_token")).await.problem(401, "session_ended");
        let trail = self.run("GET /admin/audit", 200).await;
        let entries = trail.json["results"].as_array().unwrap();
        let actions: BTreeSet<_> =
            entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        for action in
            ["registered", "user_updated", "kyc_reviewed", "wallet_adjusted", "sessions_ended"]
        {
            assert!(actions.contains(action), "{action}: {actions:?}");
        }
    }

    async fn delete_own_account(&mut self) {
        self.sign_in(PASSWORD).await;
        self.run("POST /auth/password/change", 200).await;
        let held = self.run("GET /auth/account/export", 200).await;
        assert_eq!(held.json["account"]["username"], self.value("username"));
        self.run("POST /auth/logout", 200).await;
        self.sign_in(NEW_PASSWORD).await;
        let deleted = self.run("DELETE /auth/account", 200).await;
        assert!(!deleted.text("receipt_id").is_empty());
        self.app.me(self.value("access_token")).await.problem(401, "session_ended");
    }

    /// Staff create an account, its user sets a password, staff delete it.
    async fn create_and_delete_by_staff(&mut self) {
        self.set("username", random_username());
        self.set("phone", random_phone());
        let made = self.run("POST /admin/users", 201).await;
        self.set("user_id", made.text("id"));
        self.verify("phone", "RESET_PASSWORD").await;
        self.run("POST /auth/password/reset", 200).await;
        self.sign_in(NEW_PASSWORD).await;
        let deleted = self.run("DELETE /admin/users/{user_id}", 200).await;
        assert!(!deleted.text("receipt_id").is_empty());
        self.app.me(self.value("access_token")).await.problem(401, "session_ended");
    }

    async fn run_cleanup(&mut self) {
        let result = self.invoke(SCHEDULED, Function::Admin).await;
        assert_eq!(result["failed"], 0, "{result}");
        assert!(result["deletions"].is_u64() && result["submissions"].is_u64(), "{result}");
    }
}

#[tokio::test]
async fn every_sample_event_succeeds_in_its_function() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let mut journey = Journey::new(app);
    journey.check_service().await;
    journey.sign_up().await;
    journey.use_devices_and_sessions().await;
    journey.fill_profile().await;
    journey.submit_identity().await;
    journey.pay_and_rent().await;
    journey.sign_in_as_staff().await;
    journey.manage_user().await;
    journey.review_submission().await;
    journey.end_user_sessions().await;
    journey.delete_own_account().await;
    journey.create_and_delete_by_staff().await;
    journey.run_cleanup().await;

    let expected = ALL.iter().map(events::file_name).chain([SCHEDULED.to_owned()]);
    assert_eq!(journey.run, expected.collect(), "every operation has an event");
    let files: BTreeSet<_> = journey.events.into_keys().collect();
    assert_eq!(journey.run, files, "every file in events/ is used");
}

/// The files can be tried without filling in their placeholders.
#[tokio::test]
async fn every_sample_event_gets_a_documented_response_without_filling_placeholders() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let all = events::all();
    for operation in ALL {
        let file = events::file_name(operation);
        let response = Response::of_invocation(&app.invoke(operation.function, &all[&file]).await);
        let expected: &[u16] = match operation.caller {
            Caller::User | Caller::Staff => &[401],
            Caller::Anyone | Caller::Service => &[200, 400, 401],
        };
        assert!(expected.contains(&response.status), "{file}: {response:?}");
        response.documented(operation.method.as_str(), operation.path);
    }
}
