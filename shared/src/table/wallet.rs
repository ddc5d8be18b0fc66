//! The `wallets` table: balances and the ledger.
//!
//! A balance only ever changes together with its ledger entry, in one transaction, held by the
//! balance's version. Entries are never changed or deleted.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Change, Item, Key, Store, Table, Transaction, from_item, item, n, read::Page, s, seconds, time,
};
use crate::{
    clock::whole_second,
    id::{EntryId, UserId},
    money::Points,
    problem::Problem,
};

/// What a user has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// Whose it is.
    pub user_id: UserId,
    /// Money, minor units of the deployment's currency.
    pub balance_minor: i64,
    /// Points to spend.
    pub points: i64,
    /// Points that were ever credited.
    pub points_credited: i64,
    /// Raised by every change.
    pub revision: u64,
    /// Referrals of this user that were paid for.
    pub referrals_paid: u32,
    /// Its newest entry. The next one's id comes after it, whoever's clock is behind.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_entry_id: Option<EntryId>,
    /// When it last changed.
    #[serde(with = "seconds::required")]
    pub updated_at: Timestamp,
    /// When its account was deleted. A closed wallet takes no entry.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub closed_at: Option<Timestamp>,
}

/// What an entry moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Asset {
    /// The deployment's currency.
    Money,
    /// Points.
    Points,
}

impl Asset {
    /// Its name in requests, answers and items.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Money => "MONEY",
            Self::Points => "POINTS",
        }
    }
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Direction {
    /// To the user.
    Credit,
    /// From the user.
    Debit,
}

impl Direction {
    /// Its name in requests, answers and items.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credit => "CREDIT",
            Self::Debit => "DEBIT",
        }
    }
}

/// A ledger entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id, which orders entries.
    pub entry_id: EntryId,
    /// What it moves.
    pub asset: Asset,
    /// Which way.
    pub direction: Direction,
    /// How much: minor units or points.
    pub quantity: i64,
    /// The balance of that asset before.
    pub balance_before: i64,
    /// And after.
    pub balance_after: i64,
    /// What it is about, for a program. No personal data.
    pub reference: String,
    /// Why, for a person. No personal data.
    pub reason: String,
    /// Who made it.
    pub actor: String,
    /// When.
    #[serde(with = "seconds::required")]
    pub created_at: Timestamp,
}

/// Where a user's balance is.
pub fn balance_key(user_id: UserId) -> Key<Balance> {
    row(user_id, "BALANCE")
}

/// Where an entry is.
pub fn entry_key(user_id: UserId, entry_id: EntryId) -> Key<Entry> {
    row(user_id, &format!("{ENTRY}{entry_id}"))
}

const ENTRY: &str = "ENTRY#";

pub(super) fn row<T>(user_id: UserId, sk: &str) -> Key<T> {
    Key::new(Table::Wallets, &[("user_id", &user_id.to_string()), ("sk", sk)])
}

/// A page of a user's entries, newest first, and the id to go on after.
pub async fn entries(
    store: &Store,
    user_id: UserId,
    asset: Option<Asset>,
    after: Option<EntryId>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<EntryId>), Problem> {
    let user_id = user_id.to_string();
    let page = Page {
        table: Table::Wallets,
        partition: ("user_id", &user_id),
        sort: ("sk", ENTRY),
        after: after.map(|id| format!("{ENTRY}{id}")),
        newest_first: true,
        only: asset.map(|asset| ("asset", asset.as_str())),
        limit,
    };
    let (items, next) = store.page(page).await?;
    let entries = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
    let next = next.map(|sk| {
        let id = sk.strip_prefix(ENTRY).and_then(|id| EntryId::parse(id).ok());
        id.ok_or_else(|| Problem::internal("a sort key of the ledger is not an id"))
    });
    let next = next.transpose()?;
    Ok((entries, next))
}

impl Balance {
    /// A wallet with nothing in it.
    pub fn empty(user_id: UserId, now: Timestamp) -> Self {
        Self {
            user_id,
            balance_minor: 0,
            points: 0,
            points_credited: 0,
            revision: 0,
            referrals_paid: 0,
            last_entry_id: None,
            updated_at: now,
            closed_at: None,
        }
    }

    /// Whether it takes entries: its account has not been deleted.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// The id of an entry that is made at `now`: it comes after those that there are, so that the
    /// ids have the order in which the balance changed. `random` must be fresh from a CSPRNG.
    pub fn next_entry_id(&self, now: Timestamp, random: [u8; 10]) -> EntryId {
        let tick = SignedDuration::from_millis(1);
        let after = self.last_entry_id.map(|id| id.created_at().saturating_add(tick));
        let after = after.and_then(Result::ok).unwrap_or(Timestamp::MIN);
        EntryId::new(now.max(after), random)
    }

    /// The entry that takes all the money, if there is any.
    pub fn forfeit(&self, entry_id: EntryId, actor: String, now: Timestamp) -> Option<Entry> {
        (self.balance_minor > 0).then(|| Entry {
            entry_id,
            asset: Asset::Money,
            direction: Direction::Debit,
            quantity: self.balance_minor,
            balance_before: self.balance_minor,
            balance_after: 0,
            reference: "account_deletion".to_owned(),
            reason: "The account was deleted".to_owned(),
            actor,
            created_at: whole_second(now),
        })
    }

    /// Credits points: the balance after, and the entry. `None` beyond what a balance can hold.
    pub fn credit_points(
        &mut self,
        entry_id: EntryId,
        points: Points,
        reference: &str,
        reason: &str,
        now: Timestamp,
    ) -> Option<Entry> {
        let balance_before = self.points;
        self.points = Points::new(self.points)?.checked_add(points)?.get();
        self.points_credited = self.points_credited.checked_add(points.get())?;
        self.last_entry_id = Some(entry_id);
        self.updated_at = now;
        Some(Entry {
            entry_id,
            asset: Asset::Points,
            direction: Direction::Credit,
            quantity: points.get(),
            balance_before,
            balance_after: self.points,
            reference: reference.to_owned(),
            reason: reason.to_owned(),
            actor: "system".to_owned(),
            created_at: now,
        })
    }
}

/// Opens a wallet with the balance that its first entries leave.
pub fn open<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    balance: &Balance,
    entries: &[Entry],
) -> Result<(), Problem> {
    let mut new = item("balance", balance)?;
    new.extend(balance_key(balance.user_id).key);
    transaction.create(label, Table::Wallets, "sk", new);
    entries.iter().try_for_each(|entry| append(transaction, label, balance.user_id, entry))
}

/// Writes a balance that changed, with its entry, if it has not changed since it was read.
pub fn post<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    balance: &Balance,
    entry: &Entry,
) -> Result<(), Problem> {
    let revision = i64::try_from(balance.revision).map_err(Problem::internal)?;
    let update = "SET balance_minor = :money, points = :points, points_credited = :credited, \
                  referrals_paid = :referrals, last_entry_id = :entry, updated_at = :now, \
                  revision = :next";
    let change = Change::new(balance_key(balance.user_id), update)
        .only_if("revision = :revision")
        .with(":money", n(balance.balance_minor))
        .with(":points", n(balance.points))
        .with(":credited", n(balance.points_credited))
        .with(":referrals", n(balance.referrals_paid))
        .with(":entry", s(entry.entry_id.to_string()))
        .with(":now", time(balance.updated_at))
        .with(":revision", n(revision))
        .with(":next", n(revision + 1));
    transaction.change(label, change);
    append(transaction, label, balance.user_id, entry)
}

/// Closes a wallet that has not changed since it was read, with the entry that empties it.
pub fn close<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    balance: &Balance,
    forfeit: Option<&Entry>,
    now: Timestamp,
) -> Result<(), Problem> {
    let revision = i64::try_from(balance.revision).map_err(Problem::internal)?;
    let money = forfeit.map_or(balance.balance_minor, |entry| entry.balance_after);
    let update =
        "SET balance_minor = :money, closed_at = :now, updated_at = :now, revision = :next";
    let change = Change::new(balance_key(balance.user_id), update)
        .only_if("revision = :revision AND attribute_not_exists(closed_at)")
        .with(":money", n(money))
        .with(":now", time(now))
        .with(":revision", n(revision))
        .with(":next", n(revision + 1));
    transaction.change(label, change);
    forfeit.map_or(Ok(()), |entry| append(transaction, label, balance.user_id, entry))
}

/// Lets a transaction through only while the wallet is there and takes entries.
pub fn must_be_open<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    let condition = "attribute_exists(sk) AND attribute_not_exists(closed_at)";
    transaction.check(label, balance_key(user_id), condition, &[], Item::new());
}

/// A user's newest entries, at most `limit`, and whether these are all.
pub async fn newest_entries(
    store: &Store,
    user_id: UserId,
    limit: usize,
) -> Result<(Vec<Entry>, bool), Problem> {
    let user_id = user_id.to_string();
    let found =
        store.newest_rows(Table::Wallets, ("user_id", &user_id), ("sk", ENTRY), limit).await?;
    let entries = found.0.into_iter().map(from_item).collect::<Result<_, _>>()?;
    Ok((entries, found.1))
}

fn append<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    entry: &Entry,
) -> Result<(), Problem> {
    let mut new = item("entry", entry)?;
    new.extend(entry_key(user_id, entry.entry_id).key);
    transaction.create(label, Table::Wallets, "sk", new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_after_those_that_there_are_whatever_the_clock_says() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let user_id = UserId::new(at(0), [0; 10]);
        let last = EntryId::new(at(1_800_000_000_000), [0xff; 10]);
        let empty = Balance::empty(user_id, at(0));
        let balance = Balance { last_entry_id: Some(last), ..empty.clone() };
        for behind in [0, 1, 60_000] {
            assert!(balance.next_entry_id(at(1_800_000_000_000 - behind), [0; 10]) > last);
        }
        let later = at(1_800_000_000_007);
        assert_eq!(balance.next_entry_id(later, [0; 10]).created_at(), later);
        assert_eq!(empty.next_entry_id(later, [0; 10]).created_at(), later);
    }
}
