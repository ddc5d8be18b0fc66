//! The `otp` table: the limits on sends for one IP address and on SMS for the whole deployment.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    dynamodb::{Change, Item, Key, Store, Table, Transaction, WriteOutcome, n, s},
    http::problem::Problem,
    otp::{Challenge, HOUR_SECONDS},
    runtime::config::OtpConfig,
};

const KEEP_SECONDS: i64 = 2 * HOUR_SECONDS;

fn source_key(challenge: &Challenge) -> Key<()> {
    Key::new(Table::Otp, &[("pk", &format!("SOURCE#{}", challenge.source.text()))])
}

/// The element for a send in the set of its source address: the time and the challenge's id.
fn entry(challenge: &Challenge) -> String {
    format!("{}:{}", challenge.sent_at.as_second(), challenge.id)
}

fn sent_at(entry: &str) -> i64 {
    entry.split(':').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

/// Counts a send against its source address, if the address is below its limit.
pub fn count_source<L>(
    transaction: &mut Transaction<L>,
    label: L,
    challenge: &Challenge,
    config: &OtpConfig,
) {
    let update = "ADD sends :entry SET expires_at = :ttl, item_type = :type, schema_version = :one";
    let change = Change::new(source_key(challenge), update)
        .only_if("attribute_not_exists(sends) OR size(sends) < :max")
        .with(":entry", AttributeValue::Ss(vec![entry(challenge)]))
        .with(":max", n(config.source_max_per_hour))
        .with(":ttl", n(challenge.sent_at.as_second() + KEEP_SECONDS))
        .with(":type", s("otp_source"))
        .with(":one", n(1));
    transaction.change(label, change);
}

/// The sends in the item of a source address that refused another one.
#[derive(Debug, Clone)]
pub struct SourceSends(Vec<String>);

impl SourceSends {
    /// Reads them from the item.
    pub fn of(item: Option<&Item>) -> Self {
        let sends = item.and_then(|item| item.get("sends")?.as_ss().ok()).cloned();
        Self(sends.unwrap_or_default())
    }

    /// The seconds until the oldest one is an hour old; `None` when some are older already, so that
    /// there is room once these are deleted.
    pub fn seconds_until_free(&self, config: &OtpConfig, now: Timestamp) -> Option<i64> {
        let hour_ago = now.as_second() - HOUR_SECONDS;
        let recent: Vec<i64> =
            self.0.iter().map(|entry| sent_at(entry)).filter(|at| *at > hour_ago).collect();
        let oldest = recent.iter().min()?;
        (recent.len() >= config.source_max_per_hour as usize).then_some(oldest - hour_ago)
    }
}

/// Like [`count_source`], where `full` holds sends that are older than an hour: the same write
/// deletes them, if no concurrent request did so before.
pub fn count_source_without_expired<L>(
    transaction: &mut Transaction<L>,
    label: L,
    challenge: &Challenge,
    full: &SourceSends,
) {
    let hour_ago = challenge.sent_at.as_second() - HOUR_SECONDS;
    let mut remaining: BTreeSet<String> =
        full.0.iter().filter(|entry| sent_at(entry) > hour_ago).cloned().collect();
    remaining.insert(entry(challenge));
    let change = Change::new(source_key(challenge), "SET sends = :left, expires_at = :ttl")
        .only_if("sends = :full")
        .with(":left", AttributeValue::Ss(remaining.into_iter().collect()))
        .with(":full", AttributeValue::Ss(full.0.clone()))
        .with(":ttl", n(challenge.sent_at.as_second() + KEEP_SECONDS));
    transaction.change(label, change);
}

/// Removes a send from the count of its source address: its code was verified, or was not sent.
pub async fn release_source(store: &Store, challenge: &Challenge) -> Result<(), Problem> {
    let change = Change::new(source_key(challenge), "DELETE sends :entry")
        .only_if("attribute_exists(sends)")
        .with(":entry", AttributeValue::Ss(vec![entry(challenge)]));
    store.update(change).await.map(drop)
}

/// One SMS that is counted against the deployment's cap.
#[derive(Debug, Clone)]
pub struct SmsReservation {
    /// When the SMS is sent.
    pub at: Timestamp,
    /// Whether it also counts against the share of sign-ups.
    pub is_sign_up: bool,
    /// Whether an SMS is sent at all. If not, the limits are checked, but nothing is counted.
    pub is_sent: bool,
    /// A new random value. A write that was sent twice is recognised by it.
    pub nonce: String,
}

impl SmsReservation {
    fn key(&self) -> Key<()> {
        let day = self.at.to_zoned(TimeZone::UTC).date();
        Key::new(Table::Otp, &[("pk", &format!("CEILING#{day}"))])
    }

    fn hour(&self) -> i64 {
        self.at.as_second().rem_euclid(24 * HOUR_SECONDS) / HOUR_SECONDS
    }

    /// The names of the counters that it counts in, each with its limit.
    fn counters(&self, config: &OtpConfig) -> Vec<(String, u32)> {
        let hour = format!("hour_{:02}", self.hour());
        let share = |max: u32| {
            let share = u64::from(max) * u64::from(config.sms_sign_up_percent) / 100;
            u32::try_from(share).unwrap_or(max)
        };
        let mut counters = vec![
            (hour.clone(), config.sms_max_per_hour),
            ("utc_day".to_owned(), config.sms_max_per_day),
        ];
        if self.is_sign_up {
            counters.push((format!("{hour}_sign_up"), share(config.sms_max_per_hour)));
            counters.push(("utc_day_sign_up".to_owned(), share(config.sms_max_per_day)));
        }
        counters
    }

    /// The seconds until the counter's period ends.
    fn wait_seconds(&self, counter: &str) -> i64 {
        let period = if counter.starts_with("utc_day") { 24 * HOUR_SECONDS } else { HOUR_SECONDS };
        period - self.at.as_second().rem_euclid(period)
    }
}

/// Counts an SMS against the cap: one conditional update of the day's item, exact under any
/// concurrency. Returns the used part of the day's cap, percent. `Err` holds the seconds until
/// there may be room.
///
/// A write may count twice when its response was lost and other writes came after it. The cap is
/// then reached one SMS too early, never too late.
pub async fn reserve_sms(
    store: &Store,
    reservation: &SmsReservation,
    config: &OtpConfig,
) -> Result<Result<u64, i64>, Problem> {
    let counters = reservation.counters(config);
    if let Some((counter, _)) = counters.iter().find(|(_, max)| *max == 0) {
        return Ok(Err(reservation.wait_seconds(counter)));
    }
    let adds: Vec<_> = counters.iter().map(|(name, _)| format!("{name} :count")).collect();
    let update = format!(
        "ADD {} SET nonce = :nonce, expires_at = :ttl, item_type = :type, schema_version = :one",
        adds.join(", ")
    );
    let mut conditions = vec!["(attribute_not_exists(nonce) OR nonce <> :nonce)".to_owned()];
    let below = |(name, _): &(String, u32)| {
        format!("(attribute_not_exists({name}) OR {name} < :max_{name})")
    };
    conditions.extend(counters.iter().map(below));
    let mut change = Change::new(reservation.key(), update)
        .only_if(conditions.join(" AND "))
        .with(":count", n(i64::from(reservation.is_sent)))
        .with(":nonce", s(&*reservation.nonce))
        .with(":ttl", n(reservation.at.as_second() + 48 * HOUR_SECONDS))
        .with(":type", s("sms_ceiling"))
        .with(":one", n(1));
    for (name, max) in &counters {
        change = change.with(&format!(":max_{name}"), n(*max));
    }
    match store.update(change).await? {
        WriteOutcome::Applied(item) => Ok(Ok(used_of_day(&item, config))),
        WriteOutcome::ConditionFailed(item) => {
            let item = item.unwrap_or_default();
            Ok(match refused_seconds(reservation, &counters, &item) {
                Some(seconds) => Err(seconds),
                None => Ok(used_of_day(&item, config)),
            })
        }
    }
}

fn counted(item: &Item, name: &str) -> u32 {
    let count = || item.get(name)?.as_n().ok()?.parse().ok();
    count().unwrap_or(0)
}

fn used_of_day(item: &Item, config: &OtpConfig) -> u64 {
    u64::from(counted(item, "utc_day")) * 100 / u64::from(config.sms_max_per_day.max(1))
}

/// The seconds to wait after a refusal; `None` where the same write was carried out before.
fn refused_seconds(
    reservation: &SmsReservation,
    counters: &[(String, u32)],
    item: &Item,
) -> Option<i64> {
    if item.get("nonce") == Some(&s(&*reservation.nonce)) {
        return None;
    }
    let full = counters.iter().filter(|(name, max)| counted(item, name) >= *max);
    Some(full.map(|(name, _)| reservation.wait_seconds(name)).max().unwrap_or(1))
}

/// Removes an SMS that SNS refused from the count. The write is sent only once: if it were carried
/// out twice, more SMS than the cap could be sent; if it is lost, the cap is reached one SMS too
/// early.
pub async fn release_sms(
    store: &Store,
    reservation: &SmsReservation,
    config: &OtpConfig,
) -> Result<(), Problem> {
    if !reservation.is_sent {
        return Ok(());
    }
    let counters = reservation.counters(config);
    let adds: Vec<_> = counters.iter().map(|(name, _)| format!("{name} :back")).collect();
    let counted: Vec<_> = counters.iter().map(|(name, _)| format!("{name} > :zero")).collect();
    let change = Change::new(reservation.key(), format!("ADD {}", adds.join(", ")))
        .only_if(counted.join(" AND "))
        .with(":back", n(-1))
        .with(":zero", n(0));
    store.update_without_retry(change).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::config::Config;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn config() -> OtpConfig {
        Config::of_defaults().otp
    }

    fn reservation(is_sign_up: bool) -> SmsReservation {
        let at = at("2026-11-23T13:59:58Z");
        SmsReservation { at, is_sign_up, is_sent: true, nonce: "mine".into() }
    }

    #[test]
    fn a_sign_up_also_counts_against_the_share_of_sign_ups() {
        let counters = |reservation: SmsReservation| reservation.counters(&config());
        let all = [("hour_13".to_owned(), 500), ("utc_day".to_owned(), 3_000)];
        assert_eq!(counters(reservation(false)), all);
        let share = [("hour_13_sign_up".to_owned(), 350), ("utc_day_sign_up".to_owned(), 2_100)];
        assert_eq!(counters(reservation(true)), [all, share].concat());
    }

    #[test]
    fn a_full_counter_names_the_seconds_until_its_period_ends() {
        let reservation = reservation(true);
        let counters = reservation.counters(&config());
        let refused = |name: &str, count: i64| {
            refused_seconds(&reservation, &counters, &Item::from([(name.to_owned(), n(count))]))
        };
        assert_eq!(refused("hour_13", 500), Some(2));
        assert_eq!(refused("hour_13_sign_up", 350), Some(2));
        assert_eq!(refused("utc_day", 3_000), Some(10 * HOUR_SECONDS + 2));
    }

    #[test]
    fn a_repeated_write_is_recognised_by_its_nonce() {
        let item = Item::from([("utc_day".to_owned(), n(3_000)), ("nonce".to_owned(), s("mine"))]);
        assert_eq!(
            refused_seconds(&reservation(false), &reservation(false).counters(&config()), &item),
            None
        );
    }

    #[test]
    fn only_sends_of_the_last_hour_count_against_a_source_address() {
        let now = at("2026-11-23T13:00:00Z");
        let entry = |age: i64| format!("{}:id{age}", now.as_second() - age);
        let config = OtpConfig { source_max_per_hour: 2, ..config() };
        let full = |ages: &[i64]| {
            SourceSends(ages.iter().map(|age| entry(*age)).collect())
                .seconds_until_free(&config, now)
        };
        assert_eq!(full(&[10, 600]), Some(3_000));
        assert_eq!(full(&[10, 3_600]), None);
        assert_eq!(full(&[]), None);
    }
}
