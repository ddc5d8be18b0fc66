//! The operations as the OpenAPI document shows them.

use http::{Method, StatusCode};
use shared::{openapi::OperationDoc, problem::Code, view::User};
use utoipa::ToSchema;

use crate::{
    body,
    handlers::{Refreshed, SignedIn},
};

/// A new account.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Registration {
    /// Unique without case.
    #[schema(
        min_length = 3,
        max_length = 150,
        pattern = "^[A-Za-z0-9._-]+$",
        example = "sita.rai"
    )]
    username: String,
    /// Any characters; not one that is common or guessed from the other fields.
    #[schema(min_length = 8, max_length = 128, format = Password, example = "orange lamp tuesday")]
    password: String,
    /// A `REGISTER` token for the phone number or the e-mail address.
    #[schema(
        min_length = 1,
        max_length = 512,
        example = "Zk3rT0m1V2x4c5B6n7M8a9S0d1F2g3H4j5K6l7Q8w9E"
    )]
    verification_token: String,
    /// Without the token's proof it is kept unverified, and cannot be signed in with.
    #[schema(max_length = 254, format = Email, example = "sita@example.com")]
    email: Option<String>,
    /// As people write it; without the token's proof it is kept unverified.
    #[schema(max_length = 32, example = "9841234567")]
    phone_number: Option<String>,
    /// The code of the person who invited.
    #[schema(min_length = 1, max_length = 512, example = "7XK2M9QD")]
    referral_code: Option<String>,
}

/// A sign-in. The deployment's policy says which of the two credentials it takes, or both.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct SignIn {
    /// A verified phone number or e-mail address.
    #[schema(max_length = 254, example = "9841234567")]
    identifier: String,
    #[schema(max_length = 128, format = Password, example = "orange lamp tuesday")]
    password: Option<String>,
    /// A `LOGIN` token for the identifier.
    #[schema(
        min_length = 1,
        max_length = 512,
        example = "Zk3rT0m1V2x4c5B6n7M8a9S0d1F2g3H4j5K6l7Q8w9E"
    )]
    verification_token: Option<String>,
}

/// Which session ends.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct SignOut {
    /// The refresh token of the session.
    #[schema(min_length = 1, max_length = 512, example = "AZmPblwbfTSaRA9PLxyLEQAAAAM")]
    refresh_token: Option<String>,
    /// Every session of the user instead.
    #[schema(example = true)]
    all: Option<bool>,
}

/// The refresh token of a session.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Refresh {
    #[schema(min_length = 1, max_length = 512, example = "AZmPblwbfTSaRA9PLxyLEQAAAAM")]
    refresh_token: Option<String>,
    /// The same under the name that SimpleJWT clients send; read when `refresh_token` is not there.
    #[schema(min_length = 1, max_length = 512, example = "AZmPblwbfTSaRA9PLxyLEQAAAAM")]
    refresh: Option<String>,
}

/// It is done.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Done {
    /// A sentence for a person.
    message: String,
}

/// A JWK set (RFC 7517).
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct KeySet {
    #[schema(inline)]
    keys: Vec<PublicKey>,
}

/// An Ed25519 key (RFC 8037).
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct PublicKey {
    #[schema(pattern = "^OKP$")]
    kty: String,
    #[schema(pattern = "^Ed25519$")]
    crv: String,
    #[schema(pattern = "^sig$")]
    r#use: String,
    #[schema(pattern = "^EdDSA$")]
    alg: String,
    /// As in the header of the tokens that it signs.
    kid: String,
    /// The key's 32 bytes, base64url.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    x: String,
}

/// The function runs.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Health {
    #[schema(pattern = "^ok$")]
    status: String,
}

/// The operations of this function.
pub fn operations() -> Vec<OperationDoc> {
    vec![register(), login(), logout(), refresh(), me(), jwks(), health()]
}

fn register() -> OperationDoc {
    OperationDoc::new(Method::POST, "/auth/register", "register", "Make an account")
        .description(
            "Makes an account with its profile and wallet, and signs in. The identifier that the \
             token proves is verified. `already_exists` names the fields that another account has.",
        )
        .body::<Registration, body::Register>()
        .at_least_one_of(&["phone_number", "email"])
        .answers::<SignedIn>(StatusCode::CREATED, "The account was made.")
        .problems(&[Code::AlreadyExists, Code::WeakPassword])
        .problems(&[Code::InvalidReferralCode, Code::InvalidVerificationToken])
}

fn login() -> OperationDoc {
    OperationDoc::new(Method::POST, "/auth/login", "login", "Sign in")
        .description(
            "`invalid_credentials` is the one answer for a wrong credential and for an identifier \
             that nobody has.",
        )
        .body::<SignIn, body::Login>()
        .at_least_one_of(&["password", "verification_token"])
        .answers::<SignedIn>(StatusCode::OK, "Signed in.")
        .problems(&[Code::InvalidCredentials, Code::AccountNotActive, Code::TooManyRequests])
}

fn logout() -> OperationDoc {
    OperationDoc::new(Method::POST, "/auth/logout", "logout", "Sign out")
        .description("Ends a session of one's own, or all of them, with every token, at once.")
        .body::<SignOut, body::Logout>()
        .at_least_one_of(&["refresh_token", "all"])
        .answers::<Done>(StatusCode::OK, "Signed out.")
        .problem_as(StatusCode::BAD_REQUEST, Code::InvalidRefreshToken)
}

fn refresh() -> OperationDoc {
    OperationDoc::new(Method::POST, "/auth/refresh", "refresh", "Refresh the tokens")
        .description(
            "Takes the session one step further. The previous token may be sent again, after a \
             lost answer, for as long as its successor has not been used: it answers the same \
             successor. A token two or more steps old ends the session (`refresh_token_reused`). \
             With an `Idempotency-Key` the step belongs to that key: the previous token with \
             another key, or none, ends the session too.",
        )
        .body::<Refresh, body::Refresh>()
        .at_least_one_of(&["refresh_token", "refresh"])
        .idempotency_key()
        .answers::<Refreshed>(StatusCode::OK, "The session's tokens.")
        .problems(&[Code::InvalidRefreshToken, Code::RefreshTokenReused])
}

fn me() -> OperationDoc {
    OperationDoc::new(Method::GET, "/auth/me", "getMe", "Read one's own account")
        .answers::<User<'static>>(StatusCode::OK, "The account.")
}

fn jwks() -> OperationDoc {
    let path = "/.well-known/jwks.json";
    OperationDoc::new(Method::GET, path, "getKeys", "Read the keys that access tokens verify with")
        .answers::<KeySet>(StatusCode::OK, "The keys, those of the near future included.")
        .answer_header("Cache-Control", "For how long the keys may be kept.")
        .from_memory()
}

fn health() -> OperationDoc {
    OperationDoc::new(Method::GET, "/health", "getHealth", "Ask whether the service runs")
        .answers::<Health>(StatusCode::OK, "It runs.")
        .from_memory()
}
