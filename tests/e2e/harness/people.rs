//! Random identifiers, and the users who have them.

use serde_json::{Value, json};
use shared::crypto::secret::random;

use super::{App, PASSWORD, Response};

/// A random mobile number of Nepal, in E.164.
pub fn random_phone() -> String {
    let number = u32::from_be_bytes(random()) % 30_000_000;
    format!("+97798{}{:07}", 4 + number / 10_000_000, number % 10_000_000)
}

/// A random e-mail address.
pub fn random_email() -> String {
    format!("{}@example.com", random_username())
}

/// A random username.
pub fn random_username() -> String {
    format!("user-{:016x}", u64::from_be_bytes(random()))
}

/// A random IPv4 address.
pub fn random_ip() -> String {
    let [a, b, c] = random();
    format!("10.{a}.{b}.{c}")
}

/// A registered user with a session.
#[derive(Debug, Clone)]
pub struct User {
    pub user_id: String,
    pub username: String,
    pub phone: String,
    pub access_token: String,
    pub refresh_token: String,
}

/// A registration that has not been sent.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub phone: String,
    pub client_ip: String,
    pub body: Value,
}

impl NewUser {
    /// The same with this field.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.body[name] = value.into();
        self
    }
}

impl App {
    /// `POST /auth/otp/request` from a random client IP.
    pub async fn request_otp(&self, identifier: &str, purpose: &str) -> Response {
        self.request_otp_from(&random_ip(), identifier, purpose).await
    }

    /// `POST /auth/otp/request` from this client IP.
    pub async fn request_otp_from(
        &self,
        client_ip: &str,
        identifier: &str,
        purpose: &str,
    ) -> Response {
        let body = json!({"identifier": identifier, "purpose": purpose});
        self.post("/auth/otp/request", &body).with_client_ip(client_ip).send().await
    }

    /// `POST /auth/otp/verify`.
    pub async fn verify(&self, identifier: &str, otp: &str, purpose: &str) -> Response {
        let body = json!({"identifier": identifier, "otp": otp, "purpose": purpose});
        self.post("/auth/otp/verify", &body).send().await
    }

    /// Requests a code, exchanges it, and returns the verification token.
    pub async fn verification_token(&self, identifier: &str, purpose: &str) -> String {
        self.request_otp(identifier, purpose).await.ok();
        let code = self.code_for(identifier).await;
        let response = self.verify(identifier, &code, purpose).await;
        response.ok();
        response.text("verification_token").to_owned()
    }

    /// A registration with a random, verified number.
    pub async fn new_user(&self) -> NewUser {
        let phone = random_phone();
        let token = self.verification_token(&phone, "REGISTER").await;
        let body = json!({
            "username": random_username(),
            "password": PASSWORD,
            "phone_number": phone,
            "verification_token": token,
        });
        NewUser { phone, client_ip: random_ip(), body }
    }

    /// `POST /auth/register`.
    pub async fn register(&self, user: &NewUser) -> Response {
        self.post("/auth/register", &user.body).with_client_ip(&user.client_ip).send().await
    }

    /// A new registered user.
    pub async fn register_user(&self) -> User {
        let new = self.new_user().await;
        let response = self.register(&new).await;
        response.body(201);
        User {
            user_id: response.text("user_id").to_owned(),
            username: new.body["username"].as_str().unwrap().to_owned(),
            phone: new.phone,
            access_token: response.text("access_token").to_owned(),
            refresh_token: response.text("refresh_token").to_owned(),
        }
    }

    /// `POST /auth/login` with a password, from a random client IP.
    pub async fn login(&self, identifier: &str, password: &str) -> Response {
        self.login_with(&json!({"identifier": identifier, "password": password})).await
    }

    /// `POST /auth/login` from a random client IP.
    pub async fn login_with(&self, body: &Value) -> Response {
        self.post("/auth/login", body).with_client_ip(&random_ip()).send().await
    }

    /// The same user with a new session, because the access token has expired.
    pub async fn sign_in_again(&self, user: &User) -> User {
        let response = self.login(&user.phone, PASSWORD).await;
        User { access_token: response.text("access_token").to_owned(), ..user.clone() }
    }

    /// `GET /auth/me`.
    pub async fn me(&self, access_token: &str) -> Response {
        self.get("/auth/me").bearer(access_token).send().await
    }

    /// `POST /auth/refresh`.
    pub async fn refresh(&self, refresh_token: &str) -> Response {
        self.post("/auth/refresh", &json!({ "refresh_token": refresh_token })).send().await
    }

    /// `POST /auth/refresh` with an `Idempotency-Key`.
    pub async fn refresh_with_key(&self, refresh_token: &str, key: &str) -> Response {
        let body = json!({ "refresh_token": refresh_token });
        self.post("/auth/refresh", &body).key(key).send().await
    }

    /// `POST /auth/logout`.
    pub async fn logout(&self, access_token: &str, body: &Value) -> Response {
        self.post("/auth/logout", body).bearer(access_token).send().await
    }
}
