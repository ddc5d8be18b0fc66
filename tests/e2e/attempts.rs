//! What counts as a failed attempt, and what clears the counts.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::{
    credentials::{NEW, change, reauthenticate, reset},
    harness::{Answer, App, Needs, PASSWORD, User, random_email, random_source},
    identifier,
};

const WRONG: &str = "not the password";
/// More attempts than the ten that are not slowed down.
const MORE_THAN_FREE: u32 = 12;

async fn ban(app: &App, user: &User) {
    app.set_account(user, "status", AttributeValue::S("BANNED".to_owned())).await;
}

/// Signs in with a code, from a source of its own.
async fn login_by_code(app: &App, user: &User) -> Answer {
    app.advance(61).await;
    let token = app.verified(&user.phone, "LOGIN").await;
    app.login_with(&json!({"identifier": user.phone, "verification_token": token})).await
}

/// Fails as often as is allowed at once.
async fn fail(app: &App, identifier: &str) {
    for _ in 0..10 {
        app.login(identifier, WRONG).await.problem(400, "invalid_credentials");
    }
    app.login(identifier, WRONG).await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_right_old_password_with_a_weak_new_one_counts_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..MORE_THAN_FREE {
        let weak = change(&app, &user.access_token, PASSWORD, "Nepal@123").await;
        weak.problem(400, "weak_password");
    }
    reauthenticate(&app, &user.access_token, &json!({ "password": PASSWORD })).await.ok();
    change(&app, &user.access_token, PASSWORD, NEW).await.ok();
}

#[tokio::test]
async fn a_right_old_password_with_a_weak_new_one_forgives_no_wrong_one() {
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
async fn a_right_password_of_an_account_that_is_not_active_counts_nothing_and_forgives_nothing() {
    let Some(app) = App::with(&[("LOGIN_SOURCE_MAX_FAILURES", "10")]).await else { return };
    let (user, source) = (app.register_user().await, random_source());
    ban(&app, &user).await;
    let body = json!({"identifier": user.phone, "password": PASSWORD});
    let right = || app.post("/auth/login", &body).from(&source).send();
    for _ in 0..MORE_THAN_FREE {
        right().await.problem(400, "account_not_active");
    }
    for _ in 0..9 {
        app.login(&user.phone, WRONG).await.problem(400, "invalid_credentials");
    }
    right().await.problem(400, "account_not_active");
    app.login(&user.phone, WRONG).await.problem(400, "invalid_credentials");
    let slowed = app.login(&user.phone, WRONG).await;
    slowed.problem(429, "too_many_requests");
    // After the pause it may be tried as often as it is right.
    app.advance(slowed.retry_after()).await;
    for _ in 0..3 {
        right().await.problem(400, "account_not_active");
    }
}

#[tokio::test]
async fn what_a_session_that_has_ended_presents_counts_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let thief = app.login(&user.phone, PASSWORD).await;
    let ended = thief.text("access_token");
    app.logout(ended, &json!({ "refresh_token": thief.text("refresh_token") })).await.ok();
    for _ in 0..MORE_THAN_FREE {
        let wrong = reauthenticate(&app, ended, &json!({ "password": WRONG })).await;
        wrong.problem(401, "session_ended");
        change(&app, ended, WRONG, NEW).await.problem(401, "session_ended");
    }
    reauthenticate(&app, &user.access_token, &json!({ "password": PASSWORD })).await.ok();
}

#[tokio::test]
async fn a_reset_clears_every_count_of_the_old_password() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, email, home) = (app.register_user().await, random_email(), random_source());
    let token = app.verified(&email, "CHANGE_IDENTIFIER").await;
    identifier::change(&app, &user, &email, &token).await.ok();
    let from_home = async |password: &str| {
        let body = json!({"identifier": user.phone, "password": password});
        app.post("/auth/login", &body).from(&home).send().await
    };
    from_home(PASSWORD).await.ok();
    app.advance(61).await;
    let token = app.verified(&user.phone, "RESET_PASSWORD").await;
    for _ in 0..10 {
        from_home(WRONG).await.problem(400, "invalid_credentials");
        let wrong = json!({ "password": WRONG });
        reauthenticate(&app, &user.access_token, &wrong).await.problem(400, "invalid_credentials");
    }
    from_home(PASSWORD).await.problem(429, "too_many_requests");
    fail(&app, &user.phone).await;
    fail(&app, &email).await;
    let body = json!({"identifier": user.phone, "verification_token": token, "new_password": NEW});
    app.post("/auth/password/reset", &body).from(&home).send().await.ok();
    from_home(NEW).await.ok();
    app.login(&email, NEW).await.ok();
    let session = app.login(&user.phone, NEW).await;
    let fresh = json!({ "password": NEW });
    reauthenticate(&app, session.text("access_token"), &fresh).await.ok();
}

#[tokio::test]
async fn a_reset_that_is_refused_clears_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verified(&user.phone, "RESET_PASSWORD").await;
    fail(&app, &user.phone).await;
    reset(&app, &user.phone, &"A".repeat(43), NEW).await.problem(400, "invalid_verification_token");
    reset(&app, &user.phone, &token, "Nepal@123").await.problem(400, "weak_password");
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_sign_in_by_code_clears_the_count_of_its_identifier() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    fail(&app, &user.phone).await;
    login_by_code(&app, &user).await.ok();
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn wrong_tokens_count_against_identifier_and_source_and_never_stop_a_right_one() {
    let Some(app) = App::with(&[("LOGIN_SOURCE_MAX_FAILURES", "10")]).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verified(&user.phone, "LOGIN").await;
    let garbage = "A".repeat(43);
    let bodies: [fn(&str, &str) -> Value; 2] = [
        |phone, token| json!({"identifier": phone, "verification_token": token}),
        |phone, token| json!({"identifier": phone, "verification_token": token, "password": PASSWORD}),
    ];
    // From ten addresses: the identifier's count.
    for number in 0..10 {
        let body = bodies[number % 2](&user.phone, &garbage);
        app.login_with(&body).await.problem(400, "invalid_credentials");
    }
    app.login_with(&bodies[0](&user.phone, &garbage)).await.problem(429, "too_many_requests");
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
    // Of ten identifiers: the source's count.
    let source = random_source();
    for number in 0..10 {
        let body = bodies[number % 2](&crate::harness::random_phone(), &garbage);
        let wrong = app.post("/auth/login", &body).from(&source).send().await;
        wrong.problem(400, "invalid_credentials");
    }
    for body in bodies {
        let body = body(&crate::harness::random_phone(), &garbage);
        let wrong = app.post("/auth/login", &body).from(&source).send().await;
        wrong.problem(429, "too_many_requests");
    }
    let right = bodies[0](&user.phone, &token);
    app.post("/auth/login", &right).from(&source).send().await.ok();
}

#[tokio::test]
async fn a_wrong_password_beside_a_right_token_counts_against_its_source() {
    let Some(app) = App::with(&[("LOGIN_SOURCE_MAX_FAILURES", "10")]).await else { return };
    let (user, source) = (app.register_user().await, random_source());
    app.advance(61).await;
    let token = app.verified(&user.phone, "LOGIN").await;
    let body = json!({
        "identifier": user.phone, "verification_token": token, "password": WRONG,
    });
    for _ in 0..10 {
        let wrong = app.post("/auth/login", &body).from(&source).send().await;
        wrong.problem(400, "invalid_credentials");
    }
    let other = json!({"identifier": crate::harness::random_phone(), "password": WRONG});
    let slowed = app.post("/auth/login", &other).from(&source).send().await;
    slowed.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_policy_that_asks_for_more_than_was_presented_counts_it() {
    let Some(app) = App::with(&[("LOGIN_POLICY", "both")]).await else { return };
    let user = app.register_user().await;
    // Else it would tell that the password is right.
    for _ in 0..10 {
        app.login(&user.phone, PASSWORD).await.problem(400, "invalid_credentials");
    }
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
}
