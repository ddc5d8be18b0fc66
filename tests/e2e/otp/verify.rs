//! `POST /auth/otp/verify`.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, Response, concurrently, count, random_email, random_ip, random_phone,
};

fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

async fn sent(app: &App, purpose: &str) -> (String, String) {
    let phone = random_phone();
    app.request_otp(&phone, purpose).await.ok();
    let code = app.code_for(&phone).await;
    (phone, code)
}

async fn verify_concurrently(app: &App, phone: &str, codes: Vec<String>) -> Vec<Response> {
    concurrently(codes.into_iter().map(|code| {
        let (app, phone) = (app.clone(), phone.to_owned());
        async move { app.verify(&phone, &code, "REGISTER").await }
    }))
    .await
}

#[tokio::test]
async fn asvs_7_2_a_correct_code_is_exchanged_for_a_256_bit_token_that_is_stored_hashed() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (phone, code) = sent(&app, "REGISTER").await;
    let response = app.verify(&phone, &code, "REGISTER").await;
    let (token, message) = (response.text("verification_token"), response.text("message"));
    let expected = json!({"verification_token": token, "message": message, "expires_in": 600});
    assert_eq!(response.ok(), &expected);
    assert_eq!(token.len(), 43);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    let rows = app.rows("otp").await;
    assert!(!serde_json::to_string(&rows).unwrap().contains(token));
}

#[tokio::test]
async fn wrong_expired_used_and_never_sent_codes_get_the_same_response() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut responses = Vec::new();

    let (phone, code) = sent(&app, "REGISTER").await;
    responses.push(("wrong", app.verify(&phone, &wrong(&code), "REGISTER").await));
    responses.push(("other purpose", app.verify(&phone, &code, "LOGIN").await));
    responses.push(("other identifier", app.verify(&random_phone(), &code, "REGISTER").await));
    app.verify(&phone, &code, "REGISTER").await.ok();
    responses.push(("used", app.verify(&phone, &code, "REGISTER").await));
    let (phone, code) = sent(&app, "REGISTER").await;
    app.advance(300).await;
    responses.push(("expired", app.verify(&phone, &code, "REGISTER").await));
    responses.push(("never sent", app.verify(&random_email(), &code, "REGISTER").await));

    let first = responses[0].1.comparable();
    for (case, response) in &responses {
        response.problem(400, "invalid_otp");
        assert_eq!(response.comparable(), first, "{case}");
    }
}

#[tokio::test]
async fn asvs_6_5_5_a_code_is_valid_for_300_seconds() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (young, code) = sent(&app, "REGISTER").await;
    app.advance(280).await;
    app.verify(&young, &code, "REGISTER").await.ok();
    let (old, code) = sent(&app, "REGISTER").await;
    app.advance(301).await;
    app.verify(&old, &code, "REGISTER").await.problem(400, "invalid_otp");
}

#[tokio::test]
async fn a_code_is_replaced_only_by_a_request_for_the_same_purpose() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (phone, first) = sent(&app, "REGISTER").await;
    app.advance(60).await;
    app.request_otp(&phone, "CHANGE_IDENTIFIER").await.ok();
    let other = app.code_for(&phone).await;
    app.advance(60).await;
    app.request_otp(&phone, "REGISTER").await.ok();
    let second = app.code_for(&phone).await;
    if first != second {
        app.verify(&phone, &first, "REGISTER").await.problem(400, "invalid_otp");
    }
    app.verify(&phone, &second, "REGISTER").await.ok();
    app.verify(&phone, &other, "CHANGE_IDENTIFIER").await.ok();
}

#[tokio::test]
async fn asvs_6_6_2_a_code_is_bound_to_its_identifier_and_purpose() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(60).await;
    app.request_otp(&user.phone, "LOGIN").await.ok();
    let code = app.code_for(&user.phone).await;
    let (other, _) = sent(&app, "REGISTER").await;
    app.verify(&other, &code, "REGISTER").await.problem(400, "invalid_otp");
    for purpose in ["REGISTER", "RESET_PASSWORD", "CHANGE_IDENTIFIER"] {
        app.verify(&user.phone, &code, purpose).await.problem(400, "invalid_otp");
    }
    app.verify(&user.phone, &code, "LOGIN").await.ok();
}

#[tokio::test]
async fn asvs_6_6_3_five_wrong_attempts_invalidate_a_code() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (phone, code) = sent(&app, "REGISTER").await;
    for _ in 0..4 {
        app.verify(&phone, &wrong(&code), "REGISTER").await.problem(400, "invalid_otp");
    }
    app.verify(&phone, &code, "REGISTER").await.ok();
    let (phone, code) = sent(&app, "REGISTER").await;
    for _ in 0..5 {
        app.verify(&phone, &wrong(&code), "REGISTER").await.problem(400, "invalid_otp");
    }
    app.verify(&phone, &code, "REGISTER").await.problem(400, "invalid_otp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asvs_6_5_1_of_50_concurrent_verifications_of_a_code_one_succeeds() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (phone, code) = sent(&app, "REGISTER").await;
    let responses = verify_concurrently(&app, &phone, vec![code; 50]).await;
    assert_eq!((count(&responses, 200), count(&responses, 400)), (1, 49));
    let token = responses.iter().find(|response| response.status == 200).unwrap();
    let body = json!({
        "username": crate::harness::random_username(),
        "password": crate::harness::PASSWORD,
        "phone_number": phone,
        "verification_token": token.text("verification_token"),
    });
    app.post("/auth/register", &body).send().await.body(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asvs_6_6_3_of_1000_concurrent_wrong_codes_five_are_compared() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (phone, code) = sent(&app, "REGISTER").await;
    let responses = verify_concurrently(&app, &phone, vec![wrong(&code); 1_000]).await;
    for response in &responses {
        response.problem(400, "invalid_otp");
    }
    let rows = app.rows_where("otp", "item_type", "otp_identifier").await;
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(row["challenge_register"]["tries"], 5);
    assert_eq!(row["failures"], 5);
    app.verify(&phone, &code, "REGISTER").await.problem(400, "invalid_otp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asvs_6_6_3_of_40_concurrent_guesses_five_are_compared() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (phone, code) = sent(&app, "REGISTER").await;
    let start: u32 = code.parse().unwrap();
    // 40 codes, including the right one.
    let codes = (0..40).map(|step| format!("{:06}", (start + step) % 1_000_000)).collect();
    let responses = verify_concurrently(&app, &phone, codes).await;
    assert!(count(&responses, 200) <= 1);
    let rows = app.rows_where("otp", "item_type", "otp_identifier").await;
    let tries = rows[0].get("challenge_register").map(|challenge| challenge["tries"].clone());
    assert!(tries.is_none_or(|tries| tries == 5), "exchanged or invalidated");
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    let all = &["identifier", "otp", "purpose"][..];
    let otp = |otp: Value| json!({"identifier": "9841234567", "otp": otp, "purpose": "LOGIN"});
    let cases = [
        (json!({}), all),
        (json!({"identifier": 1, "otp": 123456, "purpose": []}), all),
        (json!({"identifier": "?", "otp": "12345", "purpose": "login"}), all),
        (otp(json!(123456)), &["otp"]),
        (otp(json!("")), &["otp"]),
        (otp(json!("1234567")), &["otp"]),
        (otp(json!("12a456")), &["otp"]),
        (otp(json!("12.3456")), &["otp"]),
        (otp(json!("½23456")), &["otp"]),
        (otp(json!("9".repeat(9_999))), &["otp"]),
    ];
    for (body, fields) in cases {
        let request = app.post("/auth/otp/verify", &body).with_client_ip(&random_ip());
        request.send().await.refuses(fields);
    }
}

#[tokio::test]
async fn a_verification_token_is_valid_for_600_seconds() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let young = app.new_user().await;
    app.advance(580).await;
    app.register(&young).await.body(201);
    let old = app.new_user().await;
    app.advance(600).await;
    app.register(&old).await.problem(400, "invalid_verification_token");
}
