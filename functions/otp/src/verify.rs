//! `POST /auth/otp/verify`: count the try, compare, exchange.

use shared::{
    crypto::secret::{self, Token, base64url},
    http::problem::{Code as ProblemCode, Problem},
    otp::{self, self as table, Try, Verified, limits},
    runtime::metrics::Metric,
};

use crate::{app::App, handlers::VerifyBody, request::locked};

/// The token that a right code is exchanged for. Exactly one of any number of right codes that
/// come at once gets one.
pub(crate) async fn verify(app: &App, body: &VerifyBody) -> Result<Token, Problem> {
    let now = app.clock.now();
    let identifier = app.lookup_keys.digests(now).await?.identifier(&body.identifier);
    let nonce = base64url(&secret::random::<16>());
    let tried = table::count_try(&app.store, &identifier, body.purpose, &nonce, now).await?;
    let challenge = match tried {
        Try::Counted(challenge) => challenge,
        Try::NoChallenge => return Err(invalid_otp()),
        Try::Locked(until) => return Err(locked(until.as_second() - now.as_second())),
    };
    let key = app.code_keys.at(challenge.key_slot, now).await?.ok_or_else(invalid_otp)?;
    if !challenge.matches_code(&key, &identifier, body.purpose, &body.otp) {
        return Err(invalid_otp());
    }
    let token = Token::new(secret::random());
    let expires_at = shared::runtime::clock::after(now, otp::TOKEN_SECONDS);
    let verified = Verified { identifier, purpose: body.purpose, expires_at };
    let (exchanged, released) = tokio::join!(
        table::exchange(&app.store, &challenge, &token, &verified),
        limits::release_source(&app.store, &challenge),
    );
    if let Err(problem) = released {
        tracing::warn!(cause = problem.cause_chain(), "a source did not get its place back");
    }
    match exchanged {
        Ok(true) => {}
        Ok(false) => return Err(invalid_otp()),
        // Only its answers may have been lost.
        Err(problem) => match app.store.read(table::token_key(&token).consistent()).await {
            Ok(Some(_)) => {}
            _ => return Err(problem),
        },
    }
    app.metrics.count_by_purpose(Metric::OtpVerified, body.purpose, now);
    Ok(token)
}

/// One answer for wrong, expired, used, of another purpose, or never sent.
fn invalid_otp() -> Problem {
    let detail = "The code is wrong or no longer valid. Ask for a new one.";
    Problem::field(ProblemCode::InvalidOtp, "otp", detail)
}
