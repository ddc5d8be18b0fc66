//! The `wallets` table: balances and the ledger.
//!
//! A balance changes only together with a ledger entry, in one transaction that requires the
//! balance's revision. Entries are never changed or deleted.

use jiff::Timestamp;

use crate::{
    dynamodb::{
        Change, Item, Key, Store, Table, Transaction, from_item, item, n, query::PageQuery, s, time,
    },
    http::problem::Problem,
    value::{EntryId, UserId},
    wallet::{Asset, Balance, Entry},
};

/// The key of a user's balance.
pub fn balance_key(user_id: UserId) -> Key<Balance> {
    row(user_id, "BALANCE")
}

/// The key of an entry.
pub fn entry_key(user_id: UserId, entry_id: EntryId) -> Key<Entry> {
    row(user_id, &format!("{ENTRY}{entry_id}"))
}

const ENTRY: &str = "ENTRY#";

pub(super) fn row<T>(user_id: UserId, sk: &str) -> Key<T> {
    Key::new(Table::Wallets, &[("user_id", &user_id.to_string()), ("sk", sk)])
}

/// A page of a user's entries, newest first. Also the id after which the next page starts, if there
/// may be more.
pub async fn entries(
    store: &Store,
    user_id: UserId,
    asset: Option<Asset>,
    after: Option<EntryId>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<EntryId>), Problem> {
    let user_id = user_id.to_string();
    let page = PageQuery {
        table: Table::Wallets,
        partition: ("user_id", &user_id),
        sort: ("sk", ENTRY),
        after: after.map(|id| format!("{ENTRY}{id}")),
        newest_first: true,
        only: asset.map(|asset| ("asset", asset.as_str())),
        limit,
    };
    let (items, next) = store.query_page(page).await?;
    let entries = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
    let next = next.map(|sk| {
        let id = sk.strip_prefix(ENTRY).and_then(|id| EntryId::parse(id).ok());
        id.ok_or_else(|| Problem::internal("a sort key of the ledger is not an id"))
    });
    let next = next.transpose()?;
    Ok((entries, next))
}

/// Creates a wallet with its first entries. `balance` is the balance after them.
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

/// Writes a changed balance and its entry, if the stored balance still has the revision of
/// `balance`.
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

/// Closes a wallet, with the entry that empties it, if the wallet has not changed since it was
/// read.
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
    match forfeit {
        Some(entry) => append(transaction, label, balance.user_id, entry),
        None => Ok(()),
    }
}

/// Requires that the wallet exists and accepts entries.
pub fn must_be_open<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    let condition = "attribute_exists(sk) AND attribute_not_exists(closed_at)";
    transaction.check(label, balance_key(user_id), condition, &[], Item::new());
}

/// A user's newest entries, at most `limit`, and whether there are no more.
pub async fn newest_entries(
    store: &Store,
    user_id: UserId,
    limit: usize,
) -> Result<(Vec<Entry>, bool), Problem> {
    let user_id = user_id.to_string();
    let partition = ("user_id", user_id.as_str());
    let (items, is_complete) =
        store.query_newest(Table::Wallets, partition, ("sk", ENTRY), limit).await?;
    let entries = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
    Ok((entries, is_complete))
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
