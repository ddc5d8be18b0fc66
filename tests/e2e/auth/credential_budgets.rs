//! What the operations on credentials, sessions and devices may cost.

use serde_json::json;

use crate::{
    auth::{
        credentials::{NEW, change, reauthenticate, reset},
        identifier,
    },
    harness::{App, Needs, PASSWORD, User, assert_budget, random_email, random_phone},
};

/// A user with `sessions` sessions; the first has a device.
async fn with_sessions(app: &App, sessions: u32) -> User {
    let user = app.register_user().await;
    put_device(app, &user.access_token, "d").await;
    for number in 1..sessions {
        if number == sessions - 1 {
            // With twenty sign-ins in one minute the account item would be over 1 KB.
            app.advance(61).await;
        }
        app.login(&user.phone, PASSWORD).await.ok();
    }
    user
}

async fn put_device(app: &App, access_token: &str, name: &str) {
    let body = json!({"device_id": name, "fcm_token": name, "device_type": "IOS"});
    app.post("/auth/device", &body).bearer(access_token).send().await.ok();
}

#[tokio::test]
async fn reauthentication_costs_2_hops_3_rru_6_wru_and_8_wru_with_a_token() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let operation = "POST /auth/reauthenticate";
    let user = with_sessions(&app, 20).await;
    let token = json!({ "verification_token": "A".repeat(43) });
    reauthenticate(&app, &user.access_token, &token).await.problem(400, "invalid_credentials");
    assert_budget(&app, operation, (1, 3.0, 0.0, 0)).await;
    let wrong = json!({"password": "not the password"});
    reauthenticate(&app, &user.access_token, &wrong).await.problem(400, "invalid_credentials");
    reauthenticate(&app, &user.access_token, &json!({"password": PASSWORD})).await.ok();
    assert_budget(&app, operation, (2, 3.0, 6.0, 0)).await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    let body = json!({ "verification_token": token });
    reauthenticate(&app, &user.access_token, &body).await.ok();
    assert_budget(&app, operation, (2, 3.0, 8.0, 0)).await;
}

#[tokio::test]
async fn a_password_change_costs_2_hops_and_3_if_a_device_is_removed() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let operation = "POST /auth/password/change";
    let user = with_sessions(&app, 1).await;
    let wrong = change(&app, &user.access_token, "not the password", NEW).await;
    wrong.problem(400, "invalid_credentials");
    assert_budget(&app, operation, (1, 3.0, 1.0, 0)).await;
    change(&app, &user.access_token, PASSWORD, NEW).await.ok();
    assert_budget(&app, operation, (2, 3.0, 6.0, 0)).await;
    let user = with_sessions(&app, 1).await;
    let other = app.login(&user.phone, PASSWORD).await;
    change(&app, other.text("access_token"), PASSWORD, NEW).await.ok();
    assert_budget(&app, operation, (3, 3.0, 12.0, 0)).await;
}

#[tokio::test]
async fn a_password_change_costs_2_wru_more_per_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = with_sessions(&app, 20).await;
    change(&app, &user.access_token, PASSWORD, NEW).await.ok();
    assert_budget(&app, "POST /auth/password/change", (2, 4.0, 44.0, 0)).await;
}

#[tokio::test]
async fn a_password_reset_costs_3_hops_and_4_if_a_device_is_removed() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let operation = "POST /auth/password/reset";
    let user = app.register_user().await;
    let refused = reset(&app, &user.phone, &"A".repeat(43), NEW).await;
    refused.problem(400, "invalid_verification_token");
    assert_budget(&app, operation, (1, 2.0, 0.0, 0)).await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    reset(&app, &user.phone, &token, NEW).await.ok();
    assert_budget(&app, operation, (3, 4.0, 11.0, 0)).await;
    let user = with_sessions(&app, 20).await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    reset(&app, &user.phone, &token, NEW).await.ok();
    assert_budget(&app, operation, (4, 5.0, 53.0, 0)).await;
}

#[tokio::test]
async fn an_identifier_change_costs_2_hops_and_4_with_a_notice() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let operation = "POST /auth/identifier";
    let user = app.register_user().await;
    let email = random_email();
    let token = app.verification_token(&email, "CHANGE_IDENTIFIER").await;
    identifier::change(&app, &user, &email, &"A".repeat(43))
        .await
        .problem(400, "invalid_verification_token");
    assert_budget(&app, operation, (1, 4.0, 0.0, 0)).await;
    identifier::change(&app, &user, &email, &token).await.ok();
    assert_budget(&app, operation, (2, 4.0, 9.0, 0)).await;
    let phone = random_phone();
    let token = app.verification_token(&phone, "CHANGE_IDENTIFIER").await;
    identifier::change(&app, &user, &phone, &token).await.ok();
    assert_budget(&app, operation, (4, 4.0, 13.0, 1)).await;
    identifier::change(&app, &user, &phone, &token).await.ok();
    assert_eq!(app.costs(operation).await.last(), (1, 4.0, 0.0));
}

#[tokio::test]
async fn listing_sessions_or_devices_costs_1_hop() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = with_sessions(&app, 20).await;
    app.get("/auth/sessions").bearer(&user.access_token).send().await.ok();
    assert_budget(&app, "GET /auth/sessions", (1, 2.0, 0.0, 0)).await;
    app.get("/auth/devices").bearer(&user.access_token).send().await.ok();
    assert_budget(&app, "GET /auth/devices", (1, 2.5, 0.0, 0)).await;
}

#[tokio::test]
async fn removing_a_device_costs_2_hops_4_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let operation = "DELETE /auth/devices/{device_id}";
    let user = with_sessions(&app, 1).await;
    let end = async |name: &str| {
        let path = format!("/auth/devices/{name}");
        app.request("DELETE", &path).bearer(&user.access_token).send().await
    };
    end("other").await.problem(404, "not_found");
    assert_budget(&app, operation, (1, 2.0, 0.0, 0)).await;
    end("d").await.ok();
    assert_budget(&app, operation, (2, 2.0, 4.0, 0)).await;
}

#[tokio::test]
async fn ending_a_session_costs_1_hop_1_wru_and_more_for_another_session_or_a_device() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let operation = "DELETE /auth/sessions/{session_id}";
    let end = async |user: &User, current: bool| {
        let list = app.get("/auth/sessions").bearer(&user.access_token).send().await;
        let sessions = list.ok()["results"].as_array().unwrap().clone();
        let session = sessions.iter().find(|session| session["current"] == current).unwrap();
        let path = format!("/auth/sessions/{}", session["id"].as_str().unwrap());
        app.request("DELETE", &path).bearer(&user.access_token).send().await.ok();
        app.costs(operation).await.last()
    };
    let user = app.register_user().await;
    assert_eq!(end(&user, true).await, (1, 0.0, 1.0));
    let user = with_sessions(&app, 2).await;
    assert_eq!(end(&user, false).await, (2, 1.0, 1.0));
    assert_eq!(end(&user, true).await, (2, 0.0, 5.0));
    let user = with_sessions(&app, 1).await;
    let other = app.login(&user.phone, PASSWORD).await;
    let user = User { access_token: other.text("access_token").to_owned(), ..user };
    assert_eq!(end(&user, false).await, (3, 1.0, 5.0));
    assert_budget(&app, operation, (3, 1.0, 5.0, 0)).await;
}
