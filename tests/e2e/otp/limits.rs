//! The limits of `POST /auth/otp/request` for one identifier and for one client IP.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, concurrently, count, random_ip, random_phone};

/// A code other than this one.
fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

async fn fill_client_ip(app: &App, client_ip: &str) -> Vec<String> {
    let phones: Vec<_> = (0..20).map(|_| random_phone()).collect();
    for phone in &phones {
        app.request_otp_from(client_ip, phone, "REGISTER").await.ok();
    }
    phones
}

#[tokio::test]
async fn one_send_per_identifier_in_60_seconds_for_all_purposes_together() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(60).await;
    app.request_otp(&user.phone, "LOGIN").await.ok();
    for purpose in ["LOGIN", "REGISTER", "RESET_PASSWORD"] {
        let refused = app.request_otp(&user.phone, purpose).await;
        refused.problem(429, "too_many_requests");
        assert!((50..=60).contains(&refused.retry_after()), "{refused:?}");
    }
    app.advance(50).await;
    app.request_otp(&user.phone, "LOGIN").await.problem(429, "too_many_requests");
    app.advance(10).await;
    app.request_otp(&user.phone, "LOGIN").await.ok();
}

#[tokio::test]
async fn five_sends_per_identifier_in_any_hour() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    for _ in 0..5 {
        app.request_otp(&phone, "REGISTER").await.ok();
        app.advance(600).await;
    }
    // 3,000 seconds after the first send: it leaves the window after 600 more.
    let refused = app.request_otp(&phone, "REGISTER").await;
    refused.problem(429, "too_many_requests");
    assert!((580..=600).contains(&refused.retry_after()), "{refused:?}");
    app.advance(refused.retry_after()).await;
    app.request_otp(&phone, "REGISTER").await.ok();
    // One send left the window, not five.
    app.advance(61).await;
    app.request_otp(&phone, "REGISTER").await.problem(429, "too_many_requests");
    assert_eq!(app.messages(&phone).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_30_concurrent_requests_for_one_number_one_is_sent() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let phone = random_phone();
    let responses = concurrently((0..30).map(|_| {
        let (app, phone) = (app.clone(), phone.clone());
        async move { app.request_otp(&phone, "REGISTER").await }
    }))
    .await;
    assert_eq!((count(&responses, 200), count(&responses, 429)), (1, 29));
    assert_eq!(app.messages(&phone).await.len(), 1);
}

#[tokio::test]
async fn twenty_unverified_sends_per_client_ip_in_an_hour() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let client_ip = random_ip();
    fill_client_ip(&app, &client_ip).await;
    for purpose in ["REGISTER", "LOGIN"] {
        let refused = app.request_otp_from(&client_ip, &random_phone(), purpose).await;
        refused.problem(429, "too_many_requests");
        assert!((3_500..=3_600).contains(&refused.retry_after()), "{refused:?}");
    }
    app.request_otp_from(&random_ip(), &random_phone(), "REGISTER").await.ok();
    app.advance(3_600).await;
    fill_client_ip(&app, &client_ip).await;
    app.request_otp_from(&client_ip, &random_phone(), "REGISTER")
        .await
        .problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_request_refused_for_the_client_ip_does_not_count_for_the_identifier() {
    let Some(app) = App::start(Needs::Gateway).await else { return };
    let (client_ip, phone) = (random_ip(), random_phone());
    fill_client_ip(&app, &client_ip).await;
    app.request_otp_from(&client_ip, &phone, "REGISTER").await.problem(429, "too_many_requests");
    app.request_otp(&phone, "REGISTER").await.ok();
}

#[tokio::test]
async fn a_verified_send_no_longer_counts_for_its_client_ip() {
    let Some(app) = App::start(Needs::Gateway).await else { return };
    let client_ip = random_ip();
    let phones = fill_client_ip(&app, &client_ip).await;
    let code = app.code_for(&phones[7]).await;
    app.verify(&phones[7], &wrong(&code), "REGISTER").await.problem(400, "invalid_otp");
    app.request_otp_from(&client_ip, &random_phone(), "REGISTER")
        .await
        .problem(429, "too_many_requests");
    app.verify(&phones[7], &code, "REGISTER").await.ok();
    app.request_otp_from(&client_ip, &random_phone(), "REGISTER").await.ok();
    app.request_otp_from(&client_ip, &random_phone(), "REGISTER")
        .await
        .problem(429, "too_many_requests");
}

#[tokio::test]
async fn one_client_ip_serves_any_number_of_users_who_verify() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let client_ip = random_ip();
    for _ in 0..45 {
        let phone = random_phone();
        app.request_otp_from(&client_ip, &phone, "REGISTER").await.ok();
        let code = app.code_for(&phone).await;
        app.verify(&phone, &code, "REGISTER").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_60_concurrent_requests_from_one_client_ip_twenty_are_sent() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let client_ip = random_ip();
    let responses = concurrently((0..60).map(|_| {
        let (app, client_ip) = (app.clone(), client_ip.clone());
        async move { app.request_otp_from(&client_ip, &random_phone(), "REGISTER").await }
    }))
    .await;
    let sent = app.all_messages().await.len();
    assert_eq!((count(&responses, 200), count(&responses, 429), sent), (20, 40, 20));
}

#[tokio::test]
async fn an_ipv6_64_prefix_is_one_client_ip() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for host in 1..=20 {
        let client_ip = format!("2001:db8:7:9:{host:x}::{host:x}");
        app.request_otp_from(&client_ip, &random_phone(), "REGISTER").await.ok();
    }
    let same = "2001:db8:7:9:ffff:ffff:ffff:ffff";
    app.request_otp_from(same, &random_phone(), "REGISTER").await.problem(429, "too_many_requests");
    app.request_otp_from("2001:db8:7:a::1", &random_phone(), "REGISTER").await.ok();
}

#[tokio::test]
async fn asvs_4_1_3_no_header_changes_the_client_ip() {
    let Some(app) = App::start(Needs::Gateway).await else { return };
    let client_ip = random_ip();
    fill_client_ip(&app, &client_ip).await;
    for header in
        ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"]
    {
        let other = match header {
            "forwarded" => format!("for={}", random_ip()),
            _ => random_ip(),
        };
        let body = json!({"identifier": random_phone(), "purpose": "REGISTER"});
        let request =
            app.post("/auth/otp/request", &body).with_client_ip(&client_ip).header(header, other);
        request.send().await.problem(429, "too_many_requests");
    }
}

/// Requests a code, sends wrong codes `times` times, and returns the right one.
async fn fail(app: &App, identifier: &str, purpose: &str, times: u32) -> String {
    app.request_otp(identifier, purpose).await.ok();
    let code = app.code_for(identifier).await;
    for _ in 0..times {
        app.verify(identifier, &wrong(&code), purpose).await.problem(400, "invalid_otp");
    }
    code
}

#[tokio::test]
async fn asvs_6_6_3_twenty_wrong_codes_lock_an_identifiers_codes_but_not_its_password() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..4 {
        app.advance(60).await;
        fail(&app, &user.phone, "LOGIN", 5).await;
    }
    app.advance(100).await;
    for purpose in ["LOGIN", "RESET_PASSWORD", "REGISTER", "CHANGE_IDENTIFIER"] {
        let refused = app.request_otp(&user.phone, purpose).await;
        refused.problem(429, "otp_locked");
        assert!((3_400..=3_500).contains(&refused.retry_after()), "{refused:?}");
        app.verify(&user.phone, "123456", purpose).await.problem(429, "otp_locked");
    }
    app.login(&user.phone, PASSWORD).await.ok();
    // Another identifier is not locked.
    app.verification_token(&random_phone(), "REGISTER").await;
    app.advance(3_500).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    let body = json!({"identifier": user.phone, "verification_token": token});
    app.login_with(&body).await.ok();
}

#[tokio::test]
async fn nineteen_wrong_codes_and_a_correct_one_do_not_lock() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    for times in [5, 5, 5] {
        fail(&app, &phone, "REGISTER", times).await;
        app.advance(60).await;
    }
    let code = fail(&app, &phone, "REGISTER", 4).await;
    app.verify(&phone, &code, "REGISTER").await.ok();
    app.advance(60).await;
    // The count was reset.
    let code = fail(&app, &phone, "REGISTER", 4).await;
    app.verify(&phone, &code, "REGISTER").await.ok();
}

#[tokio::test]
async fn wrong_codes_of_all_purposes_count_together() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    for purpose in ["REGISTER", "CHANGE_IDENTIFIER", "REGISTER", "CHANGE_IDENTIFIER"] {
        fail(&app, &phone, purpose, 5).await;
        app.advance(60).await;
    }
    app.request_otp(&phone, "REGISTER").await.problem(429, "otp_locked");
}

#[tokio::test]
async fn attempts_without_an_active_code_do_not_lock() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    fail(&app, &phone, "REGISTER", 5).await;
    for _ in 0..40 {
        app.verify(&phone, "123456", "REGISTER").await.problem(400, "invalid_otp");
    }
    app.advance(60).await;
    app.verification_token(&phone, "REGISTER").await;
}
