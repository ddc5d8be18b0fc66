//! Presenting a credential again, and changing the password.

use std::sync::Arc;

use jiff::Timestamp;
use shared::{
    account::{self, Account, AccountStatus, PasswordHash},
    audit::{self, Action},
    crypto::{
        lookup::LookupDigests,
        secret::{self, Digest, base64url},
    },
    dynamodb::{Refusal, Transaction},
    http::{
        ClientIp,
        problem::{Code, Problem},
    },
    otp,
    runtime::config::LoginPolicy,
    session::{self, Session, access_token::Claims, authentication},
    sign_in::{
        attempts::{self, Counted},
        password::{self, Hasher, Match, Owner, Password, Weak},
    },
    value::{Identifier, Purpose, UserId, identifier::Kind},
};

use crate::{
    app::App,
    body::{ChangePassword, Reauthenticate, ResetPassword},
    login, refused,
    sign_in::{ATTEMPTS, pause},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Session,
    Token,
    Account,
    Other,
}

/// The caller's session with a new `auth_time`, after a right credential.
pub(crate) async fn reauthenticate(
    app: &App,
    claims: &Claims,
    body: Reauthenticate,
    source: ClientIp,
    now: Timestamp,
) -> Result<Session, Problem> {
    let digests = app.lookup_keys.digests(now).await?;
    let throttle = digests.account(claims.user_id);
    let token = body.verification_token.iter().flatten().next();
    let reads = (
        account::key(claims.user_id).consistent(),
        token.map(|token| otp::token_key(token).consistent()),
    );
    let counted = count(app, body.password.is_some(), &throttle, now);
    let (entered, counted) = tokio::join!(app.authenticator.authenticate(claims, reads), counted);
    let entered = entered.and_then(|(principal, (account, verified))| {
        Ok((principal, account.ok_or_else(authentication::session_ended)?, verified))
    });
    let ((principal, account, verified), _) = compared(app, entered, counted).await?;
    let matched = login::compare(body.password.clone(), account.password_hash.clone()).await?;
    let proven = verified.flatten().and_then(|verified| {
        let mut own = identifiers(&account, &digests);
        own.find(|(_, digest)| verified.proves(digest, Purpose::Login, now))
    });
    let presented = body.verification_token.is_some();
    let policy = app.config.login.policy;
    if !login::suffices(policy, matched, presented, proven.is_some()) {
        return Err(login::invalid_credentials());
    }
    let session = Session { auth_time: now, ..principal.session().clone() };
    let mut all = Transaction::default();
    session::set_auth_time(&mut all, Write::Session, &session);
    if let (Some(token), Some((identifier, digest))) = (token, &proven) {
        otp::consume(&mut all, Write::Token, token, digest, Purpose::Login, now);
        account::must_have_verified(&mut all, Write::Account, account.user_id, identifier);
    }
    let action = Action::Reauthenticated;
    audit::add_own(&mut all, Write::Other, account.user_id, action, source, now)?;
    let proven = body.password.is_some().then_some(throttle);
    let clear = clear(app, proven.as_slice());
    let (committed, ()) = tokio::join!(app.store.commit(all), clear);
    match committed? {
        Ok(()) => Ok(session),
        Err(refusals) if refusals.iter().any(|refusal| refusal.label == Write::Session) => {
            Err(authentication::session_ended())
        }
        Err(_) => Err(login::invalid_credentials()),
    }
}

/// The identifiers that the account has verified, each with its digest.
fn identifiers<'a>(
    account: &'a Account,
    digests: &'a LookupDigests,
) -> impl Iterator<Item = (Identifier, Digest)> + 'a {
    let both = [Kind::Phone, Kind::Email].map(|kind| account.verified_of_kind(kind));
    both.into_iter().flatten().map(|identifier| {
        let digest = digests.identifier(&identifier);
        (identifier, digest)
    })
}

/// Counts a password before it is compared.
async fn count(
    app: &App,
    has_password: bool,
    throttle: &Digest,
    now: Timestamp,
) -> Result<Option<Counted>, Problem> {
    if !has_password {
        return Ok(None);
    }
    let nonce = base64url(&secret::random::<16>());
    let counted = attempts::count_attempt(&app.store, throttle, &nonce, now).await?;
    counted.map(Some).map_err(|seconds| {
        Problem::rate_limited(Code::TooManyRequests, seconds, "Too many attempts. Wait.")
    })
}

/// What was read beside the count. Where that refuses the request, no password is compared and none
/// counts: somebody whose session has ended cannot lock the others.
async fn compared<T>(
    app: &App,
    read: Result<T, Problem>,
    counted: Result<Option<Counted>, Problem>,
) -> Result<(T, Option<Counted>), Problem> {
    match read {
        Ok(read) => Ok((read, counted?)),
        Err(problem) => {
            give_back(app, counted.ok().flatten().as_ref()).await;
            Err(problem)
        }
    }
}

/// Gives an attempt back whose password was right, or was not compared. What fails here only slows
/// somebody down later.
pub(crate) async fn give_back(app: &App, counted: Option<&Counted>) {
    if let Some(counted) = counted
        && let Err(problem) = attempts::give_back(&app.store, counted).await
    {
        tracing::warn!(cause = problem.cause_chain(), "an attempt is still counted");
    }
}

/// Forgets the attempts of these. What fails here only slows somebody down later.
async fn clear(app: &App, throttles: &[Digest]) {
    if let Err(problem) = attempts::clear_attempts(&app.store, throttles).await {
        tracing::warn!(cause = problem.cause_chain(), "attempts were not cleared");
    }
}

/// Sets a new password for the one who knows the old, and ends all other sessions.
pub(crate) async fn change_password(
    app: &App,
    claims: &Claims,
    body: ChangePassword,
    source: ClientIp,
    now: Timestamp,
) -> Result<(), Problem> {
    let throttle = app.lookup_keys.digests(now).await?.account(claims.user_id);
    let (seen, counted) = tokio::join!(own(app, claims), count(app, true, &throttle, now));
    let ((account, sessions), counted) = compared(app, seen, counted).await?;
    let matched = login::compare(Some(body.old_password), account.password_hash.clone()).await?;
    if matched == Some(Match::Wrong) {
        return Err(login::invalid_credentials());
    }
    let hash = match choose(app, body.new_password, owner_of(&account), "new_password").await {
        Ok(hash) => hash,
        // The old password was right: that counts nothing, whatever the new one is.
        Err(problem) => {
            give_back(app, counted.as_ref()).await;
            return Err(problem);
        }
    };
    let throttles = [throttle];
    let changed = set_own(app, claims, (account, sessions), &hash, source, now);
    let (changed, ()) = tokio::join!(changed, clear(app, &throttles));
    changed
}

/// The caller's account, and all their sessions beside it.
async fn own(app: &App, claims: &Claims) -> Result<(Account, Vec<Session>), Problem> {
    let account = app.authenticator.authenticate(claims, account::key(claims.user_id).consistent());
    let sessions = session::list(&app.store, claims.user_id, true);
    let (entered, sessions) = tokio::join!(account, sessions);
    let (_, account) = entered?;
    Ok((account.ok_or_else(authentication::session_ended)?, sessions?))
}

/// One transaction sets the password and ends all sessions but the caller's own. Whoever signs in
/// meanwhile overtakes it, and it is made anew.
async fn set_own(
    app: &App,
    claims: &Claims,
    seen: (Account, Vec<Session>),
    hash: &PasswordHash,
    source: ClientIp,
    now: Timestamp,
) -> Result<(), Problem> {
    let (epoch, (mut account, mut sessions)) = (seen.0.epoch, seen);
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            pause(attempt).await;
            (account, sessions) = own(app, claims).await?;
        }
        if account.epoch != epoch {
            // The old password may be another by now.
            return Err(Problem::unavailable("the account changed with its password"));
        }
        sessions.retain(|session| session.session_id != claims.session_id);
        let mut all = Transaction::default();
        account::set_password(&mut all, Write::Account, &account, hash, None);
        let kept = Some(claims.session_id);
        session::remove_all(&mut all, Write::Other, &account, &sessions, kept, now);
        let action = Action::PasswordChanged;
        audit::add_own(&mut all, Write::Other, account.user_id, action, source, now)?;
        if commit(app, all, account.user_id, hash).await?.is_ok() {
            session::release_devices(&app.store, &sessions).await;
            return Ok(());
        }
    }
    Err(Problem::unavailable("too many signed in to one account at once"))
}

/// Commits the setting of a password. If no answer comes, the account tells whether it was set: no
/// two hashes are alike.
async fn commit(
    app: &App,
    all: Transaction<Write>,
    user_id: UserId,
    PasswordHash(hash): &PasswordHash,
) -> Result<Result<(), Vec<Refusal<Write>>>, Problem> {
    let problem = match app.store.commit(all).await {
        Ok(committed) => return Ok(committed),
        Err(problem) => problem,
    };
    let account = app.store.read(account::key(user_id).consistent()).await;
    let stored = account.ok().flatten().and_then(|account| account.password_hash);
    match stored.is_some_and(|PasswordHash(stored)| stored == *hash) {
        true => Ok(Ok(())),
        false => Err(problem),
    }
}

/// What a guesser may know of the holder of an account.
fn owner_of(account: &Account) -> Owner {
    Owner {
        username: account.username.clone(),
        email: account.email.clone(),
        phone: account.phone_number.clone(),
    }
}

/// The hash of a new password that is good enough. A weak one is refused in `field`.
pub(crate) async fn choose(
    app: &App,
    password: Password,
    owner: Owner,
    field: &'static str,
) -> Result<PasswordHash, Problem> {
    let config = Arc::clone(&app.config);
    let accepted = tokio::task::spawn_blocking(move || {
        password::accept(password, &owner, &config.login.password_words)
    });
    let accepted = accepted.await.map_err(Problem::internal)?;
    let accepted =
        accepted.map_err(|Weak(advice)| Problem::field(Code::WeakPassword, field, advice))?;
    Hasher::of_process().hash_new(accepted, secret::random()).await.map_err(Problem::internal)
}

/// Hashes a password that was right with the current parameters.
pub(crate) async fn hash_again(password: Password) -> Result<PasswordHash, Problem> {
    Hasher::of_process().hash(password, secret::random()).await.map_err(Problem::internal)
}

/// Sets a new password for the one who proves an identifier, and ends all sessions: one transaction,
/// made anew when somebody signs in meanwhile.
pub(crate) async fn reset_password(
    app: &App,
    body: ResetPassword,
    source: ClientIp,
    now: Timestamp,
) -> Result<(), Problem> {
    let token = body.verification_token.as_ref().ok_or_else(invalid_token)?;
    let digests = app.lookup_keys.digests(now).await?;
    let identifier = digests.identifier(&body.identifier);
    let reads = (
        otp::token_key(token).consistent(),
        account::identifier_claim_key(&body.identifier).consistent(),
    );
    let (verified, claim) = app.store.read(reads).await?;
    let purpose = Purpose::ResetPassword;
    let proven = verified.is_some_and(|verified| verified.proves(&identifier, purpose, now));
    let claim = claim.filter(|_| proven).ok_or_else(invalid_token)?;
    let mut chosen = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            pause(attempt).await;
        }
        let (account, sessions) = owner(app, claim.user_id, &body.identifier).await?;
        if let Err(refusal) = allowed(app.config.login.policy, &account) {
            return Err(refused::audited(app, account.user_id, refusal, source, now).await);
        }
        let hash = match &mut chosen {
            Some(hash) => &*hash,
            none => {
                let new = body.new_password.clone();
                none.insert(choose(app, new, owner_of(&account), "new_password").await?)
            }
        };
        let mut all = Transaction::default();
        otp::consume(&mut all, Write::Token, token, &identifier, purpose, now);
        let presented = Some(&body.identifier);
        account::set_password(&mut all, Write::Account, &account, hash, presented);
        session::remove_all(&mut all, Write::Other, &account, &sessions, None, now);
        let action = Action::PasswordReset;
        audit::add_own(&mut all, Write::Other, account.user_id, action, source, now)?;
        // The attempts on the old password say nothing of the new one. They are forgotten beside the
        // transaction, which saves a round trip; the identifier is proven either way.
        let throttles = throttles(&digests, &account, source);
        let (committed, ()) = tokio::join!(
            commit(app, all, account.user_id, hash),
            clear(app, if attempt == 0 { &throttles } else { &[] }),
        );
        let Err(refusals) = committed? else {
            session::release_devices(&app.store, &sessions).await;
            return Ok(());
        };
        if refusals.iter().any(|refusal| refusal.label == Write::Token) {
            return Err(invalid_token());
        }
    }
    Err(Problem::unavailable("too many signed in to one account at once"))
}

/// What wrong passwords of an account are counted by: each verified identifier, alone and together
/// with this source, and the account itself.
fn throttles(digests: &LookupDigests, account: &Account, source: ClientIp) -> Vec<Digest> {
    let source = digests.source(source);
    let by_identifier = identifiers(account, digests)
        .flat_map(|(_, identifier)| [identifier, digests.pair(&identifier, &source)]);
    by_identifier.chain([digests.account(account.user_id)]).collect()
}

/// The account whose verified identifier it is now, and all its sessions beside it. The claim may
/// be that of a moment ago.
async fn owner(
    app: &App,
    user_id: UserId,
    identifier: &Identifier,
) -> Result<(Account, Vec<Session>), Problem> {
    let account = app.store.read(account::key(user_id).consistent());
    let sessions = session::list(&app.store, user_id, true);
    let (account, sessions) = tokio::join!(account, sessions);
    let account = account?.filter(|account| account.has_verified(identifier));
    Ok((account.ok_or_else(invalid_token)?, sessions?))
}

/// Whether the account may have its password reset by one identifier.
fn allowed(policy: LoginPolicy, account: &Account) -> Result<(), Problem> {
    if account.status != AccountStatus::Active {
        return Err(login::not_active());
    }
    let has_second = account.phone_verified && account.email_verified;
    match policy == LoginPolicy::Both && !has_second {
        true => Err(Problem::new(
            Code::SecondIdentifierRequired,
            "Ask for help: a reset needs a second verified identifier.",
        )),
        false => Ok(()),
    }
}

fn invalid_token() -> Problem {
    let detail = "Verify the phone number or e-mail address again.";
    Problem::field(Code::InvalidVerificationToken, "verification_token", detail)
}
