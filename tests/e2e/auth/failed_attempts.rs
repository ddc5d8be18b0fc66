//! What counts as a failed attempt, and what resets the counters.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::{
    auth::{
        credentials::{NEW, change, reauthenticate, reset},
        identifier,
    },
    harness::{App, Needs, PASSWORD, Response, User, random_email, random_ip, random_phone},
};

const WRONG: &str = "not the password";
/// More than the ten failed attempts that are allowed without a delay.
const MORE_THAN_ALLOWED: u32 = 12;

async fn ban(app: &App, user: &User) {
    app.set_account_attribute(user, "status", AttributeValue::S("BANNED".to_owned())).await;
}

/// Signs in with a code, from a new client IP.
async fn login_by_code(app: &App, user: &User) -> Response {
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    app.login_with(&json!({"identifier": user.phone, "verification_token": token})).await
}

/// Fails until the next attempt is delayed.
async fn fail_until_throttled(app: &App, identifier: &str) {
    for _ in 0..10 {
        app.login(identifier, WRONG).await.problem(400, "invalid_credentials");
    }
    app.login(identifier, WRONG).await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_weak_new_password_after_the_right_old_one_is_not_counted() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..MORE_THAN_ALLOWED {
        let weak = change(&app, &user.access_token, PASSWORD, "Nepal@123").await;
        weak.problem(400, "weak_password");
    }
    reauthenticate(&app, &user.access_token, &json!({ "password": PASSWORD })).await.ok();
    change(&app, &user.access_token, PASSWORD, NEW).await.ok();
}

#[tokio::test]
async fn a_weak_new_password_after_the_right_old_one_resets_no_counter() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..9 {
        let wrong = change(&app, &user.access_token, WRONG, NEW).await;
        wrong.problem(400, "invalid_credentials");
    }
    let weak = change(&app, &user.access_token, PASSWORD, "Nepal@123").await;
    weak.problem(400, "weak_password");
    change(&app, &user.access_token, WRONG, NEW).await.problem(400, "invalid_credentials");
    change(&app, &user.access_token, WRONG, NEW).await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn the_right_password_of_an_inactive_account_is_neither_counted_nor_resets_a_counter() {
    let Some(app) = App::with(&[("LOGIN_SOURCE_MAX_FAILURES", "10")]).await else { return };
    let (user, client_ip) = (app.register_user().await, random_ip());
    ban(&app, &user).await;
    let body = json!({"identifier": user.phone, "password": PASSWORD});
    let right = || app.post("/auth/login", &body).with_client_ip(&client_ip).send();
    for _ in 0..MORE_THAN_ALLOWED {
        right().await.problem(400, "account_not_active");
    }
    for _ in 0..9 {
        app.login(&user.phone, WRONG).await.problem(400, "invalid_credentials");
    }
    right().await.problem(400, "account_not_active");
    app.login(&user.phone, WRONG).await.problem(400, "invalid_credentials");
    let throttled = app.login(&user.phone, WRONG).await;
    throttled.problem(429, "too_many_requests");
    // After the delay, the right password is not limited.
    app.advance(throttled.retry_after()).await;
    for _ in 0..3 {
        right().await.problem(400, "account_not_active");
    }
}

#[tokio::test]
async fn a_wrong_password_in_an_ended_session_is_not_counted() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let thief = app.login(&user.phone, PASSWORD).await;
    let ended = thief.text("access_token");
    app.logout(ended, &json!({ "refresh_token": thief.text("refresh_token") })).await.ok();
    for _ in 0..MORE_THAN_ALLOWED {
        let wrong = reauthenticate(&app, ended, &json!({ "password": WRONG })).await;
        wrong.problem(401, "session_ended");
        change(&app, ended, WRONG, NEW).await.problem(401, "session_ended");
    }
    reauthenticate(&app, &user.access_token, &json!({ "password": PASSWORD })).await.ok();
}

#[tokio::test]
async fn a_password_reset_resets_every_counter_of_the_old_password() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, email, home) = (app.register_user().await, random_email(), random_ip());
    let token = app.verification_token(&email, "CHANGE_IDENTIFIER").await;
    identifier::change(&app, &user, &email, &token).await.ok();
    let from_home = async |password: &str| {
        let body = json!({"identifier": user.phone, "password": password});
        app.post("/auth/login", &body).with_client_ip(&home).send().await
    };
    from_home(PASSWORD).await.ok();
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    for _ in 0..10 {
        from_home(WRONG).await.problem(400, "invalid_credentials");
        let wrong = json!({ "password": WRONG });
        reauthenticate(&app, &user.access_token, &wrong).await.problem(400, "invalid_credentials");
    }
    from_home(PASSWORD).await.problem(429, "too_many_requests");
    fail_until_throttled(&app, &user.phone).await;
    fail_until_throttled(&app, &email).await;
    let body = json!({"identifier": user.phone, "verification_token": token, "new_password": NEW});
    app.post("/auth/password/reset", &body).with_client_ip(&home).send().await.ok();
    from_home(NEW).await.ok();
    app.login(&email, NEW).await.ok();
    let session = app.login(&user.phone, NEW).await;
    let right = json!({ "password": NEW });
    reauthenticate(&app, session.text("access_token"), &right).await.ok();
}

#[tokio::test]
async fn a_refused_password_reset_resets_no_counter() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    fail_until_throttled(&app, &user.phone).await;
    reset(&app, &user.phone, &"A".repeat(43), NEW).await.problem(400, "invalid_verification_token");
    reset(&app, &user.phone, &token, "Nepal@123").await.problem(400, "weak_password");
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_sign_in_with_a_code_resets_the_counter_of_the_identifier() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    fail_until_throttled(&app, &user.phone).await;
    login_by_code(&app, &user).await.ok();
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn wrong_tokens_count_for_identifier_and_client_ip_and_never_block_the_right_token() {
    let Some(app) = App::with(&[("LOGIN_SOURCE_MAX_FAILURES", "10")]).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    let garbage = "A".repeat(43);
    let bodies: [fn(&str, &str) -> Value; 2] = [
        |phone, token| json!({"identifier": phone, "verification_token": token}),
        |phone, token| json!({"identifier": phone, "verification_token": token, "password": PASSWORD}),
    ];
    // From ten client IPs: the counter of the identifier.
    for number in 0..10 {
        let body = bodies[number % 2](&user.phone, &garbage);
        app.login_with(&body).await.problem(400, "invalid_credentials");
    }
    app.login_with(&bodies[0](&user.phone, &garbage)).await.problem(429, "too_many_requests");
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
    // For ten identifiers: the counter of the client IP.
    let client_ip = random_ip();
    for number in 0..10 {
        let body = bodies[number % 2](&random_phone(), &garbage);
        let wrong = app.post("/auth/login", &body).with_client_ip(&client_ip).send().await;
        wrong.problem(400, "invalid_credentials");
    }
    for body in bodies {
        let body = body(&random_phone(), &garbage);
        let wrong = app.post("/auth/login", &body).with_client_ip(&client_ip).send().await;
        wrong.problem(429, "too_many_requests");
    }
    let right = bodies[0](&user.phone, &token);
    app.post("/auth/login", &right).with_client_ip(&client_ip).send().await.ok();
}

#[tokio::test]
async fn a_wrong_password_with_the_right_token_counts_for_the_client_ip() {
    let Some(app) = App::with(&[("LOGIN_SOURCE_MAX_FAILURES", "10")]).await else { return };
    let (user, client_ip) = (app.register_user().await, random_ip());
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    let body = json!({
        "identifier": user.phone, "verification_token": token, "password": WRONG,
    });
    for _ in 0..10 {
        let wrong = app.post("/auth/login", &body).with_client_ip(&client_ip).send().await;
        wrong.problem(400, "invalid_credentials");
    }
    let other = json!({"identifier": random_phone(), "password": WRONG});
    let throttled = app.post("/auth/login", &other).with_client_ip(&client_ip).send().await;
    throttled.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_sign_in_with_fewer_credentials_than_the_policy_requires_is_counted() {
    let Some(app) = App::with(&[("LOGIN_POLICY", "both")]).await else { return };
    let user = app.register_user().await;
    // Otherwise the response would reveal that the password is right.
    for _ in 0..10 {
        app.login(&user.phone, PASSWORD).await.problem(400, "invalid_credentials");
    }
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
}
