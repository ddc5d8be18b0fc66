//! What each operation may cost: sequential round trips (hops), request units, sends.

use serde_json::json;
use shared::http::operation::Caller;

use crate::harness::{App, Needs, PASSWORD, assert_budget, random_ip, random_phone};

#[tokio::test]
async fn an_otp_request_costs_2_hops_1_rru_10_wru_and_one_send() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(3_600).await;
    let budget = (2, 1.0, 10.0, 1);
    for (identifier, purpose) in [
        (user.phone.clone(), "LOGIN"),
        (random_phone(), "LOGIN"),
        (random_phone(), "REGISTER"),
        ("someone@example.com".to_owned(), "REGISTER"),
    ] {
        app.request_otp(&identifier, purpose).await.ok();
        assert_budget(&app, "POST /auth/otp/request", budget).await;
        app.request_otp(&identifier, purpose).await.problem(429, "too_many_requests");
        assert_budget(&app, "POST /auth/otp/request", budget).await;
    }
    let body = json!({"identifier": random_phone(), "purpose": "REGISTER"});
    // A replay reads what has become of the code since: 1 RRU more.
    for budget in [budget, (2, 2.0, 10.0, 1)] {
        let request = app.post("/auth/otp/request", &body).key("k1").with_client_ip(&random_ip());
        request.send().await.ok();
        assert_budget(&app, "POST /auth/otp/request", budget).await;
    }
}

#[tokio::test]
async fn an_otp_verification_costs_2_hops_6_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    app.request_otp(&phone, "REGISTER").await.ok();
    let code = app.code_for(&phone).await;
    let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    app.verify(&phone, &wrong, "REGISTER").await.problem(400, "invalid_otp");
    app.verify(&random_phone(), &wrong, "REGISTER").await.problem(400, "invalid_otp");
    assert_budget(&app, "POST /auth/otp/verify", (2, 0.0, 6.0, 0)).await;
    app.verify(&phone, &code, "REGISTER").await.ok();
    assert_budget(&app, "POST /auth/otp/verify", (2, 0.0, 6.0, 0)).await;
}

#[tokio::test]
async fn a_registration_costs_2_hops_3_rru_34_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let new = app.new_user().await.with("email", "someone@example.com");
    app.register(&new).await.body(201);
    let taken = app.new_user().await.with("username", user.username);
    app.register(&taken).await.problem(400, "already_exists");
    assert_budget(&app, "POST /auth/register", (2, 3.0, 34.0, 0)).await;
}

#[tokio::test]
async fn a_registration_with_a_referral_costs_3_hops_4_5_rru_44_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let code = app.me(&user.access_token).await.text("referral_code").to_owned();
    let new = app.new_user().await.with("email", "a@example.com").with("referral_code", code);
    app.register(&new).await.body(201);
    assert_budget(&app, "POST /auth/register", (3, 4.5, 44.0, 0)).await;
}

#[tokio::test]
async fn a_login_costs_3_hops_3_rru_13_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let budget = (3, 3.0, 13.0, 0);
    app.login(&user.phone, PASSWORD).await.ok();
    assert_budget(&app, "POST /auth/login", budget).await;
    app.login(&user.phone, "not the password").await.problem(400, "invalid_credentials");
    app.login(&random_phone(), "not the password").await.problem(400, "invalid_credentials");
    assert_budget(&app, "POST /auth/login", budget).await;
    app.advance(60).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    let body = json!({
        "identifier": user.phone, "password": PASSWORD, "verification_token": token,
    });
    app.login_with(&body).await.ok();
    assert_budget(&app, "POST /auth/login", budget).await;
    let wrong = json!({"identifier": user.phone, "verification_token": "A".repeat(43)});
    app.login_with(&wrong).await.problem(400, "invalid_credentials");
    app.advance(60).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    app.login_with(&json!({"identifier": user.phone, "verification_token": token})).await.ok();
    assert_budget(&app, "POST /auth/login", budget).await;
}

#[tokio::test]
async fn a_throttled_login_costs_one_hop_more() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..12 {
        app.login(&user.phone, "not the password").await;
    }
    app.advance(60).await;
    app.login(&user.phone, "not the password").await.problem(400, "invalid_credentials");
    app.advance(120).await;
    app.login(&user.phone, PASSWORD).await.ok();
    // Before a login is delayed, whether the client IP is known is read again.
    assert_budget(&app, "POST /auth/login", (4, 3.5, 13.0, 0)).await;
}

#[tokio::test]
async fn a_login_that_evicts_a_session_with_a_device_costs_1_hop_2_rru_and_6_wru_more() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    put_device(&app, &user.access_token).await;
    for number in 0..20 {
        if number == 18 {
            // With twenty sign-ins in one minute the account item would be over 1 KB.
            app.advance(61).await;
        }
        app.login(&user.phone, PASSWORD).await.ok();
    }
    app.me(&user.access_token).await.problem(401, "session_ended");
    assert!(app.rows("devices").await.is_empty());
    // Most of the read units are the list of twenty sessions, which is read again before one ends.
    assert_budget(&app, "POST /auth/login", (4, 5.0, 19.0, 0)).await;
}

#[tokio::test]
async fn a_login_that_evicts_a_session_whose_device_has_moved_costs_two_hops_more() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    put_device(&app, &user.access_token).await;
    let other = app.login(&user.phone, PASSWORD).await;
    put_device(&app, other.text("access_token")).await;
    for _ in 0..19 {
        app.login(&user.phone, PASSWORD).await.ok();
    }
    app.me(&user.access_token).await.problem(401, "session_ended");
    assert_eq!(app.rows("devices").await.len(), 2);
    assert_budget(&app, "POST /auth/login", (5, 5.0, 19.0, 0)).await;
}

async fn put_device(app: &App, access_token: &str) {
    let body = json!({"device_id": "d", "fcm_token": "t", "device_type": "IOS"});
    app.post("/auth/device", &body).bearer(access_token).send().await.ok();
}

#[tokio::test]
async fn a_refresh_costs_1_hop_1_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let second = app.refresh(&user.refresh_token).await;
    app.refresh(&user.refresh_token).await.ok();
    app.refresh_with_key(second.text("refresh_token"), "k1").await.ok();
    app.refresh("garbage").await.problem(401, "invalid_refresh_token");
    assert_budget(&app, "POST /auth/refresh", (1, 0.0, 1.0, 0)).await;
}

#[tokio::test]
async fn a_logout_costs_1_hop_1_wru_and_2_hops_for_another_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let other = app.login(&user.phone, PASSWORD).await;
    let out = async |body| app.logout(&user.access_token, &body).await;
    let cost = async || app.costs("POST /auth/logout").await;
    out(json!({ "refresh_token": other.text("refresh_token") })).await.ok();
    assert!(cost().await.hops <= 2 && cost().await.rru <= 1.0 && cost().await.wru <= 5.0);
    out(json!({ "refresh_token": user.refresh_token })).await.ok();
    assert_eq!((cost().await.hops, cost().await.rru), (1, 0.0));
    assert_budget(&app, "POST /auth/logout", (2, 1.0, 5.0, 0)).await;
    assert!(cost().await.wru <= 1.0, "{:?}", cost().await);
}

#[tokio::test]
async fn me_costs_1_hop_3_rru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.me(&user.access_token).await.ok();
    assert_budget(&app, "GET /auth/me", (1, 3.0, 0.0, 0)).await;
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    app.me(&user.access_token).await.problem(401, "session_ended");
    assert_budget(&app, "GET /auth/me", (1, 3.0, 0.0, 0)).await;
    app.me("garbage").await.problem(401, "invalid_access_token");
    assert_eq!(app.costs("GET /auth/me").await.last(), (0, 0.0, 0.0));
}

#[tokio::test]
async fn a_refused_body_costs_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let all = crate::harness::WithBody::all().into_iter().map(|each| each.operation);
    for operation in all.filter(|operation| operation.caller == Caller::Anyone) {
        app.post(operation.path, &json!({})).send().await.problem(400, "validation_failed");
        app.post(operation.path, &json!([])).send().await.problem(400, "invalid_json");
        app.post_bytes(operation.path, "").send().await.problem(400, "invalid_json");
        let cost = app.costs(&operation.route_key()).await;
        let cost = (cost.hops_max, cost.rru_max, cost.wru_max);
        assert_eq!(cost, (0, 0.0, 0.0), "{}", operation.path);
    }
}

#[tokio::test]
async fn a_device_registration_costs_2_hops_2_5_rru_8_wru_and_14_wru_if_it_replaces_others() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let register = async |access: &str, device: &str, token: &str| {
        let body = json!({"device_id": device, "fcm_token": token, "device_type": "IOS"});
        app.post("/auth/device", &body).bearer(access).send().await.ok();
    };
    register(&user.access_token, "d1", "t1").await;
    assert_budget(&app, "POST /auth/device", (2, 2.5, 8.0, 0)).await;
    register(&user.access_token, "d1", "t2").await;
    register(&user.access_token, "d2", "t2").await;
    register(&other.access_token, "d1", "t2").await;
    assert_budget(&app, "POST /auth/device", (2, 2.5, 14.0, 0)).await;
}

#[tokio::test]
async fn a_logout_with_a_device_costs_2_hops_5_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let body = json!({"device_id": "d", "fcm_token": "t", "device_type": "IOS"});
    app.post("/auth/device", &body).bearer(&user.access_token).send().await.ok();
    let body = json!({"refresh_token": user.refresh_token});
    app.logout(&user.access_token, &body).await.ok();
    assert_budget(&app, "POST /auth/logout", (2, 0.0, 5.0, 0)).await;
}
