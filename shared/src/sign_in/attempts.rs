//! The `otp` table: how often somebody tried to sign in, by identifier and by source address.

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    crypto::secret::Digest,
    dynamodb::{
        Change, Item, Key, Store, Table, Transaction, WriteOutcome, from_item, n, s, seconds, time,
    },
    http::problem::Problem,
    sign_in::throttle::{self, AttemptDecision, Attempts},
};

const KEEP_SECONDS: i64 = 24 * 60 * 60;

fn identifier_key(identifier: &Digest) -> Key<Attempts> {
    Key::new(Table::Otp, &[("pk", &format!("LOGIN#{}", identifier.text()))])
}

/// An attempt that is counted, and can be given back.
#[derive(Debug)]
pub struct Counted {
    identifier: Digest,
    nonce: String,
}

impl Counted {
    /// What it is counted by.
    pub fn by(&self) -> &Digest {
        &self.identifier
    }
}

/// Counts an attempt before anything is compared. `nonce` is fresh: by it a repeated write is
/// recognised. `Err` holds the seconds to wait.
pub async fn count_attempt(
    store: &Store,
    identifier: &Digest,
    nonce: &str,
    now: Timestamp,
) -> Result<Result<Counted, i64>, Problem> {
    let counted = Counted { identifier: *identifier, nonce: nonce.to_owned() };
    let update = "SET window_start = if_not_exists(window_start, :now), \
                  previous_attempt_at = if_not_exists(last_attempt_at, :now), last_attempt_at = :now, \
                  attempts = if_not_exists(attempts, :zero) + :one, expires_at = :ttl, \
                  item_type = :type, schema_version = :one, nonce = :nonce";
    let first = Change::new(identifier_key(identifier), update)
        .only_if(format!(
            "(attribute_not_exists(attempts) OR (attempts < :free AND window_start > :cut)) \
             AND {NOT_MINE}"
        ))
        .with(":nonce", s(nonce))
        .with(":now", time(now))
        .with(":zero", n(0))
        .with(":one", n(1))
        .with(":free", n(throttle::FREE_ATTEMPTS))
        .with(":cut", n(now.as_second() - throttle::WINDOW_SECONDS))
        .with(":ttl", n(now.as_second() + KEEP_SECONDS))
        .with(":type", s("login_attempts"));
    let attempts: Attempts = match store.update(first).await? {
        WriteOutcome::ConditionFailed(Some(item)) if !is_mine(&item, nonce) => from_item(item)?,
        _ => return Ok(Ok(counted)),
    };
    let (window_start, count) = match throttle::decide(&attempts, now) {
        AttemptDecision::Wait { seconds } => return Ok(Err(seconds)),
        AttemptDecision::Allowed { window_start, attempts } => (window_start, attempts),
    };
    // One of those who try at once; the others wait as if it had failed.
    let update = "SET window_start = :start, previous_attempt_at = last_attempt_at, \
                  last_attempt_at = :now, attempts = :count, expires_at = :ttl, nonce = :nonce";
    let next = Change::new(identifier_key(identifier), update)
        .only_if(format!("attempts = :seen AND last_attempt_at = :last AND {NOT_MINE}"))
        .with(":nonce", s(nonce))
        .with(":start", time(window_start))
        .with(":now", time(now))
        .with(":count", n(count))
        .with(":ttl", n(now.as_second() + KEEP_SECONDS))
        .with(":seen", n(attempts.attempts))
        .with(":last", time(attempts.last_attempt_at));
    match store.update(next).await? {
        WriteOutcome::ConditionFailed(Some(item)) if !is_mine(&item, nonce) => Ok(Err(1)),
        _ => Ok(Ok(counted)),
    }
}

/// Gives an attempt back that is not to count: its credential was right and something else was
/// refused, or it was not compared at all. The pause is that of before, too, unless somebody has
/// tried since. Sent once: a repeated write would give back another attempt.
pub async fn give_back(store: &Store, counted: &Counted) -> Result<(), Problem> {
    let newest = Change::new(
        identifier_key(&counted.identifier),
        "SET attempts = attempts - :one, last_attempt_at = previous_attempt_at REMOVE nonce",
    )
    .only_if("nonce = :nonce AND attempts > :zero")
    .with(":nonce", s(&*counted.nonce))
    .with(":one", n(1))
    .with(":zero", n(0));
    if let WriteOutcome::Applied(_) = store.update_without_retry(newest).await? {
        return Ok(());
    }
    let earlier = Change::new(identifier_key(&counted.identifier), "ADD attempts :back")
        .only_if("attempts > :zero")
        .with(":back", n(-1))
        .with(":zero", n(0));
    store.update_without_retry(earlier).await.map(drop)
}

/// Holds unless this very write was carried out before and only its answer was lost.
const NOT_MINE: &str = "(attribute_not_exists(nonce) OR nonce <> :nonce)";

fn is_mine(item: &Item, nonce: &str) -> bool {
    item.get("nonce") == Some(&s(nonce))
}

/// Forgets the attempts on each of `identifiers`: a credential was right, or is another now.
pub async fn clear_attempts(store: &Store, identifiers: &[Digest]) -> Result<(), Problem> {
    let clear = |identifier: &Digest| {
        store.delete(identifier_key(identifier), "attribute_exists(pk)", Item::new())
    };
    join_all(identifiers.iter().map(clear)).await.into_iter().try_for_each(|done| done.map(drop))
}

/// Attempts of a source address that were not right, `failures` of them.
#[derive(Debug, Clone, Deserialize)]
struct SourceFailures {
    #[serde(with = "seconds::required")]
    window_start: Timestamp,
}

fn source_key(source: &Digest) -> Key<SourceFailures> {
    Key::new(Table::Otp, &[("pk", &format!("LOGIN_SOURCE#{}", source.text()))])
}

/// Counts an attempt against its source before anything is compared; one that is right gives its
/// place back. `Err` holds the seconds to wait.
pub async fn count_source(
    store: &Store,
    source: &Digest,
    max: u32,
    nonce: &str,
    now: Timestamp,
) -> Result<Result<(), i64>, Problem> {
    let (update, cut) = (
        "SET window_start = if_not_exists(window_start, :now), expires_at = :ttl, \
         failures = if_not_exists(failures, :zero) + :one, nonce = :nonce, item_type = :type, \
         schema_version = :one",
        now.as_second() - throttle::WINDOW_SECONDS,
    );
    let within = Change::new(source_key(source), update)
        .only_if(format!(
            "(attribute_not_exists(failures) OR failures < :one \
             OR (failures < :max AND window_start > :cut)) AND {NOT_MINE}"
        ))
        .with(":now", time(now))
        .with(":zero", n(0))
        .with(":one", n(1))
        .with(":max", n(max))
        .with(":cut", n(cut))
        .with(":nonce", s(nonce))
        .with(":ttl", n(now.as_second() + KEEP_SECONDS))
        .with(":type", s("login_source"));
    let seen: SourceFailures = match store.update(within).await? {
        WriteOutcome::ConditionFailed(Some(item)) if !is_mine(&item, nonce) => from_item(item)?,
        _ => return Ok(Ok(())),
    };
    let left = seen.window_start.as_second() - cut;
    if left > 0 {
        return Ok(Err(left));
    }
    // The window is over: one of those who try at once begins the next.
    let update = "SET window_start = :now, expires_at = :ttl, failures = :one, nonce = :nonce";
    let anew = Change::new(source_key(source), update)
        .only_if(format!("window_start = :seen AND {NOT_MINE}"))
        .with(":now", time(now))
        .with(":one", n(1))
        .with(":seen", time(seen.window_start))
        .with(":nonce", s(nonce))
        .with(":ttl", n(now.as_second() + KEEP_SECONDS));
    match store.update(anew).await? {
        WriteOutcome::ConditionFailed(Some(item)) if !is_mine(&item, nonce) => Ok(Err(1)),
        _ => Ok(Ok(())),
    }
}

/// Gives the place of a right attempt back, once: a lost answer may leave it taken.
pub async fn release_source(store: &Store, source: &Digest) -> Result<(), Problem> {
    let change = Change::new(source_key(source), "ADD failures :back")
        .only_if("failures > :zero")
        .with(":back", n(-1))
        .with(":zero", n(0));
    store.update_without_retry(change).await.map(drop)
}

/// A source address from which somebody signed in with an identifier before.
#[derive(Debug, Clone, Deserialize)]
pub struct KnownSource {
    /// Until when that counts. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

const KNOWN_SECONDS: i64 = 90 * 24 * 60 * 60;

/// Where it stands that a source is known for an identifier; `pair` stands for both.
pub fn known_source_key(pair: &Digest) -> Key<KnownSource> {
    Key::new(Table::Otp, &[("pk", &format!("KNOWN_SOURCE#{}", pair.text()))])
}

/// Remembers that somebody signed in from a source. Attempts from there are counted apart from
/// then on: nobody elsewhere can slow them down.
pub fn remember_source_with<L>(
    transaction: &mut Transaction<L>,
    label: L,
    pair: &Digest,
    now: Timestamp,
) {
    transaction.change(label, known(pair, now));
}

fn known(pair: &Digest, now: Timestamp) -> Change {
    let update = "SET expires_at = :until, item_type = :type, schema_version = :one";
    Change::new(known_source_key(pair), update)
        .with(":until", n(now.as_second() + KNOWN_SECONDS))
        .with(":type", s("known_source"))
        .with(":one", n(1))
}
