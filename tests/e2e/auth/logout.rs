//! `POST /auth/logout`.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD};

#[tokio::test]
async fn asvs_7_4_1_a_logout_ends_the_session_with_all_its_tokens_at_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let second = app.refresh(&user.refresh_token).await;
    let body = json!({ "refresh_token": second.text("refresh_token") });
    let response = app.logout(&user.access_token, &body).await;
    let message = response.text("message");
    assert_eq!(response.ok(), &json!({ "message": message }));
    for access in [&user.access_token, second.text("access_token")] {
        app.me(access).await.problem(401, "session_ended");
        app.logout(access, &body).await.problem(401, "session_ended");
    }
    for refresh in [&user.refresh_token, second.text("refresh_token")] {
        app.refresh(refresh).await.problem(401, "invalid_refresh_token");
    }
    assert!(app.rows("sessions").await.is_empty());
}

#[tokio::test]
async fn an_older_refresh_token_of_the_session_ends_it_too() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let second = app.refresh(&user.refresh_token).await;
    let third = app.refresh(second.text("refresh_token")).await;
    app.logout(&user.access_token, &json!({ "refresh_token": user.refresh_token })).await.ok();
    app.refresh(third.text("refresh_token")).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn asvs_7_4_5_a_user_can_end_another_of_their_sessions() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let other = app.login(&user.phone, PASSWORD).await;
    let body = json!({ "refresh_token": other.text("refresh_token") });
    for _ in 0..2 {
        // A session that has already ended counts as success.
        app.logout(&user.access_token, &body).await.ok();
        app.me(other.text("access_token")).await.problem(401, "session_ended");
        app.me(&user.access_token).await.ok();
    }
}

#[tokio::test]
async fn the_field_name_refresh_of_simplejwt_clients_is_accepted() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let other = app.login(&user.phone, PASSWORD).await;
    let body = json!({ "refresh": other.text("refresh_token") });
    app.logout(&user.access_token, &body).await.ok();
    app.me(other.text("access_token")).await.problem(401, "session_ended");
    app.me(&user.access_token).await.ok();
    // `refresh_token` takes precedence, as in a refresh.
    let body = json!({ "refresh": user.refresh_token, "refresh_token": "x" });
    app.logout(&user.access_token, &body).await.problem(400, "invalid_refresh_token");
    for body in [json!({}), json!({ "refresh": null, "refresh_token": null, "all": false })] {
        app.logout(&user.access_token, &body).await.refuses(&["refresh_token"]);
    }
    app.logout(&user.access_token, &json!({ "refresh": 7 })).await.refuses(&["refresh"]);
    app.logout(&user.access_token, &json!({ "refresh": user.refresh_token })).await.ok();
    app.me(&user.access_token).await.problem(401, "session_ended");
}

#[tokio::test]
async fn api1_another_users_refresh_token_gets_400_and_ends_nothing() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let theirs = json!({ "refresh_token": other.refresh_token });
    let refused = app.logout(&user.access_token, &theirs).await;
    refused.problem(400, "invalid_refresh_token");
    app.me(&user.access_token).await.ok();
    app.me(&other.access_token).await.ok();
    app.refresh(&other.refresh_token).await.ok();
}

#[tokio::test]
async fn a_malformed_token_gets_400() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    for bad in ["garbage", &user.access_token[..100], &user.refresh_token[1..]] {
        let refused = app.logout(&user.access_token, &json!({ "refresh_token": bad })).await;
        refused.problem(400, "invalid_refresh_token");
    }
    for body in [
        json!({}),
        json!({"all": false}),
        json!({"refresh_token": null}),
        json!({"refresh_token": 7}),
        json!({"refresh_token": ""}),
    ] {
        app.logout(&user.access_token, &body).await.refuses(&["refresh_token"]);
    }
    for all in [json!("true"), json!(1), json!([]), json!({})] {
        app.logout(&user.access_token, &json!({ "all": all })).await.refuses(&["all"]);
    }
    let both = json!({"all": "yes", "refresh_token": {}});
    app.logout(&user.access_token, &both).await.refuses(&["all", "refresh_token"]);
    app.me(&user.access_token).await.ok();
}

#[tokio::test]
async fn all_ends_every_session_of_the_user_and_no_other_users() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let mut tokens = vec![user.access_token.clone()];
    for _ in 0..6 {
        tokens.push(app.login(&user.phone, PASSWORD).await.text("access_token").to_owned());
    }
    let response = app.logout(&tokens[3], &json!({"all": true})).await;
    assert_eq!(response.ok().as_object().unwrap().len(), 1);
    for token in &tokens {
        app.me(token).await.problem(401, "session_ended");
        app.logout(token, &json!({"all": true})).await.problem(401, "session_ended");
    }
    app.refresh(&user.refresh_token).await.problem(401, "invalid_refresh_token");
    app.me(&other.access_token).await.ok();
    assert_eq!(app.rows("sessions").await.len(), 1);
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn all_takes_precedence_over_a_refresh_token() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let other = app.login(&user.phone, PASSWORD).await;
    let body = json!({"all": true, "refresh_token": user.refresh_token});
    app.logout(&user.access_token, &body).await.ok();
    app.me(other.text("access_token")).await.problem(401, "session_ended");
}
