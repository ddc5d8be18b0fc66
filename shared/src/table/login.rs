//! The `otp` table: how often somebody tried to sign in, by identifier and by source address.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Change, Item, Key, Outcome, Store, Table, from_item, n, s, seconds, time};
use crate::{
    login::{self, AttemptVerdict, Attempts},
    problem::Problem,
    secret::Digest,
};

const KEEP_SECONDS: i64 = 24 * 60 * 60;

fn identifier_key(identifier: &Digest) -> Key<Attempts> {
    Key::new(Table::Otp, &[("pk", &format!("LOGIN#{}", identifier.text()))])
}

/// Counts an attempt before anything is compared. `nonce` is fresh: by it a repeated write is
/// recognised. `Err` holds the seconds to wait.
pub async fn count_attempt(
    store: &Store,
    identifier: &Digest,
    nonce: &str,
    now: Timestamp,
) -> Result<Result<(), i64>, Problem> {
    let update = "SET window_start = if_not_exists(window_start, :now), last_attempt_at = :now, \
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
        .with(":free", n(login::FREE_ATTEMPTS))
        .with(":cut", n(now.as_second() - login::WINDOW_SECONDS))
        .with(":ttl", n(now.as_second() + KEEP_SECONDS))
        .with(":type", s("login_attempts"));
    let attempts: Attempts = match store.update(first).await? {
        Outcome::Refused(Some(item)) if !is_mine(&item, nonce) => from_item(item)?,
        _ => return Ok(Ok(())),
    };
    let (window_start, count) = match login::judge(&attempts, now) {
        AttemptVerdict::Wait { seconds } => return Ok(Err(seconds)),
        AttemptVerdict::Allowed { window_start, attempts } => (window_start, attempts),
    };
    // One of those who try at once; the others wait as if it had failed.
    let update = "SET window_start = :start, last_attempt_at = :now, attempts = :count, \
                  expires_at = :ttl, nonce = :nonce";
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
        Outcome::Refused(Some(item)) if !is_mine(&item, nonce) => Ok(Err(1)),
        _ => Ok(Ok(())),
    }
}

/// Holds unless this very write was carried out before and only its answer was lost.
const NOT_MINE: &str = "(attribute_not_exists(nonce) OR nonce <> :nonce)";

fn is_mine(item: &Item, nonce: &str) -> bool {
    item.get("nonce") == Some(&s(nonce))
}

/// Forgets the attempts: one was right.
pub async fn clear_attempts(store: &Store, identifier: &Digest) -> Result<(), Problem> {
    store.delete(identifier_key(identifier), "attribute_exists(pk)", Item::new()).await.map(drop)
}

/// What a source address got wrong.
#[derive(Debug, Clone, Deserialize)]
pub struct SourceFailures {
    failures: u32,
    #[serde(with = "seconds::required")]
    window_start: Timestamp,
}

impl SourceFailures {
    /// Seconds to wait, if it got as many as `max` wrong within the window.
    pub fn wait_seconds(&self, max: u32, now: Timestamp) -> Option<i64> {
        let left = self.left_seconds(now);
        (self.failures >= max && left > 0).then_some(left)
    }

    fn left_seconds(&self, now: Timestamp) -> i64 {
        self.window_start.as_second() + login::WINDOW_SECONDS - now.as_second()
    }
}

/// Where the failures of a source are.
pub fn source_key(source: &Digest) -> Key<SourceFailures> {
    Key::new(Table::Otp, &[("pk", &format!("LOGIN_SOURCE#{}", source.text()))])
}

/// Counts a wrong credential against its source. `seen` is what was read before: it tells
/// whether a window is open.
pub async fn count_source_failure(
    store: &Store,
    source: &Digest,
    seen: Option<&SourceFailures>,
    now: Timestamp,
) -> Result<(), Problem> {
    let is_open = seen.is_some_and(|seen| seen.left_seconds(now) > 0);
    let change = match is_open {
        true => Change::new(source_key(source), "ADD failures :one"),
        false => Change::new(
            source_key(source),
            "SET failures = :one, window_start = :now, expires_at = :ttl, item_type = :type, \
             schema_version = :one",
        )
        .with(":now", time(now))
        .with(":ttl", n(now.as_second() + KEEP_SECONDS))
        .with(":type", s("login_source")),
    };
    store.update(change.with(":one", n(1))).await.map(drop)
}
