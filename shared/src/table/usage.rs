//! The `usage` table: counters of a user, in all, by UTC day and by month.

use jiff::{Timestamp, tz::TimeZone};

use super::{Change, Key, Table, Transaction, n, s};
use crate::{id::UserId, money::Points};

fn row(user_id: UserId, sk: &str) -> Key<()> {
    Key::new(Table::Usage, &[("user_id", &user_id.to_string()), ("sk", sk)])
}

/// Counts points that were credited, in all three periods.
pub fn count_points<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    points: Points,
    is_referral: bool,
    now: Timestamp,
) {
    let day = now.to_zoned(TimeZone::UTC).date();
    let (day, month) = (format!("DAY#{day}"), format!("MONTH#{}", day.strftime("%Y-%m")));
    for (sk, item_type) in [("TOTAL", "total"), (&day, "day"), (&month, "month")] {
        let referral = is_referral && sk == "TOTAL";
        let adds = if referral { ", total_referrals :one" } else { "" };
        let update =
            format!("ADD points_earned :points{adds} SET item_type = :type, schema_version = :one");
        let change = Change::new(row(user_id, sk), update)
            .with(":points", n(points.get()))
            .with(":one", n(1))
            .with(":type", s(format!("usage_{item_type}")));
        transaction.change(label, change);
    }
}

/// Counts a referral that paid nothing.
pub fn count_referral<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    let update = "ADD total_referrals :one SET item_type = :type, schema_version = :one";
    let change = Change::new(row(user_id, "TOTAL"), update)
        .with(":one", n(1))
        .with(":type", s("usage_total"));
    transaction.change(label, change);
}
