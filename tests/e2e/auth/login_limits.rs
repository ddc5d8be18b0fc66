//! The throttling of failed sign-ins.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, random_ip, random_phone};

const WRONG: &str = "not the password";

/// Sends wrong passwords until 429. Returns the number of attempts before, and the seconds to wait.
async fn fail_until_throttled(app: &App, identifier: &str) -> (u32, u32) {
    for tries in 0..30 {
        let response = app.login(identifier, WRONG).await;
        if response.status == 429 {
            response.problem(429, "too_many_requests");
            return (tries, response.retry_after());
        }
        response.problem(400, "invalid_credentials");
    }
    panic!("never throttled");
}

#[tokio::test]
async fn after_ten_failures_in_15_minutes_the_waits_double_up_to_15_minutes() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let (tries, mut pause) = fail_until_throttled(&app, &user.phone).await;
    assert_eq!(tries, 10);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        // The right password is refused too.
        app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
        pauses.push(pause);
        app.advance(pause).await;
        app.login(&user.phone, WRONG).await.problem(400, "invalid_credentials");
        pause = app.login(&user.phone, WRONG).await.retry_after();
    }
    for (one, next) in pauses.iter().zip(&pauses[1..]) {
        // Real time may pass within a step.
        let doubled = (one * 2).min(900);
        assert!(next.abs_diff(doubled) <= 6, "{pauses:?}");
    }
    assert!(pauses.last().unwrap().abs_diff(900) <= 2, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 900), "{pauses:?}");
    // No account is locked permanently.
    app.advance(pause).await;
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn failures_are_cleared_after_15_minutes_and_by_the_right_password() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..9 {
        app.login(&user.phone, WRONG).await.problem(400, "invalid_credentials");
    }
    app.login(&user.phone, PASSWORD).await.ok();
    assert_eq!(fail_until_throttled(&app, &user.phone).await.0, 10);
    let other = app.register_user().await;
    for _ in 0..9 {
        app.login(&other.phone, WRONG).await.problem(400, "invalid_credentials");
    }
    app.advance(900).await;
    assert_eq!(fail_until_throttled(&app, &other.phone).await.0, 10);
}

#[tokio::test]
async fn asvs_6_3_8_an_unknown_identifier_is_throttled_like_a_known_one() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let (known, unknown) = (user.phone, random_phone());
    assert_eq!(
        fail_until_throttled(&app, &known).await.0,
        fail_until_throttled(&app, &unknown).await.0
    );
}

#[tokio::test]
async fn a_code_signs_in_while_the_password_is_throttled() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(60).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    fail_until_throttled(&app, &user.phone).await;
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
    let body = json!({"identifier": user.phone, "verification_token": token});
    app.login_with(&body).await.ok();
}

#[tokio::test]
async fn a_throttled_identifier_does_not_affect_another() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (one, other) = (app.register_user().await, app.register_user().await);
    fail_until_throttled(&app, &one.phone).await;
    app.login(&other.phone, PASSWORD).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_60_concurrent_guesses_ten_are_compared() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let responses = crate::harness::concurrently((0..60).map(|_| {
        let (app, phone) = (app.clone(), user.phone.clone());
        async move { app.login(&phone, WRONG).await }
    }))
    .await;
    assert_eq!(crate::harness::count(&responses, 400), 10);
    assert_eq!(crate::harness::count(&responses, 429), 50);
}

#[tokio::test]
async fn one_client_ip_is_throttled_across_identifiers_whatever_its_headers() {
    let Some(app) = App::with(&[("LOGIN_SOURCE_MAX_FAILURES", "10")]).await else { return };
    let (user, client_ip) = (app.register_user().await, random_ip());
    let fail = async |client_ip: &str| {
        let body = json!({"identifier": random_phone(), "password": WRONG});
        let request = app.post("/auth/login", &body).with_client_ip(client_ip);
        request.header("x-forwarded-for", random_ip()).send().await
    };
    for _ in 0..10 {
        fail(&client_ip).await.problem(400, "invalid_credentials");
    }
    let refused = fail(&client_ip).await;
    refused.problem(429, "too_many_requests");
    assert!((850..=900).contains(&refused.retry_after()), "{refused:?}");
    let right = json!({"identifier": user.phone, "password": PASSWORD});
    let right = async |client_ip: &str| {
        app.post("/auth/login", &right).with_client_ip(client_ip).send().await
    };
    right(&client_ip).await.problem(429, "too_many_requests");
    right(&random_ip()).await.ok();
    fail(&random_ip()).await.problem(400, "invalid_credentials");
    app.advance(900).await;
    right(&client_ip).await.ok();
}

#[tokio::test]
async fn a_throttled_client_ip_can_sign_in_with_a_code() {
    let Some(app) = App::with(&[("LOGIN_SOURCE_MAX_FAILURES", "10")]).await else { return };
    let (user, client_ip) = (app.register_user().await, random_ip());
    app.advance(60).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    for _ in 0..10 {
        let body = json!({"identifier": random_phone(), "password": WRONG});
        app.post("/auth/login", &body).with_client_ip(&client_ip).send().await;
    }
    let body = json!({"identifier": user.phone, "verification_token": token});
    app.post("/auth/login", &body).with_client_ip(&client_ip).send().await.ok();
}

#[tokio::test]
async fn failures_from_elsewhere_do_not_throttle_a_known_client_ip() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let home = random_ip();
    let body = json!({"identifier": user.phone, "password": PASSWORD});
    let from_home = || app.post("/auth/login", &body).with_client_ip(&home).send();
    from_home().await.ok();
    fail_until_throttled(&app, &user.phone).await;
    app.login(&user.phone, PASSWORD).await.problem(429, "too_many_requests");
    from_home().await.ok();
    // Wrong passwords from the known client IP are throttled too.
    let wrong = json!({"identifier": user.phone, "password": WRONG});
    for _ in 0..10 {
        let response = app.post("/auth/login", &wrong).with_client_ip(&home).send().await;
        response.problem(400, "invalid_credentials");
    }
    from_home().await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn an_invalid_token_does_not_clear_the_failures_of_a_client_ip() {
    let settings = [("LOGIN_SOURCE_MAX_FAILURES", "10")];
    let Some(app) = App::with(&settings).await else { return };
    let client_ip = random_ip();
    let guess = || {
        let body = json!({"identifier": random_phone(), "password": WRONG});
        let app = app.clone();
        let client_ip = client_ip.clone();
        async move { app.post("/auth/login", &body).with_client_ip(&client_ip).send().await }
    };
    for _ in 0..10 {
        guess().await.problem(400, "invalid_credentials");
    }
    guess().await.problem(429, "too_many_requests");
    let invalid = json!({"identifier": random_phone(), "verification_token": "invalid"});
    let response = app.post("/auth/login", &invalid).with_client_ip(&client_ip).send().await;
    response.problem(429, "too_many_requests");
    guess().await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn of_60_concurrent_guesses_from_one_client_ip_ten_are_compared() {
    let settings = [("LOGIN_SOURCE_MAX_FAILURES", "10")];
    let Some(app) = App::with(&settings).await else { return };
    let client_ip = random_ip();
    let guesses = (0..60).map(|_| {
        let (app, client_ip) = (app.clone(), client_ip.clone());
        tokio::spawn(async move {
            let body = json!({"identifier": random_phone(), "password": WRONG});
            app.post("/auth/login", &body).with_client_ip(&client_ip).send().await.status
        })
    });
    let mut compared = 0;
    for guess in guesses.collect::<Vec<_>>() {
        compared += u32::from(guess.await.unwrap() == 400);
    }
    assert_eq!(compared, 10);
}

#[tokio::test]
async fn a_throttled_client_ip_does_not_throttle_the_identifier_elsewhere() {
    let settings = [("LOGIN_SOURCE_MAX_FAILURES", "10")];
    let Some(app) = App::with(&settings).await else { return };
    let user = app.register_user().await;
    let client_ip = random_ip();
    for _ in 0..10 {
        let body = json!({"identifier": random_phone(), "password": WRONG});
        app.post("/auth/login", &body).with_client_ip(&client_ip).send().await;
    }
    let body = json!({"identifier": user.phone, "password": WRONG});
    for _ in 0..12 {
        let response = app.post("/auth/login", &body).with_client_ip(&client_ip).send().await;
        response.problem(429, "too_many_requests");
    }
    app.login(&user.phone, PASSWORD).await.ok();
}
