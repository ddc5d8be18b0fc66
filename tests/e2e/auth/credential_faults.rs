//! A new password and the end of the old sessions are one transaction: no fault leaves a new
//! password together with an old session.

use serde_json::{Value, json};

use crate::{
    auth::credentials::{NEW, change, reset},
    harness::{App, Needs, PASSWORD, Response, User, concurrently},
};

/// More calls than a reset or a change makes to DynamoDB.
const CALLS: u32 = 6;

/// A user with a second session that has a device.
struct Fixture {
    user: User,
    access: String,
    refresh: String,
    hash: Value,
}

async fn user_with_two_sessions(app: &App, number: u32) -> Fixture {
    let user = app.register_user().await;
    let other = app.login(&user.phone, PASSWORD).await;
    let access = other.text("access_token").to_owned();
    let token = format!("t{number}");
    let device = json!({"device_id": "d", "fcm_token": token, "device_type": "IOS"});
    app.post("/auth/device", &device).bearer(&access).send().await.ok();
    let hash = app.account_attribute(&user, "password_hash").await;
    Fixture { user, access, refresh: other.text("refresh_token").to_owned(), hash }
}

impl Fixture {
    /// Either nothing has changed, or the password is new and the sessions are over. Returns whether
    /// it is new.
    async fn assert_all_or_nothing(&self, app: &App, keeps_own: bool, context: &str) -> bool {
        let changed = app.account_attribute(&self.user, "password_hash").await != self.hash;
        let sessions = app.rows_where("sessions", "user_id", &self.user.user_id).await;
        let left = if keeps_own { 1 } else { 0 };
        assert_eq!(sessions.len(), if changed { left } else { 2 }, "{context}");
        let other = app.me(&self.access).await;
        assert_eq!(other.status, if changed { 401 } else { 200 }, "{context}");
        changed
    }

    async fn assert_done(&self, app: &App, keeps_own: bool, context: &str) {
        assert!(self.assert_all_or_nothing(app, keeps_own, context).await, "{context}");
        app.refresh(&self.refresh).await.problem(401, "invalid_refresh_token");
        let own = app.me(&self.user.access_token).await;
        assert_eq!(own.status, if keeps_own { 200 } else { 401 }, "{context}");
        app.login(&self.user.phone, PASSWORD).await.problem(400, "invalid_credentials");
        app.login(&self.user.phone, NEW).await.ok();
    }
}

/// Sends the request again while it returns 503. If an earlier attempt took effect, the repeat is
/// refused: the token is used, or the old password is no longer right.
async fn retry_while_503(mut first: Response, again: impl AsyncFn() -> Response) {
    for _ in 0..10 {
        match first.status {
            503 => first.problem(503, "unavailable"),
            200 => return,
            _ => {
                let code = first.text("code");
                assert!(["invalid_verification_token", "invalid_credentials"].contains(&code));
                return;
            }
        };
        first = again().await;
    }
    panic!("503 ten times");
}

/// Runs the request with every kind of fault at every operation, and with all calls failing from
/// each call on.
async fn run_with_faults(
    app: &App,
    keeps_own: bool,
    prepare: impl AsyncFn(&User) -> String,
    request: impl AsyncFn(&User, &str) -> Response,
) {
    let mut number = 0;
    for operation in ["BatchGetItem", "Query", "TransactWriteItems"] {
        for kind in ["throttle", "timeout", "error_500", "lost_response"] {
            for times in [1, 6] {
                number += 1;
                let context = format!("{operation} {kind} {times}");
                let fixture = user_with_two_sessions(app, number).await;
                let token = prepare(&fixture.user).await;
                app.inject_fault("dynamodb", operation, kind, times).await;
                let response = request(&fixture.user, &token).await;
                retry_while_503(response, async || request(&fixture.user, &token).await).await;
                app.clear_faults().await;
                fixture.assert_done(app, keeps_own, &context).await;
            }
        }
    }
    for kind in ["error_500", "lost_response"] {
        for after in 0..CALLS {
            number += 1;
            let context = format!("{kind} after {after}");
            let fixture = user_with_two_sessions(app, number).await;
            let token = prepare(&fixture.user).await;
            app.inject_faults_after("dynamodb", after, kind).await;
            let response = request(&fixture.user, &token).await;
            app.clear_faults().await;
            let changed = fixture.assert_all_or_nothing(app, keeps_own, &context).await;
            assert!(changed || response.status == 503, "{context}: {response:?}");
            retry_while_503(response, async || request(&fixture.user, &token).await).await;
            fixture.assert_done(app, keeps_own, &context).await;
        }
    }
}

#[tokio::test]
async fn a_password_reset_is_applied_completely_or_not_at_all_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let token = async |user: &User| {
        app.advance(61).await;
        app.verification_token(&user.phone, "RESET_PASSWORD").await
    };
    let request = async |user: &User, token: &str| reset(&app, &user.phone, token, NEW).await;
    run_with_faults(&app, false, token, request).await;
}

#[tokio::test]
async fn a_password_change_is_applied_completely_or_not_at_all_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let nothing = async |_: &User| String::new();
    let request =
        async |user: &User, _: &str| change(&app, &user.access_token, PASSWORD, NEW).await;
    run_with_faults(&app, true, nothing, request).await;
}

#[tokio::test]
async fn a_reset_whose_dynamodb_responses_are_all_lost_is_recognised_as_done() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let fixture = user_with_two_sessions(&app, 0).await;
    app.advance(61).await;
    let token = app.verification_token(&fixture.user.phone, "RESET_PASSWORD").await;
    app.inject_fault("dynamodb", "TransactWriteItems", "lost_response", 5).await;
    reset(&app, &fixture.user.phone, &token, NEW).await.ok();
    fixture.assert_done(&app, false, "reset").await;
    assert!(app.rows("devices").await.is_empty());
}

#[tokio::test]
async fn a_sign_in_during_a_password_change_leaves_no_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for round in 0..4 {
        let user = app.register_user().await;
        app.advance(61).await;
        let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
        let sign_ins: Vec<_> = (0..5)
            .map(|_| {
                let (app, phone) = (app.clone(), user.phone.clone());
                async move { app.login(&phone, PASSWORD).await }
            })
            .collect();
        let signing_in = tokio::spawn(concurrently(sign_ins));
        tokio::time::sleep(std::time::Duration::from_millis(40 * round)).await;
        let keeps_own = round % 2 == 1;
        let set = async || match keeps_own {
            true => change(&app, &user.access_token, PASSWORD, NEW).await,
            false => reset(&app, &user.phone, &token, NEW).await,
        };
        let mut response = set().await;
        while response.status == 503 {
            response = set().await;
        }
        response.ok();
        for response in signing_in.await.unwrap() {
            if response.status == 200 {
                app.me(response.text("access_token")).await.problem(401, "session_ended");
            }
        }
        let left = app.rows_where("sessions", "user_id", &user.user_id).await.len();
        assert_eq!(left, usize::from(keeps_own));
        app.login(&user.phone, NEW).await.ok();
    }
}
