//! `PUT` and `PATCH /admin/users/{user_id}`.
//!
//! Two round trips: all that is known of the user, then one transaction that changes it, with its
//! claims, its sessions where they end, and the audit entry. It is held by what was read.

use std::time::Duration;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use shared::{
    account::{self, Account},
    audit::{self, Action},
    crypto::secret,
    dynamodb::{Refusal, Transaction},
    http::{ClientIp, Json, PathParameter, problem::Problem},
    profile,
    runtime::clock::whole_second,
    session::{self, access_token::Claims, authentication::Staff},
    value::{UserId, identifier::Kind},
};

use crate::{
    app::App,
    app::no_longer_staff,
    app::user_not_found,
    change::{After, Edits, Effects, describe},
    detail::{self, Person},
};

/// How often a change is made anew that something else overtook, a sign-in among it.
const ATTEMPTS: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Account,
    Username,
    Identifier(Kind),
    Profile,
    Actor,
    Other,
}

/// `PUT` and `PATCH /admin/users/{user_id}`. Both keep what they do not name.
pub(crate) async fn merge(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    PathParameter(user_id): PathParameter,
    Json(edits): Json<Edits>,
) -> Result<Response, Problem> {
    let user_id = app.subject(&claims, source, &user_id).await?;
    update(&app, &claims, source, user_id, edits).await
}

/// Reads, changes and writes, and does it again where something else came between.
async fn update(
    app: &App,
    claims: &Claims,
    source: ClientIp,
    user_id: UserId,
    edits: Edits,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let (staff, person) = detail::read(app, claims, source, user_id, true).await?;
        let person = person.ok_or_else(user_not_found)?;
        let after = edits.clone().apply(&person.account, &person.profile)?;
        let effects = Effects::of(&person.account, &person.profile, &after);
        if effects.is_none() {
            return Ok(person.answer(app.config.currency, now));
        }
        if effects.is_for_another {
            app.authenticator.require_other_account(&staff, user_id).await?;
        }
        if let Some(person) = write(app, &staff, person, after, &effects, now).await? {
            return Ok(person.answer(app.config.currency, now));
        }
    }
    Err(Problem::unavailable("a user changed too often"))
}

/// Waits a moment before another attempt.
pub(crate) async fn pause(attempt: u32) {
    if attempt > 0 {
        let [jitter] = secret::random::<1>();
        let millis = u64::from(jitter) * u64::from(attempt) / 8;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// One transaction: the user after it, or `None` when they were not as they had been read.
async fn write(
    app: &App,
    staff: &Staff,
    before: Person,
    after: After,
    effects: &Effects,
    now: Timestamp,
) -> Result<Option<Person>, Problem> {
    let epoch = before.account.epoch + u32::from(effects.ends_sessions);
    let account = Account { epoch, ..after.account };
    let after = After { account, ..after };
    let (transaction, after) = transaction(staff, &before, after, effects, now)?;
    if let Err(refusals) = app.store.commit(transaction).await? {
        return classify_refusal(&refusals).map(|()| None);
    }
    let After { account, profile } = after;
    let mut person = Person { account, profile, ..before };
    if effects.ends_sessions {
        session::release_devices(&app.store, &person.sessions).await;
        person.sessions.clear();
    }
    Ok(Some(person))
}

fn transaction(
    staff: &Staff,
    before: &Person,
    after: After,
    effects: &Effects,
    now: Timestamp,
) -> Result<(Transaction<Write>, After), Problem> {
    let (mut all, user_id) = (Transaction::default(), before.account.user_id);
    let record = staff.record(user_id, Action::UserUpdated);
    let record = describe(record, &before.account, &before.profile, &after);
    audit::add(&mut all, Write::Other, &record, now)?;
    let After { account, mut profile } = after;
    let is_complete = effects.profile.then(|| profile.is_complete());
    account::edit(&mut all, Write::Account, &before.account, &account, is_complete);
    if effects.renames {
        let claim = account::username_claim_key(&account.username);
        account::claim_name(&mut all, Write::Username, claim, user_id)?;
        account::release_username(&mut all, Write::Account, &before.account);
    }
    for identifier in &effects.claims {
        let claim = account::identifier_claim_key(identifier);
        account::claim_name(&mut all, Write::Identifier(identifier.kind()), claim, user_id)?;
    }
    for identifier in &effects.releases {
        account::release_identifier(&mut all, Write::Account, identifier, user_id);
    }
    if effects.profile {
        profile.updated_at = whole_second(now);
        profile = profile::replace(&mut all, Write::Profile, &before.profile, profile)?;
    }
    if effects.ends_sessions {
        let sessions = &before.sessions;
        session::remove_all(&mut all, Write::Other, &before.account, sessions, None, now);
    }
    if effects.is_for_another {
        account::must_be_staff(&mut all, Write::Actor, staff.user_id());
    }
    Ok((all, After { account, profile }))
}

/// What stood against a change: a problem, or something to try again with.
fn classify_refusal(refusals: &[Refusal<Write>]) -> Result<(), Problem> {
    let refused = |label| refusals.iter().any(|refusal| refusal.label == label);
    if refused(Write::Actor) {
        return Err(no_longer_staff());
    }
    // The account as it is now says whose the claims are.
    if refused(Write::Account) {
        return Ok(());
    }
    let taken = [
        (Write::Username, "username"),
        (Write::Identifier(Kind::Phone), "phone_verified"),
        (Write::Identifier(Kind::Email), "email_verified"),
    ];
    let taken = taken.into_iter().filter(|(label, _)| refused(*label)).map(|(_, field)| field);
    Problem::already_exists(taken).map_or(Ok(()), Err)
}
