//! `POST /auth/login`.
//!
//! Three round trips, the same for an identifier that nobody has: the attempt is counted against
//! its source beside the look for the identifier's claim, and against the identifier beside the
//! reading of the account and its sessions; one transaction signs in. The password is compared
//! between the last two, with somebody's hash or nobody's.

use jiff::Timestamp;
use shared::{
    account::{self, AccountStatus, PasswordHash},
    crypto::secret::{self, Digest, Token, base64url},
    http::{
        Source,
        problem::{Code, Problem},
    },
    otp,
    runtime::config::LoginPolicy,
    session::{self, Session},
    sign_in::{
        attempts,
        password::{self, Match, Password},
    },
    value::{Identifier, Purpose, UserId},
};

use crate::{
    App,
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
struct Found {
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

    /// What wrong passwords are counted by. A source from which somebody signed in before has a
    /// count of its own, so that nobody elsewhere can lock its people out.
    fn counted_by(&self, found: &Found) -> &Digest {
        if found.source_is_known { &self.pair } else { &self.identifier }
    }
}

pub(crate) async fn login(
    app: &App,
    body: Login,
    source: Source,
    now: Timestamp,
) -> Result<Session, Problem> {
    let digests = app.index.open(now).await?;
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
    // Nobody's id is fresh: what is read under it is nothing, as dear as something.
    let user_id = found.user_id.unwrap_or_else(|| UserId::new(now, secret::random()));
    let (counted, account, sessions) = tokio::join!(
        count(app, &attempt, &found, now),
        app.store.read(account::key(user_id).consistent()),
        session::list(&app.store, user_id, false),
    );
    counted?;
    let (account, sessions) = (account?, sessions?);
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());
    let matched = compare(attempt.password.clone(), stored).await?;
    let policy = app.config.login.policy;
    let is_right = suffices(policy, matched, attempt.token.is_some(), found.token_is_right);
    // The claim may be a moment old, and the account is as it is now.
    let account = account.filter(|account| is_right && account.has_verified(&attempt.presented));
    let account = account.ok_or_else(invalid_credentials)?;
    if account.status != AccountStatus::Active {
        return Err(refused::audited(app, account.user_id, not_active(), source, now).await);
    }
    let upgraded = match (matched, attempt.password.clone()) {
        (Some(Match::Outdated), Some(password)) => Some(credential::hash(password).await?),
        _ => None,
    };
    let admitted = Admitted { attempt: &attempt, upgraded, source, now };
    let settled = settle(app, &attempt, &found, now);
    let (session, ()) = tokio::join!(sign_in(app, &admitted, account, sessions), settled);
    session
}

/// Counts a password against its source, and looks for who it is about, in one round trip. A
/// source that is refused counts against nobody.
async fn look(app: &App, attempt: &Attempt, now: Timestamp) -> Result<Found, Problem> {
    let claim = account::identifier_claim(&attempt.presented);
    let known = attempt.is_password_alone().then(|| attempts::known_source_key(&attempt.pair));
    let token = attempt.token.iter().flatten().next();
    let token = token.map(|token| otp::token_key(token).consistent());
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
    Ok(Found {
        user_id: claim.map(|claim| claim.user_id),
        source_is_known: known.flatten().is_some_and(|known| now < known.expires_at),
        token_is_right,
    })
}

/// Counts a password against its identifier, before it is compared.
async fn count(app: &App, attempt: &Attempt, found: &Found, now: Timestamp) -> Result<(), Problem> {
    let Some(_) = attempt.password else { return Ok(()) };
    let nonce = base64url(&secret::random::<16>());
    let counted_by = attempt.counted_by(found);
    attempts::count_attempt(&app.store, counted_by, &nonce, now).await?.map_err(too_many)
}

fn too_many(seconds: i64) -> Problem {
    let detail = "Too many attempts. Wait, or sign in with a code.";
    Problem::limited(Code::TooManyRequests, seconds, detail)
}

/// Compares a password on a thread of its own. Without one nothing matches.
pub(crate) async fn compare(
    password: Option<Password>,
    stored: Option<PasswordHash>,
) -> Result<Option<Match>, Problem> {
    let Some(password) = password else { return Ok(None) };
    let compared =
        tokio::task::spawn_blocking(move || password::verify(&password, stored.as_ref())).await;
    compared.map(Some).map_err(Problem::internal)
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

/// Takes back what a right attempt was counted for, and remembers where it came from. What fails
/// here only slows somebody down later.
async fn settle(app: &App, attempt: &Attempt, found: &Found, now: Timestamp) {
    let counted_by = attempt.counted_by(found);
    let (cleared, released, remembered) = tokio::join!(
        async {
            match attempt.password.is_some() {
                true => attempts::clear_attempts(&app.store, counted_by).await,
                false => Ok(()),
            }
        },
        async {
            match attempt.is_password_alone() {
                true => attempts::release_source(&app.store, &attempt.source).await,
                false => Ok(()),
            }
        },
        async {
            match found.source_is_known {
                true => Ok(()),
                false => attempts::remember_source(&app.store, &attempt.pair, now).await,
            }
        },
    );
    for failed in [cleared, released, remembered].into_iter().filter_map(Result::err) {
        tracing::warn!(cause = failed.cause_chain(), "a right attempt is still counted");
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
