//! The `usage` table: what a user did, in all, by day and by month; favourite stations; and the
//! events that were counted. Days are those of the deployment's time zone.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    crypto::secret::Digest,
    dynamodb::{
        Change, Item, Key, Store, Table, Transaction, digest, from_item, item, n, s, seconds, time,
    },
    http::problem::Problem,
    usage::{Granularity, Period, Station, day_name, month_name},
    value::{Points, UserId},
};

/// How long an event is remembered, seconds.
pub const REMEMBER_SECONDS: i64 = 40 * 24 * 60 * 60;

/// All that was counted of a user.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Rentals that were completed.
    pub rentals: i64,
    /// What they cost, minor units.
    pub spent_minor: i64,
    /// Points that were credited.
    pub points_earned: i64,
    /// People who registered with the user's code.
    pub total_referrals: i64,
    /// Rentals that ended in time.
    pub timely_returns: i64,
    /// Rentals that did not.
    pub late_returns: i64,
    /// Stations that are favourites now.
    pub favorite_stations_count: i64,
    /// When the last rental was completed.
    #[serde(with = "seconds::optional")]
    pub last_rental_at: Option<Timestamp>,
}

/// An event that was counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Counted {
    /// What it said. Older rows do not have it.
    #[serde(with = "digest::optional", skip_serializing_if = "Option::is_none", default)]
    pub content: Option<Digest>,
    /// When it may be forgotten. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

fn row<T>(user_id: UserId, sk: &str) -> Key<T> {
    Key::new(Table::Usage, &[("user_id", &user_id.to_string()), ("sk", sk)])
}

/// Where a user's totals are.
pub fn totals_key(user_id: UserId) -> Key<Totals> {
    row(user_id, "TOTAL")
}

/// Where it stands that an event was counted.
pub fn event_key(user_id: UserId, event_id: &str) -> Key<Counted> {
    row(user_id, &format!("EVENT#{event_id}"))
}

/// Where a station's state is.
pub fn station_key(user_id: UserId, station_id: &str) -> Key<Station> {
    row(user_id, &format!("{STATION}{station_id}"))
}

const STATION: &str = "STATION#";

/// Counts points that were credited on `day`, in all three periods. The caller's transaction holds the
/// wallet that they are credited to, and so the account: without one nothing is counted.
pub fn count_points<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    points: Points,
    is_referral: bool,
    day: Date,
) {
    let (day, month) = (format!("DAY#{}", day_name(day)), format!("MONTH#{}", month_name(day)));
    for (sk, item_type) in [("TOTAL", "total"), (&day, "day"), (&month, "month")] {
        let referral = is_referral && sk == "TOTAL";
        let adds = if referral { ", total_referrals :one" } else { "" };
        let update =
            format!("ADD points_earned :points{adds} SET item_type = :type, schema_version = :one");
        let change = Change::new(row::<()>(user_id, sk), update)
            .with(":points", n(points.get()))
            .with(":one", n(1))
            .with(":type", s(format!("usage_{item_type}")));
        transaction.change(label, change);
    }
}

/// Counts a referral that paid nothing, for a user who still has an account.
pub fn count_referral<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    let change = Change::new(totals_key(user_id), "ADD total_referrals :one")
        .only_if("attribute_exists(sk)")
        .with(":one", n(1));
    transaction.change(label, change);
}

/// Remembers that an event was counted, if it was not.
pub fn remember<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    (event_id, content): (&str, Digest),
    expires_at: Timestamp,
) -> Result<(), Problem> {
    let mut new = item("usage_event", &Counted { content: Some(content), expires_at })?;
    new.extend(event_key(user_id, event_id).key);
    transaction.create(label, Table::Usage, "sk", new);
    Ok(())
}

/// Adds to a day or a month, named as [`day_name`] and [`month_name`] do.
pub fn add_to_period<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    kind: Granularity,
    name: &str,
    more: Period,
) {
    let update = "ADD rentals :rentals, spent_minor :spent SET item_type = :type, \
                  schema_version = :one";
    let change = Change::new(row::<()>(user_id, &format!("{}{name}", kind.prefix())), update)
        .with(":rentals", n(more.rentals))
        .with(":spent", n(more.spent_minor))
        .with(":one", n(1))
        .with(":type", s(kind.item_type()));
    transaction.change(label, change);
}

/// Adds to the totals of a user who still has an account, if the last rental is still the one
/// that was seen where a later one is to replace it.
pub fn add_to_totals<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    seen: &Totals,
    more: &Totals,
) {
    let mut update = "ADD rentals :rentals, spent_minor :spent, timely_returns :timely, \
                      late_returns :late, favorite_stations_count :favorites"
        .to_owned();
    let mut condition = "attribute_exists(sk)".to_owned();
    let is_later = more.last_rental_at > seen.last_rental_at;
    if is_later {
        update.push_str(" SET last_rental_at = :last");
        condition.push_str(match seen.last_rental_at {
            Some(_) => " AND last_rental_at = :seen",
            None => " AND attribute_not_exists(last_rental_at)",
        });
    }
    let mut change = Change::new(totals_key(user_id), update)
        .only_if(condition)
        .with(":rentals", n(more.rentals))
        .with(":spent", n(more.spent_minor))
        .with(":timely", n(more.timely_returns))
        .with(":late", n(more.late_returns))
        .with(":favorites", n(more.favorite_stations_count));
    if let Some(last) = more.last_rental_at.filter(|_| is_later) {
        change = change.with(":last", time(last));
        if let Some(seen) = seen.last_rental_at {
            change = change.with(":seen", time(seen));
        }
    }
    transaction.change(label, change);
}

/// Notes what is now said of a station, if what was said of it is still what was seen.
pub fn set_station<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    station_id: &str,
    seen: Option<Station>,
    now: Station,
) -> Result<(), Problem> {
    let mut new = item("usage_station", &now)?;
    new.extend(station_key(user_id, station_id).key);
    let (condition, values) = match seen {
        None => ("attribute_not_exists(sk)", Item::new()),
        Some(seen) => (
            "said_at_us = :at AND is_favorite = :favorite",
            Item::from([
                (":at".to_owned(), n(seen.said_at_us)),
                (":favorite".to_owned(), AttributeValue::Bool(seen.is_favorite)),
            ]),
        ),
    };
    transaction.put_if(label, Table::Usage, new, condition, values);
    Ok(())
}

/// The periods from `first` to `last`, by name, those among them in which something was counted.
pub async fn periods(
    store: &Store,
    user_id: UserId,
    kind: Granularity,
    (first, last): (&str, &str),
) -> Result<Vec<(String, Period)>, Problem> {
    let prefix = kind.prefix();
    let (from, to) = (format!("{prefix}{first}"), format!("{prefix}{last}"));
    let user_id = user_id.to_string();
    let items = store.query_range(Table::Usage, ("user_id", &user_id), ("sk", &from, &to)).await?;
    items.into_iter().filter_map(|item| named(prefix, item)).collect()
}

/// A row with what its sort key says after the prefix.
fn named<T: DeserializeOwned>(prefix: &str, item: Item) -> Option<Result<(String, T), Problem>> {
    let name = item.get("sk")?.as_s().ok()?.strip_prefix(prefix)?.to_owned();
    Some(from_item(item).map(|row| (name, row)))
}

/// Everything that is kept of what a user did, at most `limit` rows of each kind, newest first.
pub struct History {
    /// What was counted by day.
    pub days: Kept<Period>,
    /// What was counted by month.
    pub months: Kept<Period>,
    /// What was last said of each station.
    pub stations: Kept<Station>,
}

/// Rows by name, and whether these are all.
pub type Kept<T> = (Vec<(String, T)>, bool);

/// Reads all that is kept of a user besides the totals.
pub async fn history(store: &Store, user_id: UserId, limit: usize) -> Result<History, Problem> {
    let (days, months, stations) = tokio::join!(
        kept(store, user_id, Granularity::Day.prefix(), limit),
        kept(store, user_id, Granularity::Month.prefix(), limit),
        kept(store, user_id, STATION, limit),
    );
    Ok(History { days: days?, months: months?, stations: stations? })
}

async fn kept<T: DeserializeOwned>(
    store: &Store,
    user_id: UserId,
    prefix: &str,
    limit: usize,
) -> Result<Kept<T>, Problem> {
    let user_id = user_id.to_string();
    let found =
        store.query_newest(Table::Usage, ("user_id", &user_id), ("sk", prefix), limit).await?;
    let named = found.0.into_iter().filter_map(|item| named(prefix, item));
    Ok((named.collect::<Result<_, _>>()?, found.1))
}

/// Deletes everything that was counted of a user. Their totals went with their account, so that
/// nothing is counted of them any more.
pub async fn delete_all(store: &Store, user_id: UserId) -> Result<(), Problem> {
    store.delete_partition(Table::Usage, ("user_id", &user_id.to_string()), "sk").await
}
