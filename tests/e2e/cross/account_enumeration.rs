//! Responses do not reveal whether an account exists (ASVS 6.3.8): known and unknown identifiers
//! get the same bytes and headers, at the same cost in hops and units.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, random_email, random_phone, random_source};

#[tokio::test]
async fn asvs_6_3_8_an_otp_request_for_an_unknown_number_looks_the_same() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for purpose in ["LOGIN", "RESET_PASSWORD", "REGISTER", "CHANGE_IDENTIFIER"] {
        let user = app.register_user().await;
        app.advance(3_600).await;
        app.otp(&random_phone(), purpose).await.ok();
        let somebody = app.otp(&user.phone, purpose).await;
        let known = app.costs("POST /auth/otp/request").await;
        let nobody = app.otp(&random_phone(), purpose).await;
        let unknown = app.costs("POST /auth/otp/request").await;
        assert_eq!(somebody.ok(), &nobody.json);
        assert_eq!(somebody.comparable(), nobody.comparable());
        assert_eq!(known.last(), unknown.last(), "{purpose}");
        let sends = if ["LOGIN", "RESET_PASSWORD"].contains(&purpose) { 0 } else { 1 };
        assert_eq!((known.sends, unknown.sends), (1, sends), "{purpose}");
    }
}

#[tokio::test]
async fn asvs_6_3_8_an_otp_request_for_an_unknown_address_looks_the_same() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let email = random_email();
    let token = app.verified(&email, "REGISTER").await;
    let body = json!({
        "username": "somebody-known", "password": PASSWORD, "email": email,
        "verification_token": token,
    });
    app.post("/auth/register", &body).send().await.body(201);
    app.advance(3_600).await;
    // Both addresses have the same length, so both items have the same size.
    let other = random_email();
    let somebody = app.otp(&email, "LOGIN").await;
    let known = app.costs("POST /auth/otp/request").await;
    let nobody = app.otp(&other, "LOGIN").await;
    let unknown = app.costs("POST /auth/otp/request").await;
    assert_eq!(somebody.comparable(), nobody.comparable());
    assert_eq!(known.last(), unknown.last());
    assert_eq!((known.sends, unknown.sends), (1, 0));
}

#[tokio::test]
async fn asvs_6_3_8_an_unknown_identifier_has_the_same_limits() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(3_600).await;
    let nobody = random_phone();
    for round in 0..7 {
        let (a, b) = (app.otp(&user.phone, "LOGIN").await, app.otp(&nobody, "LOGIN").await);
        assert_eq!((a.status, a.code_or_none()), (b.status, b.code_or_none()), "{round}");
        let (a, b) = (app.otp(&user.phone, "LOGIN").await, app.otp(&nobody, "LOGIN").await);
        assert_eq!((a.status, b.status), (429, 429), "{round}");
        app.advance(61).await;
    }
    // Wrong codes count for the unknown identifier too, although no code was sent.
    for _ in 0..6 {
        let somebody = app.verify(&user.phone, "000000", "LOGIN").await;
        let other = app.verify(&nobody, "000000", "LOGIN").await;
        assert_eq!(somebody.comparable(), other.comparable());
    }
}

#[tokio::test]
async fn asvs_6_3_8_wrong_codes_lock_an_unknown_identifier_the_same_way() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(3_600).await;
    let nobody = random_phone();
    for _ in 0..4 {
        for identifier in [&user.phone, &nobody] {
            app.otp(identifier, "LOGIN").await.ok();
            for _ in 0..5 {
                app.verify(identifier, "x00000", "LOGIN").await.refuses(&["otp"]);
                app.verify(identifier, "000000", "LOGIN").await.problem(400, "invalid_otp");
            }
        }
        app.advance(60).await;
    }
    for identifier in [&user.phone, &nobody] {
        app.otp(identifier, "LOGIN").await.problem(429, "otp_locked");
    }
}

#[tokio::test]
async fn asvs_6_3_8_a_failed_login_with_an_unknown_identifier_looks_and_costs_the_same() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let garbage = "A".repeat(43);
    let bodies = [
        json!({"password": "not the password"}),
        json!({ "verification_token": garbage }),
        json!({"password": "not the password", "verification_token": garbage}),
    ];
    for body in bodies {
        let mut answers = Vec::new();
        for identifier in [&user.phone, &random_phone()] {
            let mut body = body.clone();
            body["identifier"] = identifier.as_str().into();
            let answer = app.post("/auth/login", &body).from(&random_source()).send().await;
            answer.problem(400, "invalid_credentials");
            answers.push((answer.comparable(), app.costs("POST /auth/login").await.last()));
        }
        assert_eq!(answers[0], answers[1], "{body}");
    }
}

#[tokio::test]
async fn asvs_6_3_8_a_throttled_login_with_an_unknown_identifier_looks_and_costs_the_same() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let nobody = random_phone();
    for round in 0..14 {
        let mut answers = Vec::new();
        for identifier in [&user.phone, &nobody] {
            let answer = app.login(identifier, "not the password").await;
            let cost = app.costs("POST /auth/login").await.last();
            answers.push((answer.status, answer.code_or_none(), cost));
        }
        assert_eq!(answers[0], answers[1], "{round}");
        if round >= 9 {
            app.advance(30 << (round - 9)).await;
        }
    }
}
