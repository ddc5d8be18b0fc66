//! `POST /auth/identifier`.

use serde_json::json;

use crate::harness::{Answer, App, Needs, PASSWORD, User, random_email, random_phone};

async fn change(app: &App, user: &User, identifier: &str, token: &str) -> Answer {
    let body = json!({"identifier": identifier, "verification_token": token});
    app.post("/auth/identifier", &body).bearer(&user.access_token).send().await
}

#[tokio::test]
async fn a_new_number_takes_the_place_of_the_old_one_which_is_told() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let told = app.messages(&user.phone).await.len();
    let new = random_phone();
    let token = app.verified(&new, "CHANGE_IDENTIFIER").await;
    for _ in 0..2 {
        // The first answer may have been lost.
        change(&app, &user, &new, &token).await.ok();
    }
    let me = app.me(&user.access_token).await;
    assert_eq!((&me.ok()["phone_number"], &me.json["phone_verified"]), (&json!(new), &json!(true)));
    assert_eq!(app.messages(&user.phone).await.len(), told + 1);
    assert_eq!(app.messages(&user.phone).await[0]["code"], json!(null));
    app.login(&new, PASSWORD).await.ok();
    app.login(&user.phone, PASSWORD).await.problem(400, "invalid_credentials");
}

#[tokio::test]
async fn a_new_address_takes_the_place_of_the_old_one_which_is_told() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let (old, new) = (random_email(), random_email());
    for (address, told) in [(&old, 1), (&new, 2)] {
        let token = app.verified(address, "CHANGE_IDENTIFIER").await;
        change(&app, &user, address, &token).await.ok();
        assert_eq!(app.messages(&old).await.len(), told, "{address}");
    }
    let text = app.messages(&old).await[0]["body"].to_string();
    assert!(text.contains("no longer an identifier"), "{text}");
}

#[tokio::test]
async fn an_address_is_added_beside_the_number_and_the_number_is_free_after_it_changed() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let email = random_email();
    let token = app.verified(&email, "CHANGE_IDENTIFIER").await;
    change(&app, &user, &email.to_uppercase(), &token).await.ok();
    app.login(&email, PASSWORD).await.ok();
    app.login(&user.phone, PASSWORD).await.ok();

    let new = random_phone();
    let token = app.verified(&new, "CHANGE_IDENTIFIER").await;
    change(&app, &user, &new, &token).await.ok();
    app.advance(61).await;
    let token = app.verified(&user.phone, "REGISTER").await;
    let other = app.new_user().await;
    let other = other.with("phone_number", user.phone.as_str()).with("verification_token", token);
    app.register(&other).await.body(201);
}

#[tokio::test]
async fn asvs_7_5_1_it_needs_a_fresh_sign_in() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut user = app.register_user().await;
    app.advance(601).await;
    let new = random_phone();
    let token = app.verified(&new, "CHANGE_IDENTIFIER").await;
    change(&app, &user, &new, &token).await.problem(403, "reauthentication_required");
    let body = json!({"password": PASSWORD});
    let fresh = app.post("/auth/reauthenticate", &body).bearer(&user.access_token).send().await;
    user.access_token = fresh.text("access_token").to_owned();
    change(&app, &user, &new, &token).await.ok();
}

#[tokio::test]
async fn a_taken_identifier_or_a_token_of_something_else_changes_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    app.advance(61).await;
    let token = app.verified(&other.phone, "CHANGE_IDENTIFIER").await;
    let taken = change(&app, &user, &other.phone, &token).await;
    assert_eq!(taken.problem(400, "already_exists")["errors"][0]["field"], json!("identifier"));
    let new = random_phone();
    let login = app.verified(&new, "REGISTER").await;
    for token in [login.as_str(), token.as_str(), "no token"] {
        change(&app, &user, &new, token).await.problem(400, "invalid_verification_token");
    }
    app.login(&user.phone, PASSWORD).await.ok();
    app.login(&other.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn fifty_who_prove_one_number_at_once_leave_it_to_one() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let new = random_phone();
    let users = [app.register_user().await, app.register_user().await];
    let token = app.verified(&new, "CHANGE_IDENTIFIER").await;
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
