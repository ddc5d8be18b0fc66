//! The `otp` table: challenges, tries, and the tokens that right codes are exchanged for.
//!
//! One item per identifier, under a keyed digest, holds the last sends, the wrong tries and the
//! living challenge of each purpose, so that one conditional update decides over all of them.
//! The send times stand in attributes `s0` (newest) to `s19`, and each send moves them by one: a
//! sliding window without a read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret::{self, Digest, Token},
    dynamodb::{
        Change, Item, Key, Store, Table, Transaction, WriteOutcome, digest, from_item, item, n, s,
        seconds, time,
    },
    http::problem::Problem,
    otp::{self, Challenge, IdentifierState, TryRefusal},
    runtime::config::OtpConfig,
    value::Purpose,
};

/// An item stays this long after the last use: longer than any limit looks back.
const KEEP_SECONDS: i64 = 24 * 60 * 60;

/// Where the state of an identifier is.
pub fn identifier_key(identifier: &Digest) -> Key<IdentifierState> {
    Key::new(Table::Otp, &[("pk", &format!("IDENTIFIER#{}", identifier.text()))])
}

/// The attribute of the living challenge of a purpose.
fn challenge_name(purpose: Purpose) -> String {
    format!("challenge_{}", purpose.as_str().to_ascii_lowercase())
}

/// Notes a send to an identifier and puts the challenge in place of the last one, if the limits
/// allow it. A refusal carries the item, from which [`otp::send_refusal`] tells the reason.
pub fn put_challenge<L>(
    transaction: &mut Transaction<L>,
    label: L,
    identifier: &Digest,
    purpose: Purpose,
    challenge: &Challenge,
    config: &OtpConfig,
) -> Result<(), Problem> {
    let now = challenge.sent_at;
    let last = config.identifier_max_per_hour - 1;
    let shifts: String = (1..=last)
        .rev()
        .map(|place| format!("s{place} = if_not_exists(s{}, :zero), ", place - 1))
        .collect();
    let update = format!(
        "SET {shifts}s0 = :now, {} = :challenge, expires_at = :ttl, item_type = :type, schema_version = :one",
        challenge_name(purpose)
    );
    let condition = format!(
        "(attribute_not_exists(s0) OR s0 <= :resend) \
         AND (attribute_not_exists(s{last}) OR s{last} <= :hour) \
         AND (attribute_not_exists(failures) OR failures < :max OR last_try_at <= :lock)"
    );
    let value = serde_dynamo::to_attribute_value(challenge).map_err(Problem::internal)?;
    let mut change = Change::new(identifier_key(identifier), update)
        .only_if(condition)
        .with(":now", time(now))
        .with(":challenge", value)
        .with(":ttl", n(now.as_second() + KEEP_SECONDS))
        .with(":type", s("otp_identifier"))
        .with(":one", n(1))
        .with(":resend", n(now.as_second() - i64::from(config.resend_seconds)))
        .with(":hour", n(now.as_second() - otp::HOUR_SECONDS))
        .with(":max", n(otp::MAX_FAILURES))
        .with(":lock", n(now.as_second() - otp::LOCK_SECONDS));
    if last > 0 {
        change = change.with(":zero", n(0));
    }
    transaction.change(label, change);
    Ok(())
}

/// The state in an item that stood against a send.
pub fn state(item: Item) -> Result<IdentifierState, Problem> {
    from_item(item)
}

/// Takes a challenge back that was not delivered, and the send that was counted for it, unless
/// newer ones have replaced them.
pub async fn revoke(
    store: &Store,
    identifier: &Digest,
    purpose: Purpose,
    challenge: &Challenge,
    config: &OtpConfig,
) -> Result<(), Problem> {
    let name = challenge_name(purpose);
    let last = config.identifier_max_per_hour - 1;
    let moved = (0..last).map(|place| format!("s{place} = if_not_exists(s{}, :zero)", place + 1));
    let moved: Vec<_> = moved.chain([format!("s{last} = :zero")]).collect();
    let update = format!("SET {} REMOVE {name}", moved.join(", "));
    let both = Change::new(identifier_key(identifier), update)
        .only_if(format!("{name}.id = :id AND s0 = :sent_at"))
        .with(":id", s(&*challenge.id))
        .with(":sent_at", time(challenge.sent_at))
        .with(":zero", n(0));
    if let WriteOutcome::Applied(_) = store.update(both).await? {
        return Ok(());
    }
    let challenge_only = Change::new(identifier_key(identifier), format!("REMOVE {name}"))
        .only_if(format!("{name}.id = :id"))
        .with(":id", s(&*challenge.id));
    store.update(challenge_only).await.map(drop)
}

/// Leaves a challenge standing that no code meets: nothing was delivered, and nobody may learn that
/// something should have been.
pub async fn make_unmatchable(
    store: &Store,
    identifier: &Digest,
    purpose: Purpose,
    challenge: &Challenge,
) -> Result<(), Problem> {
    let name = challenge_name(purpose);
    let change = Change::new(identifier_key(identifier), format!("SET {name}.code = :none"))
        .only_if(format!("{name}.id = :id"))
        .with(":none", s(Digest::from_bytes(secret::random()).text()))
        .with(":id", s(&*challenge.id));
    store.update(change).await.map(drop)
}

/// What became of a try before its code was compared.
#[derive(Debug, Clone)]
pub enum Try {
    /// It was counted; the code is to be compared with this challenge.
    Counted(Challenge),
    /// There is no living challenge, or its tries are used up.
    NoChallenge,
    /// The identifier's codes are locked until then.
    Locked(Timestamp),
}

/// Counts a try against a living challenge, before anything is compared. `nonce` is fresh: by it
/// a repeated write is recognised, so that a lost answer does not count twice.
pub async fn count_try(
    store: &Store,
    identifier: &Digest,
    purpose: Purpose,
    nonce: &str,
    now: Timestamp,
) -> Result<Try, Problem> {
    let normal = tries(identifier, purpose, nonce, now, None);
    let state = match store.update(normal).await? {
        WriteOutcome::Applied(item) => return counted(from_item(item)?, purpose),
        WriteOutcome::ConditionFailed(None) => return Ok(Try::NoChallenge),
        WriteOutcome::ConditionFailed(Some(item)) => self::state(item)?,
    };
    match otp::classify_refused_try(&state, purpose, nonce, now) {
        TryRefusal::AlreadyCounted => counted(state, purpose),
        TryRefusal::NoChallenge => Ok(Try::NoChallenge),
        TryRefusal::Locked(until) => Ok(Try::Locked(until)),
        // An hour after the lock the count begins anew: for one of those who try at once.
        TryRefusal::LockEnded { last_try_at } => {
            let anew = tries(identifier, purpose, nonce, now, Some(last_try_at));
            match store.update(anew).await? {
                WriteOutcome::Applied(item) => counted(from_item(item)?, purpose),
                WriteOutcome::ConditionFailed(_) => {
                    Err(Problem::unavailable("tries collided after a lock"))
                }
            }
        }
    }
}

fn counted(state: IdentifierState, purpose: Purpose) -> Result<Try, Problem> {
    let challenge = state.challenge(purpose).cloned();
    Ok(challenge.map_or(Try::NoChallenge, Try::Counted))
}

/// The change that counts a try. `after_lock` is the time of the try that locked the identifier.
fn tries(
    identifier: &Digest,
    purpose: Purpose,
    nonce: &str,
    now: Timestamp,
    after_lock: Option<Timestamp>,
) -> Change {
    let name = challenge_name(purpose);
    let (failures, allowed) = match after_lock {
        None => (
            "if_not_exists(failures, :zero) + :one",
            "(attribute_not_exists(failures) OR failures < :max)",
        ),
        Some(_) => (":one", "last_try_at = :last"),
    };
    let update = format!(
        "SET {name}.tries = {name}.tries + :one, failures = {failures}, last_try_at = :now, \
         try_nonce = :nonce"
    );
    let condition = format!(
        "{name}.expires_at > :now AND {name}.tries < :tries AND {allowed} \
         AND (attribute_not_exists(try_nonce) OR try_nonce <> :nonce)"
    );
    let change = Change::new(identifier_key(identifier), update)
        .only_if(condition)
        .with(":one", n(1))
        .with(":now", time(now))
        .with(":nonce", s(nonce))
        .with(":tries", n(otp::MAX_TRIES));
    match after_lock {
        None => change.with(":zero", n(0)).with(":max", n(otp::MAX_FAILURES)),
        Some(last) => change.with(":last", time(last)),
    }
}

/// What a verification token stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verified {
    /// Keyed digest of the identifier.
    #[serde(with = "digest")]
    pub identifier: Digest,
    /// What it may be used for.
    pub purpose: Purpose,
    /// When it dies. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

impl Verified {
    /// Whether it proves, at `now`, that `identifier` was verified for `purpose`.
    pub fn proves(&self, identifier: &Digest, purpose: Purpose, now: Timestamp) -> bool {
        self.identifier == *identifier && self.purpose == purpose && now < self.expires_at
    }
}

/// Where a verification token is; only its digest is stored.
pub fn token_key(token: &Token) -> Key<Verified> {
    Key::new(Table::Otp, &[("pk", &format!("TOKEN#{}", token.digest().text()))])
}

/// Exchanges a challenge for a verification token. Whether this was the one that did.
pub async fn exchange(
    store: &Store,
    challenge: &Challenge,
    token: &Token,
    verified: &Verified,
) -> Result<bool, Problem> {
    let mut transaction = Transaction::default();
    let name = challenge_name(verified.purpose);
    let change = Change::new(
        identifier_key(&verified.identifier),
        format!("SET failures = :zero REMOVE {name}"),
    )
    .only_if(format!("{name}.id = :id"))
    .with(":zero", n(0))
    .with(":id", s(&*challenge.id));
    transaction.change((), change);
    let mut new = item("verification_token", verified)?;
    new.extend(token_key(token).key);
    transaction.create((), Table::Otp, "pk", new);
    Ok(store.commit(transaction).await?.is_ok())
}

/// Uses a verification token up, if it still proves what it must.
pub fn consume<L>(
    transaction: &mut Transaction<L>,
    label: L,
    token: &Token,
    identifier: &Digest,
    purpose: Purpose,
    now: Timestamp,
) {
    let values = Item::from([
        (":identifier".to_owned(), s(identifier.text())),
        (":purpose".to_owned(), s(purpose.as_str())),
        (":now".to_owned(), time(now)),
    ]);
    let condition = "identifier = :identifier AND purpose = :purpose AND expires_at > :now";
    transaction.delete(label, token_key(token), Some(condition), values);
}

/// Remembers that a key asked for this send, or finds that it did before.
pub fn remember_request<L>(
    transaction: &mut Transaction<L>,
    label: L,
    key: &Digest,
    purpose: Purpose,
    challenge: &Challenge,
) -> Result<(), Problem> {
    #[derive(Serialize)]
    struct Record<'a> {
        purpose: Purpose,
        challenge_id: &'a str,
        #[serde(with = "seconds::required")]
        expires_at: Timestamp,
    }
    let now = challenge.sent_at;
    let expires_at = crate::runtime::clock::after(now, otp::IDEMPOTENCY_SECONDS);
    let record = Record { purpose, challenge_id: &challenge.id, expires_at };
    let mut new = item("idempotency_key", &record)?;
    new.extend(idempotency_key(key).key);
    let values = Item::from([(":now".to_owned(), time(now))]);
    let condition = "attribute_not_exists(pk) OR expires_at <= :now";
    transaction.put_if(label, Table::Otp, new, condition, values);
    Ok(())
}

/// What a remembered key asked for.
#[derive(Debug, Clone, Deserialize)]
pub struct Remembered {
    /// Which code.
    pub purpose: Purpose,
    /// The challenge that was made.
    pub challenge_id: String,
    #[serde(with = "seconds::required")]
    expires_at: Timestamp,
}

impl Remembered {
    /// When the code was sent, in whole seconds.
    pub fn sent_at(&self) -> Timestamp {
        crate::runtime::clock::after(self.expires_at, -otp::IDEMPOTENCY_SECONDS)
    }
}

/// What a key asked for before.
pub fn remembered(item: Option<&Item>) -> Option<Remembered> {
    serde_dynamo::from_item(item?.clone()).ok()
}

/// Forgets a key whose send failed, so that it can be tried again; not one that another request
/// has used since.
pub async fn forget_request(
    store: &Store,
    key: &Digest,
    challenge: &Challenge,
) -> Result<(), Problem> {
    let values = Item::from([(":id".to_owned(), s(&*challenge.id))]);
    store.delete(idempotency_key(key), "challenge_id = :id", values).await.map(drop)
}

fn idempotency_key(key: &Digest) -> Key<()> {
    Key::new(Table::Otp, &[("pk", &format!("REQUEST#{}", key.text()))])
}
