//! `GET /admin/users` with filters: results against an own computation, and ten thousand users.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::{crypto::secret::random, value::UserId};

use crate::harness::{App, Needs, assert_budget, concurrently};

const STATUSES: [&str; 3] = ["ACTIVE", "INACTIVE", "BANNED"];
const KYC: [&str; 3] = ["NOT_SUBMITTED", "PENDING", "APPROVED"];
const NAMES: [&str; 3] = ["Sita", "sital", "ram"];

/// The item of an account that joined at this time, as a registration writes it.
fn account(number: usize, joined: Timestamp) -> Value {
    let user_id = UserId::new(joined, random());
    let username = format!("{}-{number:05}", NAMES[number / 9 % 3]);
    json!({
        "pk": format!("USER#{user_id}"),
        "item_type": "account",
        "schema_version": 1,
        "user_id": user_id.to_string(),
        "joined_shard": (user_id.as_bytes()[15] % 4).to_string(),
        "username": username,
        "username_key": username.to_lowercase(),
        "phone_number": format!("+97798400{number:05}"),
        "phone_verified": true,
        "email_verified": false,
        "referral_code": format!("CODE{number:05}"),
        "status": STATUSES[number % 3],
        "kyc_status": KYC[number / 3 % 3],
        "is_profile_complete": number.is_multiple_of(2),
        "is_staff": false,
        "epoch": 0,
        "sign_ins": 0,
        "recent_sessions": [],
        "joined_at": joined.as_second(),
    })
}

/// Writes `count` accounts, one every ten minutes, the last a day ago.
async fn seed(app: &App, count: usize) -> Vec<Value> {
    let yesterday = app.now().await - SignedDuration::from_hours(24);
    let joined = |number: usize| {
        let minutes = i64::try_from((count - number) * 10).unwrap();
        yesterday - SignedDuration::from_mins(minutes)
    };
    let rows: Vec<_> = (0..count).map(|number| account(number, joined(number))).collect();
    app.put_rows("users", &rows).await;
    rows
}

fn ids(results: &[Value]) -> Vec<String> {
    results.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// One combination of filters; each may be absent.
#[derive(Clone, Default)]
struct Filters {
    status: Option<&'static str>,
    kyc: Option<&'static str>,
    prefix: Option<&'static str>,
    /// Seconds since 1970.
    after: Option<i64>,
    before: Option<i64>,
}

impl Filters {
    /// Every combination of the values of all filters.
    fn all(spans: &[(Option<i64>, Option<i64>)]) -> Vec<Self> {
        let choices = |all: [&'static str; 3]| [None].into_iter().chain(all.map(Some));
        let mut all = vec![Self::default()];
        all = each(&all, choices(STATUSES), |filters, status| Self { status, ..filters });
        all = each(&all, choices(KYC), |filters, kyc| Self { kyc, ..filters });
        let prefixes = choices(["sita", "SITAL", "nobody"]);
        all = each(&all, prefixes, |filters, prefix| Self { prefix, ..filters });
        let spans = spans.iter().copied();
        each(&all, spans, |filters, (after, before)| Self { after, before, ..filters })
    }

    fn path(&self) -> String {
        let time = |at: i64| Timestamp::from_second(at).unwrap().to_string();
        let parameters = [
            ("status", self.status.map(str::to_owned)),
            ("kyc_status", self.kyc.map(str::to_owned)),
            ("username_prefix", self.prefix.map(str::to_owned)),
            ("joined_after", self.after.map(time)),
            ("joined_before", self.before.map(time)),
        ];
        let said = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let said = said.map(|(name, value)| format!("&{name}={value}"));
        format!("/admin/users?limit=7{}", said.collect::<String>())
    }

    fn meets(&self, row: &Value) -> bool {
        let name = row["username"].as_str().unwrap().to_lowercase();
        let joined = row["joined_at"].as_i64().unwrap();
        self.status.is_none_or(|status| row["status"] == status)
            && self.kyc.is_none_or(|kyc| row["kyc_status"] == kyc)
            && self.prefix.is_none_or(|prefix| name.starts_with(&prefix.to_lowercase()))
            && self.after.is_none_or(|after| joined >= after)
            && self.before.is_none_or(|before| joined < before)
    }
}

/// Every pair of `all` and `choices`, combined by `with`.
fn each<T: Clone, C: Clone>(
    all: &[T],
    choices: impl Iterator<Item = C> + Clone,
    with: impl Fn(T, C) -> T,
) -> Vec<T> {
    let pairs = all.iter().flat_map(|one| choices.clone().map(move |choice| (one, choice)));
    pairs.map(|(one, choice)| with(one.clone(), choice)).collect()
}

#[tokio::test]
async fn every_combination_of_filters_lists_exactly_the_matching_users_newest_first() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, rows) = (app.staff().await, seed(&app, 120).await);
    let second = |number: usize| rows[number]["joined_at"].as_i64();
    let spans = [(None, None), (second(30), None), (None, second(90)), (second(30), second(90))];
    let mut listed = 0;
    for filters in Filters::all(&spans) {
        let expected = rows.iter().rev().filter(|row| filters.meets(row));
        let expected: Vec<_> = expected.map(|row| row["user_id"].as_str().unwrap()).collect();
        let mut found = ids(&app.all_results(&staff, &filters.path()).await);
        found.retain(|id| *id != staff.user_id);
        assert_eq!(found, expected, "{}", filters.path());
        listed += found.len();
    }
    assert!(listed > 1_000, "{listed}");
    assert_budget(&app, "GET /admin/users", (1, 9.0, 0.0, 0)).await;
}

#[tokio::test]
async fn the_joined_filters_compare_the_seconds_that_rows_show() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let second = Timestamp::from_second(app.now().await.as_second() - 86_400).unwrap();
    let row = account(1, second + SignedDuration::from_millis(700));
    app.put_rows("users", std::slice::from_ref(&row)).await;
    let shown = second.to_string();
    let next = (second + SignedDuration::from_secs(1)).to_string();
    let half = (second + SignedDuration::from_millis(500)).to_string();
    for (query, is_listed) in [
        (format!("joined_after={shown}&joined_before={next}"), true),
        (format!("joined_after={half}&joined_before={next}"), false),
        (format!("joined_after={shown}&joined_before={half}"), true),
        (format!("joined_before={shown}"), false),
        (format!("joined_after={shown}&joined_before={shown}"), false),
    ] {
        let found = app.all_results(&staff, &format!("/admin/users?{query}")).await;
        assert_eq!(
            ids(&found).contains(&row["user_id"].as_str().unwrap().to_owned()),
            is_listed,
            "{query}"
        );
    }
}

#[tokio::test]
async fn ten_thousand_users_are_each_listed_once_at_a_constant_page_cost_during_registrations() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, rows) = (app.staff().await, seed(&app, 10_000).await);
    let registering: Vec<_> = (0..12)
        .map(|_| {
            let app = app.clone();
            async move { app.register_user().await }
        })
        .collect();
    let registering = tokio::spawn(concurrently(registering));
    let path = "/admin/users?limit=100";
    let (mut seen, mut cursor, mut pages, mut full) = (Vec::new(), String::new(), 0, 0);
    loop {
        let response = app.admin_get(&staff, &format!("{path}{cursor}")).await;
        let results = response.ok()["results"].as_array().unwrap();
        seen.extend(ids(results));
        (pages, full) = (pages + 1, full + usize::from(results.len() == 100));
        match response.json["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_budget(&app, "GET /admin/users", (1, 9.0, 0.0, 0)).await;
    assert!(pages < 110 && full > 95, "{pages} pages, {full} of them full");
    registering.await.unwrap();
    let unique: BTreeSet<_> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "every user is listed once");
    assert!(seen.is_sorted_by(|newer, older| newer > older), "newest first");
    let missing =
        rows.iter().filter(|row| !unique.contains(&row["user_id"].as_str().unwrap().to_owned()));
    assert_eq!(missing.count(), 0);
    // The first and the last page cost the same; names of different length may change it a little.
    let mut prices = Vec::new();
    for number in [9_999, 400] {
        let joined = rows[number]["joined_at"].as_i64().unwrap();
        let joined = Timestamp::from_second(joined).unwrap();
        let page = app.admin_get(&staff, &format!("/admin/users?joined_before={joined}")).await;
        assert_eq!(page.ok()["results"].as_array().unwrap().len(), 20);
        prices.push(app.costs("GET /admin/users").await.rru);
    }
    assert!((prices[0] - prices[1]).abs() <= 0.5, "{prices:?}");
}
