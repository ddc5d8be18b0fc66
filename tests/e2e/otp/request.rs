//! `POST /auth/otp/request`: who gets a message, and its text.

use serde_json::json;

use crate::harness::{App, Needs, random_email, random_ip, random_phone};

const PATH: &str = "/auth/otp/request";

#[tokio::test]
async fn the_response_has_three_fields_and_the_code_is_sent_by_sms() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let phone = random_phone();
    let response = app.request_otp(&phone, "REGISTER").await;
    let message = response.text("message");
    assert_eq!(response.ok(), &json!({"message": message, "expires_in": 300, "resend_in": 60}));
    assert_eq!(response.header("idempotent-replayed"), None);

    let messages = app.messages(&phone).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["channel"], "sms");
    let (body, code) = (messages[0]["body"].as_str().unwrap(), messages[0]["code"].as_str());
    let code = code.unwrap();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    assert!(body.contains(code) && !response.json.to_string().contains(code));
}

#[tokio::test]
async fn one_number_is_one_identifier_in_every_spelling() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let phone = random_phone();
    let national = &phone[4..];
    let spaced = format!("+977 {}-{}", &national[..3], &national[3..]);
    app.request_otp(national, "REGISTER").await.ok();
    for spelling in [&spaced, &phone, national] {
        app.request_otp(spelling, "REGISTER").await.problem(429, "too_many_requests");
    }
    let code = app.code_for(&phone).await;
    app.verify(&spaced, &code, "REGISTER").await.ok();
}

#[tokio::test]
async fn an_e_mail_address_ignores_case() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let email = random_email();
    app.request_otp(&email.to_uppercase(), "REGISTER").await.ok();
    app.request_otp(&email, "REGISTER").await.problem(429, "too_many_requests");
    let messages = app.messages(&email).await;
    assert_eq!((messages.len(), &messages[0]["channel"]), (1, &json!("email")));
    let code = app.code_for(&email).await;
    app.verify(&email, &code, "REGISTER").await.ok();
}

#[tokio::test]
async fn without_a_sender_address_e_mail_is_disabled() {
    let Some(app) = App::with(&[("EMAIL_SENDER", "")]).await else { return };
    for purpose in ["REGISTER", "LOGIN", "RESET_PASSWORD", "CHANGE_IDENTIFIER"] {
        app.request_otp(&random_email(), purpose).await.problem(400, "email_not_enabled");
    }
    app.request_otp(&random_phone(), "REGISTER").await.ok();
}

#[tokio::test]
async fn login_and_reset_send_only_to_known_identifiers_and_the_other_purposes_always() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for (purpose, is_sent) in
        [("REGISTER", 1), ("CHANGE_IDENTIFIER", 1), ("LOGIN", 0), ("RESET_PASSWORD", 0)]
    {
        let phone = random_phone();
        app.request_otp(&phone, purpose).await.ok();
        assert_eq!(app.messages(&phone).await.len(), is_sent, "{purpose}");
    }
    let user = app.register_user().await;
    for purpose in ["LOGIN", "RESET_PASSWORD", "REGISTER", "CHANGE_IDENTIFIER"] {
        app.advance(900).await;
        let before = app.messages(&user.phone).await.len();
        app.request_otp(&user.phone, purpose).await.ok();
        assert_eq!(app.messages(&user.phone).await.len(), before + 1, "{purpose}");
    }
}

#[tokio::test]
async fn an_unverified_identifier_of_an_account_is_treated_as_unknown() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let email = random_email();
    let new = app.new_user().await.with("email", email.as_str());
    app.register(&new).await.body(201);
    app.request_otp(&email, "LOGIN").await.ok();
    assert!(app.messages(&email).await.is_empty());
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    let cases = [
        (json!({}), &["identifier", "purpose"][..]),
        (json!({"identifier": null, "purpose": null}), &["identifier", "purpose"]),
        (json!({"identifier": 9841234567_u64, "purpose": true}), &["identifier", "purpose"]),
        (json!({"identifier": "nobody", "purpose": "login"}), &["identifier", "purpose"]),
        (json!({"identifier": "9841234567", "purpose": "ADMIN"}), &["purpose"]),
        (json!({"identifier": "", "purpose": "LOGIN"}), &["identifier"]),
        (json!({"identifier": "a@b", "purpose": "LOGIN"}), &["identifier"]),
        (json!({"identifier": "12345", "purpose": "LOGIN"}), &["identifier"]),
        (json!({"identifier": "9841234567 ext. 5", "purpose": "LOGIN"}), &["identifier"]),
        (json!({"identifier": "x".repeat(10_000), "purpose": "LOGIN"}), &["identifier"]),
    ];
    for (body, fields) in cases {
        app.post(PATH, &body).with_client_ip(&random_ip()).send().await.refuses(fields);
    }
}

#[tokio::test]
async fn asvs_2_4_1_sms_are_sent_only_to_mobile_numbers_of_allowed_countries() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for (abroad, purpose) in
        [("+919876543210", "REGISTER"), ("+12015550123", "LOGIN"), ("+881612345678", "REGISTER")]
    {
        let response = app.request_otp(abroad, purpose).await;
        response.problem(400, "unsupported_country");
        assert_eq!(response.fields(), ["identifier"]);
    }
    // A landline in Kathmandu.
    let landline = app.request_otp("+97714123456", "REGISTER").await;
    landline.assert_problem();
    assert_eq!(landline.status, 400);
    assert!(landline.text("code").starts_with("unsupported_"), "{landline:?}");
    assert!(app.all_messages().await.is_empty());
}

#[tokio::test]
async fn the_allowed_countries_are_configurable() {
    let Some(app) = App::with(&[("SMS_COUNTRIES", "IN")]).await else { return };
    app.request_otp("+919876543210", "REGISTER").await.ok();
    assert_eq!(app.messages("+919876543210").await.len(), 1);
    app.request_otp(&random_phone(), "REGISTER").await.problem(400, "unsupported_country");
}

#[tokio::test]
async fn the_message_text_is_a_configurable_template() {
    let template = "<#> {code} is yours.\nFA+9qCX9VSu\n\n@app.example #{code}";
    let Some(app) = App::with(&[("OTP_MESSAGE", template)]).await else { return };
    let phone = random_phone();
    app.request_otp(&phone, "REGISTER").await.ok();
    let code = app.code_for(&phone).await;
    assert_eq!(app.messages(&phone).await[0]["body"], template.replace("{code}", &code));
}

#[tokio::test]
async fn asvs_6_5_4_codes_are_not_repeated() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let mut codes = std::collections::HashSet::new();
    for _ in 0..40 {
        let phone = random_phone();
        app.request_otp(&phone, "REGISTER").await.ok();
        codes.insert(app.code_for(&phone).await);
    }
    // One pair of equal codes happens once in 1,300 runs, three pairs practically never.
    assert!(codes.len() > 37, "{codes:?}");
}

#[tokio::test]
async fn the_resend_pause_is_configurable_and_returned() {
    let Some(app) = App::with(&[("OTP_RESEND_SECONDS", "7")]).await else { return };
    let phone = random_phone();
    assert_eq!(app.request_otp(&phone, "REGISTER").await.ok()["resend_in"], 7);
    assert!(app.request_otp(&phone, "REGISTER").await.retry_after() <= 7);
    app.advance(7).await;
    app.request_otp(&phone, "REGISTER").await.ok();
}
