//! `POST /auth/refresh`.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, Response, User, concurrently};

const DAY: u32 = 86_400;
const PATH: &str = "/auth/refresh";

/// The refresh token of a 200 response.
fn next(response: &Response) -> String {
    response.ok();
    response.text("refresh_token").to_owned()
}

async fn assert_ended(app: &App, user: &User, tokens: &[&str]) {
    app.me(&user.access_token).await.problem(401, "session_ended");
    for token in tokens {
        app.refresh(token).await.problem(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn a_refresh_returns_the_tokens_under_both_names() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let response = app.refresh(&user.refresh_token).await;
    let (access, refresh) = (response.text("access_token"), response.text("refresh_token"));
    let expected = json!({
        "access_token": access, "refresh_token": refresh, "access": access, "refresh": refresh,
        "token_type": "Bearer", "expires_in": 900,
    });
    assert_eq!(response.ok(), &expected);
    assert_ne!(refresh, user.refresh_token);
    assert_ne!(access, user.access_token);
    app.me(access).await.ok();
    app.me(&user.access_token).await.ok();
}

#[tokio::test]
async fn the_request_field_may_be_named_refresh() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let response = app.post(PATH, &json!({ "refresh": user.refresh_token })).send().await;
    let body = json!({"refresh": "x", "refresh_token": next(&response)});
    app.post(PATH, &body).send().await.ok();
}

#[tokio::test]
async fn each_refresh_returns_a_new_token_and_keeps_the_session() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let mut seen = vec![user.refresh_token.clone()];
    for _ in 0..12 {
        let response = app.refresh(seen.last().unwrap()).await;
        let token = next(&response);
        assert!(!seen.contains(&token));
        app.me(response.text("access_token")).await.ok();
        seen.push(token);
    }
}

#[tokio::test]
async fn the_previous_token_returns_the_same_successor_even_a_week_later() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let first = app.refresh(&user.refresh_token).await;
    let successor = next(&first);
    for pause in [0, 1, 3_600, 7 * DAY] {
        app.advance(pause).await;
        let again = app.refresh(&user.refresh_token).await;
        assert_eq!(next(&again), successor, "after {pause} s");
        assert_ne!(again.text("access_token"), first.text("access_token"));
        app.me(again.text("access_token")).await.ok();
    }
    // After the successor was used, the old token counts as reuse.
    app.refresh(&successor).await.ok();
    app.refresh(&user.refresh_token).await.problem(401, "refresh_token_reused");
}

#[tokio::test]
async fn asvs_10_4_5_a_token_two_rotations_old_ends_the_session_at_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let other = app.login(&user.phone, PASSWORD).await;
    let first = app.refresh(&user.refresh_token).await;
    let second = app.refresh(&next(&first)).await;
    app.refresh(&user.refresh_token).await.problem(401, "refresh_token_reused");
    let ended =
        [user.refresh_token.as_str(), first.text("refresh_token"), second.text("refresh_token")];
    assert_ended(&app, &user, &ended).await;
    for access in [first.text("access_token"), second.text("access_token")] {
        app.me(access).await.problem(401, "session_ended");
    }
    // The user's other session stays active.
    app.me(other.text("access_token")).await.ok();
    app.refresh(other.text("refresh_token")).await.ok();
    // The reuse is audited.
    let entries = app.rows("audit").await;
    assert!(entries.iter().any(|entry| entry["action"] == "refresh_token_reused"));
}

#[tokio::test]
async fn a_repeat_with_another_idempotency_key_is_token_reuse() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    for (step, repeat, same) in [
        (Some("k1"), Some("k1"), true),
        (None, None, true),
        (Some("k1"), Some("k2"), false),
        (Some("k1"), None, false),
        (None, Some("k1"), false),
    ] {
        let user = app.register_user().await;
        let refresh = async |key: Option<&str>| match key {
            Some(key) => app.refresh_with_key(&user.refresh_token, key).await,
            None => app.refresh(&user.refresh_token).await,
        };
        let successor = next(&refresh(step).await);
        let again = refresh(repeat).await;
        match same {
            true => assert_eq!(next(&again), successor),
            false => {
                again.problem(401, "refresh_token_reused");
                assert_ended(&app, &user, &[&successor]).await;
            }
        }
    }
}

#[tokio::test]
async fn a_new_rotation_may_use_any_idempotency_key() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let mut token = user.refresh_token;
    for key in ["k1", "k1", "k2", "!~"] {
        token = next(&app.refresh_with_key(&token, key).await);
    }
    token = next(&app.refresh(&token).await);
    let longest = "k".repeat(255);
    next(&app.refresh_with_key(&token, &longest).await);
}

#[tokio::test]
async fn an_invalid_idempotency_key_gets_400_and_rotates_nothing() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    for bad in ["", "a b", &"k".repeat(256)] {
        let refused = app.refresh_with_key(&user.refresh_token, bad).await;
        refused.assert_problem();
        assert_eq!(refused.status, 400);
    }
    let one = next(&app.refresh_with_key(&user.refresh_token, "k1").await);
    app.refresh_with_key(&one, "k2").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_concurrent_refreshes_of_one_token_return_the_same_successor() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    for key in [None, Some("k1")] {
        let user = app.register_user().await;
        let responses = concurrently((0..50).map(|_| {
            let (app, token) = (app.clone(), user.refresh_token.clone());
            async move {
                match key {
                    Some(key) => app.refresh_with_key(&token, key).await,
                    None => app.refresh(&token).await,
                }
            }
        }))
        .await;
        let successor = next(&responses[0]);
        assert!(responses.iter().all(|response| next(response) == successor), "{responses:?}");
        app.refresh(&successor).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_concurrent_refreshes_with_different_keys_one_rotates_and_the_session_ends() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let responses = concurrently((0..50).map(|number| {
        let (app, token) = (app.clone(), user.refresh_token.clone());
        async move { app.refresh_with_key(&token, &format!("k{number}")).await }
    }))
    .await;
    let (good, refused): (Vec<_>, Vec<_>) =
        responses.iter().partition(|response| response.status == 200);
    assert_eq!(good.len(), 1, "{responses:?}");
    for response in &refused {
        response.assert_problem();
        // The first refusal ended the session; later requests find none.
        assert!(["refresh_token_reused", "invalid_refresh_token"].contains(&response.text("code")));
    }
    assert!(refused.iter().any(|response| response.text("code") == "refresh_token_reused"));
    assert_ended(&app, &user, &[&next(good[0])]).await;
}

#[tokio::test]
async fn asvs_7_3_1_a_session_ends_after_30_idle_days() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (used, idle) = (app.register_user().await, app.register_user().await);
    app.advance(30 * DAY - 60).await;
    let token = next(&app.refresh(&used.refresh_token).await);
    app.advance(60).await;
    app.refresh(&idle.refresh_token).await.problem(401, "invalid_refresh_token");
    app.advance(29 * DAY).await;
    app.refresh(&token).await.ok();
}

#[tokio::test]
async fn asvs_7_3_2_a_session_ends_90_days_after_sign_in_even_if_used() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut token = app.register_user().await.refresh_token;
    let mut access = String::new();
    for days in [25, 25, 25, 14] {
        app.advance(days * DAY).await;
        let response = app.refresh(&token).await;
        token = next(&response);
    }
    app.advance(DAY - 120).await;
    let last = app.refresh(&token).await;
    access.push_str(last.text("access_token"));
    app.me(&access).await.ok();
    app.advance(120).await;
    app.refresh(&next(&last)).await.problem(401, "invalid_refresh_token");
    // The access token would be valid for 13 more minutes, but its session is over.
    app.me(&access).await.problem(401, "session_ended");
}

#[tokio::test]
async fn a_forged_or_malformed_refresh_token_is_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let token = &user.refresh_token;
    let mut flipped = token.clone().into_bytes();
    for index in [0, 10, 40, 60, token.len() / 2, token.len() - 3] {
        flipped[index] = if flipped[index] == b'A' { b'B' } else { b'A' };
        let text = String::from_utf8(flipped.clone()).unwrap();
        app.refresh(&text).await.problem(401, "invalid_refresh_token");
    }
    let long = "A".repeat(500);
    for bad in ["garbage", &token[1..], &format!("{token}A"), &user.access_token, &long, " "] {
        let refused = app.refresh(bad).await;
        refused.assert_problem();
        assert!([400, 401].contains(&refused.status), "{bad}: {refused:?}");
    }
    app.refresh(&long).await.problem(401, "invalid_refresh_token");
    app.refresh(token).await.ok();
}

#[tokio::test]
async fn a_missing_or_wrongly_typed_token_gets_400() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    for body in [
        json!({}),
        json!({"refresh_token": null}),
        json!({"refresh_token": 1}),
        json!({"refresh_token": ["a"]}),
        json!({"refresh_token": ""}),
        json!({"refresh_token": "x".repeat(60_000)}),
    ] {
        app.post(PATH, &body).send().await.refuses(&["refresh_token"]);
    }
}
