//! `GET /auth/sessions`, `DELETE /auth/sessions/{session_id}`.

use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD};

async fn listed(app: &App, access_token: &str) -> Vec<Value> {
    let response = app.get("/auth/sessions").bearer(access_token).send().await;
    assert_eq!(response.ok()["next_cursor"], Value::Null);
    response.json["results"].as_array().unwrap().clone()
}

async fn end(app: &App, access_token: &str, id: &Value) -> crate::harness::Response {
    let path = format!("/auth/sessions/{}", id.as_str().unwrap());
    app.request("DELETE", &path).bearer(access_token).send().await
}

#[tokio::test]
async fn asvs_7_5_2_a_user_lists_their_sessions_and_ends_one() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(5).await;
    let other = app.login(&user.phone, PASSWORD).await;
    let device = json!({
        "device_id": "d", "fcm_token": "t", "device_type": "WEB", "device_name": "Office",
    });
    let registered = app.post("/auth/device", &device).bearer(other.text("access_token"));
    registered.send().await.ok();

    let sessions = listed(&app, &user.access_token).await;
    assert_eq!(sessions.len(), 2);
    let newest = json!({
        "id": sessions[0]["id"], "device_name": "Office", "current": false,
        "created_at": sessions[0]["created_at"], "last_used": sessions[0]["created_at"],
    });
    assert_eq!(sessions[0], newest);
    assert_eq!(
        (&sessions[1]["current"], &sessions[1]["device_name"]),
        (&json!(true), &Value::Null)
    );

    end(&app, &user.access_token, &newest["id"]).await.ok();
    app.me(other.text("access_token")).await.problem(401, "session_ended");
    assert_eq!(listed(&app, &user.access_token).await.len(), 1);
    end(&app, &user.access_token, &newest["id"]).await.problem(404, "not_found");
}

#[tokio::test]
async fn api1_another_users_session_is_not_found_and_stays_active() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let theirs = listed(&app, &other.access_token).await;
    end(&app, &user.access_token, &theirs[0]["id"]).await.problem(404, "not_found");
    end(&app, &user.access_token, &json!("no-id")).await.problem(404, "not_found");
    app.me(&other.access_token).await.ok();
}

#[tokio::test]
async fn the_current_session_can_be_ended() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let own = listed(&app, &user.access_token).await;
    end(&app, &user.access_token, &own[0]["id"]).await.ok();
    end(&app, &user.access_token, &own[0]["id"]).await.problem(401, "session_ended");
    let list = app.get("/auth/sessions").bearer(&user.access_token).send().await;
    list.problem(401, "session_ended");
}

#[tokio::test]
async fn an_expired_session_is_not_listed() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(31 * 24 * 3_600).await;
    let again = app.login(&user.phone, PASSWORD).await;
    assert_eq!(listed(&app, again.text("access_token")).await.len(), 1);
}
