//! The operations as the OpenAPI document shows them.

mod account;

use http::{Method, StatusCode};
use shared::{
    http::problem::Code, openapi::OperationDoc, session::device::DeviceType, user::view::User,
    value::SessionId,
};
use utoipa::ToSchema;

use crate::{
    body,
    device::{DeviceBody, DeviceView},
    handlers::{Refreshed, Renewed, SessionView, SignedIn},
};

/// A new account.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Registration {
    /// Unique without case. One that is reserved, or reads as a phone number other than the
    /// account's own, is refused.
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
    /// The code of the person who invited. Case, spaces and hyphens do not matter; `O` is also read
    /// as 0, `I` and `L` as 1.
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
    /// The same under the name that SimpleJWT clients send; read when `refresh_token` is not there.
    #[schema(min_length = 1, max_length = 512, example = "AZmPblwbfTSaRA9PLxyLEQAAAAM")]
    refresh: Option<String>,
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

/// A credential again.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Reauthentication {
    #[schema(max_length = 128, format = Password, example = "orange lamp tuesday")]
    password: Option<String>,
    /// A `LOGIN` token for a verified identifier of the account.
    #[schema(
        min_length = 1,
        max_length = 512,
        example = "Zk3rT0m1V2x4c5B6n7M8a9S0d1F2g3H4j5K6l7Q8w9E"
    )]
    verification_token: Option<String>,
}

/// A new password, by the old one.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct PasswordChange {
    #[schema(max_length = 128, format = Password, example = "orange lamp tuesday")]
    old_password: String,
    #[schema(min_length = 8, max_length = 128, format = Password, example = "a copper kettle sings")]
    new_password: String,
}

/// A new password, by a verified identifier.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct PasswordReset {
    /// A verified phone number or e-mail address.
    #[schema(max_length = 254, example = "9841234567")]
    identifier: String,
    /// A `RESET_PASSWORD` token for the identifier.
    #[schema(
        min_length = 1,
        max_length = 512,
        example = "Zk3rT0m1V2x4c5B6n7M8a9S0d1F2g3H4j5K6l7Q8w9E"
    )]
    verification_token: String,
    #[schema(min_length = 8, max_length = 128, format = Password, example = "a copper kettle sings")]
    new_password: String,
}

/// An identifier to have.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct IdentifierChange {
    /// A phone number or an e-mail address.
    #[schema(max_length = 254, example = "sita.new@example.com")]
    identifier: String,
    /// A `CHANGE_IDENTIFIER` token for it.
    #[schema(
        min_length = 1,
        max_length = 512,
        example = "Zk3rT0m1V2x4c5B6n7M8a9S0d1F2g3H4j5K6l7Q8w9E"
    )]
    verification_token: String,
}

/// A device that push messages go to.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Registering {
    /// The device's name among the user's own.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^/\\\\?#%]+$",
        example = "pixel-9-a1b2"
    )]
    device_id: String,
    /// The push token. It belongs to one user: registering it takes it over.
    #[schema(min_length = 1, max_length = 1024, example = "fcm:APA91bHun4MxP5egoKMwt2KZFBaFUH")]
    fcm_token: String,
    #[schema(inline, example = "ANDROID")]
    device_type: DeviceType,
    #[schema(min_length = 1, max_length = 100, example = "Sita's phone")]
    device_name: Option<String>,
    #[schema(min_length = 1, max_length = 100, example = "4.2.0")]
    app_version: Option<String>,
    #[schema(min_length = 1, max_length = 100, example = "17")]
    os_version: Option<String>,
    /// Whether it wants push messages; true when it is not said.
    #[schema(example = true)]
    is_active: Option<bool>,
}

/// Devices.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct DeviceList {
    results: Vec<DeviceView>,
    /// Null: there is one page.
    next_cursor: Option<String>,
}

/// Sessions.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct SessionList {
    results: Vec<SessionView>,
    /// Null: there is one page.
    next_cursor: Option<String>,
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
    let accounts = [register(), login(), logout(), refresh(), me(), jwks(), health()];
    let credentials = [reauthenticate(), change_password(), reset_password(), change_identifier()];
    let devices = [register_device(), devices(), unregister_device(), sessions(), end_session()];
    let data = [account::delete(), account::export()];
    accounts.into_iter().chain(credentials).chain(devices).chain(data).collect()
}

fn reauthenticate() -> OperationDoc {
    OperationDoc::new(Method::POST, "/auth/reauthenticate", "reauthenticate", "Prove it again")
        .description("A new access token of the same session, for what needs a fresh sign-in.")
        .body::<Reauthentication, body::Reauthenticate>()
        .at_least_one_of(&["password", "verification_token"])
        .answers::<Renewed>(StatusCode::OK, "Proven.")
        .problems(&[Code::InvalidCredentials, Code::TooManyRequests])
}

fn change_password() -> OperationDoc {
    let path = "/auth/password/change";
    OperationDoc::new(Method::POST, path, "changePassword", "Change one's password")
        .description("Ends all other sessions.")
        .body::<PasswordChange, body::ChangePassword>()
        .answers::<Done>(StatusCode::OK, "Changed.")
        .problems(&[Code::InvalidCredentials, Code::WeakPassword, Code::TooManyRequests])
}

fn reset_password() -> OperationDoc {
    let path = "/auth/password/reset";
    OperationDoc::new(Method::POST, path, "resetPassword", "Set a forgotten password anew")
        .description("Ends all sessions.")
        .body::<PasswordReset, body::ResetPassword>()
        .answers::<Done>(StatusCode::OK, "Set.")
        .problems(&[Code::InvalidVerificationToken, Code::WeakPassword])
        .problems(&[Code::AccountNotActive, Code::SecondIdentifierRequired])
}

fn change_identifier() -> OperationDoc {
    let path = "/auth/identifier";
    OperationDoc::new(Method::POST, path, "changeIdentifier", "Add or change an identifier")
        .description(
            "Takes the place of the account's phone number or e-mail address, which is told. Needs \
             a fresh sign-in.",
        )
        .body::<IdentifierChange, body::ChangeIdentifier>()
        .answers::<Done>(StatusCode::OK, "It is the account's own.")
        .problems(&[Code::InvalidVerificationToken, Code::AlreadyExists])
        .problems(&[Code::ReauthenticationRequired])
}

fn register_device() -> OperationDoc {
    OperationDoc::new(Method::POST, "/auth/device", "registerDevice", "Register a device")
        .description(
            "Registers the device, or registers it anew. A user has at most 20: one more pushes \
             out the least recently used. A session has one: another takes its place.",
        )
        .body::<Registering, DeviceBody>()
        .answers::<DeviceView>(StatusCode::OK, "The device.")
}

fn devices() -> OperationDoc {
    OperationDoc::new(Method::GET, "/auth/devices", "getDevices", "List one's devices")
        .answers::<DeviceList>(StatusCode::OK, "Those whose session lives, newest first.")
}

fn unregister_device() -> OperationDoc {
    let path = "/auth/devices/{device_id}";
    OperationDoc::new(Method::DELETE, path, "unregisterDevice", "Take a device off")
        .path_parameter::<String>("device_id", "The device's name among the user's own.")
        .answers::<Done>(StatusCode::OK, "Its push token is free.")
        .problems(&[Code::NotFound])
}

fn sessions() -> OperationDoc {
    OperationDoc::new(Method::GET, "/auth/sessions", "getSessions", "List one's sessions")
        .answers::<SessionList>(StatusCode::OK, "The living ones, newest first.")
}

fn end_session() -> OperationDoc {
    let path = "/auth/sessions/{session_id}";
    OperationDoc::new(Method::DELETE, path, "endSession", "End one of one's sessions")
        .path_parameter::<SessionId>("session_id", "The session.")
        .answers::<Done>(StatusCode::OK, "It has ended, with every token of it.")
        .problems(&[Code::NotFound])
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
        .at_least_one_of(&["refresh_token", "refresh", "all"])
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
}

fn health() -> OperationDoc {
    OperationDoc::new(Method::GET, "/health", "getHealth", "Ask whether the service runs")
        .answers::<Health>(StatusCode::OK, "It runs.")
        .from_memory()
}
