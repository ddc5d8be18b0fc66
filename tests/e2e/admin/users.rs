//! `POST /admin/users` and `GET /admin/users/{user_id}`.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, PASSWORD, Response, User, assert_budget, concurrently, count, random_email,
    random_phone, random_username,
};

const UNKNOWN_ID: &str = "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11";

async fn create(app: &App, staff: &User, body: &Value) -> Response {
    app.admin(staff, "POST", "/admin/users", Some(body)).await
}

async fn detail(app: &App, staff: &User, user_id: &str) -> Response {
    app.admin_get(staff, &format!("/admin/users/{user_id}")).await
}

#[tokio::test]
async fn an_account_created_by_staff_is_complete_and_its_user_signs_in_by_code() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    for (field, identifier) in [("phone_number", random_phone()), ("email", random_email())] {
        let username = random_username();
        let body = json!({"username": username, field: identifier});
        let made = create(&app, &staff, &body).await;
        let made_json = made.body(201).clone();
        let id = made.text("id").to_owned();
        assert_eq!((made.text("username"), made.text(field)), (&*username, &*identifier));
        let is_phone = field == "phone_number";
        assert_eq!(made.json["phone_verified"], is_phone);
        assert_eq!(made.json["email_verified"], !is_phone);
        assert_eq!(made.json["points"], json!({"current_points": 50, "total_points": 50}));
        assert_eq!(made.json["wallet_balance"]["balance"], "0.00");
        assert_eq!(made.json["last_login"], Value::Null);
        for (name, expected) in
            [("is_staff", json!(false)), ("devices", json!([])), ("sessions", json!([]))]
        {
            assert_eq!(made.json[name], expected);
        }
        assert_eq!(detail(&app, &staff, &id).await.ok(), &made_json);

        let trail = app.audit_entries(&id).await;
        let masked = &trail[0].1[field];
        assert_eq!(trail.len(), 1);
        assert_eq!(trail[0].0, "user_created");
        assert_ne!(masked, identifier.as_str());
        assert!(masked.as_str().unwrap().contains('*'));
        assert!(!trail[0].1.to_string().contains(&username));

        let wrong = app.login(&identifier, PASSWORD).await;
        wrong.problem(400, "invalid_credentials");
        let token = app.verification_token(&identifier, "LOGIN").await;
        let body = json!({"identifier": identifier, "verification_token": token});
        let signed_in = app.login_with(&body).await;
        signed_in.ok();
        let me = app.me(signed_in.text("access_token")).await;
        assert_eq!(me.ok()["id"], id.as_str());
        let user = User {
            user_id: id.clone(),
            username: username.clone(),
            phone: identifier.clone(),
            access_token: signed_in.text("access_token").to_owned(),
            refresh_token: signed_in.text("refresh_token").to_owned(),
        };
        assert_eq!(app.usage_stats(&user, "").await.ok()["total_points_earned"], 50);
        app.wallet(&user).await.ok();
        let profile = app.get("/users/profile").bearer(&user.access_token).send().await;
        assert_eq!(profile.ok()["full_name"], Value::Null);
        let code = me.text("referral_code").to_owned();
        let invited = app.new_user().await.with("referral_code", code);
        app.register(&invited).await.body(201);

        app.advance(60).await;
        let token = app.verification_token(&identifier, "RESET_PASSWORD").await;
        let body = json!({
            "identifier": identifier, "verification_token": token, "new_password": PASSWORD,
        });
        app.post("/auth/password/reset", &body).send().await.ok();
        app.login(&identifier, PASSWORD).await.ok();
    }
}

#[tokio::test]
async fn a_username_and_exactly_one_identifier_are_required() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let before = app.table_sizes().await;
    create(&app, &staff, &json!({})).await.refuses(&["username", "phone_number", "email"]);
    let wrong = json!({"username": "a b", "phone_number": "7"});
    create(&app, &staff, &wrong).await.refuses(&["username", "phone_number"]);
    let both = json!({"username": "sita", "phone_number": random_phone(), "email": "a@b.com"});
    let refused = create(&app, &staff, &both).await;
    refused.refuses(&["phone_number", "email"]);
    assert_eq!(refused.json["errors"][0]["code"], "only_one");
    let wrong = json!({"username": "sita", "email": 7});
    create(&app, &staff, &wrong).await.refuses(&["email"]);
    assert_eq!(app.table_sizes().await, before);
}

#[tokio::test]
async fn fields_taken_by_another_account_are_named() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let before = app.table_sizes().await;
    let upper = user.username.to_uppercase();
    for (username, phone, fields) in [
        (upper.clone(), random_phone(), vec!["username"]),
        (random_username(), user.phone.clone(), vec!["phone_number"]),
        (upper, user.phone.clone(), vec!["phone_number", "username"]),
    ] {
        let body = json!({"username": username, "phone_number": phone});
        let refused = create(&app, &staff, &body).await;
        refused.problem(400, "already_exists");
        assert_eq!(refused.fields(), fields);
    }
    assert_eq!(app.table_sizes().await, before);
}

#[tokio::test]
async fn when_one_account_is_created_many_times_at_once_one_creation_succeeds() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, username) = (app.staff().await, random_username());
    let responses = concurrently((0..12).map(|_| {
        let (app, staff) = (app.clone(), staff.clone());
        let body = json!({"username": username, "phone_number": random_phone()});
        async move { create(&app, &staff, &body).await }
    }))
    .await;
    assert_eq!((count(&responses, 201), count(&responses, 400)), (1, 11), "{responses:?}");
    let refused = responses.iter().filter(|response| response.status == 400);
    refused.for_each(|response| assert_eq!(response.fields(), ["username"]));
}

#[tokio::test]
async fn an_account_is_created_once_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let mut made = 0;
    for kind in ["throttle", "conflict", "timeout", "error_500", "lost_response"] {
        let body = json!({"username": random_username(), "phone_number": random_phone()});
        app.inject_fault("dynamodb", "TransactWriteItems", kind, 1).await;
        create(&app, &staff, &body).await.body(201);
        made += 1;
        let accounts = app.rows_where("users", "item_type", "account").await;
        assert_eq!(accounts.len(), 1 + made, "{kind}");
    }
    // The account was written; the function finds it before it responds.
    let body = json!({"username": random_username(), "phone_number": random_phone()});
    app.inject_fault("dynamodb", "TransactWriteItems", "lost_response", 5).await;
    create(&app, &staff, &body).await.body(201);
    // Nothing is written.
    let before = app.table_sizes().await;
    let body = json!({"username": random_username(), "phone_number": random_phone()});
    app.inject_fault("dynamodb", "TransactWriteItems", "error_500", 5).await;
    create(&app, &staff, &body).await.problem(503, "unavailable");
    assert_eq!(app.table_sizes().await, before);
    create(&app, &staff, &body).await.body(201);
}

#[tokio::test]
async fn the_detail_shows_the_user_object_with_devices_and_sessions() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let second = app.login(&user.phone, PASSWORD).await;
    let device = json!({
        "device_id": "phone-1", "fcm_token": "a-push-token", "device_type": "ANDROID",
        "device_name": "Pixel", "app_version": "1.2", "os_version": "15",
    });
    let token = second.text("access_token");
    let device = app.post("/auth/device", &device).bearer(token).send().await;
    let me = app.me(&user.access_token).await;
    let response = detail(&app, &staff, &user.user_id).await;
    let mut shown = response.ok().clone();
    let sessions = shown["sessions"].take();
    let devices = shown["devices"].take();
    let shown = shown.as_object_mut().unwrap();
    shown.remove("sessions");
    shown.remove("devices");
    assert_eq!(shown.remove("is_staff"), Some(json!(false)));
    assert_eq!(&json!(shown), me.ok());
    let names: Vec<_> =
        sessions.as_array().unwrap().iter().map(|session| &session["device_name"]).collect();
    assert_eq!(names, [&json!("Pixel"), &Value::Null], "newest first");
    let mut expected = device.ok().clone();
    expected.as_object_mut().unwrap().remove("fcm_token");
    assert_eq!(devices, json!([expected]));
    assert!(!String::from_utf8_lossy(&response.bytes).contains("a-push-token"));

    let body = json!({"refresh_token": second.text("refresh_token")});
    app.logout(token, &body).await.ok();
    let response = detail(&app, &staff, &user.user_id).await;
    assert_eq!(response.ok()["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(response.json["devices"], json!([]));
    let own = detail(&app, &staff, &staff.user_id).await;
    assert_eq!(
        (&own.ok()["is_staff"], &own.json["sessions"][0]["is_staff"]),
        (&json!(true), &json!(true))
    );
}

#[tokio::test]
async fn an_unknown_or_malformed_user_id_is_not_found() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let before = app.table_sizes().await;
    let long = "x".repeat(5_000);
    for id in [UNKNOWN_ID, "7", "%20", "01998f6e-5c1b-4d34-9a44-0f4f2f1c8b11", "%ff", &long] {
        detail(&app, &staff, id).await.problem(404, "not_found");
        let put = app.admin(&staff, "PUT", &format!("/admin/users/{id}"), Some(&json!({}))).await;
        put.problem(404, "not_found");
        let ban = json!({"status": "BANNED"});
        app.change_user(&staff, id, &ban).await.problem(404, "not_found");
        app.end_sessions(&staff, id).await.problem(404, "not_found");
        let credit = App::correction("CREDIT", "1");
        app.adjust(&staff, id, "k1", &credit).await.problem(404, "not_found");
    }
    assert_eq!(app.table_sizes().await, before);
}

#[tokio::test]
async fn the_detail_costs_1_hop_6_rru_and_a_creation_2_hops_2_rru_26_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let device = json!({"device_id": "p", "fcm_token": "t", "device_type": "IOS"});
    app.post("/auth/device", &device).bearer(&user.access_token).send().await.ok();
    for _ in 0..19 {
        app.login(&user.phone, PASSWORD).await.ok();
    }
    detail(&app, &staff, &user.user_id).await.ok();
    detail(&app, &staff, &staff.user_id).await.ok();
    assert_budget(&app, "GET /admin/users/{user_id}", (1, 6.0, 0.0, 0)).await;
    let body = json!({"username": random_username(), "phone_number": random_phone()});
    create(&app, &staff, &body).await.body(201);
    assert_budget(&app, "POST /admin/users", (2, 2.0, 26.0, 0)).await;
    // A refusal rests on a consistent read of both names: 2 RRU more.
    create(&app, &staff, &body).await.problem(400, "already_exists");
    assert_budget(&app, "POST /admin/users", (2, 4.0, 26.0, 0)).await;
}
