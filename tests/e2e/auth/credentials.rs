//! `POST /auth/reauthenticate`, `POST /auth/password/change`, `POST /auth/password/reset`.

use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, Response, random_phone};

pub(crate) const NEW: &str = "a copper kettle sings";

pub(crate) async fn reauthenticate(app: &App, access_token: &str, body: &Value) -> Response {
    app.post("/auth/reauthenticate", body).bearer(access_token).send().await
}

pub(crate) async fn change(app: &App, access_token: &str, old: &str, new: &str) -> Response {
    let body = json!({"old_password": old, "new_password": new});
    app.post("/auth/password/change", &body).bearer(access_token).send().await
}

pub(crate) async fn reset(app: &App, identifier: &str, token: &str, new: &str) -> Response {
    let body = json!({"identifier": identifier, "verification_token": token, "new_password": new});
    app.post("/auth/password/reset", &body).send().await
}

/// The claims of an access token.
fn claims(access_token: &str) -> Value {
    let payload = access_token.split('.').nth(1).unwrap();
    serde_json::from_slice(&shared::crypto::secret::from_base64url(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn reauthentication_renews_auth_time_in_the_same_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(700).await;
    let response = reauthenticate(&app, &user.access_token, &json!({"password": PASSWORD})).await;
    let token = response.text("access_token");
    let expected = json!({"access_token": token, "token_type": "Bearer", "expires_in": 900});
    assert_eq!(response.ok(), &expected);
    let (before, after) = (claims(&user.access_token), claims(token));
    assert_eq!(before["sid"], after["sid"]);
    assert_eq!(after["auth_time"], after["iat"]);
    assert!(after["auth_time"].as_i64() >= before["auth_time"].as_i64().map(|at| at + 700));
    // The new time is kept by a refresh, and the refresh token stays valid.
    let refreshed = app.refresh(&user.refresh_token).await;
    assert_eq!(claims(refreshed.text("access_token"))["auth_time"], after["auth_time"]);
}

#[tokio::test]
async fn a_login_token_of_ones_own_identifier_reauthenticates_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    let body = json!({ "verification_token": token });
    let theirs = reauthenticate(&app, &other.access_token, &body).await;
    theirs.problem(400, "invalid_credentials");
    reauthenticate(&app, &user.access_token, &body).await.ok();
    let again = reauthenticate(&app, &user.access_token, &body).await;
    again.problem(400, "invalid_credentials");
}

#[tokio::test]
async fn reauthentication_with_wrong_credentials_is_refused_and_throttled() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let wrong = json!({"password": "not the password"});
    for _ in 0..10 {
        let response = reauthenticate(&app, &user.access_token, &wrong).await;
        response.problem(400, "invalid_credentials");
    }
    let response = reauthenticate(&app, &user.access_token, &json!({"password": PASSWORD})).await;
    response.problem(429, "too_many_requests");
    // Sign-in attempts count by identifier, reauthentication by account.
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn a_password_change_ends_all_other_sessions() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let other = app.login(&user.phone, PASSWORD).await;
    let wrong = change(&app, &user.access_token, "not the password", NEW).await;
    wrong.problem(400, "invalid_credentials");
    let weak = change(&app, &user.access_token, PASSWORD, "password").await;
    weak.problem(400, "weak_password");
    change(&app, &user.access_token, PASSWORD, NEW).await.ok();
    app.me(&user.access_token).await.ok();
    app.me(other.text("access_token")).await.problem(401, "session_ended");
    app.login(&user.phone, PASSWORD).await.problem(400, "invalid_credentials");
    app.login(&user.phone, NEW).await.ok();
}

#[tokio::test]
async fn asvs_7_4_2_a_password_reset_ends_all_sessions_at_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    let weak = reset(&app, &user.phone, &token, "password").await;
    weak.problem(400, "weak_password");
    reset(&app, &user.phone, &token, NEW).await.ok();
    app.me(&user.access_token).await.problem(401, "session_ended");
    app.refresh(&user.refresh_token).await.problem(401, "invalid_refresh_token");
    app.login(&user.phone, PASSWORD).await.problem(400, "invalid_credentials");
    app.login(&user.phone, NEW).await.ok();
    let again = reset(&app, &user.phone, &token, PASSWORD).await;
    again.problem(400, "invalid_verification_token");
}

#[tokio::test]
async fn a_reset_requires_a_reset_token_of_the_same_identifier() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    app.advance(61).await;
    let login = app.verification_token(&user.phone, "LOGIN").await;
    let theirs = app.verification_token(&other.phone, "RESET_PASSWORD").await;
    for token in [login.as_str(), theirs.as_str(), "no token"] {
        let response = reset(&app, &user.phone, token, NEW).await;
        response.problem(400, "invalid_verification_token");
    }
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn asvs_6_3_8_a_refused_reset_of_an_unknown_identifier_looks_and_costs_the_same() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let mut seen = Vec::new();
    for identifier in [user.phone, random_phone()] {
        let response = reset(&app, &identifier, &"A".repeat(43), NEW).await;
        let cost = app.costs("POST /auth/password/reset").await;
        let (status, headers, body) = response.comparable();
        seen.push((status, headers, body, cost.last()));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn of_fifty_resets_with_one_token_one_sets_the_password() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let (app, phone, token) = (app.clone(), user.phone.clone(), token.clone());
            tokio::spawn(async move {
                let password = format!("{NEW} {number}");
                let response = reset(&app, &phone, &token, &password).await;
                (response.status == 200).then_some(password)
            })
        })
        .collect();
    let mut set = Vec::new();
    for task in tasks {
        set.extend(task.await.unwrap());
    }
    assert_eq!(set.len(), 1, "{}", set.len());
    app.login(&user.phone, &set[0]).await.ok();
}

#[tokio::test]
async fn a_reset_under_the_both_policy_requires_a_second_identifier() {
    let Some(app) = App::with(&[("LOGIN_POLICY", "both")]).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    let response = reset(&app, &user.phone, &token, NEW).await;
    response.problem(400, "second_identifier_required");
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let long = "x".repeat(129);
    let cases = [
        ("reauthenticate", json!({}), ["password", "verification_token"].as_slice()),
        (
            "reauthenticate",
            json!({"password": 1, "verification_token": []}),
            &["password", "verification_token"],
        ),
        ("password/change", json!({}), &["old_password", "new_password"]),
        (
            "password/change",
            json!({"old_password": 7, "new_password": "short"}),
            &["old_password", "new_password"],
        ),
        (
            "password/change",
            json!({"old_password": PASSWORD, "new_password": long}),
            &["new_password"],
        ),
        ("password/reset", json!({}), &["identifier", "verification_token", "new_password"]),
        (
            "password/reset",
            json!({"identifier": "nobody", "verification_token": 1, "new_password": null}),
            &["identifier", "verification_token", "new_password"],
        ),
        (
            "password/reset",
            json!({"identifier": user.phone, "verification_token": "t"}),
            &["new_password"],
        ),
    ];
    for (path, body, fields) in cases {
        let path = format!("/auth/{path}");
        let response = app.post(&path, &body).bearer(&user.access_token).send().await;
        response.refuses(fields);
    }
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn a_password_change_with_wrong_old_passwords_is_refused_and_throttled() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..10 {
        let wrong = change(&app, &user.access_token, "not the password", NEW).await;
        wrong.problem(400, "invalid_credentials");
    }
    let slowed = change(&app, &user.access_token, PASSWORD, NEW).await;
    slowed.problem(429, "too_many_requests");
    app.advance(slowed.retry_after()).await;
    change(&app, &user.access_token, PASSWORD, NEW).await.ok();
    app.login(&user.phone, NEW).await.ok();
}
