//! The operations as the OpenAPI document shows them.

use http::{Method, StatusCode};
use shared::{http::problem::Code, openapi::OperationDoc, value::Purpose};
use utoipa::ToSchema;

use crate::handlers::{RequestBody, Requested, Verified, VerifyBody};

/// Where a code goes, and what it is for.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct OtpRequest {
    /// A phone number, as people write it, or an e-mail address. A number without a country code
    /// belongs to the deployment's own country.
    #[schema(max_length = 254, example = "9841234567")]
    identifier: String,
    purpose: Purpose,
}

/// A code, with what it was asked for.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct OtpVerification {
    /// The identifier that the code was sent to.
    #[schema(max_length = 254, example = "9841234567")]
    identifier: String,
    /// The six digits, of any script; spaces and hyphens do not matter.
    #[schema(max_length = 32, example = "493027")]
    otp: String,
    purpose: Purpose,
}

/// The operations of this function.
pub fn operations() -> Vec<OperationDoc> {
    vec![
        OperationDoc::new(Method::POST, "/auth/otp/request", "requestOtp", "Ask for a code")
            .description(
                "Sends a six-digit code by SMS or e-mail. The answer is the same whether or not \
                 the identifier has an account; `LOGIN` and `RESET_PASSWORD` send nothing to \
                 nobody. A new code replaces the one before it. Sending again with the same \
                 `Idempotency-Key` never sends a second message.",
            )
            .body::<OtpRequest, RequestBody>()
            .answers::<Requested>(StatusCode::OK, "If the code can be sent, it is on its way.")
            .replayable()
            .problems(&[Code::EmailNotEnabled, Code::UnsupportedCountry, Code::UnsupportedNumber])
            .problems(&[Code::TooManyRequests, Code::OtpLocked, Code::SmsLimitReached])
            .problems(&[Code::DeliveryFailed]),
        OperationDoc::new(Method::POST, "/auth/otp/verify", "verifyOtp", "Exchange a code")
            .description(
                "Exchanges a code for a verification token. `invalid_otp` is the one answer for a \
                 code that is wrong, expired, used, of another purpose, or was never sent. Five \
                 wrong tries burn a code.",
            )
            .body::<OtpVerification, VerifyBody>()
            .answers::<Verified>(StatusCode::OK, "The code was right.")
            .problems(&[Code::InvalidOtp, Code::OtpLocked]),
    ]
}
