//! `POST /auth/register`: the rules of every field.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, NewUser, PASSWORD, random_email, random_ip, random_phone, random_username,
};

const PATH: &str = "/auth/register";

/// A registration that is refused before the token is checked, so any token will do.
fn unverified() -> NewUser {
    let phone = random_phone();
    let body = json!({
        "username": random_username(),
        "password": PASSWORD,
        "phone_number": phone,
        "verification_token": "x",
    });
    NewUser { phone, client_ip: random_ip(), body }
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    let wrong_types = json!({
        "username": 1, "password": ["a"], "verification_token": {}, "email": true,
        "phone_number": 9841234567_u64, "referral_code": 7,
    });
    let all =
        ["username", "password", "verification_token", "email", "phone_number", "referral_code"];
    app.post(PATH, &wrong_types).send().await.refuses(&all);
    let bad = json!({
        "username": "a b", "password": "1234567", "verification_token": "", "email": "a@",
        "phone_number": "123", "referral_code": "",
    });
    app.post(PATH, &bad).send().await.refuses(&all);
    let missing = ["username", "password", "verification_token", "email", "phone_number"];
    app.post(PATH, &json!({})).send().await.refuses(&missing);
    let nulls: Value = all.map(|name| (name.to_owned(), Value::Null)).into_iter().collect();
    app.post(PATH, &nulls).send().await.refuses(&missing);
}

#[tokio::test]
async fn usernames_have_3_to_150_letters_digits_dots_underscores_and_hyphens() {
    let Some(app) = App::start(Needs::Nothing).await else { return };
    let longest = "a".repeat(150);
    let too_long = "a".repeat(151);
    for good in ["abc", "A.b_c-9", &longest] {
        let response = app.register(&unverified().with("username", good)).await;
        response.problem(400, "invalid_verification_token");
    }
    for bad in ["ab", &too_long, "a b c", "ab\nc", "a@b.c", "सीता", "abc\0", "", " ab "] {
        app.register(&unverified().with("username", bad)).await.refuses(&["username"]);
    }
}

#[tokio::test]
async fn the_longest_and_the_shortest_username_can_register() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    for name in ["x.-", &"Y".repeat(150)] {
        let new = app.new_user().await.with("username", name);
        let response = app.register(&new).await;
        response.body(201);
        assert_eq!(app.me(response.text("access_token")).await.json["username"], name);
    }
}

#[tokio::test]
async fn asvs_6_2_passwords_have_8_to_128_characters_of_any_script() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let emoji = "🦉🍊🚲🌧🎻🪁🧊🐫";
    let seven: String = emoji.chars().take(7).collect();
    for bad in ["", "Gk7#pq!", &seven, &format!("{}🦉", emoji.repeat(16)), &"kX".repeat(65)] {
        app.register(&unverified().with("password", bad)).await.refuses(&["password"]);
    }
    let long: String = "correct horse battery staple 9 ".chars().cycle().take(128).collect();
    for good in ["Gk7#pq!z", emoji, &emoji.repeat(16), &long, "काठमाडौंको बिहान"]
    {
        let new = app.new_user().await.with("password", good);
        app.register(&new).await.body(201);
        app.login(&new.phone, good).await.ok();
    }
}

#[tokio::test]
async fn asvs_6_2_a_password_is_used_exactly_as_typed() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let password = "  Orange lamp\ttuesday 77  ";
    let new = app.new_user().await.with("password", password);
    app.register(&new).await.body(201);
    for other in [password.trim(), &password.to_lowercase(), &format!("{password} ")] {
        app.login(&new.phone, other).await.problem(400, "invalid_credentials");
    }
    app.login(&new.phone, password).await.ok();
}

#[tokio::test]
async fn asvs_6_2_common_and_personal_passwords_are_refused() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let new = app.new_user().await.with("username", "sitaramthapa1994");
    let new = new.with("email", "kathmandu.owl@example.com");
    let phone = new.phone.clone();
    for weak in [
        "password",
        "12345678",
        "qwertyuiop",
        "aaaaaaaaaaaa",
        "iloveyou1",
        "sitaramthapa1994",
        "SitaRamThapa1994",
        "kathmandu.owl",
        &phone,
        &phone[4..],
    ] {
        let refused = app.register(&new.clone().with("password", weak)).await;
        refused.problem(400, "weak_password");
        assert_eq!(refused.fields(), ["password"], "{weak}");
    }
    // No character classes are required.
    let new = new.with("username", random_username());
    app.register(&new.with("password", "orange lamp tuesday")).await.body(201);
}

#[tokio::test]
async fn an_invalid_referral_code_is_refused_and_nothing_is_created() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let new = app.new_user().await;
    for wrong in ["00000000", "short", "!!!!!!!!", "ABCDEFGHJK", "' OR 1=1"] {
        let refused = app.register(&new.clone().with("referral_code", wrong)).await;
        refused.problem(400, "invalid_referral_code");
        assert_eq!(refused.fields(), ["referral_code"]);
    }
    for table in ["users", "wallets", "profiles", "sessions", "audit"] {
        assert!(app.rows(table).await.is_empty(), "{table}");
    }
    app.register(&new).await.body(201);
}

#[tokio::test]
async fn api3_protected_fields_in_the_body_are_ignored() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let email = random_email();
    let mut new = app.new_user().await.with("email", email);
    for (name, value) in [
        ("is_staff", json!(true)),
        ("status", json!("BANNED")),
        ("email_verified", json!(true)),
        ("phone_verified", json!(false)),
        ("user_id", json!("00000000-0000-7000-8000-000000000000")),
        ("points", json!(1_000_000)),
        ("wallet_balance", json!("9999.00")),
        ("epoch", json!(7)),
        ("unknown", json!({"deep": [1, 2, 3]})),
    ] {
        new = new.with(name, value);
    }
    let response = app.register(&new).await;
    response.body(201);
    assert_ne!(response.text("user_id"), new.body["user_id"]);
    let account = app.rows_where("users", "item_type", "account").await;
    assert_eq!((&account[0]["is_staff"], &account[0]["epoch"]), (&json!(false), &json!(0)));
    let session = app.rows("sessions").await;
    assert_eq!(session[0]["is_staff"], false);
    let me = app.me(response.text("access_token")).await;
    assert_eq!(me.json["status"], "ACTIVE");
    assert_eq!(
        (&me.json["email_verified"], &me.json["phone_verified"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(me.json["points"]["current_points"], 50);
    assert_eq!(me.json["wallet_balance"]["balance"], "0.00");
}
