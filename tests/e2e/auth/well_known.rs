//! `GET /.well-known/jwks.json`, `GET /health`, and the rotation of keys.

use base64ct::{Base64UrlUnpadded, Encoding};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::harness::{App, Needs, Response};

const DAY: u32 = 86_400;
const JWKS: &str = "/.well-known/jwks.json";

fn kid(token: &str) -> String {
    let header = Base64UrlUnpadded::decode_vec(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

fn kids(jwks: &Response) -> Vec<String> {
    let keys = jwks.ok()["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Whether a key of the set verifies the token.
fn verifies(jwks: &Response, token: &str) -> bool {
    let keys = jwks.ok()["keys"].as_array().unwrap();
    let Some(key) = keys.iter().find(|key| key["kid"] == kid(token)) else { return false };
    let key = Base64UrlUnpadded::decode_vec(key["x"].as_str().unwrap()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    UnparsedPublicKey::new(&ED25519, key).verify(message.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn the_key_set_has_public_ed25519_keys_and_may_be_cached() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    let jwks = app.get(JWKS).send().await;
    let keys = jwks.ok()["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        let expected = json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "kid": key["kid"], "x": key["x"],
        });
        assert_eq!(key, &expected);
        let x = Base64UrlUnpadded::decode_vec(key["x"].as_str().unwrap()).unwrap();
        assert_eq!(x.len(), 32);
    }
    let cache = jwks.header("cache-control").unwrap();
    assert!(cache.contains("max-age") && !cache.contains("no-store"), "{cache}");
    assert_eq!(jwks.header("content-type"), Some("application/json"));
    assert_eq!(jwks.json.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn the_key_set_verifies_issued_tokens() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let jwks = app.get(JWKS).send().await;
    assert!(verifies(&jwks, &user.access_token));
}

#[tokio::test]
async fn health_responds_without_calling_a_dependency() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.inject_fault("dynamodb", "BatchGetItem", "error_500", 1_000).await;
    app.inject_fault("dynamodb", "Query", "error_500", 1_000).await;
    app.get("/health").send().await.ok();
    let cost = app.costs("GET /health").await;
    assert_eq!((cost.calls, cost.last()), (1, (0, 0.0, 0.0)));
    app.get(JWKS).send().await.ok();
    assert_eq!(app.costs(&format!("GET {JWKS}")).await.last(), (0, 0.0, 0.0));
}

#[tokio::test]
async fn a_new_signing_key_is_published_before_it_signs() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut refresh_token = app.register_user().await.refresh_token;
    let mut signed_with = Vec::new();
    // Two key rotations, in steps shorter than the idle limit of a session.
    for _ in 0..8 {
        let before = kids(&app.get(JWKS).send().await);
        app.advance(10 * DAY).await;
        let refreshed = app.refresh(&refresh_token).await;
        refreshed.ok();
        let (access, jwks) = (refreshed.text("access_token"), app.get(JWKS).send().await);
        assert!(before.contains(&kid(access)), "{before:?} does not contain {}", kid(access));
        assert!(verifies(&jwks, access));
        app.me(access).await.ok();
        signed_with.push(kid(access));
        refresh_token = refreshed.text("refresh_token").to_owned();
    }
    signed_with.dedup();
    assert!((3..=4).contains(&signed_with.len()), "{signed_with:?}");
}

#[tokio::test]
async fn a_session_survives_key_rotation() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance_to_end(30 * DAY, 300).await;
    let user = app.register_user().await;
    let before = app.get(JWKS).send().await;
    // The slot ends while the token is still valid.
    app.advance(600).await;
    app.me(&user.access_token).await.ok();
    let jwks = app.get(JWKS).send().await;
    assert!(verifies(&jwks, &user.access_token), "the old key still verifies");
    let refreshed = app.refresh(&user.refresh_token).await;
    refreshed.ok();
    let new = refreshed.text("access_token");
    assert_ne!(kid(new), kid(&user.access_token));
    assert!(kids(&jwks).contains(&kid(new)) && kids(&before).contains(&kid(new)));
    app.me(new).await.ok();
    // A new session uses the MAC key of the new slot; both sessions continue.
    let other = app.register_user().await;
    app.refresh(&other.refresh_token).await.ok();
    app.refresh(refreshed.text("refresh_token")).await.ok();
    // The old key is removed after its last token has expired.
    app.advance(1_200).await;
    app.get(JWKS).send().await.ok();
    assert!(!kids(&app.get(JWKS).send().await).contains(&kid(&user.access_token)));
}

#[tokio::test]
async fn a_code_survives_key_rotation() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance_to_end(30 * DAY, 100).await;
    let phone = crate::harness::random_phone();
    app.request_otp(&phone, "REGISTER").await.ok();
    let code = app.code_for(&phone).await;
    app.advance(150).await;
    app.verify(&phone, &code, "REGISTER").await.ok();
}

#[tokio::test]
async fn private_keys_are_never_published() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let jwks = app.get(JWKS).send().await;
    let text = String::from_utf8(jwks.bytes.clone()).unwrap();
    assert!(!text.contains("\"d\""), "{text}");
    for key in app.rows_where("keys", "pk", "PRIVATE").await {
        assert!(!text.contains(key["key"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn the_key_set_is_current_after_a_long_idle_time() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for _ in 0..3 {
        app.advance(65 * 24 * 3_600).await;
        let keys = app.get("/.well-known/jwks.json").send().await;
        // The current key and the next.
        assert_eq!(keys.ok()["keys"].as_array().map(Vec::len), Some(2), "{keys:?}");
    }
}
