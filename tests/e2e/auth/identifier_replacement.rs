//! A replaced identifier gives no access, at whatever moment it is replaced.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::{
    auth::credentials::{NEW, reauthenticate, reset},
    harness::{
        App, Needs, PASSWORD, Response, User, random_email, random_phone, repeat_until_race_happens,
    },
};

/// An account attribute and a value that takes the identifier away from the account.
type Loss = (&'static str, fn() -> AttributeValue);

const LOSSES: [Loss; 2] = [
    ("phone_number", || AttributeValue::S(random_phone())),
    ("phone_verified", || AttributeValue::Bool(false)),
];

/// The ways to use an identifier, each with the purpose of its token.
const WAYS: [(&str, &str); 4] = [
    ("login", "LOGIN"),
    ("login by password", "LOGIN"),
    ("reauthenticate", "LOGIN"),
    ("reset", "RESET_PASSWORD"),
];

async fn present(app: &App, way: &str, user: &User, identifier: &str, token: &str) -> Response {
    match way {
        "login" => {
            let body = json!({"identifier": identifier, "verification_token": token});
            app.login_with(&body).await
        }
        "login by password" => app.login(identifier, PASSWORD).await,
        "reauthenticate" => {
            let body = json!({ "verification_token": token });
            reauthenticate(app, &user.access_token, &body).await
        }
        _ => reset(app, identifier, token, NEW).await,
    }
}

#[track_caller]
fn is_refused(way: &str, response: &Response) {
    response.problem(
        400,
        match way {
            "reset" => "invalid_verification_token",
            _ => "invalid_credentials",
        },
    );
}

/// What a successful use would change: the password and the sessions.
async fn state(app: &App, user: &User) -> (Value, usize, Vec<Value>) {
    let sessions = app.rows_where("sessions", "user_id", &user.user_id).await;
    let fresh = sessions.iter().map(|session| session["auth_time"].clone()).collect();
    (app.account_attribute(user, "password_hash").await, sessions.len(), fresh)
}

#[tokio::test]
async fn a_stale_claim_gives_no_access() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for (name, lost) in LOSSES {
        for (way, purpose) in WAYS {
            let user = app.register_user().await;
            app.advance(61).await;
            let token = app.verification_token(&user.phone, purpose).await;
            // The claim still points at the account, as in an old read.
            app.set_account_attribute(&user, name, lost()).await;
            let before = state(&app, &user).await;
            is_refused(way, &present(&app, way, &user, &user.phone, &token).await);
            assert_eq!(state(&app, &user).await, before, "{way} {name}");
        }
    }
}

#[tokio::test]
async fn a_replaced_address_gives_no_access() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for (way, purpose) in WAYS {
        let (user, email) = (app.register_user().await, random_email());
        let token = app.verification_token(&email, "CHANGE_IDENTIFIER").await;
        crate::auth::identifier::change(&app, &user, &email, &token).await.ok();
        app.login(&email, PASSWORD).await.ok();
        app.advance(61).await;
        let token = app.verification_token(&email, purpose).await;
        let other = AttributeValue::S(random_email());
        app.set_account_attribute(&user, "email", other).await;
        let before = state(&app, &user).await;
        is_refused(way, &present(&app, way, &user, &email, &token).await);
        assert_eq!(state(&app, &user).await, before, "{way}");
    }
}

#[tokio::test]
async fn an_identifier_replaced_during_the_request_gives_no_access() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for (name, lost) in LOSSES {
        for (way, purpose) in WAYS {
            repeat_until_race_happens(&format!("{way} {name}"), async || {
                let user = app.register_user().await;
                app.advance(61).await;
                let token = app.verification_token(&user.phone, purpose).await;
                let before = state(&app, &user).await;
                let presenting = {
                    let (app, user, token) = (app.clone(), user.clone(), token.clone());
                    async move { present(&app, way, &user, &user.phone, &token).await }
                };
                let replace = async || app.set_account_attribute(&user, name, lost()).await;
                let Some(response) = app.with_concurrent_change(presenting, replace).await else {
                    return false;
                };
                is_refused(way, &response);
                assert_eq!(state(&app, &user).await, before, "{way} {name}");
                is_refused(way, &present(&app, way, &user, &user.phone, &token).await);
                true
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_sign_in_retried_after_a_conflict_checks_the_identifier_again() {
    let Some(app) = App::start(Needs::Own).await else { return };
    repeat_until_race_happens("a sign-in and a replaced number", async || {
        let user = app.register_user().await;
        let signing_in = {
            let (app, phone) = (app.clone(), user.phone.clone());
            async move { app.login(&phone, PASSWORD).await }
        };
        // Another sign-in took place, and the number was replaced.
        let replace = async || {
            app.set_account_attribute(&user, "sign_ins", AttributeValue::N("9".to_owned())).await;
            app.set_account_attribute(&user, "phone_number", AttributeValue::S(random_phone()))
                .await;
        };
        let Some(response) = app.with_concurrent_change(signing_in, replace).await else {
            return false;
        };
        response.problem(400, "invalid_credentials");
        true
    })
    .await;
}
