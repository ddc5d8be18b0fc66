//! The transaction of a sign-in whose credential was right.

use std::time::Duration;

use jiff::Timestamp;
use shared::{
    account::{self, Account, AccountStatus, PasswordHash},
    audit::{self, Action},
    crypto::secret::{self, Digest},
    dynamodb::Transaction,
    http::{ClientIp, problem::Problem},
    otp,
    session::{self, Session},
    sign_in::attempts,
    value::{Purpose, SessionId},
};

use crate::{
    app::App,
    login::{Attempt, invalid_credentials, not_active},
    refused,
};

/// Transactions that are tried when people sign in to one account at once.
pub(crate) const ATTEMPTS: u64 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Account,
    Token,
    /// The device of a session that ends.
    Device(SessionId),
    Other,
}

/// A sign-in whose credential was right.
pub(crate) struct Admitted<'a> {
    pub(crate) attempt: &'a Attempt,
    /// In place of a hash whose parameters are out of date.
    pub(crate) upgraded: Option<PasswordHash>,
    pub(crate) source: ClientIp,
    /// Stands for identifier and source together, where the source is not known yet.
    pub(crate) new_source: Option<Digest>,
    pub(crate) now: Timestamp,
}

/// Signs in, and again where somebody else signed in to the same account at the same time.
pub(crate) async fn sign_in(
    app: &App,
    admitted: &Admitted<'_>,
    account: Account,
    sessions: Vec<Session>,
) -> Result<Session, Problem> {
    let (epoch, mut seen) = (account.epoch, (account, sessions));
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            pause(attempt).await;
            seen = read_again(app, admitted, &seen.0, epoch).await?;
        } else if !displaced(seen.1.clone(), seen.0.recent_sessions(admitted.now), admitted.now)
            .is_empty()
        {
            // A list that is a moment old may still show what has ended, or as run out what was just
            // refreshed: no session ends because of it.
            seen.1 = session::list(&app.store, seen.0.user_id, true).await?;
        }
        if let Some(session) = try_once(app, admitted, &seen.0, seen.1).await? {
            return Ok(session);
        }
        seen.1 = Vec::new();
    }
    Err(Problem::unavailable("too many signed in to one account at once"))
}

/// Waits a moment before another attempt.
pub(crate) async fn pause(attempt: u64) {
    let [jitter] = secret::random::<1>();
    tokio::time::sleep(Duration::from_millis(u64::from(jitter) * attempt / 8)).await;
}

/// The account and its sessions as they are now, if what was proven still counts.
async fn read_again(
    app: &App,
    &Admitted { attempt, source, now, .. }: &Admitted<'_>,
    before: &Account,
    epoch: u32,
) -> Result<(Account, Vec<Session>), Problem> {
    let account = app.store.read(account::key(before.user_id).consistent());
    let sessions = session::list(&app.store, before.user_id, true);
    let (account, sessions) = tokio::join!(account, sessions);
    match account? {
        Some(account) if !account.has_verified(&attempt.presented) => Err(invalid_credentials()),
        None => Err(invalid_credentials()),
        Some(account) if account.status != AccountStatus::Active => {
            Err(refused::audited(app, account.user_id, not_active(), source, now).await)
        }
        Some(account) if account.epoch == epoch => Ok((account, sessions?)),
        _ => Err(Problem::unavailable("the account changed while somebody signed in")),
    }
}

/// One transaction: `None` when the account was not as it had been read. It ends the devices of
/// sessions that give way; one that has moved on to another session stays, which costs another.
async fn try_once(
    app: &App,
    admitted: &Admitted<'_>,
    account: &Account,
    sessions: Vec<Session>,
) -> Result<Option<Session>, Problem> {
    let Admitted { now, .. } = *admitted;
    let slot = app.mint.slot(now).await?;
    let session_id = SessionId::new(now, secret::random());
    let session = Session::new(account.user_id, session_id, slot, account.is_staff, now);
    let mut displaced = displaced(sessions, account.recent_sessions(now), now);
    loop {
        let transaction = transaction(admitted, account, &session, &displaced)?;
        let Err(refusals) = app.store.commit(transaction).await? else {
            return Ok(Some(session));
        };
        let refused: Vec<_> = refusals.iter().map(|refusal| refusal.label).collect();
        if refused.contains(&Write::Token) {
            return Err(invalid_credentials());
        }
        if !refused.iter().all(|label| matches!(label, Write::Device(_))) {
            return Ok(None);
        }
        // Each time round there is one device less.
        for session in &mut displaced {
            if refused.contains(&Write::Device(session.session_id)) {
                session.device = None;
            }
        }
    }
}

fn transaction(
    Admitted { attempt, upgraded, source, new_source, now }: &Admitted<'_>,
    account: &Account,
    session: &Session,
    displaced: &[Session],
) -> Result<Transaction<Write>, Problem> {
    let (mut all, presented, now) = (Transaction::default(), &attempt.presented, *now);
    let ended: Vec<_> = displaced.iter().map(|session| session.session_id).collect();
    let begun = (session.session_id, ended.as_slice());
    let upgraded = upgraded.as_ref();
    account::record_sign_in(&mut all, Write::Account, account, presented, begun, upgraded, now);
    session::create(&mut all, Write::Other, session)?;
    session::remove_with_devices(&mut all, Write::Other, Write::Device, displaced);
    if let Some(Some(token)) = &attempt.token {
        otp::consume(&mut all, Write::Token, token, &attempt.identifier, Purpose::Login, now);
    }
    // Only a sign-in that is carried out makes its source known.
    if let Some(pair) = new_source {
        attempts::remember_source_with(&mut all, Write::Other, pair, now);
    }
    audit::add_own(&mut all, Write::Other, account.user_id, Action::SignedIn, *source, now)?;
    Ok(all)
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
    sessions.sort_by_key(|session| (session.is_live(now), session.session_id));
    let too_many = (sessions.len() + unlisted + 1).saturating_sub(session::MAX_PER_USER);
    // A transaction has an end; more than that never are there.
    sessions.truncate(too_many.min(session::MAX_PER_USER));
    sessions
}

#[cfg(test)]
mod tests {
    use shared::value::UserId;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// A session that began then.
    fn session(seconds: i64) -> Session {
        let user_id = UserId::new(at(0), [1; 10]);
        Session::new(user_id, SessionId::new(at(seconds), [2; 10]), 1, false, at(seconds))
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
}
