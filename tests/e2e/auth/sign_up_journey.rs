//! A user registers, stays signed in, signs out, and signs in again.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, random_phone, random_username};

#[tokio::test]
async fn a_user_registers_refreshes_signs_out_and_signs_in_again() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (phone, username) = (random_phone(), random_username());

    let token = app.verification_token(&phone, "REGISTER").await;
    let body = json!({
        "username": username,
        "password": PASSWORD,
        "phone_number": phone,
        "verification_token": token,
    });
    let registered = app.post("/auth/register", &body).send().await;
    registered.body(201);
    let me = app.me(registered.text("access_token")).await;
    assert_eq!(me.ok()["username"], username);
    assert_eq!(me.json["phone_number"], phone);

    let mut refresh_token = registered.text("refresh_token").to_owned();
    for _ in 0..3 {
        let refreshed = app.refresh(&refresh_token).await;
        refreshed.ok();
        app.me(refreshed.text("access_token")).await.ok();
        refresh_token = refreshed.text("refresh_token").to_owned();
    }
    let access_token = app.refresh(&refresh_token).await.text("access_token").to_owned();
    let out = app.logout(&access_token, &json!({ "refresh_token": refresh_token })).await;
    out.ok();
    app.me(&access_token).await.problem(401, "session_ended");
    app.refresh(&refresh_token).await.problem(401, "invalid_refresh_token");

    let by_password = app.login(&phone, PASSWORD).await;
    assert_eq!(by_password.ok()["user_id"], registered.json["user_id"]);
    app.me(by_password.text("access_token")).await.ok();
}
