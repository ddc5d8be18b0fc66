//! `POST /auth/login`.
//!
//! Three round trips, the same for an identifier that nobody has: the attempt is counted against
//! its source beside the look for the identifier's claim, and against the identifier beside the
//! reading of the account and its sessions; one transaction signs in. The password is compared
//! between the last two, with somebody's hash or nobody's.

use std::time::Duration;

use jiff::Timestamp;
use shared::{
    config::LoginPolicy,
    http::Source,
    id::{SessionId, UserId},
    identifier::Identifier,
    password::{self, Match, Password},
    problem::{Code, Problem},
    purpose::Purpose,
    secret::{self, Digest, Token, base64url},
    table::{
        Transaction,
        account::{self, Account, AccountStatus, PasswordHash},
        audit::{self, Action},
        login as attempts, otp,
        session::{self, Session},
    },
};

use crate::{App, body::Login, credential, refused};

/// What was presented, and what it is counted against.
struct Attempt {
    identifier: Digest,
    source: Digest,
    /// Stands for identifier and source together.
    pair: Digest,
    password: Option<Password>,
    /// The outer layer says whether one was presented, the inner whether it can be one.
    token: Option<Option<Token>>,
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

/// Transactions that are tried when people sign in to one account at once.
const ATTEMPTS: u64 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Account,
    Token,
    Other,
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
        pair: digests.pair(&identifier, &source_digest),
        identifier,
        source: source_digest,
        password: body.password,
        token: body.verification_token,
    };
    let found = look(app, &attempt, &body.identifier, now).await?;
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
    let account = account.filter(|_| is_right).ok_or_else(invalid_credentials)?;
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
async fn look(
    app: &App,
    attempt: &Attempt,
    identifier: &Identifier,
    now: Timestamp,
) -> Result<Found, Problem> {
    let claim = account::identifier_claim(identifier);
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

/// A sign-in whose credential was right.
struct Admitted<'a> {
    attempt: &'a Attempt,
    upgraded: Option<PasswordHash>,
    source: Source,
    now: Timestamp,
}

/// Signs in, and again where somebody else signed in to the same account at the same time.
async fn sign_in(
    app: &App,
    admitted: &Admitted<'_>,
    account: Account,
    sessions: Vec<Session>,
) -> Result<Session, Problem> {
    let (epoch, mut seen) = (account.epoch, (account, sessions));
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            let [jitter] = secret::random::<1>();
            tokio::time::sleep(Duration::from_millis(u64::from(jitter) * attempt / 8)).await;
            seen = read_again(app, admitted, &seen.0, epoch).await?;
        }
        if let Some(session) = try_once(app, admitted, &seen.0, seen.1).await? {
            return Ok(session);
        }
        seen.1 = Vec::new();
    }
    Err(Problem::unavailable("too many signed in to one account at once"))
}

/// The account and its sessions as they are now, if what was proven still counts.
async fn read_again(
    app: &App,
    &Admitted { source, now, .. }: &Admitted<'_>,
    before: &Account,
    epoch: u32,
) -> Result<(Account, Vec<Session>), Problem> {
    let account = app.store.read(account::key(before.user_id).consistent());
    let sessions = session::list(&app.store, before.user_id, true);
    let (account, sessions) = tokio::join!(account, sessions);
    match account? {
        None => Err(invalid_credentials()),
        Some(account) if account.status != AccountStatus::Active => {
            Err(refused::audited(app, account.user_id, not_active(), source, now).await)
        }
        Some(account) if account.epoch == epoch => Ok((account, sessions?)),
        _ => Err(Problem::unavailable("the account changed while somebody signed in")),
    }
}

/// One transaction: `None` when the account was not as it had been read.
async fn try_once(
    app: &App,
    Admitted { attempt, upgraded, source, now }: &Admitted<'_>,
    account: &Account,
    sessions: Vec<Session>,
) -> Result<Option<Session>, Problem> {
    let (user_id, now) = (account.user_id, *now);
    let slot = app.mint.slot(now).await?;
    let session_id = SessionId::new(now, secret::random());
    let session = Session::begin(user_id, session_id, slot, account.is_staff, now);
    let mut transaction = Transaction::default();
    let upgraded = upgraded.as_ref();
    let displaced = displaced(sessions, account.recent_sessions(now), now);
    let ended: Vec<_> = displaced.iter().map(|session| session.session_id).collect();
    let begun = (session_id, ended.as_slice());
    account::sign_in(&mut transaction, Write::Account, account, begun, upgraded, now);
    session::create(&mut transaction, Write::Other, &session)?;
    for displaced in &displaced {
        session::remove(&mut transaction, Write::Other, displaced);
    }
    if let Some(Some(token)) = &attempt.token {
        let identifier = &attempt.identifier;
        otp::consume(&mut transaction, Write::Token, token, identifier, Purpose::Login, now);
    }
    audit::append(&mut transaction, Write::Other, user_id, Action::SignedIn, *source, now)?;
    if let Err(refusals) = app.store.commit(transaction).await? {
        let token_is_used = refusals.iter().any(|refusal| refusal.label == Write::Token);
        return if token_is_used { Err(invalid_credentials()) } else { Ok(None) };
    }
    for displaced in &displaced {
        // The sign-in stands. A device whose session is over is not shown, and goes by its TTL.
        if let Err(problem) = session::release_device(&app.store, displaced).await {
            tracing::warn!(cause = problem.cause_chain(), "a device was not released");
        }
    }
    Ok(Some(session))
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

/// The sessions that must go so that one more fits: first those that have run out, then the
/// oldest. `recent` are there even if the list does not show them yet.
fn displaced(
    mut sessions: Vec<Session>,
    recent: impl Iterator<Item = SessionId>,
    now: Timestamp,
) -> Vec<Session> {
    let is_listed = |id: &SessionId| sessions.iter().any(|session| session.session_id == *id);
    let unlisted = recent.filter(|id| !is_listed(id)).count();
    sessions.sort_by_key(|session| (session.is_alive(now), session.session_id));
    let too_many = (sessions.len() + unlisted + 1).saturating_sub(session::MAX_PER_USER);
    // A transaction has an end; more than that never are there.
    sessions.truncate(too_many.min(2 * session::MAX_PER_USER));
    sessions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// A session that began then.
    fn session(seconds: i64) -> Session {
        let user_id = UserId::new(at(0), [1; 10]);
        Session::begin(user_id, SessionId::new(at(seconds), [2; 10]), 1, false, at(seconds))
    }

    #[test]
    fn the_twenty_first_session_displaces_the_oldest() {
        let sessions: Vec<_> = (0..19).map(session).collect();
        let none = || std::iter::empty();
        assert!(displaced(sessions.clone(), none(), at(20)).is_empty());
        let sessions = [sessions, vec![session(19)]].concat();
        assert_eq!(displaced(sessions, none(), at(20)), [session(0)]);
    }

    #[test]
    fn a_session_that_the_list_does_not_show_yet_counts() {
        let sessions: Vec<_> = (0..19).map(session).collect();
        let recent = || [session(18).session_id, session(19).session_id].into_iter();
        assert_eq!(displaced(sessions, recent(), at(20)), [session(0)]);
    }

    #[test]
    fn one_that_has_run_out_goes_before_one_that_lives() {
        let mut sessions: Vec<_> = (0..20).map(session).collect();
        sessions[7].expires_at = at(10);
        let expected = sessions[7].clone();
        assert_eq!(displaced(sessions, std::iter::empty(), at(20)), [expected]);
    }

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
