//! SNS and SES that refuse, or whose answer is lost.

use serde_json::Value;

use crate::harness::{App, Needs, User, random_email, random_phone};

/// The living challenge of an identifier, there being no other in the table.
async fn stands(app: &App, purpose: &str) -> bool {
    let name = format!("challenge_{}", purpose.to_lowercase());
    app.rows("otp").await.iter().any(|row| row.contains_key(&name))
}

/// A user whose limits are fresh.
async fn rested_user(app: &App) -> User {
    let user = app.register_user().await;
    app.advance(3_600).await;
    user
}

#[tokio::test]
async fn what_sns_refused_is_503_for_register_with_the_limits_unspent_and_no_code() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for purpose in ["REGISTER", "CHANGE_IDENTIFIER"] {
        let phone = random_phone();
        // More often than the hour has sends, so that none of them was spent.
        for _ in 0..6 {
            app.fault("sns", "Publish", "throttle", 1).await;
            let refused = app.otp(&phone, purpose).await;
            refused.problem(503, "delivery_failed");
            assert!(refused.retry_after() < 60, "{refused:?}");
            assert!(!stands(&app, purpose).await, "{purpose}");
        }
        assert!(app.messages(&phone).await.is_empty());
        app.verified(&phone, purpose).await;
    }
}

#[tokio::test]
async fn what_sns_refused_leaves_source_and_ceiling_their_places() {
    let settings = [
        ("OTP_SOURCE_MAX_PER_HOUR", "2"),
        ("SMS_MAX_PER_HOUR", "2"),
        ("SMS_SIGN_UP_PERCENT", "100"),
    ];
    let Some(app) = App::with(&settings).await else { return };
    app.advance_into(3_600, 60).await;
    app.fault("sns", "Publish", "throttle", 4).await;
    for _ in 0..4 {
        let refused = app.otp_from("192.0.2.1", &random_phone(), "REGISTER").await;
        refused.problem(503, "delivery_failed");
    }
    for _ in 0..2 {
        app.otp_from("192.0.2.1", &random_phone(), "REGISTER").await.ok();
    }
    app.otp("9841234567", "REGISTER").await.problem(429, "sms_limit_reached");
}

#[tokio::test]
async fn asvs_6_3_8_what_sns_refused_for_a_sign_in_is_answered_as_for_nobody() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for purpose in ["LOGIN", "RESET_PASSWORD"] {
        let (user, nobody) = (rested_user(&app).await, random_phone());
        let before = app.messages(&user.phone).await.len();
        let unknown = app.otp(&nobody, purpose).await;
        app.fault("sns", "Publish", "throttle", 1).await;
        let known = app.otp(&user.phone, purpose).await;
        known.ok();
        assert_eq!(known.comparable(), unknown.comparable());
        assert_eq!(app.messages(&user.phone).await.len(), before);
        // Spent, as for nobody.
        app.otp(&user.phone, purpose).await.problem(429, "too_many_requests");
        app.otp(&nobody, purpose).await.problem(429, "too_many_requests");
    }
}

#[tokio::test]
async fn no_code_stands_that_sns_refused_to_send_for_a_sign_in() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = rested_user(&app).await;
    app.fault("sns", "Publish", "throttle", 1).await;
    app.otp(&user.phone, "LOGIN").await.ok();
    assert!(!stands(&app, "LOGIN").await);
}

#[tokio::test]
async fn a_lost_answer_of_sns_leaves_the_code_standing_and_is_200() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = rested_user(&app).await;
    let before = app.messages(&user.phone).await.len();
    for (to, purpose) in [(user.phone.clone(), "LOGIN"), (random_phone(), "REGISTER")] {
        app.fault("sns", "Publish", "lost_response", 1).await;
        app.otp(&to, purpose).await.ok();
        let sent = app.messages(&to).await.len() - if purpose == "LOGIN" { before } else { 0 };
        assert_eq!(sent, 1, "asked once, never again");
        let code = app.code_for(&to).await;
        app.verify(&to, &code, purpose).await.ok();
    }
}

#[tokio::test]
async fn sns_that_never_answers_is_taken_for_a_lost_answer() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    app.fault("sns", "Publish", "timeout", 1).await;
    app.otp(&phone, "REGISTER").await.ok();
    assert!(stands(&app, "REGISTER").await);
    app.otp(&phone, "REGISTER").await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_refused_send_takes_no_later_code_away() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    app.fault("sns", "Publish", "throttle", 1).await;
    app.otp(&phone, "REGISTER").await.problem(503, "delivery_failed");
    app.otp(&phone, "REGISTER").await.ok();
    let code = app.code_for(&phone).await;
    app.advance(60).await;
    app.fault("sns", "Publish", "throttle", 1).await;
    app.otp(&phone, "REGISTER").await.problem(503, "delivery_failed");
    // The first was replaced by one that was never sent: none stands.
    app.verify(&phone, &code, "REGISTER").await.problem(400, "invalid_otp");
    app.verified(&phone, "REGISTER").await;
}

#[tokio::test]
async fn ses_is_judged_as_sns_is() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let email = random_email();
    app.fault("ses", "SendEmail", "throttle", 1).await;
    app.otp(&email, "REGISTER").await.problem(503, "delivery_failed");
    app.fault("ses", "SendEmail", "lost_response", 1).await;
    app.otp(&email, "REGISTER").await.ok();
    let messages: Vec<Value> = app.messages(&email).await;
    assert_eq!(messages.len(), 1);
    let code = app.code_for(&email).await;
    app.verify(&email, &code, "REGISTER").await.ok();
}
