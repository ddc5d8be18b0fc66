//! `POST /auth/login`.
//!
//! Three round trips, the same for an identifier that nobody has: the attempt is counted against
//! its source beside the look for the identifier's claim, and against the identifier beside the
//! reading of the account and its sessions; one transaction signs in. The password is compared
//! between the last two, with somebody's hash or nobody's. A wrong verification token is counted and
//! refused after the first.
//!
//! A wrong credential stays counted. A sign-in clears the counts of the credentials that took part in
//! it; what is refused after a right credential is given back.

use jiff::Timestamp;
use shared::{
    account::{self, Account, AccountStatus, PasswordHash},
    crypto::secret::{self, Digest, Token, base64url},
    http::{
        ClientIp,
        problem::{Code, Problem},
    },
    otp,
    runtime::config::LoginPolicy,
    session::{self, Session},
    sign_in::{
        attempts::{self, Counted},
        password::{Hasher, Match, Password},
    },
    value::{Identifier, Purpose, UserId},
};

use crate::{
    app::App,
    body::Login,
    credential, refused,
    sign_in::{Admitted, sign_in},
};

/// What was presented, and what it is counted against.
pub(crate) struct Attempt {
    pub(crate) presented: Identifier,
    /// Stands for the identifier.
    pub(crate) identifier: Digest,
    source: Digest,
    /// Stands for identifier and source together.
    pair: Digest,
    password: Option<Password>,
    /// The outer layer says whether one was presented, the inner whether it can be one.
    pub(crate) token: Option<Option<Token>>,
}

/// What the first round trip found.
struct LoginState {
    user_id: Option<UserId>,
    source_is_known: bool,
    token_is_right: bool,
}

impl Attempt {
    /// Whether a password is all that is presented. Beside a verification token, which cannot be
    /// guessed, it is counted by its identifier only.
    fn is_password_alone(&self) -> bool {
        self.password.is_some() && self.token.is_none()
    }

    /// The token, if it can be one.
    fn readable_token(&self) -> Option<&Token> {
        self.token.iter().flatten().next()
    }
}

pub(crate) async fn login(
    app: &App,
    body: Login,
    source: ClientIp,
    now: Timestamp,
) -> Result<Session, Problem> {
    let digests = app.lookup_keys.digests(now).await?;
    let (identifier, source_digest) =
        (digests.identifier(&body.identifier), digests.source(source));
    let attempt = Attempt {
        presented: body.identifier,
        pair: digests.pair(&identifier, &source_digest),
        identifier,
        source: source_digest,
        password: body.password,
        token: body.verification_token,
    };
    let found = look(app, &attempt, now).await?;
    if attempt.token.is_some() && !found.token_is_right {
        return Err(wrong_without_compare(app, &attempt, true, now).await);
    }
    let (counted, account, sessions) = read(app, &attempt, &found, now).await?;
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());
    let matched = compare(attempt.password.clone(), stored).await?;
    let policy = app.config.login.policy;
    let is_right = suffices(policy, matched, attempt.token.is_some(), found.token_is_right);
    let Some(account) = account.filter(|_| is_right) else {
        if attempt.is_password_alone() {
            return Err(invalid_credentials());
        }
        return Err(wrong_without_compare(app, &attempt, attempt.password.is_none(), now).await);
    };
    if account.status != AccountStatus::Active {
        let refused = refused::audited(app, account.user_id, not_active(), source, now);
        let (refused, ()) = tokio::join!(refused, give_back(app, &attempt, counted.as_ref()));
        return Err(refused);
    }
    let upgraded = match (matched, attempt.password.clone()) {
        (Some(Match::Outdated), Some(password)) => Some(credential::hash_again(password).await?),
        _ => None,
    };
    let new_source = (!found.source_is_known).then_some(attempt.pair);
    let admitted = Admitted { attempt: &attempt, upgraded, source, new_source, now };
    let settled = settle(app, &attempt, counted.as_ref());
    let (session, ()) = tokio::join!(sign_in(app, &admitted, account, sessions), settled);
    session
}

/// Counts what is wrong beside a token, and was not counted before: against the source, and
/// `by_identifier` against the identifier.
async fn wrong_without_compare(
    app: &App,
    attempt: &Attempt,
    by_identifier: bool,
    now: Timestamp,
) -> Problem {
    let nonce = base64url(&secret::random::<16>());
    let max = app.config.login.source_max_failures;
    let (source, identifier) = tokio::join!(
        attempts::count_source(&app.store, &attempt.source, max, &nonce, now),
        async {
            match by_identifier {
                true => attempts::count_attempt(&app.store, &attempt.identifier, &nonce, now)
                    .await
                    .map(|counted| counted.map(drop)),
                false => Ok(Ok(())),
            }
        },
    );
    match (source, identifier) {
        (Err(problem), _) | (_, Err(problem)) => problem,
        (Ok(Err(seconds)), _) | (_, Ok(Err(seconds))) => too_many(seconds),
        (Ok(Ok(())), Ok(Ok(()))) => invalid_credentials(),
    }
}

/// Counts a password against its identifier, and reads whose the identifier is beside it: the
/// account, if it has verified the identifier, and its sessions.
///
/// The claim was read eventually consistently, and nobody is refused for it alone: where it named no
/// account it is read consistently instead of the account, which costs the same; where it named one
/// that does not have the identifier, once more.
async fn read(
    app: &App,
    attempt: &Attempt,
    found: &LoginState,
    now: Timestamp,
) -> Result<(Option<Counted>, Option<Account>, Vec<Session>), Problem> {
    let claim = || account::identifier_claim_key(&attempt.presented).consistent();
    let reads = (
        found.user_id.map(|user_id| account::key(user_id).consistent()),
        found.user_id.is_none().then(claim),
    );
    // Under a fresh id there is nothing to list, at the same cost.
    let listed = found.user_id.unwrap_or_else(|| UserId::new(now, secret::random()));
    let (counted, read, sessions) = tokio::join!(
        count(app, attempt, found, now),
        app.store.read(reads),
        session::list(&app.store, listed, false),
    );
    let counted = counted?;
    let (account, claim_now) = read?;
    if let Some(account) = account.flatten().filter(|one| one.has_verified(&attempt.presented)) {
        return Ok((counted, Some(account), sessions?));
    }
    let claim_now = match found.user_id {
        None => claim_now.flatten(),
        Some(_) => app.store.read(claim()).await?,
    };
    let Some(user_id) =
        claim_now.map(|claim| claim.user_id).filter(|id| found.user_id != Some(*id))
    else {
        return Ok((counted, None, Vec::new()));
    };
    let (account, sessions) = tokio::join!(
        app.store.read(account::key(user_id).consistent()),
        session::list(&app.store, user_id, false),
    );
    let account = account?.filter(|account| account.has_verified(&attempt.presented));
    Ok((counted, account, sessions?))
}

/// Counts a password against its source, and looks for who it is about, in one round trip. A
/// source that is refused counts against nobody.
async fn look(app: &App, attempt: &Attempt, now: Timestamp) -> Result<LoginState, Problem> {
    let claim = account::identifier_claim_key(&attempt.presented);
    let known = attempt.is_password_alone().then(|| attempts::known_source_key(&attempt.pair));
    let token = attempt.readable_token().map(|token| otp::token_key(token).consistent());
    let reads = app.store.read((claim, known, token));
    let counted = async {
        if !attempt.is_password_alone() {
            return Ok(Ok(()));
        }
        let nonce = base64url(&secret::random::<16>());
        let max = app.config.login.source_max_failures;
        attempts::count_source(&app.store, &attempt.source, max, &nonce, now).await
    };
    let (found, counted) = tokio::join!(reads, counted);
    let (claim, known, verified) = found?;
    counted?.map_err(too_many)?;
    let token_is_right = verified
        .flatten()
        .is_some_and(|verified| verified.proves(&attempt.identifier, Purpose::Login, now));
    Ok(LoginState {
        user_id: claim.map(|claim| claim.user_id),
        source_is_known: known.flatten().is_some_and(|known| now < known.expires_at),
        token_is_right,
    })
}

/// Counts a password against its identifier, before it is compared. A source from which somebody
/// signed in before has a count of its own, so that nobody elsewhere can lock its people out.
async fn count(
    app: &App,
    attempt: &Attempt,
    found: &LoginState,
    now: Timestamp,
) -> Result<Option<Counted>, Problem> {
    let Some(_) = attempt.password else { return Ok(None) };
    let nonce = base64url(&secret::random::<16>());
    let by = if found.source_is_known { &attempt.pair } else { &attempt.identifier };
    let mut counted = attempts::count_attempt(&app.store, by, &nonce, now).await?;
    // Whether the source is known was not read, or eventually consistently.
    if counted.is_err() && !found.source_is_known {
        let known = app.store.read(attempts::known_source_key(&attempt.pair).consistent()).await?;
        if known.is_some_and(|known| now < known.expires_at) {
            counted = attempts::count_attempt(&app.store, &attempt.pair, &nonce, now).await?;
        }
    }
    counted.map(Some).map_err(too_many)
}

/// Gives back what was counted for a right credential that was refused for something else.
async fn give_back(app: &App, attempt: &Attempt, counted: Option<&Counted>) {
    let released = async {
        match attempt.is_password_alone() {
            true => attempts::release_source(&app.store, &attempt.source).await,
            false => Ok(()),
        }
    };
    let ((), released) = tokio::join!(credential::give_back(app, counted), released);
    if let Err(problem) = released {
        tracing::warn!(cause = problem.cause_chain(), "an attempt is still counted");
    }
}

fn too_many(seconds: i64) -> Problem {
    let detail = "Too many attempts. Wait, or sign in with a code.";
    Problem::rate_limited(Code::TooManyRequests, seconds, detail)
}

/// Compares a password in a slot of the process. Without one nothing matches.
pub(crate) async fn compare(
    password: Option<Password>,
    stored: Option<PasswordHash>,
) -> Result<Option<Match>, Problem> {
    let Some(password) = password else { return Ok(None) };
    Hasher::of_process().compare(password, stored).await.map(Some).map_err(Problem::internal)
}

/// Whether what was presented is right, and enough for the policy. Everything that is presented
/// must be right.
pub(crate) fn suffices(
    policy: LoginPolicy,
    matched: Option<Match>,
    token_presented: bool,
    token_is_right: bool,
) -> bool {
    let password = matched.map(|matched| matched != Match::Wrong);
    let token = token_presented.then_some(token_is_right);
    match policy {
        LoginPolicy::Any => password != Some(false) && token != Some(false),
        LoginPolicy::Password => password == Some(true) && token != Some(false),
        LoginPolicy::Otp => token == Some(true) && password != Some(false),
        LoginPolicy::Both => (password, token) == (Some(true), Some(true)),
    }
}

/// One answer for a wrong credential and for an identifier that nobody has.
pub(crate) fn invalid_credentials() -> Problem {
    Problem::new(Code::InvalidCredentials, "The identifier or the credential is wrong.")
}

pub(crate) fn not_active() -> Problem {
    Problem::new(Code::AccountNotActive, "The account is switched off. Ask for help.")
}

/// Clears the counts of the credentials that were right, beside the transaction, which saves a round
/// trip. What fails here only slows somebody down later.
async fn settle(app: &App, attempt: &Attempt, counted: Option<&Counted>) {
    // A code proves the person: it clears the count from here, too, if there is one.
    let counts: &[Digest] = match counted {
        Some(counted) => &[*counted.by()],
        None => &[attempt.identifier, attempt.pair],
    };
    let (cleared, released) = tokio::join!(attempts::clear_attempts(&app.store, counts), async {
        match attempt.is_password_alone() {
            true => attempts::release_source(&app.store, &attempt.source).await,
            false => Ok(()),
        }
    },);
    for failed in [cleared, released].into_iter().filter_map(Result::err) {
        tracing::warn!(cause = failed.cause_chain(), "a sign-in did not clear its counts");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_asks_for_what_it_names_and_nothing_wrong_passes() {
        use LoginPolicy::{Any, Both, Otp};
        let right = Some(Match::Right);
        let wrong = Some(Match::Wrong);
        let cases = [
            (Any, right, false, false, true),
            (Any, None, true, true, true),
            (Any, wrong, true, true, false),
            (Any, right, true, false, false),
            (LoginPolicy::Password, right, false, false, true),
            (LoginPolicy::Password, None, true, true, false),
            (Otp, right, false, false, false),
            (Otp, None, true, true, true),
            (Both, right, false, false, false),
            (Both, None, true, true, false),
            (Both, right, true, true, true),
        ];
        for (policy, matched, presented, token_is_right, expected) in cases {
            let judged = suffices(policy, matched, presented, token_is_right);
            assert_eq!(judged, expected, "{policy:?} {matched:?} {presented} {token_is_right}");
        }
    }
}
