//! `POST /auth/login`: policies, responses, sessions.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, User, concurrently, random_phone};

/// A new verification token for `LOGIN`.
async fn login_token(app: &App, user: &User) -> String {
    app.advance(900).await;
    app.verification_token(&user.phone, "LOGIN").await
}

#[tokio::test]
async fn a_login_returns_200_with_the_user_and_the_four_token_fields() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(100).await;
    let response = app.login(&user.phone, PASSWORD).await;
    let expected = json!({
        "user_id": user.user_id,
        "message": response.text("message"),
        "access_token": response.text("access_token"),
        "refresh_token": response.text("refresh_token"),
        "token_type": "Bearer",
        "expires_in": 900,
    });
    assert_eq!(response.ok(), &expected);
    let me = app.me(response.text("access_token")).await;
    let joined: jiff::Timestamp = me.text("date_joined").parse().unwrap();
    let login: jiff::Timestamp = me.text("last_login").parse().unwrap();
    assert!(login.as_second() - joined.as_second() >= 100);
    // The first session stays active.
    app.me(&user.access_token).await.ok();
}

#[tokio::test]
async fn a_login_token_signs_in_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let token = login_token(&app, &user).await;
    let body = json!({"identifier": user.phone[4..], "verification_token": token});
    assert_eq!(app.login_with(&body).await.ok()["user_id"], user.user_id);
    app.login_with(&body).await.problem(400, "invalid_credentials");
}

#[tokio::test]
async fn a_token_for_another_purpose_or_identifier_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let token = login_token(&app, &user).await;
    let theirs = json!({"identifier": other.phone, "verification_token": token});
    app.login_with(&theirs).await.problem(400, "invalid_credentials");
    for purpose in ["RESET_PASSWORD", "REGISTER", "CHANGE_IDENTIFIER"] {
        app.advance(900).await;
        let token = app.verification_token(&user.phone, purpose).await;
        let body = json!({"identifier": user.phone, "verification_token": token});
        app.login_with(&body).await.problem(400, "invalid_credentials");
    }
    let token = login_token(&app, &user).await;
    app.advance(600).await;
    let late = json!({"identifier": user.phone, "verification_token": token});
    app.login_with(&late).await.problem(400, "invalid_credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_20_concurrent_sign_ins_with_one_token_one_succeeds() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let token = login_token(&app, &user).await;
    let body = json!({"identifier": user.phone, "verification_token": token});
    let responses = concurrently((0..20).map(|_| {
        let (app, body) = (app.clone(), body.clone());
        async move { app.login_with(&body).await }
    }))
    .await;
    assert_eq!(crate::harness::count(&responses, 200), 1);
    for refused in responses.iter().filter(|response| response.status != 200) {
        refused.problem(400, "invalid_credentials");
    }
    assert_eq!(app.rows("sessions").await.len(), 2);
}

#[tokio::test]
async fn every_login_policy_requires_the_credentials_it_names() {
    for (policy, password_alone, token_alone, both) in [
        ("any", true, true, true),
        ("password", true, false, true),
        ("otp", false, true, true),
        ("both", false, false, true),
    ] {
        let Some(app) = App::with(&[("LOGIN_POLICY", policy)]).await else { return };
        let user = app.register_user().await;
        let cases = [
            ("password", Some(PASSWORD), false, password_alone),
            ("token", None, true, token_alone),
            ("both", Some(PASSWORD), true, both),
            ("wrong password", Some("not the password"), false, false),
            ("wrong password and a token", Some("not the password"), true, false),
        ];
        for (case, password, with_token, succeeds) in cases {
            let mut body = json!({ "identifier": user.phone });
            if with_token {
                body["verification_token"] = login_token(&app, &user).await.into();
            }
            if let Some(password) = password {
                body["password"] = password.into();
            }
            let response = app.login_with(&body).await;
            let expected = if succeeds { (200, "") } else { (400, "invalid_credentials") };
            assert_eq!((response.status, &*response.code_or_none()), expected, "{policy}: {case}");
        }
    }
}

#[tokio::test]
async fn only_correct_credentials_reveal_that_an_account_is_not_active() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let key = format!("USER#{}", user.user_id);
    for status in ["INACTIVE", "BANNED"] {
        let value = AttributeValue::S(status.to_owned());
        app.set_attribute("users", &[("pk", &key)], "status", value).await;
        app.login(&user.phone, PASSWORD).await.problem(400, "account_not_active");
        let token = login_token(&app, &user).await;
        let body = json!({"identifier": user.phone, "verification_token": token});
        app.login_with(&body).await.problem(400, "account_not_active");
        app.login(&user.phone, "not the password").await.problem(400, "invalid_credentials");
    }
    assert_eq!(app.rows("sessions").await.len(), 1);
}

#[tokio::test]
async fn the_21st_session_evicts_the_oldest() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let mut tokens = vec![user.access_token.clone()];
    for _ in 0..19 {
        app.advance(1).await;
        tokens.push(app.login(&user.phone, PASSWORD).await.text("access_token").to_owned());
    }
    for token in &tokens {
        app.me(token).await.ok();
    }
    app.advance(1).await;
    app.login(&user.phone, PASSWORD).await.ok();
    app.me(&tokens[0]).await.problem(401, "session_ended");
    app.refresh(&user.refresh_token).await.problem(401, "invalid_refresh_token");
    for token in &tokens[1..] {
        app.me(token).await.ok();
    }
    assert_eq!(app.rows("sessions").await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_sign_ins_never_leave_more_than_20_sessions() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..18 {
        app.advance(1).await;
        app.login(&user.phone, PASSWORD).await.ok();
    }
    concurrently((0..10).map(|_| {
        let (app, user) = (app.clone(), user.clone());
        async move {
            // A 503 can be retried.
            while app.login(&user.phone, PASSWORD).await.status == 503 {}
        }
    }))
    .await;
    assert!(app.rows("sessions").await.len() <= 20, "{}", app.rows("sessions").await.len());
}

/// The hash of "a password of old" with m = 8 MiB, t = 1, p = 1.
const OLD_HASH: &str = "$argon2id$v=19$m=8192,t=1,p=1$AQEBAQEBAQEBAQEBAQEBAQ$7LvpBK/sDsp46J54LYUZPwPtnkyd+BTEkiX9kK6Gx8I";

#[tokio::test]
async fn asvs_6_2_a_hash_with_older_parameters_is_upgraded_at_login() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let key = format!("USER#{}", user.user_id);
    let old = AttributeValue::S(OLD_HASH.to_owned());
    app.set_attribute("users", &[("pk", &key)], "password_hash", old).await;
    let hash = async || -> Value {
        app.rows_where("users", "item_type", "account").await[0]["password_hash"].clone()
    };
    app.login(&user.phone, "not the password").await.problem(400, "invalid_credentials");
    assert_eq!(hash().await, OLD_HASH);
    app.login(&user.phone, "a password of old").await.ok();
    let upgraded = hash().await;
    assert!(
        upgraded.as_str().unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{upgraded}"
    );
    app.login(&user.phone, "a password of old").await.ok();
    assert_eq!(hash().await, upgraded);
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    let all = &["identifier", "password", "verification_token"][..];
    let with = |name: &str, value: Value| {
        let mut body = json!({"identifier": random_phone(), "password": "a"});
        body[name] = value;
        body
    };
    let cases = [
        (json!({}), all),
        (json!({"identifier": null, "password": null, "verification_token": null}), all),
        (json!({"identifier": 1, "password": 2, "verification_token": 3}), all),
        (with("identifier", json!("nobody")), &["identifier"]),
        (with("password", json!("x".repeat(129))), &["password"]),
        (with("verification_token", json!("x".repeat(20_000))), &["verification_token"]),
    ];
    for (body, fields) in cases {
        app.login_with(&body).await.refuses(fields);
    }
}
