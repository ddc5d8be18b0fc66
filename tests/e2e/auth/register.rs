//! `POST /auth/register`: what it creates and what it refuses.

use serde_json::json;

use crate::harness::{
    App, Needs, PASSWORD, concurrently, count, random_email, random_phone, random_username,
};

#[tokio::test]
async fn a_registration_returns_201_with_the_user_and_the_four_token_fields() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let new = app.new_user().await;
    let response = app.register(&new).await;
    let expected = json!({
        "user_id": response.text("user_id"),
        "message": response.text("message"),
        "access_token": response.text("access_token"),
        "refresh_token": response.text("refresh_token"),
        "token_type": "Bearer",
        "expires_in": 900,
    });
    assert_eq!(response.body(201), &expected);
    let id = response.text("user_id");
    assert_eq!((id.len(), &id[14..15]), (36, "7"), "a UUIDv7");
    app.me(response.text("access_token")).await.ok();
    app.refresh(response.text("refresh_token")).await.ok();
}

#[tokio::test]
async fn a_registration_creates_account_profile_wallet_points_session_and_one_audit_entry() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let account = app.rows_where("users", "item_type", "account").await;
    assert_eq!(account.len(), 1);
    let claims = app.rows_where("users", "item_type", "claim").await;
    assert_eq!(claims.len(), 3, "username, phone, referral code");
    assert!(claims.iter().all(|claim| claim["user_id"] == user.user_id));
    for table in ["sessions", "profiles", "audit"] {
        assert_eq!(app.rows(table).await.len(), 1, "{table}");
    }
    let entries = app.rows_where("wallets", "item_type", "entry").await;
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    for (name, value) in [("quantity", 50), ("balance_before", 0), ("balance_after", 50)] {
        assert_eq!(entry[name], value, "{name}");
    }
    let me = app.me(&user.access_token).await;
    assert_eq!(me.ok()["points"], json!({"current_points": 50, "total_points": 50}));
}

#[tokio::test]
async fn asvs_6_2_the_password_is_stored_as_argon2id_with_at_least_the_minimum_parameters() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.register_user().await;
    let account = app.rows_where("users", "item_type", "account").await;
    let hash = account[0]["password_hash"].as_str().unwrap();
    let parts: Vec<_> = hash.split('$').collect();
    assert_eq!(parts[1..3], ["argon2id", "v=19"]);
    let parameter = |name: &str| -> u32 {
        let found = parts[3].split(',').find_map(|part| part.strip_prefix(name)).unwrap();
        found.parse().unwrap()
    };
    assert!(parameter("m=") >= 19_456 && parameter("t=") >= 2 && parameter("p=") >= 1, "{hash}");
    for table in ["users", "sessions", "profiles", "wallets", "usage", "otp", "audit"] {
        let text = serde_json::to_string(&app.rows(table).await).unwrap();
        assert!(!text.contains(PASSWORD), "{table}");
    }
}

#[tokio::test]
async fn an_account_can_be_registered_with_an_e_mail_address_only() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let email = random_email();
    let token = app.verification_token(&email, "REGISTER").await;
    let body = json!({
        "username": random_username(),
        "password": PASSWORD,
        "email": email.to_uppercase(),
        "verification_token": token,
    });
    let response = app.post("/auth/register", &body).send().await;
    response.body(201);
    let me = app.me(response.text("access_token")).await;
    assert_eq!(me.json["email"], email);
    assert_eq!(
        (&me.json["email_verified"], &me.json["phone_verified"]),
        (&json!(true), &json!(false))
    );
    app.login(&email, PASSWORD).await.ok();
}

#[tokio::test]
async fn asvs_2_3_a_registration_without_a_valid_token_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let before = app.table_sizes().await;
    let phone = random_phone();
    for purpose in ["CHANGE_IDENTIFIER", "garbage", "absent"] {
        let token = match purpose {
            "garbage" => "A".repeat(43),
            "absent" => "?".to_owned(),
            _ => app.verification_token(&phone, purpose).await,
        };
        let new = json!({
            "username": random_username(),
            "password": PASSWORD,
            "phone_number": phone,
            "verification_token": token,
        });
        let refused = app.post("/auth/register", &new).send().await;
        refused.problem(400, "invalid_verification_token");
        assert_eq!(refused.fields(), ["verification_token"]);
    }
    // The token of another identifier.
    let other = app.new_user().await.with("phone_number", random_phone());
    app.register(&other).await.problem(400, "invalid_verification_token");
    let after = app.table_sizes().await;
    let made = |sizes: &[(&str, usize)]| -> Vec<_> {
        sizes.iter().filter(|(table, _)| *table != "otp").map(|(_, size)| *size).collect()
    };
    assert_eq!(made(&before), made(&after));
}

#[tokio::test]
async fn a_verification_token_works_once() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let new = app.new_user().await;
    app.register(&new).await.body(201);
    let again = app.register(&new.with("username", random_username())).await;
    again.assert_problem();
    assert_eq!(again.status, 400);
}

#[tokio::test]
async fn a_refused_registration_can_be_corrected_with_the_same_token() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let taken = app.register_user().await;
    let new = app.new_user().await;
    app.register(&new.clone().with("password", "password1")).await.problem(400, "weak_password");
    let clash = app.register(&new.clone().with("username", taken.username)).await;
    clash.problem(400, "already_exists");
    app.register(&new).await.body(201);
}

#[tokio::test]
async fn already_exists_names_every_taken_field_ignoring_case() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let new = app.new_user().await.with("username", user.username.to_uppercase());
    let refused = app.register(&new).await;
    refused.problem(400, "already_exists");
    assert_eq!(refused.fields(), ["username"]);

    app.advance(60).await;
    let token = app.verification_token(&user.phone, "REGISTER").await;
    let new = new.with("phone_number", user.phone.as_str()).with("verification_token", token);
    let refused = app.register(&new).await;
    refused.problem(400, "already_exists");
    assert_eq!(refused.fields(), ["phone_number", "username"]);
    let refused = app.register(&new.with("username", random_username())).await;
    refused.problem(400, "already_exists");
    assert_eq!(refused.fields(), ["phone_number"]);
}

#[tokio::test]
async fn a_second_identifier_is_stored_unverified_and_cannot_sign_in() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let email = random_email();
    let new = app.new_user().await.with("email", email.as_str());
    let response = app.register(&new).await;
    response.body(201);
    let me = app.me(response.text("access_token")).await;
    assert_eq!((&me.json["email"], &me.json["email_verified"]), (&json!(email), &json!(false)));
    assert_eq!(me.json["phone_verified"], true);
    app.login(&email, PASSWORD).await.problem(400, "invalid_credentials");
    app.login(&new.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn an_unverified_identifier_does_not_block_its_owner() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let email = random_email();
    let squatter = app.new_user().await.with("email", email.as_str());
    app.register(&squatter).await.body(201);
    // Another user may enter it as well; the one who verifies it owns it.
    let another = app.new_user().await.with("email", email.as_str());
    app.register(&another).await.body(201);
    let token = app.verification_token(&email, "REGISTER").await;
    let body = json!({
        "username": random_username(),
        "password": PASSWORD,
        "email": email,
        "verification_token": token,
    });
    let owner = app.post("/auth/register", &body).send().await;
    owner.body(201);
    let login = app.login(&email, PASSWORD).await;
    assert_eq!(login.ok()["user_id"], owner.json["user_id"]);
}

#[tokio::test]
async fn a_taken_second_identifier_is_accepted_as_unverified() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let owner = app.register_user().await;
    let email = random_email();
    let token = app.verification_token(&email, "REGISTER").await;
    let body = json!({
        "username": random_username(),
        "password": PASSWORD,
        "email": email,
        "phone_number": owner.phone,
        "verification_token": token,
    });
    let response = app.post("/auth/register", &body).send().await;
    // The response must not reveal that an unverified number is taken.
    response.body(201);
    let me = app.me(response.text("access_token")).await;
    assert_eq!(me.json["phone_verified"], false);
    let login = app.login(&owner.phone, PASSWORD).await;
    assert_eq!(login.ok()["user_id"], owner.user_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_50_concurrent_registrations_of_one_username_one_succeeds() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let name = random_username();
    let news = concurrently((0..50).map(|_| {
        let app = app.clone();
        async move { app.new_user().await }
    }))
    .await;
    let responses = concurrently(news.into_iter().enumerate().map(|(number, new)| {
        // In both cases.
        let name = if number % 2 == 0 { name.clone() } else { name.to_uppercase() };
        let (app, new) = (app.clone(), new.with("username", name));
        async move { app.register(&new).await }
    }))
    .await;
    assert_eq!((count(&responses, 201), count(&responses, 400)), (1, 49), "{responses:?}");
    for refused in responses.iter().filter(|response| response.status == 400) {
        refused.problem(400, "already_exists");
        assert_eq!(refused.fields(), ["username"]);
    }
    assert_whole(&app, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_50_concurrent_registrations_of_one_phone_number_one_succeeds() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(app.verification_token(&phone, "REGISTER").await);
        app.advance(60).await;
    }
    let responses = concurrently((0..50).map(|number| {
        let (app, token) = (app.clone(), tokens[number % 5].clone());
        let body = json!({
            "username": random_username(),
            "password": PASSWORD,
            "phone_number": phone,
            "verification_token": token,
        });
        async move { app.post("/auth/register", &body).send().await }
    }))
    .await;
    assert_eq!((count(&responses, 201), count(&responses, 400)), (1, 49), "{responses:?}");
    assert_whole(&app, 1).await;
}

/// Every account is complete, and no other items exist.
async fn assert_whole(app: &App, accounts: usize) {
    for (table, item_type, each) in [
        ("users", "account", 1),
        ("users", "claim", 3),
        ("sessions", "session", 1),
        ("profiles", "profile", 1),
        ("wallets", "balance", 1),
        ("wallets", "entry", 1),
        ("audit", "audit", 1),
    ] {
        let rows = app.rows_where(table, "item_type", item_type).await.len();
        assert_eq!(rows, each * accounts, "{table} {item_type}");
    }
}
