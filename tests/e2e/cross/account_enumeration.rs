//! Responses do not reveal whether an account exists (ASVS 6.3.8): known and unknown identifiers
//! get the same bytes and headers, at the same cost in hops and units.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, random_email, random_ip, random_phone};

#[tokio::test]
async fn asvs_6_3_8_an_otp_request_for_an_unknown_number_looks_the_same() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for purpose in ["LOGIN", "RESET_PASSWORD", "REGISTER", "CHANGE_IDENTIFIER"] {
        let user = app.register_user().await;
        app.advance(3_600).await;
        app.request_otp(&random_phone(), purpose).await.ok();
        let known = app.request_otp(&user.phone, purpose).await;
        let known_cost = app.costs("POST /auth/otp/request").await;
        let unknown = app.request_otp(&random_phone(), purpose).await;
        let unknown_cost = app.costs("POST /auth/otp/request").await;
        assert_eq!(known.ok(), &unknown.json);
        assert_eq!(known.comparable(), unknown.comparable());
        assert_eq!(known_cost.last(), unknown_cost.last(), "{purpose}");
        let sends = if ["LOGIN", "RESET_PASSWORD"].contains(&purpose) { 0 } else { 1 };
        assert_eq!((known_cost.sends, unknown_cost.sends), (1, sends), "{purpose}");
    }
}

#[tokio::test]
async fn asvs_6_3_8_an_otp_request_for_an_unknown_address_looks_the_same() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let email = random_email();
    let token = app.verification_token(&email, "REGISTER").await;
    let body = json!({
        "username": "somebody-known", "password": PASSWORD, "email": email,
        "verification_token": token,
    });
    app.post("/auth/register", &body).send().await.body(201);
    app.advance(3_600).await;
    // Both addresses have the same length, so both items have the same size.
    let other = random_email();
    let known = app.request_otp(&email, "LOGIN").await;
    let known_cost = app.costs("POST /auth/otp/request").await;
    let unknown = app.request_otp(&other, "LOGIN").await;
    let unknown_cost = app.costs("POST /auth/otp/request").await;
    assert_eq!(known.comparable(), unknown.comparable());
    assert_eq!(known_cost.last(), unknown_cost.last());
    assert_eq!((known_cost.sends, unknown_cost.sends), (1, 0));
}

#[tokio::test]
async fn asvs_6_3_8_an_unknown_identifier_has_the_same_limits() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(3_600).await;
    let unknown = random_phone();
    for round in 0..7 {
        let (a, b) =
            (app.request_otp(&user.phone, "LOGIN").await, app.request_otp(&unknown, "LOGIN").await);
        assert_eq!((a.status, a.code_or_none()), (b.status, b.code_or_none()), "{round}");
        let (a, b) =
            (app.request_otp(&user.phone, "LOGIN").await, app.request_otp(&unknown, "LOGIN").await);
        assert_eq!((a.status, b.status), (429, 429), "{round}");
        app.advance(61).await;
    }
    // Wrong codes count for the unknown identifier too, although no code was sent.
    for _ in 0..6 {
        let known = app.verify(&user.phone, "000000", "LOGIN").await;
        let other = app.verify(&unknown, "000000", "LOGIN").await;
        assert_eq!(known.comparable(), other.comparable());
    }
}

#[tokio::test]
async fn asvs_6_3_8_wrong_codes_lock_an_unknown_identifier_the_same_way() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(3_600).await;
    let unknown = random_phone();
    for _ in 0..4 {
        for identifier in [&user.phone, &unknown] {
            app.request_otp(identifier, "LOGIN").await.ok();
            for _ in 0..5 {
                app.verify(identifier, "x00000", "LOGIN").await.refuses(&["otp"]);
                app.verify(identifier, "000000", "LOGIN").await.problem(400, "invalid_otp");
            }
        }
        app.advance(60).await;
    }
    for identifier in [&user.phone, &unknown] {
        app.request_otp(identifier, "LOGIN").await.problem(429, "otp_locked");
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
        let mut responses = Vec::new();
        for identifier in [&user.phone, &random_phone()] {
            let mut body = body.clone();
            body["identifier"] = identifier.as_str().into();
            let response = app.post("/auth/login", &body).with_client_ip(&random_ip()).send().await;
            response.problem(400, "invalid_credentials");
            responses.push((response.comparable(), app.costs("POST /auth/login").await.last()));
        }
        assert_eq!(responses[0], responses[1], "{body}");
    }
}

#[tokio::test]
async fn asvs_6_3_8_a_throttled_login_with_an_unknown_identifier_looks_and_costs_the_same() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let unknown = random_phone();
    for round in 0..14 {
        let mut responses = Vec::new();
        for identifier in [&user.phone, &unknown] {
            let response = app.login(identifier, "not the password").await;
            let cost = app.costs("POST /auth/login").await.last();
            responses.push((response.status, response.code_or_none(), cost));
        }
        assert_eq!(responses[0], responses[1], "{round}");
        if round >= 9 {
            app.advance(30 << (round - 9)).await;
        }
    }
}
