//! Messages that SNS or SES refuse, and lost responses of both.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use shared::value::Purpose;

use crate::{
    auth::identifier,
    harness::{App, Needs, User, random_email, random_phone},
};

/// Whether the table has an active code for this purpose.
async fn has_active_code(app: &App, purpose: &str) -> bool {
    let name = format!("challenge_{}", purpose.to_lowercase());
    app.rows("otp").await.iter().any(|row| row.contains_key(&name))
}

/// A user whose limits are reset.
async fn user_with_reset_limits(app: &App) -> User {
    let user = app.register_user().await;
    app.advance(3_600).await;
    user
}

#[tokio::test]
async fn a_registration_sms_refused_by_sns_returns_503_and_leaves_limits_and_code_unchanged() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for purpose in ["REGISTER", "CHANGE_IDENTIFIER"] {
        let phone = random_phone();
        // More often than the hourly limit, so a refused send cannot have counted.
        for _ in 0..6 {
            app.inject_fault("sns", "Publish", "throttle", 1).await;
            let refused = app.request_otp(&phone, purpose).await;
            refused.problem(503, "delivery_failed");
            assert!(refused.retry_after() < 60, "{refused:?}");
            assert!(!has_active_code(&app, purpose).await, "{purpose}");
        }
        assert!(app.messages(&phone).await.is_empty());
        app.verification_token(&phone, purpose).await;
    }
}

#[tokio::test]
async fn an_sms_refused_by_sns_does_not_count_against_the_sms_cap() {
    let settings = [("SMS_MAX_PER_HOUR", "2"), ("SMS_SIGN_UP_PERCENT", "100")];
    let Some(app) = App::with(&settings).await else { return };
    app.advance_into(3_600, 60).await;
    app.inject_fault("sns", "Publish", "throttle", 4).await;
    for _ in 0..4 {
        app.request_otp(&random_phone(), "REGISTER").await.problem(503, "delivery_failed");
    }
    for _ in 0..2 {
        app.request_otp(&random_phone(), "REGISTER").await.ok();
    }
    app.request_otp("9841234567", "REGISTER").await.problem(429, "sms_limit_reached");
}

/// The number of SMS that count against the cap of the day.
async fn counted_sms(app: &App) -> Value {
    let caps = app.rows_where("otp", "item_type", "sms_ceiling").await;
    caps.first().map(|cap| cap["utc_day"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn no_kind_of_sms_refused_by_sns_counts_against_the_sms_cap() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance_into(86_400, 60).await;
    for purpose in Purpose::ALL {
        let user = user_with_reset_limits(&app).await;
        let new = random_phone();
        let to = if purpose.needs_account() { &user.phone } else { &new };
        let before = counted_sms(&app).await;
        app.inject_fault("sns", "Publish", "throttle", 1).await;
        app.request_otp(to, purpose.as_str()).await;
        assert_eq!(counted_sms(&app).await, before, "{purpose:?}");
        assert!(app.get("/_local/faults").send().await.ok()["faults"] == json!([]), "{purpose:?}");
    }
    // The notice to a replaced number.
    let user = app.register_user().await;
    let new = random_phone();
    let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
    let before = counted_sms(&app).await;
    app.inject_fault("sns", "Publish", "throttle", 1).await;
    identifier::change(&app, &user, &new, &token).await.ok();
    assert!(app.get("/_local/faults").send().await.ok()["faults"] == json!([]));
    assert_eq!(counted_sms(&app).await, before);
}

#[tokio::test]
async fn no_notice_is_sent_to_a_country_that_sms_is_not_allowed_to() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    // The country of this number was allowed when it was verified.
    let (abroad, new) = ("+14155552671", random_phone());
    let number = AttributeValue::S(abroad.to_owned());
    app.set_account_attribute(&user, "phone_number", number).await;
    let claim = json!({"pk": format!("PHONE#{abroad}"), "user_id": user.user_id});
    app.put_row("users", &claim).await;
    let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
    let before = counted_sms(&app).await;
    identifier::change(&app, &user, &new, &token).await.ok();
    assert!(app.messages(abroad).await.is_empty());
    assert_eq!(counted_sms(&app).await, before);
    assert_eq!(app.account_attribute(&user, "untold").await, json!(null));
}

#[tokio::test]
async fn refused_sends_count_for_the_client_ip() {
    let Some(app) = App::with(&[("OTP_SOURCE_MAX_PER_HOUR", "3")]).await else { return };
    app.inject_fault("sns", "Publish", "throttle", 4).await;
    let phone = random_phone();
    for _ in 0..3 {
        app.request_otp_from("192.0.2.1", &phone, "REGISTER").await.problem(503, "delivery_failed");
    }
    app.request_otp_from("192.0.2.1", &phone, "REGISTER").await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn lost_responses_never_reduce_the_count_of_the_sms_cap() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance_into(3_600, 60).await;
    for _ in 0..3 {
        app.request_otp(&random_phone(), "REGISTER").await.ok();
    }
    for _ in 0..5 {
        app.inject_fault("sns", "Publish", "error_500", 6).await;
        app.inject_fault("dynamodb", "UpdateItem", "lost_response", 6).await;
        let sends = (0..6).map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.request_otp(&random_phone(), "REGISTER").await.status })
        });
        for send in sends.collect::<Vec<_>>() {
            send.await.unwrap();
        }
    }
    let cap = app.rows_where("otp", "item_type", "sms_ceiling").await;
    assert!(cap[0]["utc_day"].as_i64() >= Some(3), "{cap:?}");
}

#[tokio::test]
async fn asvs_6_3_8_a_sign_in_sms_refused_by_sns_looks_like_an_unknown_number() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for purpose in ["LOGIN", "RESET_PASSWORD"] {
        let (user, unknown_phone) = (user_with_reset_limits(&app).await, random_phone());
        let before = app.messages(&user.phone).await.len();
        let unknown = app.request_otp(&unknown_phone, purpose).await;
        app.inject_fault("sns", "Publish", "throttle", 1).await;
        let known = app.request_otp(&user.phone, purpose).await;
        known.ok();
        assert_eq!(known.comparable(), unknown.comparable());
        assert_eq!(app.messages(&user.phone).await.len(), before);
        // The send counts, as for an unknown number.
        app.request_otp(&user.phone, purpose).await.problem(429, "too_many_requests");
        app.request_otp(&unknown_phone, purpose).await.problem(429, "too_many_requests");
    }
}

#[tokio::test]
async fn asvs_6_3_8_wrong_codes_after_refused_sends_lock_like_an_unknown_number() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, unknown_phone) = (user_with_reset_limits(&app).await, random_phone());
    let mut responses = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        app.advance(61).await;
        for (identifier, responses) in [&user.phone, &unknown_phone].into_iter().zip(&mut responses)
        {
            if *identifier == user.phone {
                app.inject_fault("sns", "Publish", "throttle", 1).await;
            }
            responses.push(app.request_otp(identifier, "LOGIN").await.code_or_none());
            for _ in 0..5 {
                responses.push(app.verify(identifier, "000000", "LOGIN").await.code_or_none());
            }
        }
    }
    assert!(responses[0].iter().any(|code| code == "otp_locked"), "{responses:?}");
    assert_eq!(responses[0], responses[1]);
}

#[tokio::test]
async fn a_lost_sns_response_returns_200_and_keeps_the_code() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = user_with_reset_limits(&app).await;
    let before = app.messages(&user.phone).await.len();
    for (to, purpose) in [(user.phone.clone(), "LOGIN"), (random_phone(), "REGISTER")] {
        app.inject_fault("sns", "Publish", "lost_response", 1).await;
        app.request_otp(&to, purpose).await.ok();
        let sent = app.messages(&to).await.len() - if purpose == "LOGIN" { before } else { 0 };
        assert_eq!(sent, 1, "SNS is called once");
        let code = app.code_for(&to).await;
        app.verify(&to, &code, purpose).await.ok();
    }
}

#[tokio::test]
async fn an_sns_timeout_is_treated_like_a_lost_response() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    app.inject_fault("sns", "Publish", "timeout", 1).await;
    app.request_otp(&phone, "REGISTER").await.ok();
    assert!(has_active_code(&app, "REGISTER").await);
    app.request_otp(&phone, "REGISTER").await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_refused_send_does_not_remove_a_later_code() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    app.inject_fault("sns", "Publish", "throttle", 1).await;
    app.request_otp(&phone, "REGISTER").await.problem(503, "delivery_failed");
    app.request_otp(&phone, "REGISTER").await.ok();
    let code = app.code_for(&phone).await;
    app.advance(60).await;
    app.inject_fault("sns", "Publish", "throttle", 1).await;
    app.request_otp(&phone, "REGISTER").await.problem(503, "delivery_failed");
    // The first code was replaced by one that was not sent, so no code is active.
    app.verify(&phone, &code, "REGISTER").await.problem(400, "invalid_otp");
    app.verification_token(&phone, "REGISTER").await;
}

#[tokio::test]
async fn ses_errors_are_handled_like_sns_errors() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let email = random_email();
    app.inject_fault("ses", "SendEmail", "throttle", 1).await;
    app.request_otp(&email, "REGISTER").await.problem(503, "delivery_failed");
    app.inject_fault("ses", "SendEmail", "lost_response", 1).await;
    app.request_otp(&email, "REGISTER").await.ok();
    let messages: Vec<Value> = app.messages(&email).await;
    assert_eq!(messages.len(), 1);
    let code = app.code_for(&email).await;
    app.verify(&email, &code, "REGISTER").await.ok();
}
