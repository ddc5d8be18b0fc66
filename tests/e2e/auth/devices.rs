//! `POST /auth/device`, `GET /auth/devices`, `DELETE /auth/devices/{device_id}`.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, Response, User, concurrently};

fn phone(token: &str) -> Value {
    json!({"device_id": "phone", "fcm_token": token, "device_type": "ANDROID"})
}

async fn register(app: &App, access_token: &str, body: &Value) -> Response {
    app.post("/auth/device", body).bearer(access_token).send().await
}

async fn listed(app: &App, access_token: &str) -> Vec<Value> {
    let response = app.get("/auth/devices").bearer(access_token).send().await;
    assert_eq!(response.ok()["next_cursor"], Value::Null);
    response.json["results"].as_array().unwrap().clone()
}

async fn sign_in(app: &App, user: &User) -> (String, String) {
    let response = app.login(&user.phone, PASSWORD).await;
    (response.text("access_token").to_owned(), response.text("refresh_token").to_owned())
}

#[tokio::test]
async fn a_registered_device_is_returned_and_listed_with_all_fields() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let mut body = phone("t1");
    for (name, value) in [("device_name", "Sita's"), ("app_version", "4.2"), ("os_version", "17")] {
        body[name] = json!(value);
    }
    let response = register(&app, &user.access_token, &body).await;
    let (id, last_used) = (response.text("id"), response.text("last_used"));
    let mut expected = body.clone();
    expected["id"] = json!(id);
    expected["is_active"] = json!(true);
    expected["last_used"] = json!(last_used);
    assert_eq!(response.ok(), &expected);
    assert_eq!(listed(&app, &user.access_token).await, [expected]);
}

#[tokio::test]
async fn registering_again_updates_the_same_device() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let first = register(&app, &user.access_token, &phone("t1")).await;
    app.advance(60).await;
    let mut body = phone("t2");
    body["is_active"] = json!(false);
    let second = register(&app, &user.access_token, &body).await;
    assert_eq!(second.text("id"), first.text("id"));
    assert_eq!(second.ok()["is_active"], json!(false));
    assert_ne!(second.text("last_used"), first.text("last_used"));
    assert_eq!(listed(&app, &user.access_token).await.len(), 1);
    // The device and the claim of its new token; the claim of the old token is deleted.
    assert_eq!(app.rows("devices").await.len(), 2);
}

#[tokio::test]
async fn a_push_token_belongs_to_the_user_who_registered_it_last() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (one, other) = (app.register_user().await, app.register_user().await);
    register(&app, &one.access_token, &phone("shared")).await.ok();
    register(&app, &other.access_token, &phone("shared")).await.ok();
    assert!(listed(&app, &one.access_token).await.is_empty());
    assert_eq!(listed(&app, &other.access_token).await.len(), 1);
    assert_eq!(app.rows("devices").await.len(), 2);
    // The end of the first user's session does not release the other user's token.
    app.logout(&one.access_token, &json!({"refresh_token": one.refresh_token})).await.ok();
    assert_eq!(listed(&app, &other.access_token).await.len(), 1);
    assert_eq!(app.rows("devices").await.len(), 2);
}

#[tokio::test]
async fn fifty_concurrent_registrations_of_one_push_token_leave_one_holder() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let users = [app.register_user().await, app.register_user().await];
    let tasks = (0..50).map(|number| {
        let (app, user) = (app.clone(), users[number % 2].clone());
        tokio::spawn(async move {
            let mut body = phone("contended");
            body["device_id"] = json!(format!("d{}", number % 5));
            register(&app, &user.access_token, &body).await.status
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut successes = 0;
    for task in tasks {
        let status = task.await.unwrap();
        assert!(status == 200 || status == 503, "{status}");
        successes += usize::from(status == 200);
    }
    assert!(successes > 0);
    let held = app.rows_where("devices", "fcm_token", "contended").await;
    assert_eq!(held.len(), 1, "{held:?}");
    let claims = app.rows_where("devices", "device_id", "CLAIM").await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0]["owner_id"], held[0]["user_id"]);
    assert_eq!(claims[0]["owner_device"], held[0]["device_id"]);
}

#[tokio::test]
async fn a_session_that_registers_many_devices_at_once_has_one() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    for _ in 0..5 {
        let user = app.register_user().await;
        let responses = concurrently((0..8).map(|number| {
            let (app, access_token) = (app.clone(), user.access_token.clone());
            let mut body = phone(&format!("{}-{number}", user.username));
            body["device_id"] = json!(format!("d{number}"));
            async move { register(&app, &access_token, &body).await }
        }))
        .await;
        assert!(
            responses.iter().all(|response| [200, 503].contains(&response.status)),
            "{responses:?}"
        );
        let rows = app.rows_where("devices", "user_id", &user.user_id).await;
        let session = &app.rows_where("sessions", "user_id", &user.user_id).await[0];
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["device_id"], session["device_id"]);
    }
}

#[tokio::test]
async fn every_way_to_end_a_session_removes_its_device() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for end in ["logout", "session", "all", "theft"] {
        let (access, refresh) = sign_in(&app, &user).await;
        register(&app, &access, &phone("t1")).await.ok();
        assert_eq!(app.rows("devices").await.len(), 2, "{end}");
        match end {
            "logout" => {
                app.logout(&access, &json!({ "refresh_token": refresh })).await.ok().clone()
            }
            "all" => app.logout(&access, &json!({"all": true})).await.ok().clone(),
            "theft" => {
                let second = app.refresh(&refresh).await;
                app.refresh(second.text("refresh_token")).await.ok();
                app.refresh(&refresh).await.problem(401, "refresh_token_reused").clone()
            }
            _ => {
                let sessions = app.get("/auth/sessions").bearer(&access).send().await;
                let id = sessions.ok()["results"][0]["id"].as_str().unwrap().to_owned();
                let path = format!("/auth/sessions/{id}");
                app.request("DELETE", &path).bearer(&access).send().await.ok().clone()
            }
        };
        assert!(app.rows("devices").await.is_empty(), "{end}");
    }
}

#[tokio::test]
async fn a_device_moved_to_another_session_stays_when_the_first_session_ends() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    register(&app, &user.access_token, &phone("t1")).await.ok();
    let (access, _) = sign_in(&app, &user).await;
    register(&app, &access, &phone("t1")).await.ok();
    app.logout(&user.access_token, &json!({"refresh_token": user.refresh_token})).await.ok();
    assert_eq!(listed(&app, &access).await.len(), 1);
}

#[tokio::test]
async fn two_evicted_sessions_that_name_one_device_remove_it() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let (second, _) = sign_in(&app, &user).await;
    register(&app, &user.access_token, &phone("t1")).await.ok();
    register(&app, &second, &phone("t1")).await.ok();
    for _ in 2..20 {
        sign_in(&app, &user).await;
    }
    // One session too many, so that the next sign-in evicts the first two together.
    let mut sessions = app.rows_where("sessions", "user_id", &user.user_id).await;
    sessions.sort_by_key(|session| session["session_id"].as_str().unwrap().to_owned());
    let mut one_more = sessions.pop().unwrap();
    let id = one_more["session_id"].as_str().unwrap();
    let last = if id.ends_with('0') { "1" } else { "0" };
    one_more["session_id"] = json!(format!("{}{last}", &id[..id.len() - 1]));
    app.put_row("sessions", &json!(one_more)).await;
    let (third, _) = sign_in(&app, &user).await;
    for ended in [&user.access_token, &second] {
        app.me(ended).await.problem(401, "session_ended");
    }
    app.me(&third).await.ok();
    assert!(app.rows("devices").await.is_empty());
}

#[tokio::test]
async fn the_twenty_first_device_evicts_the_least_recently_used() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let mut access = user.access_token.clone();
    // A session has one device and a user twenty sessions. An ended session loses its device, so a
    // user has more than twenty only while sessions are being replaced.
    for number in 0..21 {
        let body = json!({
            "device_id": format!("d{number}"), "fcm_token": format!("t{number}"),
            "device_type": "IOS",
        });
        register(&app, &access, &body).await.ok();
        app.advance(2).await;
        access = sign_in(&app, &user).await.0;
    }
    let names: Vec<_> = listed(&app, &access).await;
    let names: Vec<_> = names.iter().map(|device| device["device_id"].as_str().unwrap()).collect();
    assert!(names.len() <= 20 && !names.contains(&"d0"), "{names:?}");
    assert_eq!(names[0], "d20");
    assert_eq!(app.rows("devices").await.len(), 2 * names.len());
}

#[tokio::test]
async fn only_the_devices_own_user_can_remove_it() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    register(&app, &user.access_token, &phone("t1")).await.ok();
    let delete = |token: &str| app.request("DELETE", "/auth/devices/phone").bearer(token).send();
    delete(&other.access_token).await.problem(404, "not_found");
    delete(&user.access_token).await.ok();
    delete(&user.access_token).await.problem(404, "not_found");
    assert!(listed(&app, &user.access_token).await.is_empty());
}

#[tokio::test]
async fn every_valid_device_id_works_in_a_path_and_other_ids_are_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let named = |device_id: &str| {
        let mut body = phone("t1");
        body["device_id"] = json!(device_id);
        body
    };
    for device_id in ["a b", "a+b", "a&b=c", "~a:b;c@d!", "...", "ग", "\"'<>^`{|}"] {
        register(&app, &user.access_token, &named(device_id)).await.ok();
        let segment = utf8_percent_encode(device_id, NON_ALPHANUMERIC);
        let path = format!("/auth/devices/{segment}");
        app.request("DELETE", &path).bearer(&user.access_token).send().await.ok();
        assert!(listed(&app, &user.access_token).await.is_empty(), "{device_id}");
    }
    for device_id in ["a/b", "a\\b", "a?b", "a#b", "a%20b", "%2F", ".", "..", "a\u{fffd}"] {
        register(&app, &user.access_token, &named(device_id)).await.refuses(&["device_id"]);
    }
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let body = json!({
        "device_id": "", "fcm_token": "x".repeat(1_025), "device_type": "TOASTER",
        "device_name": 7, "app_version": "a\u{0}b", "is_active": "yes",
    });
    register(&app, &user.access_token, &body).await.refuses(&[
        "device_id",
        "fcm_token",
        "device_type",
        "device_name",
        "app_version",
        "is_active",
    ]);
}

#[tokio::test]
async fn an_expired_device_whose_token_claim_is_gone_can_be_registered_again() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    for (device_id, token) in [("phone", "t1"), ("tablet", "t2")] {
        let (access_token, _) = sign_in(&app, &user).await;
        let mut body = phone(token);
        body["device_id"] = json!(device_id);
        register(&app, &access_token, &body).await.ok();
    }
    app.advance(91 * 24 * 3_600).await;
    // TTL may delete the claim days before the device; then another user registers the token.
    for claim in app.rows_where("devices", "device_id", "CLAIM").await {
        let partition = claim["user_id"].as_str().unwrap();
        app.remove_row("devices", &[("user_id", partition), ("device_id", "CLAIM")]).await;
    }
    let (theirs, _) = sign_in(&app, &other).await;
    register(&app, &theirs, &phone("t2")).await.ok();
    let (access_token, _) = sign_in(&app, &user).await;
    register(&app, &access_token, &phone("t3")).await.ok();
    let mut tablet = phone("t4");
    tablet["device_id"] = json!("tablet");
    let (second, _) = sign_in(&app, &user).await;
    register(&app, &second, &tablet).await.ok();
    assert_eq!(listed(&app, &access_token).await.len(), 2);
    assert_eq!(listed(&app, &theirs).await.len(), 1);
}

#[tokio::test]
async fn an_expired_token_claim_does_not_block_another_user() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    register(&app, &user.access_token, &phone("t1")).await.ok();
    // TTL has not deleted anything yet.
    app.advance(91 * 24 * 3_600).await;
    let (access_token, _) = sign_in(&app, &user).await;
    register(&app, &access_token, &phone("t2")).await.ok();
    let (theirs, _) = sign_in(&app, &other).await;
    register(&app, &theirs, &phone("t1")).await.ok();
    for (token, holder) in [(&access_token, "t2"), (&theirs, "t1")] {
        let devices = listed(&app, token).await;
        assert_eq!((devices.len(), &devices[0]["fcm_token"]), (1, &json!(holder)));
    }
}
