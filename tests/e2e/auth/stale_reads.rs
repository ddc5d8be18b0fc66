//! A stale result of an eventually consistent read refuses no user and ends no session.

use serde_json::json;

use crate::{
    auth::identifier,
    harness::{App, Needs, PASSWORD, random_email, random_ip, random_phone},
};

#[tokio::test]
async fn a_login_right_after_registration_succeeds() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.serve_stale_reads().await;
    let new = app.new_user().await;
    app.login(&new.phone, PASSWORD).await.problem(400, "invalid_credentials");
    app.register(&new).await.body(201);
    app.login(&new.phone, PASSWORD).await.ok();
    app.advance(61).await;
    let token = app.verification_token(&new.phone, "LOGIN").await;
    app.login_with(&json!({"identifier": new.phone, "verification_token": token})).await.ok();
}

#[tokio::test]
async fn a_login_right_after_a_change_of_the_identifier_succeeds() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (first, second) = (app.register_user().await, app.register_user().await);
    let (new, email) = (random_phone(), random_email());
    app.serve_stale_reads().await;
    for identifier in [&new, &email, &first.phone] {
        app.login(identifier, "not the password").await.problem(400, "invalid_credentials");
    }
    for identifier in [&new, &email] {
        let token = app.verification_token(identifier, "CHANGE_IDENTIFIER").await;
        identifier::change(&app, &first, identifier, &token).await.ok();
        app.login(identifier, PASSWORD).await.ok();
    }
    // Another account takes the released number; the stale read still returns the first account.
    app.advance(61).await;
    let token = app.verification_token(&first.phone, "CHANGE_IDENTIFIER").await;
    identifier::change(&app, &second, &first.phone, &token).await.ok();
    let response = app.login(&first.phone, PASSWORD).await;
    assert_eq!(response.ok()["user_id"], second.user_id);
    app.login(&second.phone, PASSWORD).await.problem(400, "invalid_credentials");
}

#[tokio::test]
async fn a_client_ip_is_known_right_after_a_sign_in() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, home) = (app.register_user().await, random_ip());
    let from_home = async |password: &str| {
        let body = json!({"identifier": user.phone, "password": password});
        app.post("/auth/login", &body).with_client_ip(&home).send().await
    };
    app.serve_stale_reads().await;
    from_home("not the password").await.problem(400, "invalid_credentials");
    from_home(PASSWORD).await.ok();
    for _ in 0..10 {
        app.login(&user.phone, "not the password").await.problem(400, "invalid_credentials");
    }
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
    from_home(PASSWORD).await.ok();
}

#[tokio::test]
async fn released_identifiers_can_be_registered_immediately() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let new = app.new_user().await.with("username", user.username.as_str());
    app.serve_stale_reads().await;
    app.register(&new).await.problem(400, "already_exists");
    let token = app.verification_token(&user.phone, "REGISTER").await;
    let same = app.new_user().await;
    let same = same.with("phone_number", user.phone.as_str()).with("verification_token", token);
    app.register(&same).await.problem(400, "already_exists");
    app.delete_account(&user.access_token, "").await.ok();
    app.register(&new).await.body(201);
    app.register(&same).await.body(201);
}

#[tokio::test]
async fn staff_can_use_released_identifiers_immediately() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let body = json!({"username": user.username, "phone_number": user.phone});
    let create = async || app.post("/admin/users", &body).bearer(&staff.access_token).send().await;
    app.serve_stale_reads().await;
    create().await.problem(400, "already_exists");
    app.delete_account(&user.access_token, "").await.ok();
    create().await.body(201);
}

#[tokio::test]
async fn a_new_referral_code_is_accepted_immediately() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let code = app.me(&user.access_token).await.text("referral_code").to_owned();
    let claim = format!("REFERRAL#{code}");
    let row = app.rows_where("users", "pk", &claim).await.remove(0);
    app.remove_row("users", &[("pk", &claim)]).await;
    app.serve_stale_reads().await;
    let new = app.new_user().await.with("referral_code", code);
    app.register(&new).await.problem(400, "invalid_referral_code");
    app.put_row("users", &json!(row)).await;
    app.register(&new).await.body(201);
}

#[tokio::test]
async fn a_stale_list_of_sessions_ends_no_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..18 {
        app.advance(61).await;
        app.login(&user.phone, PASSWORD).await.ok();
    }
    app.advance(61).await;
    let last = app.login(&user.phone, PASSWORD).await;
    app.advance(61).await;
    app.serve_stale_reads().await;
    // This request reads the list of twenty sessions; later stale reads return the same list.
    app.login(&user.phone, "not the password").await.problem(400, "invalid_credentials");
    let body = json!({ "refresh_token": last.text("refresh_token") });
    app.logout(last.text("access_token"), &body).await.ok();
    app.login(&user.phone, PASSWORD).await.ok();
    app.refresh(&user.refresh_token).await.ok();
    let left = app.rows_where("sessions", "user_id", &user.user_id).await.len();
    assert_eq!(left, 20);
}
