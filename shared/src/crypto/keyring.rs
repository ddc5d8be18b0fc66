//! Keys that make and rotate themselves.
//!
//! A key belongs to a slot of 30 days and is written, if it is not there, by whichever function
//! needs it first, one slot ahead of its use: every function knows it before anyone signs with
//! it. Rows are read at start and again every 5 minutes, beside the requests; an unknown key is
//! looked for at once, but at most once a minute.
//!
//! The bytes of keys are wiped when they are dropped, and are held once: what reads a row shares it.
//! What the AWS SDK holds of a response while it reads it is out of reach.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use jiff::Timestamp;

use crate::{
    crypto::{
        key_items::{self, Row, Slot},
        secret::{self, KeyBytes, MacKey},
    },
    dynamodb::Store,
    http::problem::Problem,
    runtime::lambda::StartError,
    session::access_token::{self, SigningKey, VerifyingKeys},
};

const SLOT_SECONDS: i64 = 30 * 24 * 60 * 60;
const REREAD_SECONDS: i64 = 5 * 60;
const SEARCH_SECONDS: i64 = 60;

/// When a row gets a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotation {
    Slots,
    Never,
}

/// The uses of MAC keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacUse {
    /// One-time codes at rest.
    Otp,
    /// Refresh tokens. A session keeps its key for life.
    Refresh,
    /// Identifiers and addresses as keys of items. Never rotates: items are found by it.
    Index,
    /// Page cursors. Never rotates: a list may be read slowly.
    Cursor,
    /// Numbers of identity documents as keys of items. Never rotates: claims are made with it.
    Document,
}

impl MacUse {
    fn row(self) -> (Row, Rotation) {
        match self {
            Self::Otp => (Row::Mac("otp"), Rotation::Slots),
            Self::Refresh => (Row::Mac("refresh"), Rotation::Slots),
            Self::Index => (Row::Mac("index"), Rotation::Never),
            Self::Cursor => (Row::Mac("cursor"), Rotation::Never),
            Self::Document => (Row::Mac("document"), Rotation::Never),
        }
    }
}

fn slot_of(now: Timestamp) -> Slot {
    Slot::try_from(now.as_second() / SLOT_SECONDS).unwrap_or(0)
}

/// When the last token signed in `slot` is dead.
fn verifies_until(slot: Slot) -> i64 {
    (i64::from(slot) + 1) * SLOT_SECONDS + access_token::LIFETIME_SECONDS
}

/// One row of keys as last read.
struct Snapshot {
    keys: BTreeMap<Slot, KeyBytes>,
    read_at: Timestamp,
}

/// A row of keys: read, and made where this function is the one to make them.
struct Ring {
    store: Store,
    row: Row,
    rotation: Rotation,
    snapshot: RwLock<Arc<Snapshot>>,
    /// One reading at a time; the others wait for what it finds.
    reading: tokio::sync::Mutex<()>,
}

impl Ring {
    async fn load(
        store: &Store,
        (row, rotation): (Row, Rotation),
        now: Timestamp,
    ) -> Result<Arc<Self>, StartError> {
        let ring = Self {
            store: store.clone(),
            row,
            rotation,
            snapshot: RwLock::new(Arc::new(Snapshot {
                keys: BTreeMap::new(),
                read_at: Timestamp::MIN,
            })),
            reading: tokio::sync::Mutex::new(()),
        };
        ring.read(now).await.map_err(|problem| {
            StartError::Keys(problem.cause_chain().unwrap_or_default().into())
        })?;
        Ok(Arc::new(ring))
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the row, first making the keys of this slot and the next where they are missing.
    async fn read(&self, now: Timestamp) -> Result<(), Problem> {
        let mut keys: BTreeMap<_, _> =
            key_items::list(&self.store, self.row).await?.into_iter().collect();
        let missing: Vec<Slot> =
            self.wanted(now).into_iter().filter(|slot| !keys.contains_key(slot)).collect();
        if !missing.is_empty() {
            for slot in missing {
                key_items::create(&self.store, slot, &self.make()?, now).await?;
            }
            keys = key_items::list(&self.store, self.row).await?.into_iter().collect();
        }
        let snapshot = Arc::new(Snapshot { keys, read_at: now });
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        Ok(())
    }

    fn wanted(&self, now: Timestamp) -> Vec<Slot> {
        match (self.row, self.rotation) {
            (Row::Public, _) => Vec::new(),
            (_, Rotation::Never) => vec![0],
            (_, Rotation::Slots) => vec![slot_of(now), slot_of(now) + 1],
        }
    }

    fn make(&self) -> Result<Vec<(Row, KeyBytes)>, Problem> {
        let key = KeyBytes::new(secret::random());
        if self.row != Row::Private {
            return Ok(vec![(self.row, key)]);
        }
        let signing = SigningKey::from_seed(String::new(), &key)
            .ok_or_else(|| Problem::internal("a random seed is no signing key"))?;
        Ok(vec![(Row::Private, key), (Row::Public, signing.public().into())])
    }

    fn current_slot(&self, now: Timestamp) -> Slot {
        match self.rotation {
            Rotation::Slots => slot_of(now),
            Rotation::Never => 0,
        }
    }

    /// The row, read again beside the request when it is older than five minutes.
    fn recent(self: &Arc<Self>, now: Timestamp) -> Arc<Snapshot> {
        let snapshot = self.snapshot();
        if self.is_older(&snapshot, REREAD_SECONDS, now) && self.reading.try_lock().is_ok() {
            let ring = Arc::clone(self);
            tokio::spawn(async move {
                let _one = ring.reading.lock().await;
                if ring.is_older(&ring.snapshot(), REREAD_SECONDS, now)
                    && let Err(problem) = ring.read(now).await
                {
                    tracing::warn!(cause = problem.cause_chain(), "keys were not read again");
                }
            });
        }
        snapshot
    }

    /// Reads the row again, now, when it is older than five minutes or lacks a key that there
    /// should be by now.
    async fn refreshed(&self, now: Timestamp) -> Result<(), Problem> {
        let _one = self.reading.lock().await;
        let snapshot = self.snapshot();
        let slots = [slot_of(now), slot_of(now) + 1];
        let lacks = slots.iter().any(|slot| !snapshot.keys.contains_key(slot));
        match lacks || self.is_older(&snapshot, REREAD_SECONDS, now) {
            true => self.read(now).await,
            false => Ok(()),
        }
    }

    fn is_older(&self, snapshot: &Snapshot, seconds: i64, now: Timestamp) -> bool {
        (now.as_second() - snapshot.read_at.as_second()).abs() >= seconds
    }

    /// The row with `slot` in it, looked for now if that was not tried within the last minute,
    /// if it is the present one, or if this function makes it.
    async fn with(self: &Arc<Self>, slot: Slot, now: Timestamp) -> Result<Arc<Snapshot>, Problem> {
        let snapshot = self.recent(now);
        if snapshot.keys.contains_key(&slot) {
            return Ok(snapshot);
        }
        let _one = self.reading.lock().await;
        let snapshot = self.snapshot();
        let found = snapshot.keys.contains_key(&slot);
        let makes = self.wanted(now).contains(&slot);
        // The key of the present is always looked for: after a long quiet, or before the first
        // sign-in, it may have been made a moment ago.
        let search = slot == slot_of(now) || self.is_older(&snapshot, SEARCH_SECONDS, now);
        if found || !(makes || search) {
            return Ok(snapshot);
        }
        self.read(now).await?;
        Ok(self.snapshot())
    }
}

/// The MAC keys of one use.
#[derive(Clone)]
pub struct MacKeys(Arc<Ring>);

impl MacKeys {
    /// Reads them, or makes the first.
    pub async fn load(store: &Store, usage: MacUse, now: Timestamp) -> Result<Self, StartError> {
        Ring::load(store, usage.row(), now).await.map(Self)
    }

    /// The key to make MACs with at `now`, and its slot.
    pub async fn current(&self, now: Timestamp) -> Result<(Slot, MacKey), Problem> {
        let slot = self.0.current_slot(now);
        let key = self.at(slot, now).await?;
        Ok((slot, key.ok_or_else(|| Problem::unavailable("a MAC key was not made"))?))
    }

    /// The key of `slot`, if there is one.
    pub async fn at(&self, slot: Slot, now: Timestamp) -> Result<Option<MacKey>, Problem> {
        let snapshot = self.0.with(slot, now).await?;
        Ok(snapshot.keys.get(&slot).cloned().map(MacKey::new))
    }
}

/// The keys that access tokens are signed with.
#[derive(Clone)]
pub struct SigningKeys(Arc<Ring>);

impl SigningKeys {
    /// Reads them, or makes the first.
    pub async fn load(store: &Store, now: Timestamp) -> Result<Self, StartError> {
        Ring::load(store, (Row::Private, Rotation::Slots), now).await.map(Self)
    }

    /// Makes the keys of this slot and the next where they are missing.
    pub async fn prepare(&self, now: Timestamp) -> Result<(), Problem> {
        self.0.refreshed(now).await
    }

    /// The key of `now`'s slot.
    pub async fn current(&self, now: Timestamp) -> Result<SigningKey, Problem> {
        let slot = slot_of(now);
        let snapshot = self.0.with(slot, now).await?;
        snapshot
            .keys
            .get(&slot)
            .and_then(|seed| SigningKey::from_seed(slot.to_string(), seed))
            .ok_or_else(|| Problem::unavailable("a signing key was not made"))
    }
}

/// The keys that access tokens are verified with.
#[derive(Clone)]
pub struct PublicKeys(Arc<Ring>);

impl PublicKeys {
    /// Reads them. There may be none yet: the first sign-in makes them.
    pub async fn load(store: &Store, now: Timestamp) -> Result<Self, StartError> {
        Ring::load(store, (Row::Public, Rotation::Slots), now).await.map(Self)
    }

    /// The keys that verify at `now`, the one named `kid` among them if it exists.
    pub async fn with(&self, kid: &str, now: Timestamp) -> Result<VerifyingKeys, Problem> {
        let Ok(slot) = kid.parse::<Slot>() else { return Ok(VerifyingKeys::default()) };
        let snapshot = self.0.with(slot, now).await?;
        Ok(VerifyingKeys::new(alive(&snapshot, now)))
    }

    /// `kid` and public key of every key that verifies now or will next, read again first where
    /// they are older than five minutes: others keep this answer.
    pub async fn published(&self, now: Timestamp) -> Result<Vec<(String, [u8; 32])>, Problem> {
        self.0.refreshed(now).await?;
        Ok(alive(&self.0.snapshot(), now).collect())
    }
}

/// The public keys that verify at `now`, with their `kid`.
fn alive(snapshot: &Snapshot, now: Timestamp) -> impl Iterator<Item = (String, [u8; 32])> + '_ {
    let keys = snapshot.keys.iter();
    keys.filter(move |(slot, _)| now.as_second() < verifies_until(**slot))
        .map(|(slot, key)| (slot.to_string(), **key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_verifies_until_its_last_token_is_dead() {
        let start = Timestamp::from_second(700 * SLOT_SECONDS).unwrap();
        let last = Timestamp::from_second(701 * SLOT_SECONDS - 1).unwrap();
        assert_eq!((slot_of(start), slot_of(last)), (700, 700));
        assert_eq!(verifies_until(700), last.as_second() + 1 + access_token::LIFETIME_SECONDS);
    }

    /// What is held of keys is of types that wipe themselves: this does not compile otherwise.
    #[test]
    fn the_bytes_of_keys_are_wiped_when_they_are_dropped() {
        fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let snapshot = Snapshot {
            keys: BTreeMap::from([(1, KeyBytes::new([7; 32]))]),
            read_at: Timestamp::MIN,
        };
        snapshot.keys.values().for_each(wiped);
        wiped(&MacKey::new([7; 32]));
    }
}
