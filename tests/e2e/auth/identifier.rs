//! `POST /auth/identifier`.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use crate::auth::credentials::{NEW, change as change_password};
use crate::harness::{
    App, Needs, PASSWORD, Response, User, concurrently, random_email, random_phone,
    repeat_until_race_happens,
};

pub(crate) async fn change(app: &App, user: &User, identifier: &str, token: &str) -> Response {
    let body = json!({"identifier": identifier, "verification_token": token});
    app.post("/auth/identifier", &body).bearer(&user.access_token).send().await
}

#[tokio::test]
async fn a_new_number_replaces_the_old_number_which_is_notified_once() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let notices = app.messages(&user.phone).await.len();
    let new = random_phone();
    let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
    for _ in 0..2 {
        // The repeat stands for a lost response.
        change(&app, &user, &new, &token).await.ok();
    }
    let me = app.me(&user.access_token).await;
    assert_eq!((&me.ok()["phone_number"], &me.json["phone_verified"]), (&json!(new), &json!(true)));
    assert_eq!(app.messages(&user.phone).await.len(), notices + 1);
    assert_eq!(app.messages(&user.phone).await[0]["code"], json!(null));
    app.login(&new, PASSWORD).await.ok();
    app.login(&user.phone, PASSWORD).await.problem(400, "invalid_credentials");
}

#[tokio::test]
async fn a_new_address_replaces_the_old_address_which_is_notified() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let (old, new) = (random_email(), random_email());
    for (address, notices) in [(&old, 1), (&new, 2)] {
        let token = app.verification_token(address, "CHANGE_IDENTIFIER").await;
        change(&app, &user, address, &token).await.ok();
        assert_eq!(app.messages(&old).await.len(), notices, "{address}");
    }
    let text = app.messages(&old).await[0]["body"].to_string();
    assert!(text.contains("no longer an identifier"), "{text}");
}

#[tokio::test]
async fn an_address_can_be_added_and_a_replaced_number_can_be_registered_again() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let email = random_email();
    let token = app.verification_token(&email, "CHANGE_IDENTIFIER").await;
    change(&app, &user, &email.to_uppercase(), &token).await.ok();
    app.login(&email, PASSWORD).await.ok();
    app.login(&user.phone, PASSWORD).await.ok();

    let new = random_phone();
    let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
    change(&app, &user, &new, &token).await.ok();
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "REGISTER").await;
    let other = app.new_user().await;
    let other = other.with("phone_number", user.phone.as_str()).with("verification_token", token);
    app.register(&other).await.body(201);
}

#[tokio::test]
async fn asvs_7_5_1_an_identifier_change_requires_recent_authentication() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut user = app.register_user().await;
    app.advance(601).await;
    let new = random_phone();
    let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
    change(&app, &user, &new, &token).await.problem(403, "reauthentication_required");
    let body = json!({"password": PASSWORD});
    let fresh = app.post("/auth/reauthenticate", &body).bearer(&user.access_token).send().await;
    user.access_token = fresh.text("access_token").to_owned();
    change(&app, &user, &new, &token).await.ok();
}

#[tokio::test]
async fn a_taken_identifier_or_a_token_for_another_purpose_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    app.advance(61).await;
    let token = app.verification_token(&other.phone, "CHANGE_IDENTIFIER").await;
    let taken = change(&app, &user, &other.phone, &token).await;
    assert_eq!(taken.problem(400, "already_exists")["errors"][0]["field"], json!("identifier"));
    let new = random_phone();
    let login = app.verification_token(&new, "REGISTER").await;
    for token in [login.as_str(), token.as_str(), "no token"] {
        change(&app, &user, &new, token).await.problem(400, "invalid_verification_token");
    }
    app.login(&user.phone, PASSWORD).await.ok();
    app.login(&other.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn when_two_users_prove_one_number_at_once_one_gets_it() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let new = random_phone();
    let users = [app.register_user().await, app.register_user().await];
    let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let (app, user) = (app.clone(), users[number % 2].clone());
            let (new, token) = (new.clone(), token.clone());
            tokio::spawn(
                async move { (number % 2, change(&app, &user, &new, &token).await.status) },
            )
        })
        .collect();
    let mut won = [false; 2];
    for task in tasks {
        let (who, status) = task.await.unwrap();
        won[who] |= status == 200;
    }
    assert_ne!(won[0], won[1], "{won:?}");
    assert_eq!(app.rows_where("users", "phone_number", &new).await.len(), 1);
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let cases = [
        (json!({}), ["identifier", "verification_token"].as_slice()),
        (
            json!({"identifier": "nobody", "verification_token": {}}),
            &["identifier", "verification_token"],
        ),
        (json!({"identifier": 9_841_234_567_u64, "verification_token": "t"}), &["identifier"]),
    ];
    for (body, fields) in cases {
        let request = app.post("/auth/identifier", &body).bearer(&user.access_token);
        request.send().await.refuses(fields);
    }
}

#[tokio::test]
async fn the_replaced_identifier_is_notified_wherever_the_request_fails() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for kind in ["error_500", "lost_response"] {
        for after in 0..5 {
            let user = app.register_user().await;
            let (new, before) = (random_phone(), app.messages(&user.phone).await.len());
            let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
            app.inject_faults_after("dynamodb", after, kind).await;
            let mut response = change(&app, &user, &new, &token).await;
            app.clear_faults().await;
            // The app got no final response and repeats the request.
            for _ in 0..2 {
                assert!([200, 503].contains(&response.status), "{kind} {after}: {response:?}");
                response = change(&app, &user, &new, &token).await;
            }
            response.ok();
            let notices = app.messages(&user.phone).await.len() - before;
            assert!((1..=2).contains(&notices), "{kind} {after}: notified {notices} times");
            assert_eq!(app.account_attribute(&user, "untold").await, json!(null), "{kind} {after}");
            app.login(&new, PASSWORD).await.ok();
        }
    }
}

#[tokio::test]
async fn a_change_whose_dynamodb_responses_are_lost_is_recognised_and_notified_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for times in [1, 5] {
        let user = app.register_user().await;
        let (new, before) = (random_phone(), app.messages(&user.phone).await.len());
        let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
        app.inject_fault("dynamodb", "TransactWriteItems", "lost_response", times).await;
        for _ in 0..2 {
            change(&app, &user, &new, &token).await.ok();
        }
        assert_eq!(app.messages(&user.phone).await.len(), before + 1, "{times}");
    }
}

#[tokio::test]
async fn a_pending_notice_is_sent_before_the_next_replacement() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let (second, third) = (random_phone(), random_phone());
    let token = app.verification_token(&second, "CHANGE_IDENTIFIER").await;
    let before = app.messages(&user.phone).await.len();
    // The read and the transaction succeed; every later call fails.
    app.inject_faults_after("dynamodb", 2, "error_500").await;
    change(&app, &user, &second, &token).await.ok();
    app.clear_faults().await;
    assert_eq!(app.account_attribute(&user, "untold").await, json!(user.phone));
    assert_eq!(app.messages(&user.phone).await.len(), before);
    let token = app.verification_token(&third, "CHANGE_IDENTIFIER").await;
    change(&app, &user, &third, &token).await.ok();
    assert_eq!(app.messages(&user.phone).await.len(), before + 1);
    assert_eq!(app.messages(&second).await[0]["code"], json!(null));
}

#[tokio::test]
async fn concurrent_retries_send_at_most_four_notices() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let (new, before) = (random_phone(), app.messages(&user.phone).await.len());
    let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
    app.inject_faults_after("dynamodb", 2, "error_500").await;
    change(&app, &user, &new, &token).await.ok();
    app.clear_faults().await;
    let retries = (0..20).map(|_| {
        let (app, user) = (app.clone(), user.clone());
        let (new, token) = (new.clone(), token.clone());
        async move { change(&app, &user, &new, &token).await }
    });
    for response in concurrently(retries).await {
        assert!([200, 503].contains(&response.status), "{response:?}");
    }
    let notices = app.messages(&user.phone).await.len() - before;
    assert!((1..=4).contains(&notices), "notified {notices} times");
}

#[tokio::test]
async fn a_change_during_the_deletion_of_the_account_returns_session_ended() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for of_password in [false, true] {
        repeat_until_race_happens("a change and a deletion", async || {
            let user = app.register_user().await;
            let new = random_phone();
            let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
            let changing = {
                let (app, user) = (app.clone(), user.clone());
                async move {
                    match of_password {
                        true => change_password(&app, &user.access_token, PASSWORD, NEW).await,
                        false => change(&app, &user, &new, &token).await,
                    }
                }
            };
            let delete = async || app.remove_account(&user).await;
            let Some(response) = app.with_concurrent_change(changing, delete).await else {
                return false;
            };
            response.problem(401, "session_ended");
            true
        })
        .await;
    }
}

#[tokio::test]
async fn a_pending_notice_is_dropped_after_four_attempts() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let (old, new) = (random_phone(), random_phone());
    let pk = format!("USER#{}", user.user_id);
    let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
    let set = async |name, value| app.set_attribute("users", &[("pk", &pk)], name, value).await;
    set("untold", AttributeValue::S(old.clone())).await;
    set("tellings", AttributeValue::N("4".to_owned())).await;
    change(&app, &user, &new, &token).await.ok();
    assert!(app.messages(&old).await.is_empty());
    assert_eq!(app.account_attribute(&user, "untold").await, json!(null));
    assert_eq!(app.messages(&user.phone).await[0]["code"], json!(null));
    assert_eq!(app.me(&user.access_token).await.ok()["phone_number"], new);
}
