//! The `wallets` table: posting an entry, once for an idempotency key.
//!
//! Two round trips: the balance and the key's record are read, then one transaction
//! writes balance, entry and record, held by the balance's revision. Whoever is overtaken reads
//! and tries again; after too many times the answer is 503, and the same key is safe to send
//! again.

use std::time::Duration;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    crypto::{
        canonical::Canonical,
        secret::{self, Digest},
    },
    dynamodb::{Item, Key, KeySet, Store, Table, Transaction, digest, item, seconds, time},
    http::{
        IdempotencyKey,
        problem::{Code, Problem},
    },
    runtime::clock::after,
    runtime::clock::whole_second,
    usage,
    value::{EntryId, Invalid, UserId},
    wallet::{
        self, Balance, Direction, Entry,
        ledger::{self, Movement, Quantity, Refusal},
    },
};

const KEEP_SECONDS: i64 = 24 * 60 * 60;
const ATTEMPTS: u32 = 10;

/// An entry that is asked for.
#[derive(Debug, Clone)]
pub struct EntryRequest {
    /// Whose wallet.
    pub user_id: UserId,
    /// What is moved.
    pub movement: Movement,
    /// What it is about, for a program.
    pub reference: String,
    /// Why, for a person.
    pub reason: String,
    /// Who asks for it.
    pub actor: String,
}

impl EntryRequest {
    /// Equal for requests that ask for the same. Whose wallet it is, is part of the key's place.
    fn fingerprint(&self) -> Digest {
        let Movement { direction, quantity } = self.movement;
        let request = Canonical::new("wallet entry")
            .with("direction", direction.as_str())
            .with("asset", quantity.asset().as_str())
            .with("units", quantity.units().to_string())
            .with("reference", self.reference.as_str())
            .with("reason", self.reason.as_str());
        request.digest()
    }

    /// The entry of this id, which tells when it was made.
    fn entry(&self, entry_id: EntryId, (balance_before, balance_after): (i64, i64)) -> Entry {
        let Movement { direction, quantity } = self.movement;
        Entry {
            entry_id,
            asset: quantity.asset(),
            direction,
            quantity: quantity.units(),
            balance_before,
            balance_after,
            reference: self.reference.clone(),
            reason: self.reason.clone(),
            actor: self.actor.clone(),
            created_at: whole_second(entry_id.created_at()),
        }
    }
}

/// The record of a key: what was asked for under it, and what was made. With the request, which
/// must be the same, it is enough to tell the whole entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    #[serde(with = "digest")]
    fingerprint: Digest,
    entry_id: EntryId,
    balance_before: i64,
    balance_after: i64,
    actor: String,
    #[serde(with = "seconds::required")]
    expires_at: Timestamp,
}

/// What stands before a posting: the balance, and the record of the key.
#[derive(Debug)]
pub struct WalletSnapshot {
    record: Option<Record>,
    balance: Option<Balance>,
}

/// Where what stands before a posting is.
#[derive(Debug, Clone)]
pub struct IdempotencyScope {
    record: Key<Record>,
    balance: Key<Balance>,
}

impl IdempotencyScope {
    /// Of a user's wallet, and of the idempotency key of one operation on it.
    pub fn new(user_id: UserId, operation: &str, key: &IdempotencyKey) -> Self {
        let name = Digest::sha256(&[b"posting key", operation.as_bytes(), key.as_bytes()]).text();
        let record = wallet::row(user_id, &format!("IDEM#{name}"));
        Self { record, balance: wallet::balance_key(user_id) }
    }

    fn consistent(self) -> Self {
        Self { record: self.record.consistent(), balance: self.balance.consistent() }
    }
}

impl KeySet for IdempotencyScope {
    type Items = WalletSnapshot;

    fn add_keys(&self, keys: &mut Vec<(Table, Item, bool)>) {
        self.record.add_keys(keys);
        self.balance.add_keys(keys);
    }

    fn take_items(self, items: &mut Vec<(Table, Item)>) -> Result<WalletSnapshot, Problem> {
        Ok(WalletSnapshot {
            record: self.record.take_items(items)?,
            balance: self.balance.take_items(items)?,
        })
    }
}

/// An entry, and whether it had been made before under the same key.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryOutcome {
    /// The entry.
    pub entry: Entry,
    /// Whether this request made nothing.
    pub is_replayed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Wallet,
    Record,
    Extra,
}

/// Posts an entry at a place of its user's wallet. `extra_writes` adds what is to be written in the same
/// transaction, and may hold that who asks still has the right to. What the caller has seen already,
/// perhaps a moment old, is tried first; nothing but a repeated key is answered on its word. Points
/// that are credited count on `day`, that of `now` in the deployment.
///
/// # Errors
/// `not_found` without such a wallet, `insufficient_balance`, `idempotency_key_reused`, `forbidden`
/// where what is beside it was refused, 503.
pub async fn post(
    store: &Store,
    request: &EntryRequest,
    scope: &IdempotencyScope,
    mut snapshot: Option<WalletSnapshot>,
    (now, day): (Timestamp, Date),
    extra_writes: impl Fn(&mut Transaction<()>, &Entry) -> Result<(), Problem>,
) -> Result<EntryOutcome, Problem> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            let [jitter] = secret::random::<1>();
            tokio::time::sleep(Duration::from_millis(u64::from(jitter) * u64::from(attempt) / 8))
                .await;
        }
        let (WalletSnapshot { record, balance }, is_fresh) = match snapshot.take() {
            Some(snapshot) => (snapshot, false),
            None => (store.read(scope.clone().consistent()).await?, true),
        };
        if let Some(record) = record.filter(|record| now < record.expires_at) {
            return replay(request, record);
        }
        let balance = balance
            .filter(Balance::is_open)
            .ok_or_else(|| Problem::new(Code::NotFound, "There is no such user."));
        let made =
            balance.and_then(|balance| transaction(request, &balance, &scope.record, (now, day)));
        let (mut transaction, entry) = match made {
            Ok(made) => made,
            Err(_) if !is_fresh => continue,
            Err(problem) => return Err(problem),
        };
        let mut others = Transaction::default();
        extra_writes(&mut others, &entry)?;
        transaction.append(others, Write::Extra);
        match store.commit(transaction).await? {
            Ok(()) => return Ok(EntryOutcome { entry, is_replayed: false }),
            Err(refusals) if refusals.iter().any(|refusal| refusal.label == Write::Extra) => {
                return Err(Problem::new(Code::Forbidden, "The right to do this has just ended."));
            }
            Err(_) => {}
        }
    }
    Err(Problem::unavailable("a wallet was too busy"))
}

fn replay(request: &EntryRequest, record: Record) -> Result<EntryOutcome, Problem> {
    if record.fingerprint != request.fingerprint() {
        let detail = "Use a new Idempotency-Key for a new request.";
        return Err(Problem::new(Code::IdempotencyKeyReused, detail));
    }
    let Record { entry_id, balance_before, balance_after, actor, .. } = record;
    let made = request.entry(entry_id, (balance_before, balance_after));
    Ok(EntryOutcome { entry: Entry { actor, ..made }, is_replayed: true })
}

fn transaction(
    request: &EntryRequest,
    balance: &Balance,
    record_key: &Key<Record>,
    (now, day): (Timestamp, Date),
) -> Result<(Transaction<Write>, Entry), Problem> {
    let EntryRequest { user_id, movement, .. } = request;
    let (after_it, balance_before, balance_after) =
        ledger::apply(balance, *movement).map_err(|refusal| refused(refusal, *movement))?;
    let entry_id = balance.next_entry_id(now, secret::random());
    let entry = request.entry(entry_id, (balance_before, balance_after));
    let mut all = Transaction::default();
    let changed = Balance { updated_at: now, ..after_it };
    wallet::post(&mut all, Write::Wallet, &changed, &entry)?;
    if let (Direction::Credit, Quantity::Points(points)) = (movement.direction, movement.quantity) {
        usage::count_points(&mut all, Write::Wallet, *user_id, points, false, day);
    }
    let record = Record {
        fingerprint: request.fingerprint(),
        entry_id,
        balance_before,
        balance_after,
        actor: entry.actor.clone(),
        expires_at: after(now, KEEP_SECONDS),
    };
    let mut new = item("idempotency_key", &record)?;
    new.extend(record_key.key.clone());
    let values = Item::from([(":now".to_owned(), time(now))]);
    let condition = "attribute_not_exists(sk) OR expires_at <= :now";
    all.put_if(Write::Record, Table::Wallets, new, condition, values);
    Ok((all, entry))
}

fn refused(refusal: Refusal, movement: Movement) -> Problem {
    const TOO_MUCH: Invalid =
        Invalid { code: "too_much", detail: "The balance cannot hold so much." };
    match (refusal, movement.quantity) {
        (Refusal::Insufficient, _) => {
            Problem::new(Code::InsufficientBalance, "There is less than is to be taken.")
        }
        (Refusal::TooMuch, Quantity::Money(_)) => Problem::invalid("amount", TOO_MUCH),
        (Refusal::TooMuch, Quantity::Points(_)) => Problem::invalid("points", TOO_MUCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Amount, Points};

    fn posting(direction: Direction, quantity: Quantity) -> EntryRequest {
        EntryRequest {
            user_id: UserId::new(Timestamp::UNIX_EPOCH, [1; 10]),
            movement: Movement { direction, quantity },
            reference: "rental-1".to_owned(),
            reason: "A rental".to_owned(),
            actor: "somebody".to_owned(),
        }
    }

    /// Fingerprints are kept for a day: a release that changes them makes safe retries 422.
    #[test]
    fn the_fingerprint_is_pinned() {
        let money = Quantity::Money(Amount::from_minor(2_500).unwrap());
        let points = Quantity::Points(Points::new(25).unwrap());
        for (direction, quantity, words) in [
            (Direction::Credit, money, ["MONEY", "CREDIT", "2500"]),
            (Direction::Debit, points, ["POINTS", "DEBIT", "25"]),
        ] {
            let [asset, way, units] = words;
            let parts = [
                "wallet entry",
                "asset",
                asset,
                "direction",
                way,
                "reason",
                "A rental",
                "reference",
                "rental-1",
                "units",
                units,
            ];
            let expected = Digest::sha256(&parts.map(str::as_bytes));
            assert_eq!(posting(direction, quantity).fingerprint(), expected);
        }
    }
}
