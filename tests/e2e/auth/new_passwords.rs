//! The rules for new passwords, for every operation that sets one.

use serde_json::{Value, json};
use tests::openapi::{document, operations};

use crate::{
    auth::credentials::{change, reset},
    harness::{App, Needs, NewUser, PASSWORD, Response, User, random_username},
};

/// Only new passwords have a minimum length.
fn is_new_password(field: &Value) -> bool {
    field["format"] == "password" && !field["minLength"].is_null()
}

/// Every operation that sets a password, with the name of the field, from the OpenAPI document.
fn operations_with_new_passwords() -> Vec<(String, String)> {
    let document = document(&operations());
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let schema = match schema["$ref"].as_str() {
                Some(name) => document.pointer(name.trim_start_matches('#')).unwrap(),
                None => schema,
            };
            let fields = schema["properties"].as_object().into_iter().flatten();
            let new = fields.filter(|(_, field)| is_new_password(field));
            let operation = format!("{} {path}", method.to_uppercase());
            found.extend(new.map(|(name, _)| (operation.clone(), name.clone())));
        }
    }
    found
}

/// A user who can call each of these operations repeatedly, as long as it is refused.
struct PasswordOwner {
    user: User,
    new: NewUser,
    reset_token: String,
    password: String,
}

impl PasswordOwner {
    async fn register(app: &App) -> Self {
        let new = applicant(app).await;
        let response = app.register(&new.clone().with("password", PASSWORD)).await;
        response.body(201);
        let user = User {
            user_id: response.text("user_id").to_owned(),
            username: new.body["username"].as_str().unwrap().to_owned(),
            phone: new.phone.clone(),
            access_token: response.text("access_token").to_owned(),
            refresh_token: response.text("refresh_token").to_owned(),
        };
        app.advance(61).await;
        let reset_token = app.verification_token(&user.phone, "RESET_PASSWORD").await;
        Self { user, new, reset_token, password: PASSWORD.to_owned() }
    }

    async fn send(&self, app: &App, operation: &str, password: &str) -> Response {
        match operation {
            "POST /auth/register" => {
                app.register(&self.new.clone().with("password", password)).await
            }
            "POST /auth/password/change" => {
                change(app, &self.user.access_token, &self.password, password).await
            }
            "POST /auth/password/reset" => {
                reset(app, &self.user.phone, &self.reset_token, password).await
            }
            other => panic!("{other} sets a password and must be tested here"),
        }
    }
}

/// A person with their own username, address and number who has not registered yet.
async fn applicant(app: &App) -> NewUser {
    let name = random_username();
    let new = app.new_user().await;
    new.with("username", name.as_str()).with("email", format!("kettle.{name}+app@example.com"))
}

const WEAK: [&str; 32] = [
    "Admin@123",
    "Password@123",
    "Nepal@123",
    "Namaste@123",
    "powerbank1",
    "bikash123",
    "password",
    "PASSWORD",
    "12345678",
    "qwertyuiop",
    "iloveyou1",
    "P@$$w0rd!",
    "p@ssw0rd2081",
    "Kathmandu#1",
    "P0khara123",
    "ncell2081",
    "R@m12345",
    "  nepal  ",
    "१२३nepal४५६",
    "83619274",
    "!@#$%^&*",
    "2081-08-12",
    "aaaaaaaaaaaa",
    "abcdefghij",
    "Welcome@1",
    "sunshine!!",
    "dragon2081",
    "1qaz2wsx#",
    "N@ma$te1",
    "superman 77",
    "letmein123456",
    "९३६१८२७४",
];

const GOOD: [&str; 8] = [
    "Gk7#pq!z",
    "orange lamp tuesday",
    "a copper kettle sings",
    "काठमाडौंको बिहान",
    "xk-42-plover-moss",
    "🦉🍊🚲🌧🎻🪁🧊🐫",
    "yellow.goat.climbs.7",
    "correct horse battery staple",
];

/// The identifiers of a user in the forms that people write.
fn own_data(new: &NewUser) -> Vec<String> {
    let username = new.body["username"].as_str().unwrap();
    let email = new.body["email"].as_str().unwrap();
    let (local, _) = email.split_once('@').unwrap();
    let national = &new.phone[4..];
    let devanagari: String = national
        .chars()
        .map(|c| char::from_u32(u32::from('०') + c.to_digit(10).unwrap()).unwrap())
        .collect();
    vec![
        username.to_owned(),
        username.to_uppercase(),
        username.replace('-', "."),
        local.to_owned(),
        local.trim_end_matches("+app").to_owned(),
        local.replace(['.', '+'], "_").to_uppercase(),
        email.to_owned(),
        national.to_owned(),
        format!("{}-{}", &national[..3], &national[3..]),
        format!("({}) {} {}", &national[..3], &national[3..6], &national[6..]),
        format!("0{national}"),
        format!("00977{national}"),
        format!("00977-0{national}"),
        new.phone.clone(),
        format!("+977 {}-{}", &national[..3], &national[3..]),
        devanagari.clone(),
        format!("+९७७-{devanagari}"),
    ]
}

#[tokio::test]
async fn asvs_6_2_every_operation_refuses_the_same_weak_passwords_without_counting_a_failure() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let operations = operations_with_new_passwords();
    assert!(operations.len() >= 3, "{operations:?}");
    for (operation, field) in operations {
        let mut owner = PasswordOwner::register(&app).await;
        if operation == "POST /auth/register" {
            owner.new = applicant(&app).await;
        }
        let own = own_data(&owner.new);
        for weak in WEAK.into_iter().chain(own.iter().map(String::as_str)) {
            let response = owner.send(&app, &operation, weak).await;
            assert_eq!(
                response.code_or_none(),
                "weak_password",
                "{operation} {weak}: {response:?}"
            );
            response.problem(400, "weak_password");
            assert_eq!(response.fields(), [field.as_str()], "{operation} {weak}");
        }
    }
}

#[tokio::test]
async fn asvs_6_2_every_operation_accepts_good_passwords_of_any_script() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for (operation, _) in operations_with_new_passwords() {
        for good in GOOD {
            let mut owner = PasswordOwner::register(&app).await;
            if operation == "POST /auth/register" {
                owner.new = applicant(&app).await;
            }
            let response = owner.send(&app, &operation, good).await;
            assert!([200, 201].contains(&response.status), "{operation} {good}: {response:?}");
            app.login(&owner.new.phone, good).await.ok();
        }
    }
}

#[tokio::test]
async fn passwords_from_the_configured_words_are_refused() {
    let Some(app) = App::with(&[("PASSWORD_WORDS", "Sajilo, yatri")]).await else { return };
    let new = app.new_user().await;
    for weak in ["Sajilo@123", "sajilo2081", "Y@tri12345"] {
        let refused = app.register(&new.clone().with("password", weak)).await;
        refused.problem(400, "weak_password");
    }
    // The list of common passwords applies as well.
    app.register(&new.clone().with("password", "Admin@123")).await.problem(400, "weak_password");
}

#[tokio::test]
async fn asvs_6_2_a_password_that_is_slow_to_estimate_causes_no_5xx() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for text in ["5$".repeat(20), "0o".repeat(32), "4@8({[<3691!|70$5+%2".repeat(6)] {
        let new = app.new_user().await;
        let body: Value = json!(text);
        let response = app.register(&new.with("password", body)).await;
        assert!([201, 400].contains(&response.status), "{text}: {response:?}");
    }
}
