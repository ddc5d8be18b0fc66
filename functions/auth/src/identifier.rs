//! `POST /auth/identifier`: adding or changing the phone number or the e-mail address.

use jiff::Timestamp;
use shared::{
    account,
    audit::{self, Action},
    dynamodb::{Refusal, Transaction},
    http::{
        ClientIp,
        problem::{Code, Problem},
    },
    message::notify::{Message, Outcome, Share},
    otp,
    session::{access_token::Claims, authentication},
    value::{Identifier, Purpose, UserId},
};

use crate::{app::App, body::ChangeIdentifier};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Token,
    Claim,
    Account,
    Other,
}

/// Makes the identifier that the token proves the account's own, in place of the one of its kind,
/// and tells that one. An identifier that is the account's own already is answered the same: the
/// first answer may have been lost. Whatever was cut off before it told is made up for first.
pub(crate) async fn change(
    app: &App,
    claims: &Claims,
    body: ChangeIdentifier,
    source: ClientIp,
    now: Timestamp,
) -> Result<(), Problem> {
    let ChangeIdentifier { identifier, verification_token: token } = body;
    let reads = (
        account::key(claims.user_id).consistent(),
        account::identifier_claim_key(&identifier).consistent(),
        token.as_ref().map(|token| otp::token_key(token).consistent()),
    );
    let (_, (account, claim, verified)) = app.authenticator.authenticate(claims, reads).await?;
    authentication::require_recent_sign_in(claims, now)?;
    let account = account.ok_or_else(authentication::session_ended)?;
    if let Some(untold) = &account.pending_notice {
        make_up(app, account.user_id, untold, now).await?;
    }
    if claim.as_ref().is_some_and(|claim| claim.user_id == claims.user_id) {
        return Ok(());
    }
    let digest = app.lookup_keys.digests(now).await?.identifier(&identifier);
    let purpose = Purpose::ChangeIdentifier;
    let proven = verified.flatten().is_some_and(|verified| verified.proves(&digest, purpose, now));
    let token = token.filter(|_| proven).ok_or_else(invalid_token)?;
    if claim.is_some() {
        return Err(already_exists());
    }
    let old = account.verified_of_kind(identifier.kind());
    let mut all = Transaction::default();
    otp::consume(&mut all, Write::Token, &token, &digest, purpose, now);
    let claim = account::identifier_claim_key(&identifier);
    account::claim_name(&mut all, Write::Claim, claim, account.user_id)?;
    if let Some(old) = &old {
        account::release_identifier(&mut all, Write::Other, old, account.user_id);
    }
    account::set_identifier(&mut all, Write::Account, &account, &identifier);
    let action = Action::IdentifierChanged;
    audit::add_own(&mut all, Write::Other, account.user_id, action, source, now)?;
    match app.store.commit(all).await {
        Ok(Ok(())) => {}
        Ok(Err(refusals)) => return Err(classify_refusal(&refusals)),
        Err(problem) => {
            if !is_own(app, account.user_id, &identifier).await {
                return Err(problem);
            }
        }
    }
    // The change stands whether or not it can be told; until it is, the account says so.
    if let Some(old) = &old
        && let Err(problem) = tell(app, account.user_id, old, now).await
    {
        let (user_id, cause) = (account.user_id, problem.cause_chain());
        tracing::warn!(%user_id, cause, "a changed identifier is still to be told");
    }
    Ok(())
}

/// Tells an identifier that was replaced by a request that was cut off. Where that was tried too often,
/// it is given up.
async fn make_up(
    app: &App,
    user_id: UserId,
    untold: &Identifier,
    now: Timestamp,
) -> Result<(), Problem> {
    if account::take_notice_attempt(&app.store, user_id, untold).await? {
        return tell(app, user_id, untold, now).await;
    }
    tracing::warn!(%user_id, "a changed identifier is given up telling");
    account::remove_pending_notice(&app.store, user_id, untold).await
}

/// What stood against a change.
fn classify_refusal(refusals: &[Refusal<Write>]) -> Problem {
    let refused = |label| refusals.iter().any(|refusal| refusal.label == label);
    let is_gone = |refusal: &Refusal<_>| refusal.label == Write::Account && refusal.item.is_none();
    match () {
        () if refusals.iter().any(is_gone) => authentication::session_ended(),
        () if refused(Write::Token) => invalid_token(),
        () if refused(Write::Claim) => already_exists(),
        () => Problem::unavailable("the account changed with its identifier"),
    }
}

/// Whether the identifier is the account's own, for when the answer to a change was lost.
async fn is_own(app: &App, user_id: UserId, identifier: &Identifier) -> bool {
    let claim = app.store.read(account::identifier_claim_key(identifier).consistent()).await;
    claim.ok().flatten().is_some_and(|claim| claim.user_id == user_id)
}

/// Tells the identifier that was replaced, and notes that it was told, or that nothing can be sent.
async fn tell(app: &App, user_id: UserId, old: &Identifier, now: Timestamp) -> Result<(), Problem> {
    let text = &app.config.login.identifier_changed_message;
    let message = Message { to: old, text, share: Share::Whole, is_sent: true, at: now };
    match app.notifier.send(&message).await? {
        Outcome::Sent | Outcome::NotSent => {}
        Outcome::Refused(reason) => {
            tracing::warn!(%user_id, reason, "a changed identifier was not notified");
        }
        Outcome::CapReached { .. } | Outcome::Unsupported(_) => {
            tracing::warn!(%user_id, "a changed identifier was not notified");
        }
    }
    account::remove_pending_notice(&app.store, user_id, old).await
}

fn invalid_token() -> Problem {
    let detail = "Verify the phone number or e-mail address again.";
    Problem::field(Code::InvalidVerificationToken, "verification_token", detail)
}

fn already_exists() -> Problem {
    Problem::field(Code::AlreadyExists, "identifier", "Another account has this.")
}
