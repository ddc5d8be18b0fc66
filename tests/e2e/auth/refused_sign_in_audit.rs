//! Sign-ins with correct credentials that policy refuses are audited; wrong credentials are not.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, User, random_phone};

/// The reasons of the audited refusals of a user.
async fn reasons(app: &App, user: &User) -> Vec<Value> {
    let rows = app.rows_where("audit", "subject", &user.user_id).await;
    let refused = rows.iter().filter(|row| row["action"] == "sign_in_refused");
    refused.map(|row| row["details"]["reason"].clone()).collect()
}

async fn ban(app: &App, user: &User) {
    let key = format!("USER#{}", user.user_id);
    let banned = AttributeValue::S("BANNED".to_owned());
    app.set_attribute("users", &[("pk", &key)], "status", banned).await;
}

async fn reset(app: &App, user: &User, token: &str) -> crate::harness::Response {
    let body = json!({
        "identifier": user.phone, "verification_token": token,
        "new_password": "a copper kettle sings",
    });
    app.post("/auth/password/reset", &body).send().await
}

#[tokio::test]
async fn a_refused_sign_in_to_a_banned_account_with_correct_credentials_is_audited() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    ban(&app, &user).await;
    app.login(&user.phone, PASSWORD).await.problem(400, "account_not_active");
    assert_eq!(reasons(&app, &user).await, ["account_not_active"]);
    let body = json!({"identifier": user.phone, "verification_token": token});
    app.login_with(&body).await.problem(400, "account_not_active");
    assert_eq!(reasons(&app, &user).await.len(), 2);
    let rows = app.rows_where("audit", "action", "sign_in_refused").await;
    assert!(rows.iter().all(|row| row.get("actor").is_none()));
    assert!(rows.iter().all(|row| row["source"].as_str().unwrap().ends_with(".0/24")));
}

#[tokio::test]
async fn wrong_credentials_are_not_audited_and_cost_the_same_as_for_an_unknown_account() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    ban(&app, &user).await;
    let mut costs = Vec::new();
    let entries = app.rows("audit").await.len();
    for identifier in [&user.phone, &random_phone()] {
        app.login(identifier, "not the password").await.problem(400, "invalid_credentials");
        costs.push(app.costs("POST /auth/login").await.last());
    }
    assert_eq!(costs[0], costs[1]);
    assert_eq!(app.rows("audit").await.len(), entries);
}

#[tokio::test]
async fn a_password_reset_refused_by_policy_is_audited() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    ban(&app, &user).await;
    reset(&app, &user, "no token").await.problem(400, "invalid_verification_token");
    assert_eq!(reasons(&app, &user).await, Vec::<Value>::new());
    reset(&app, &user, &token).await.problem(400, "account_not_active");
    assert_eq!(reasons(&app, &user).await, ["account_not_active"]);

    let Some(app) = App::with(&[("LOGIN_POLICY", "both")]).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    reset(&app, &user, &token).await.problem(400, "second_identifier_required");
    assert_eq!(reasons(&app, &user).await, ["second_identifier_required"]);
}

#[tokio::test]
async fn a_refusal_that_cannot_be_audited_returns_503() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    ban(&app, &user).await;
    app.inject_fault("dynamodb", "TransactWriteItems", "error_500", 5).await;
    app.login(&user.phone, PASSWORD).await.problem(503, "unavailable");
    app.login(&user.phone, PASSWORD).await.problem(400, "account_not_active");
    assert_eq!(reasons(&app, &user).await, ["account_not_active"]);
}
