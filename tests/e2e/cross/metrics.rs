//! The metrics that functions write.

use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, random_phone};

impl App {
    /// The sum of each metric.
    async fn sums(&self) -> Value {
        let response = self.get("/_local/metrics").send().await;
        let metrics = response.ok()["metrics"].as_object().unwrap();
        metrics.iter().map(|(name, figures)| (name.clone(), figures["sum"].clone())).collect()
    }
}

#[tokio::test]
async fn each_step_of_a_registration_is_counted() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let expected = json!({
        "OtpRequested": 1, "OtpRequested REGISTER": 1, "SmsSent NP": 1, "SmsUsedOfDay": 0,
        "OtpVerified": 1, "OtpVerified REGISTER": 1, "Registered": 1,
    });
    assert_eq!(app.sums().await, expected);
    app.login(&user.phone, PASSWORD).await.ok();
    app.login(&user.phone, "not the right one").await.problem(400, "invalid_credentials");
    let sums = app.sums().await;
    assert_eq!((&sums["SignedIn"], &sums["SignInFailed"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn codes_are_counted_by_purpose() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(60).await;
    app.verification_token(&user.phone, "LOGIN").await;
    app.request_otp(&random_phone(), "REGISTER").await.ok();
    let sums = app.sums().await;
    for (name, expected) in [
        ("OtpRequested", 3),
        ("OtpRequested REGISTER", 2),
        ("OtpRequested LOGIN", 1),
        ("OtpVerified", 2),
        ("OtpVerified REGISTER", 1),
        ("OtpVerified LOGIN", 1),
    ] {
        assert_eq!(sums[name], expected, "{name}");
    }
}

#[tokio::test]
async fn a_flood_of_registrations_is_counted_even_below_the_hourly_and_daily_cap() {
    let Some(app) = App::with(&[("SMS_MAX_PER_HOUR", "10")]).await else { return };
    app.advance_into(3_600, 60).await;
    for expected in [200, 200, 200, 200, 200, 200, 200, 429, 429] {
        let response = app.request_otp(&random_phone(), "REGISTER").await;
        assert_eq!(response.status, expected, "{response:?}");
    }
    let sums = app.sums().await;
    assert_eq!((&sums["SmsCeilingReached"], &sums["SmsUsedOfDay"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn refused_sms_are_counted_by_country() {
    let settings = [("SMS_MAX_PER_DAY", "2"), ("SMS_SIGN_UP_PERCENT", "100")];
    let Some(app) = App::with(&settings).await else { return };
    for expected in [200, 200, 429] {
        let response = app.request_otp(&random_phone(), "REGISTER").await;
        assert_eq!(response.status, expected, "{response:?}");
    }
    app.request_otp("+14155552671", "REGISTER").await.problem(400, "unsupported_country");
    let sums = app.sums().await;
    // 50 percent of the daily cap, then 100 percent.
    assert_eq!(sums["SmsUsedOfDay"], 150);
    assert_eq!(sums["SmsSent NP"], 2);
    assert_eq!((&sums["SmsRefused NP"], &sums["SmsRefused US"]), (&json!(1), &json!(1)));
    assert_eq!((&sums["OtpRequested"], &sums["SmsCeilingReached"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn refused_messages_and_reused_refresh_tokens_are_counted() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let mut token = user.refresh_token.clone();
    for _ in 0..2 {
        let response = app.refresh(&token).await;
        token = response.text("refresh_token").to_owned();
    }
    app.refresh(&user.refresh_token).await.problem(401, "refresh_token_reused");
    app.inject_fault("sns", "Publish", "throttle", 1).await;
    app.request_otp(&random_phone(), "REGISTER").await.problem(503, "delivery_failed");
    let sums = app.sums().await;
    assert_eq!((&sums["RefreshTheft"], &sums["SmsRefused NP"]), (&json!(1), &json!(1)));
    assert_eq!(sums["SmsSent NP"], 1);
}
