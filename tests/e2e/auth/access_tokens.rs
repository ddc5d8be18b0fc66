//! Access tokens: their claims, and which tokens are refused.

use base64ct::{Base64UrlUnpadded, Encoding};
use ring::{hmac, signature::Ed25519KeyPair};
use serde_json::{Value, json};

use crate::harness::{App, Needs, Response, User};

fn part(token: &str, index: usize) -> Value {
    let bytes = Base64UrlUnpadded::decode_vec(token.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Calls two user operations with this `Authorization` header.
async fn call_user_operations(app: &App, authorization: Option<&str>) -> [Response; 2] {
    let requests = [app.get("/auth/me"), app.post("/auth/logout", &json!({"refresh_token": "x"}))];
    let [me, logout] = requests.map(|request| match authorization {
        Some(value) => request.header("authorization", value),
        None => request,
    });
    [me.send().await, logout.send().await]
}

async fn assert_refused(app: &App, token: &str, code: &str) {
    for response in call_user_operations(app, Some(&format!("Bearer {token}"))).await {
        response.problem(401, code);
    }
}

#[tokio::test]
async fn rfc_9068_an_access_token_identifies_the_user_without_personal_data() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let (header, claims) = (part(&user.access_token, 0), part(&user.access_token, 1));
    let kid = header["kid"].as_str().unwrap();
    assert_eq!(header, json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid}));
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["iss", "aud", "sub", "client_id", "sid", "iat", "exp", "jti", "auth_time"];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("http://localhost"), &json!("local")));
    assert_eq!(claims["client_id"], "local", "the audience, if no client id is set");
    assert_eq!(claims["sub"], user.user_id);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    let text = claims.to_string();
    assert!(!text.contains(&user.phone[4..]) && !text.contains(&user.username), "{text}");
    let refreshed = app.refresh(&user.refresh_token).await;
    let later = part(refreshed.text("access_token"), 1);
    assert_eq!((&later["sid"], &later["auth_time"]), (&claims["sid"], &claims["auth_time"]));
    assert_ne!(later["jti"], claims["jti"]);
}

#[tokio::test]
async fn rfc_9068_the_client_id_is_the_configured_client() {
    let Some(app) = App::with(&[("TOKEN_CLIENT_ID", "mobile")]).await else { return };
    let user = app.register_user().await;
    let refreshed = app.refresh(&user.refresh_token).await;
    for token in [&user.access_token, refreshed.text("access_token")] {
        let claims = part(token, 1);
        assert_eq!((&claims["client_id"], &claims["aud"]), (&json!("mobile"), &json!("local")));
        app.me(token).await.ok();
    }
}

#[tokio::test]
async fn a_refresh_keeps_the_auth_time_of_the_sign_in() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(5_000).await;
    let refreshed = app.refresh(&user.refresh_token).await;
    let (first, later) = (part(&user.access_token, 1), part(refreshed.text("access_token"), 1));
    assert_eq!(later["auth_time"], first["auth_time"]);
    assert!(later["iat"].as_i64().unwrap() >= first["iat"].as_i64().unwrap() + 5_000);
}

#[tokio::test]
async fn anonymous_callers_get_401_on_user_operations() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    for authorization in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic dXNlcjpwYXNz"),
        Some("Token abc"),
        Some("Bearerabc"),
    ] {
        for response in call_user_operations(&app, authorization).await {
            response.assert_problem();
            assert_eq!(response.status, 401, "{authorization:?}");
        }
    }
    let huge = "a".repeat(8_000);
    for garbage in ["a", "a.b.c", "..", "eyJhbGciOiJub25lIn0..", &huge, "a b", "null"] {
        assert_refused(&app, garbage, "invalid_access_token").await;
    }
}

#[tokio::test]
async fn the_bearer_scheme_ignores_case_and_the_token_does_not() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {}", user.access_token);
        app.get("/auth/me").header("authorization", value).send().await.ok();
    }
    assert_refused(&app, &user.access_token.to_uppercase(), "invalid_access_token").await;
    // A token is accepted only in the header (RFC 9700 4.3.2).
    let path = format!("/auth/me?access_token={}", user.access_token);
    app.get(&path).send().await.problem(401, "authentication_required");
}

#[tokio::test]
async fn asvs_9_1_an_access_token_expires_after_15_minutes_without_leeway() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(880).await;
    app.me(&user.access_token).await.ok();
    app.advance(20).await;
    assert_refused(&app, &user.access_token, "invalid_access_token").await;
    let refreshed = app.refresh(&user.refresh_token).await;
    app.me(refreshed.text("access_token")).await.ok();
}

#[tokio::test]
async fn a_refresh_or_verification_token_is_not_accepted_as_an_access_token() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    assert_refused(&app, &user.refresh_token, "invalid_access_token").await;
    let token = app.new_user().await.body["verification_token"].as_str().unwrap().to_owned();
    assert_refused(&app, &token, "invalid_access_token").await;
}

#[tokio::test]
async fn a_token_with_any_altered_character_is_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let token = &user.access_token;
    for index in (0..token.len() - 1).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        app.me(&altered).await.problem(401, "invalid_access_token");
    }
    let (rest, signature) = token.rsplit_once('.').unwrap();
    for altered in [
        rest.to_owned(),
        format!("{rest}."),
        format!("{token}A"),
        format!("{rest}.{}", &signature[1..]),
    ] {
        app.me(&altered).await.problem(401, "invalid_access_token");
    }
}

type Change = fn(&mut Value, &mut Value);

/// A token with changed header and claims, signed with the stack's own key.
async fn forged(app: &App, user: &User, change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let (mut header, mut claims) = (part(&user.access_token, 0), part(&user.access_token, 1));
    let slot = format!("{:0>10}", header["kid"].as_str().unwrap());
    let keys = app.rows_where("keys", "pk", "PRIVATE").await;
    let key = keys.iter().find(|key| key["slot"] == slot).unwrap();
    let seed = Base64UrlUnpadded::decode_vec(key["key"].as_str().unwrap()).unwrap();
    change(&mut header, &mut claims);
    let message = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap().sign(message.as_bytes());
    format!("{message}.{}", encode(signature.as_ref()))
}

#[tokio::test]
async fn asvs_9_1_rfc_8725_type_algorithm_issuer_audience_and_times_are_checked() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let user = app.register_user().await;
    let unchanged = forged(&app, &user, |_, _| ()).await;
    app.me(&unchanged).await.ok();
    let changes: [(&str, Change); 16] = [
        ("none", |header, _| header["alg"] = json!("none")),
        ("None", |header, _| header["alg"] = json!("None")),
        ("RS256", |header, _| header["alg"] = json!("RS256")),
        ("typ JWT", |header, _| header["typ"] = json!("JWT")),
        ("no typ", |header, _| drop(header.as_object_mut().unwrap().remove("typ"))),
        ("no kid", |header, _| drop(header.as_object_mut().unwrap().remove("kid"))),
        ("unknown kid", |header, _| header["kid"] = json!("99999")),
        ("kid path", |header, _| header["kid"] = json!("../../dev/null")),
        ("crit", |header, _| header["crit"] = json!(["exp"])),
        ("iss", |_, claims| claims["iss"] = json!("http://other.example")),
        ("aud", |_, claims| claims["aud"] = json!("other")),
        ("expired", |_, claims| claims["exp"] = claims["iat"].clone()),
        ("from the future", |_, claims| {
            claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 600);
        }),
        ("no exp", |_, claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
        ("no client_id", |_, claims| drop(claims.as_object_mut().unwrap().remove("client_id"))),
        ("oversized", |_, claims| claims["pad"] = json!("x".repeat(4_000))),
    ];
    for (case, change) in changes {
        let token = forged(&app, &user, change).await;
        let response = app.me(&token).await;
        assert_eq!(response.status, 401, "{case}: {response:?}");
        response.problem(401, "invalid_access_token");
    }
}

#[tokio::test]
async fn asvs_9_1_keys_embedded_in_a_token_and_hs256_with_the_public_key_are_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let jwks = app.get("/.well-known/jwks.json").send().await;
    let (mut header, claims) = (part(&user.access_token, 0), part(&user.access_token, 1));
    let key = jwks.ok()["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]);
    let public = key.unwrap()["x"].as_str().unwrap().to_owned();
    // Signed with the attacker's key, which the header embeds.
    let own = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = encode(ring::signature::KeyPair::public_key(&own).as_ref());
    header["jwk"] = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    header["jku"] = json!("http://127.0.0.1:1/jwks.json");
    header["x5u"] = json!("http://127.0.0.1:1/cert.pem");
    let message = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = encode(own.sign(message.as_bytes()).as_ref());
    assert_refused(&app, &format!("{message}.{signature}"), "invalid_access_token").await;

    let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": header["kid"]});
    let message = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    for secret in [public.clone().into_bytes(), Base64UrlUnpadded::decode_vec(&public).unwrap()] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signature = encode(hmac::sign(&key, message.as_bytes()).as_ref());
        assert_refused(&app, &format!("{message}.{signature}"), "invalid_access_token").await;
    }
}

#[tokio::test]
async fn api1_a_token_that_combines_a_session_with_another_user_is_refused() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    // A valid signature is not enough: the session must belong to the same user.
    let token = forged(&app, &user, |_, claims| claims["sub"] = json!(other.user_id)).await;
    app.me(&token).await.problem(401, "session_ended");
    let theirs = json!({ "refresh_token": other.refresh_token });
    app.logout(&token, &theirs).await.problem(401, "session_ended");
    app.me(&other.access_token).await.ok();
}

#[tokio::test]
async fn asvs_7_4_1_an_ended_session_gets_401_whatever_it_requests() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    app.me(&user.access_token).await.problem(401, "session_ended");
    for body in [
        json!({"all": true}),
        json!({ "refresh_token": user.refresh_token }),
        json!({ "refresh_token": other.refresh_token }),
        json!({"refresh_token": "garbage"}),
    ] {
        app.logout(&user.access_token, &body).await.problem(401, "session_ended");
    }
}
