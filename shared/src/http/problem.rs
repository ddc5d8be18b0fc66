//! The one error type of every handler, answered as RFC 9457 problem details.
//!
//! A problem says what the client may know. What only the operator may know travels beside it as
//! a cause, which is logged once, where the answer leaves the function.

use std::{borrow::Cow, sync::Arc};

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::value::Invalid;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// A stable word for a program, with its status and title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $title] $name,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The `code` member.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The status it is answered with, unless an operation says otherwise.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    ValidationFailed = "validation_failed", BAD_REQUEST, "Some fields are not valid";
    InvalidJson = "invalid_json", BAD_REQUEST, "The body is not valid JSON";
    InvalidCursor = "invalid_cursor", BAD_REQUEST, "The cursor is not valid";
    UnknownParameter = "unknown_parameter", BAD_REQUEST, "The operation has no such parameter";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be application/json without an encoding";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    Forbidden = "forbidden", FORBIDDEN, "This is not allowed";
    ReauthenticationRequired = "reauthentication_required", FORBIDDEN, "A fresh sign-in is required";
    OwnAccount = "own_account", FORBIDDEN, "Another member of staff has to do this";
    NotFound = "not_found", NOT_FOUND, "There is nothing here";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    AuthenticationRequired = "authentication_required", UNAUTHORIZED, "An access token is required";
    InvalidAccessToken = "invalid_access_token", UNAUTHORIZED, "The access token is not valid";
    SessionEnded = "session_ended", UNAUTHORIZED, "The session has ended";
    InvalidRefreshToken = "invalid_refresh_token", UNAUTHORIZED, "The refresh token is not valid";
    RefreshTokenReused = "refresh_token_reused", UNAUTHORIZED, "The refresh token was used before";
    InvalidOtp = "invalid_otp", BAD_REQUEST, "The code is not valid";
    EmailNotEnabled = "email_not_enabled", BAD_REQUEST, "Codes are not sent by e-mail here";
    UnsupportedCountry = "unsupported_country", BAD_REQUEST, "Codes are not sent to this country";
    UnsupportedNumber = "unsupported_number", BAD_REQUEST, "Codes are sent to mobile numbers only";
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, "Too many requests";
    OtpLocked = "otp_locked", TOO_MANY_REQUESTS, "Too many wrong codes";
    SmsLimitReached = "sms_limit_reached", TOO_MANY_REQUESTS, "No more SMS can be sent now";
    DeliveryFailed = "delivery_failed", SERVICE_UNAVAILABLE, "The code could not be sent";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The idempotency key was used with another body";
    SecondIdentifierRequired = "second_identifier_required", BAD_REQUEST, "A second verified identifier is needed";
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, "It has changed in the meantime";
    AlreadyExists = "already_exists", BAD_REQUEST, "An account already has this";
    WeakPassword = "weak_password", BAD_REQUEST, "The password is too easy to guess";
    InvalidReferralCode = "invalid_referral_code", BAD_REQUEST, "The referral code is not valid";
    InvalidVerificationToken = "invalid_verification_token", BAD_REQUEST, "The verification token is not valid";
    InvalidCredentials = "invalid_credentials", BAD_REQUEST, "The credentials are not valid";
    AccountNotActive = "account_not_active", BAD_REQUEST, "The account is not active";
    InsufficientBalance = "insufficient_balance", BAD_REQUEST, "The balance is too low";
    DocumentInUse = "document_in_use", CONFLICT, "Another account has this document";
    DocumentMissing = "document_missing", BAD_REQUEST, "A file has not arrived";
    DocumentInvalid = "document_invalid", BAD_REQUEST, "A file is not what was promised";
    TooManyDocuments = "too_many_documents", CONFLICT, "Too many documents were handed in";
    NoSubmission = "no_submission", CONFLICT, "There is no submission for this";
    KycApproved = "kyc_approved", CONFLICT, "The identity is approved already";
    KycNotPending = "kyc_not_pending", CONFLICT, "The submission does not wait for a review";
    KycNotRejected = "kyc_not_rejected", CONFLICT, "The submission was not rejected";
    WalletNotEmpty = "wallet_not_empty", BAD_REQUEST, "There is money in the wallet";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Try again in a moment";
    Internal = "internal_error", INTERNAL_SERVER_ERROR, "Something went wrong on our side";
}

/// One field that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's name, dotted where it is nested.
    pub field: Cow<'static, str>,
    /// A stable word for a program.
    pub code: &'static str,
    /// A sentence for a person.
    pub detail: Cow<'static, str>,
}

impl FieldError {
    /// The refusal of the field `field`.
    pub fn new(field: &'static str, invalid: Invalid) -> Self {
        Self { field: field.into(), code: invalid.code, detail: invalid.detail.into() }
    }
}

/// A failure that has an answer. Boxed, since it is the rare half of most results.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<u64>,
    header: Option<(HeaderName, HeaderValue)>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    is_reported_after_authentication: bool,
}

impl Problem {
    /// A problem with the code's own status and `detail`, a sentence for a person.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            code,
            status: code.status(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
            header: None,
            cause: None,
            is_reported_after_authentication: false,
        }))
    }

    /// 400 that names every field that was refused.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        Self::fields(Code::ValidationFailed, errors)
    }

    /// 400 `code` about one field.
    pub fn field(code: Code, field: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        let error = FieldError { field: field.into(), code: code.as_str(), detail: detail.clone() };
        let mut problem = Self::new(code, detail);
        problem.0.errors.push(error);
        problem
    }

    /// 400 `code` about several fields.
    pub fn fields(code: Code, errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(code, "Correct the fields that are named in errors.");
        problem.0.errors = errors;
        problem
    }

    /// 400 for one value that does not parse.
    pub fn invalid(field: &'static str, invalid: Invalid) -> Self {
        Self::validation(vec![FieldError::new(field, invalid)])
    }

    /// 400 `already_exists`: another account has what these fields name. `None` for no fields.
    pub fn already_exists(fields: impl Iterator<Item = &'static str>) -> Option<Self> {
        let errors: Vec<_> = fields
            .map(|field| FieldError {
                field: field.into(),
                code: Code::AlreadyExists.as_str(),
                detail: "Another account has this.".into(),
            })
            .collect();
        (!errors.is_empty()).then(|| Self::fields(Code::AlreadyExists, errors))
    }

    /// 400: a cursor that was altered, or belongs to another query.
    pub fn invalid_cursor(invalid: Invalid) -> Self {
        Self::field(Code::InvalidCursor, "cursor", invalid.detail).report_after_authentication()
    }

    /// 429: not before `seconds` have passed.
    pub fn rate_limited(code: Code, seconds: i64, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code, detail).retry_after(seconds)
    }

    /// 503: a dependency did not answer as it should; the same request may be sent again.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            Code::Unavailable,
            "It is not known whether the request was carried out. Send it again.",
        )
        .retry_after(1)
        .with_cause(cause)
    }

    /// 500: a fault of this program.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "The fault has been logged.").with_cause(cause)
    }

    /// 405 with the methods that exist.
    pub fn method_not_allowed(allowed: &[&http::Method]) -> Self {
        let allowed: Vec<_> = allowed.iter().map(|method| method.as_str()).collect();
        let mut problem = Self::new(Code::MethodNotAllowed, "Use one of the methods in Allow.");
        let allowed = HeaderValue::from_str(&allowed.join(", ")).ok();
        problem.0.header = allowed.map(|allowed| (header::ALLOW, allowed));
        problem
    }

    /// 415 for a body in a content coding (RFC 9110, section 12.5.3).
    pub fn encoded_body() -> Self {
        let detail = "Send the body without Content-Encoding.";
        let mut problem = Self::new(Code::UnsupportedMediaType, detail);
        let identity = HeaderValue::from_static("identity");
        problem.0.header = Some((header::ACCEPT_ENCODING, identity));
        problem
    }

    /// The same problem with another status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// The same problem with `Retry-After`, at least one second.
    pub fn retry_after(mut self, seconds: i64) -> Self {
        self.0.retry_after_seconds = Some(seconds.max(1).unsigned_abs());
        self
    }

    /// The same problem, found before it was asked whether the caller may come in at all.
    pub fn report_after_authentication(mut self) -> Self {
        self.0.is_reported_after_authentication = true;
        self
    }

    /// Whether it was found before it was asked whether the caller may come in.
    pub fn is_reported_after_authentication(&self) -> bool {
        self.0.is_reported_after_authentication
    }

    /// The same problem with what the operator should read in the log. It never reaches a client
    /// and must hold no secret and no personal data.
    pub fn with_cause(
        mut self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The fields that it names.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The cause and its own causes, for the log.
    pub fn cause_chain(&self) -> Option<String> {
        let mut text = self.0.cause.as_ref()?.to_string();
        let mut source = self.0.cause.as_ref()?.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        Some(text)
    }

    /// RFC 6750, section 3: only a request that presented an access token gets an error code.
    fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self.0.code {
            Code::InvalidAccessToken | Code::SessionEnded => "Bearer error=\"invalid_token\"",
            _ => "Bearer",
        })
    }

    /// The whole answer, with the request's id in it.
    pub fn render(&self, request_id: &str) -> Response {
        #[derive(Serialize)]
        struct Details<'a> {
            r#type: String,
            title: &'static str,
            status: u16,
            detail: &'a str,
            code: &'static str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after: Option<u64>,
        }
        let details = Details {
            r#type: format!("/problems/{}", self.0.code.as_str()),
            title: self.0.code.title(),
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            code: self.0.code.as_str(),
            request_id,
            errors: &self.0.errors,
            retry_after: self.0.retry_after_seconds,
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some((name, value)) = &self.0.header {
            headers.insert(name, value.clone());
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, self.challenge());
        }
        response
    }
}

/// Carries the problem to the layer that knows the request's id and writes the answer.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_snake_case_words() {
        let words: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for word in words {
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
        }
    }

    #[tokio::test]
    async fn a_cause_never_reaches_the_client() {
        let problem = Problem::internal("table local-users is gone");
        assert_eq!(problem.cause_chain().as_deref(), Some("table local-users is gone"));
        let body = axum::body::to_bytes(problem.render("r-1").into_body(), 10_000).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(!text.contains("local-users"), "{text}");
        assert!(text.contains("\"request_id\":\"r-1\""), "{text}");
    }

    #[test]
    fn retry_after_is_said_in_header_and_body() {
        let response = Problem::rate_limited(Code::TooManyRequests, -3, "Wait.").render("r");
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
