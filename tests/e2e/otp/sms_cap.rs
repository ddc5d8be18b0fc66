//! The SMS cap of the deployment.

use crate::harness::{App, concurrently, count, random_email, random_phone};

const DAY: u32 = 86_400;
const HOUR: u32 = 3_600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asvs_2_4_1_of_300_concurrent_registrations_exactly_the_cap_is_sent() {
    let settings = [("SMS_MAX_PER_HOUR", "50"), ("SMS_SIGN_UP_PERCENT", "100")];
    let Some(app) = App::with(&settings).await else { return };
    app.advance_into(HOUR, 60).await;
    let responses = concurrently((0..300).map(|_| {
        let app = app.clone();
        async move { app.request_otp(&random_phone(), "REGISTER").await }
    }))
    .await;
    let sent = app.all_messages().await.len();
    assert_eq!((count(&responses, 200), count(&responses, 429), sent), (50, 250, 50));
    for refused in responses.iter().filter(|response| response.status == 429) {
        refused.problem(429, "sms_limit_reached");
        assert!((HOUR - 240..=HOUR - 60).contains(&refused.retry_after()), "{refused:?}");
    }
}

#[tokio::test]
async fn the_hourly_cap_starts_again_with_the_clock_hour() {
    let settings = [("SMS_MAX_PER_HOUR", "3"), ("SMS_SIGN_UP_PERCENT", "100")];
    let Some(app) = App::with(&settings).await else { return };
    app.advance_into(DAY, HOUR / 2).await;
    for _ in 0..3 {
        app.request_otp(&random_phone(), "REGISTER").await.ok();
    }
    let refused = app.request_otp(&random_phone(), "REGISTER").await;
    refused.problem(429, "sms_limit_reached");
    app.advance(refused.retry_after()).await;
    for _ in 0..3 {
        app.request_otp(&random_phone(), "REGISTER").await.ok();
    }
    app.request_otp(&random_phone(), "REGISTER").await.problem(429, "sms_limit_reached");
}

#[tokio::test]
async fn the_daily_cap_starts_again_with_the_utc_day() {
    let settings = [("SMS_MAX_PER_DAY", "4"), ("SMS_SIGN_UP_PERCENT", "100")];
    let Some(app) = App::with(&settings).await else { return };
    app.advance_into(DAY, 20 * HOUR).await;
    for _ in 0..4 {
        app.request_otp(&random_phone(), "REGISTER").await.ok();
        app.advance(HOUR / 2).await;
    }
    let refused = app.request_otp(&random_phone(), "REGISTER").await;
    refused.problem(429, "sms_limit_reached");
    assert!((2 * HOUR - 60..=2 * HOUR).contains(&refused.retry_after()), "{refused:?}");
    app.advance(refused.retry_after()).await;
    app.request_otp(&random_phone(), "REGISTER").await.ok();
}

#[tokio::test]
async fn registrations_use_at_most_seventy_percent_of_the_cap() {
    let Some(app) = App::with(&[("SMS_MAX_PER_HOUR", "10")]).await else { return };
    app.advance_into(DAY, 60).await;
    let users = [app.register_user().await, app.register_user().await, app.register_user().await];
    app.advance_into(HOUR, 60).await;
    for purpose in ["REGISTER", "REGISTER", "CHANGE_IDENTIFIER", "REGISTER"] {
        app.request_otp(&random_phone(), purpose).await.ok();
    }
    // A sign-in does not use the share of registrations.
    app.request_otp(&users[0].phone, "LOGIN").await.ok();
    for _ in 0..3 {
        app.request_otp(&random_phone(), "REGISTER").await.ok();
    }
    for purpose in ["REGISTER", "CHANGE_IDENTIFIER"] {
        app.request_otp(&random_phone(), purpose).await.problem(429, "sms_limit_reached");
    }
    app.request_otp(&users[1].phone, "LOGIN").await.ok();
    app.request_otp(&users[2].phone, "RESET_PASSWORD").await.ok();
    app.advance(60).await;
    for user in &users {
        app.request_otp(&user.phone, "LOGIN").await.problem(429, "sms_limit_reached");
    }
    // The cap does not apply to e-mail.
    app.request_otp(&random_email(), "REGISTER").await.ok();
}

#[tokio::test]
async fn requests_for_unknown_numbers_count_nothing_and_are_refused_at_the_cap() {
    let settings = [("SMS_MAX_PER_HOUR", "2"), ("SMS_SIGN_UP_PERCENT", "100")];
    let Some(app) = App::with(&settings).await else { return };
    app.advance_into(HOUR, 60).await;
    for purpose in ["LOGIN", "RESET_PASSWORD", "LOGIN", "RESET_PASSWORD", "LOGIN"] {
        app.request_otp(&random_phone(), purpose).await.ok();
    }
    app.request_otp(&random_phone(), "REGISTER").await.ok();
    app.request_otp(&random_phone(), "REGISTER").await.ok();
    for purpose in ["LOGIN", "RESET_PASSWORD", "REGISTER"] {
        app.request_otp(&random_phone(), purpose).await.problem(429, "sms_limit_reached");
    }
}

#[tokio::test]
async fn a_request_refused_by_the_cap_does_not_count_for_the_identifier() {
    let settings = [("SMS_MAX_PER_HOUR", "1"), ("SMS_SIGN_UP_PERCENT", "100")];
    let Some(app) = App::with(&settings).await else { return };
    app.advance_into(HOUR, HOUR - 30).await;
    app.request_otp(&random_phone(), "REGISTER").await.ok();
    let phone = random_phone();
    let refused = app.request_otp(&phone, "REGISTER").await;
    refused.problem(429, "sms_limit_reached");
    app.advance(refused.retry_after()).await;
    app.request_otp(&phone, "REGISTER").await.ok();
    assert_eq!(app.messages(&phone).await.len(), 1);
}

#[tokio::test]
async fn a_cap_of_zero_sends_nothing() {
    let Some(app) = App::with(&[("SMS_MAX_PER_HOUR", "0")]).await else { return };
    for purpose in ["REGISTER", "LOGIN"] {
        app.request_otp(&random_phone(), purpose).await.problem(429, "sms_limit_reached");
    }
    assert!(app.all_messages().await.is_empty());
}
