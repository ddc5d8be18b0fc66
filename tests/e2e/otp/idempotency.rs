//! `Idempotency-Key` on `POST /auth/otp/request`.

use serde_json::json;

use crate::harness::{App, Needs, Response, concurrently, random_ip, random_phone};

async fn otp(app: &App, identifier: &str, purpose: &str, key: impl AsRef<[u8]>) -> Response {
    let body = json!({"identifier": identifier, "purpose": purpose});
    let request = app.post("/auth/otp/request", &body).with_client_ip(&random_ip());
    request.header("idempotency-key", key).send().await
}

#[tokio::test]
async fn a_repeated_request_is_replayed_and_sends_no_second_sms() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    let first = otp(&app, &phone, "REGISTER", "k1").await;
    first.ok();
    assert_eq!(first.header("idempotent-replayed"), None);
    let code = app.code_for(&phone).await;
    assert_eq!((&first.json["expires_in"], &first.json["resend_in"]), (&json!(300), &json!(60)));
    for (pause, expires_in, resend_in) in [(0, 300, 60), (45, 255, 15), (16, 239, 0), (3_600, 0, 0)]
    {
        app.advance(pause).await;
        let again = otp(&app, &phone[4..], "REGISTER", "k1").await;
        assert_eq!(again.ok()["message"], first.json["message"]);
        // A second may pass while the test runs.
        for (name, most) in [("expires_in", expires_in), ("resend_in", resend_in)] {
            let left = again.json[name].as_i64().unwrap();
            assert!((most - 20..=most).contains(&left) && left >= 0, "{name} {left} {most}");
        }
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(app.messages(&phone).await.len(), 1);
        if pause == 0 {
            // The sent code is still active.
            app.verify(&phone, &code, "REGISTER").await.ok();
        }
    }
}

#[tokio::test]
async fn a_replay_after_the_code_was_replaced_has_no_time_left() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    otp(&app, &phone, "REGISTER", "k1").await.ok();
    app.advance(61).await;
    app.post("/auth/otp/request", &json!({"identifier": phone, "purpose": "REGISTER"}))
        .send()
        .await
        .ok();
    let again = otp(&app, &phone, "REGISTER", "k1").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok()["expires_in"], 0);
    let resend_in = again.json["resend_in"].as_i64().unwrap();
    assert!((40..=60).contains(&resend_in), "the newer send counts: {resend_in}");
    assert_eq!(app.messages(&phone).await.len(), 2);
}

#[tokio::test]
async fn a_repeated_key_with_another_purpose_gets_422() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let phone = random_phone();
    otp(&app, &phone, "REGISTER", "k1").await.ok();
    let other = otp(&app, &phone, "CHANGE_IDENTIFIER", "k1").await;
    other.problem(422, "idempotency_key_reused");
    assert_eq!(app.messages(&phone).await.len(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_identifier() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (one, other) = (random_phone(), random_phone());
    for phone in [one, other] {
        let response = otp(&app, &phone, "REGISTER", "k1").await;
        response.ok();
        assert_eq!(response.header("idempotent-replayed"), None);
        assert_eq!(app.messages(&phone).await.len(), 1);
    }
}

#[tokio::test]
async fn a_key_has_1_to_255_visible_ascii_characters() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    let longest = "k".repeat(255);
    for good in ["!", "~a-Z_0.9", &longest] {
        otp(&app, "not an identifier", "REGISTER", good).await.refuses(&["identifier"]);
    }
    let too_long = "k".repeat(256);
    for bad in [&b""[..], b"two words", b"a\tb", too_long.as_bytes()] {
        let refused = otp(&app, "9841234567", "REGISTER", bad).await;
        refused.assert_problem();
        assert_eq!(refused.status, 400, "{bad:?} {refused:?}");
        assert!(refused.fields()[0].eq_ignore_ascii_case("idempotency-key"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_key_expires_after_24_hours() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    otp(&app, &phone, "REGISTER", "k1").await.ok();
    app.advance(86_400 - 60).await;
    let within = otp(&app, &phone, "REGISTER", "k1").await;
    assert_eq!(within.header("idempotent-replayed"), Some("true"));
    app.advance(60).await;
    let after = otp(&app, &phone, "REGISTER", "k1").await;
    after.ok();
    assert_eq!(after.header("idempotent-replayed"), None);
    assert_eq!(app.messages(&phone).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_30_concurrent_repeats_one_sends_and_all_succeed() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let phone = random_phone();
    let responses = concurrently((0..30).map(|_| {
        let (app, phone) = (app.clone(), phone.clone());
        async move { otp(&app, &phone, "REGISTER", "k1").await }
    }))
    .await;
    let replayed =
        responses.iter().filter(|response| response.header("idempotent-replayed").is_some());
    assert_eq!(replayed.count(), 29);
    assert!(responses.iter().all(|response| response.status == 200), "{responses:?}");
    assert_eq!(app.messages(&phone).await.len(), 1);
}

#[tokio::test]
async fn a_refused_request_does_not_use_its_key() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    app.request_otp(&phone, "REGISTER").await.ok();
    otp(&app, &phone, "REGISTER", "k1").await.problem(429, "too_many_requests");
    app.advance(60).await;
    app.inject_fault("sns", "Publish", "throttle", 1).await;
    otp(&app, &phone, "REGISTER", "k1").await.problem(503, "delivery_failed");
    let carried = otp(&app, &phone, "REGISTER", "k1").await;
    carried.ok();
    assert_eq!(carried.header("idempotent-replayed"), None);
    assert_eq!(app.messages(&phone).await.len(), 2);
}

#[tokio::test]
async fn the_stored_record_of_a_key_contains_neither_key_nor_identifier() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    otp(&app, &phone, "REGISTER", "a-very-recognisable-key").await.ok();
    let code = app.code_for(&phone).await;
    for row in app.rows("otp").await {
        let text = serde_json::to_string(&row).unwrap();
        for secret in ["recognisable", &phone[4..], &format!("\"{code}\"")] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
