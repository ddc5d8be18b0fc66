//! `GET /users/analytics/usage-stats`.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use crate::harness::{App, Needs, User, assert_budget};

const OPERATION: &str = "GET /users/analytics/usage-stats";

fn rental(user: &User, id: &str, at: Timestamp, amount: &str) -> Value {
    json!({
        "event_id": id, "user_id": user.user_id, "type": "RENTAL_COMPLETED", "occurred_at": at,
        "amount": amount, "on_time": true,
    })
}

fn days_ago(now: Timestamp, days: i64) -> (Timestamp, Date) {
    let at = now - (days * 24).hours();
    (at, day_of(at))
}

/// The day in Kathmandu, the default time zone, which has no daylight saving time.
fn day_of(at: Timestamp) -> Date {
    (at + 5.hours() + 45.minutes()).to_zoned(TimeZone::UTC).date()
}

/// Events around midnight in Kathmandu.
#[tokio::test]
async fn days_and_months_begin_at_midnight_of_the_time_zone() {
    let Some(app) = App::start(Needs::Own).await else { return };
    // On the third of a month, events of the previous month are still accepted.
    while day_of(app.now().await).day() != 3 {
        app.advance(86_400).await;
    }
    let user = app.register_user().await;
    let first = day_of(app.now().await).first_of_month();
    let midnight = first.to_zoned(TimeZone::UTC).unwrap().timestamp() - 5.hours() - 45.minutes();
    let events = json!([
        rental(&user, "before", midnight - 1.second(), "1"),
        rental(&user, "at", midnight, "2"),
        rental(&user, "after", midnight + 30.minutes(), "4"),
    ]);
    app.usage_events(&events).await.ok();
    let last = first.yesterday().unwrap();
    for (granularity, names) in [
        ("day", [last.to_string(), first.to_string()]),
        ("month", [last, first].map(|day| day.strftime("%Y-%m").to_string())),
    ] {
        let query = format!("?from={last}&to={first}&granularity={granularity}");
        let stats = app.usage_stats(&user, &query).await;
        let series = stats.ok()["series"].as_array().unwrap();
        let found: Vec<_> = series
            .iter()
            .map(|period| (period["period"].as_str().unwrap(), period["spent"].as_str().unwrap()))
            .collect();
        assert_eq!(found, [(&*names[0], "1.00"), (&*names[1], "6.00")]);
    }
}

/// This applies to the points of a registration and to those of an entry.
#[tokio::test]
async fn points_count_on_the_day_of_the_time_zone() {
    let Some(app) = App::start(Needs::Own).await else { return };
    // 18:30 UTC is a quarter past midnight in Kathmandu.
    app.advance_into(86_400, 18 * 3_600 + 30 * 60).await;
    let user = app.register_user().await;
    app.post_entry("k1", &crate::harness::points(&user, "CREDIT", 7)).await.body(201);
    let today = day_of(app.now().await);
    let yesterday = today.yesterday().unwrap();
    let query = format!("?from={yesterday}&to={today}");
    let stats = app.usage_stats(&user, &query).await;
    let points: Vec<_> = stats.ok()["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|period| period["points_earned"].as_i64().unwrap())
        .collect();
    assert_eq!(points, [0, 57]);
}

#[tokio::test]
async fn a_new_user_has_only_the_registration_points() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let stats = app.usage_stats(&user, "").await;
    let expected = json!({
        "total_rentals": 0,
        "total_spent": "0.00",
        "total_points_earned": 50,
        "total_referrals": 0,
        "timely_returns": 0,
        "late_returns": 0,
        "favorite_stations_count": 0,
        "last_rental_date": null,
        "member_since": stats.text("member_since"),
    });
    assert_eq!(stats.ok(), &expected);
    let me = app.me(&user.access_token).await;
    assert_eq!(stats.json["member_since"], me.ok()["date_joined"]);
    assert_eq!(stats.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn referrals_and_their_points_are_counted() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let code = app.me(&user.access_token).await.text("referral_code").to_owned();
    let invited = app.new_user().await.with("referral_code", code);
    app.register(&invited).await.body(201);
    let stats = app.usage_stats(&user, "").await;
    assert_eq!(stats.ok()["total_referrals"], 1);
    assert_eq!(stats.json["total_points_earned"], 150);
}

#[tokio::test]
async fn a_daily_series_includes_days_without_rentals() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await;
    let (three, two) = (days_ago(now, 3), days_ago(now, 2));
    let events = json!([
        rental(&user, "e1", three.0, "25.00"),
        rental(&user, "e2", three.0, "0.50"),
        rental(&user, "e3", now, "10"),
    ]);
    app.usage_events(&events).await.ok();
    let today = days_ago(now, 0).1;
    let query = format!("?from={}&to={today}", three.1);
    let series = app.usage_stats(&user, &query).await.ok()["series"].clone();
    let period = |day: Date, rentals: u32, spent: &str, points: u32| json!({"period": day.to_string(), "rentals": rentals, "spent": spent, "points_earned": points});
    let expected = json!([
        period(three.1, 2, "25.50", 0),
        period(two.1, 0, "0.00", 0),
        period(days_ago(now, 1).1, 0, "0.00", 0),
        period(today, 1, "10.00", 50),
    ]);
    assert_eq!(series, expected);
    let query = format!("?from={}&to={}&granularity=day", two.1, two.1);
    let series = app.usage_stats(&user, &query).await.ok()["series"].clone();
    assert_eq!(series, json!([period(two.1, 0, "0.00", 0)]));
}

#[tokio::test]
async fn a_monthly_series_has_whole_months() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await;
    let (at, day) = days_ago(now, 34);
    app.usage_events(&json!([rental(&user, "e1", at, "25"), rental(&user, "e2", now, "5")]))
        .await
        .ok();
    let today = days_ago(now, 0).1;
    let query = format!("?from={}&to={today}&granularity=month", day - 1.month());
    let series = app.usage_stats(&user, &query).await.ok()["series"].clone();
    let months: Vec<_> = series.as_array().unwrap().clone();
    let of = |day: Date| {
        let name = day.strftime("%Y-%m").to_string();
        months.iter().find(|month| month["period"] == name).unwrap()
    };
    assert_eq!((&of(day)["rentals"], &of(day)["spent"]), (&json!(1), &json!("25.00")));
    assert_eq!(of(day - 1.month())["rentals"], 0);
    assert_eq!((&of(today)["rentals"], &of(today)["points_earned"]), (&json!(1), &json!(50)));
    let names: Vec<_> = months.iter().map(|month| month["period"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.len() >= 3, "{names:?}");
}

#[tokio::test]
async fn a_series_has_at_most_366_days_or_36_months() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    for (query, periods) in [
        ("?from=2024-01-01&to=2024-12-31", 366),
        ("?from=2024-01-01&to=2026-12-31&granularity=month", 36),
        ("?from=2024-01-31&to=2026-12-01&granularity=month", 36),
        ("?from=2024-02-29&to=2024-02-29", 1),
    ] {
        let stats = app.usage_stats(&user, query).await;
        assert_eq!(stats.ok()["series"].as_array().unwrap().len(), periods, "{query}");
    }
    for query in [
        "?from=2024-01-01&to=2025-01-01",
        "?from=2024-01-01&to=2027-01-01&granularity=month",
        "?from=0001-01-01&to=9999-12-31",
        "?from=2024-01-02&to=2024-01-01",
    ] {
        app.usage_stats(&user, query).await.refuses(&["to"]);
    }
}

#[tokio::test]
async fn every_invalid_query_parameter_is_named() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    for (query, fields) in [
        ("?from=2024-01-01", &["to"][..]),
        ("?to=2024-01-01", &["from"]),
        ("?granularity=day", &["from", "to"]),
        ("?from=1.1.2024&to=2024-02-30", &["from", "to"]),
        ("?from=20240101&to=2024-01-01T00:00:00Z&granularity=week", &["from", "to", "granularity"]),
    ] {
        app.usage_stats(&user, query).await.refuses(fields);
    }
    assert_eq!(app.usage_stats(&user, "?other=1").await.ok().get("series"), None);
}

#[tokio::test]
async fn anonymous_callers_get_401_and_users_see_only_their_own_statistics() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let now = app.now().await;
    app.usage_events(&json!([rental(&user, "e1", now, "25")])).await.ok();
    let query = format!("?user_id={}", user.user_id);
    assert_eq!(app.usage_stats(&other, &query).await.ok()["total_rentals"], 0);
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    for query in ["", "?from=2024-01-01&to=2024-12-31"] {
        app.usage_stats(&user, query).await.problem(401, "session_ended");
    }
    let path = "/users/analytics/usage-stats";
    app.get(path).send().await.problem(401, "authentication_required");
}

#[tokio::test]
async fn a_dynamodb_fault_never_causes_401() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for operation in ["BatchGetItem", "Query"] {
        for kind in ["throttle", "timeout", "error_500", "lost_response"] {
            app.inject_fault("dynamodb", operation, kind, 1).await;
            app.usage_stats(&user, "?from=2024-01-01&to=2024-12-31").await.ok();
        }
    }
}

#[tokio::test]
async fn statistics_cost_1_hop_2_5_rru_and_7_rru_more_for_366_days() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.usage_stats(&user, "").await.ok();
    assert_budget(&app, OPERATION, (1, 2.5, 0.0, 0)).await;
    // A year of daily counters.
    let stack = app.stack();
    let last = day_of(app.now().await);
    let first = last - 365.days();
    let number = |number: &str| aws_sdk_dynamodb::types::AttributeValue::N(number.to_owned());
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    for day in first.series(1.day()).take(366) {
        let put = stack.dynamodb().put_item().table_name(stack.table_name("usage"));
        let put = put.item("user_id", text(user.user_id.clone()));
        let put = put.item("sk", text(format!("DAY#{day}")));
        let put = put.item("item_type", text("usage_day".to_owned()));
        let put = put.item("schema_version", number("1")).item("rentals", number("12"));
        let put = put.item("spent_minor", number("125000")).item("points_earned", number("100"));
        put.send().await.unwrap();
    }
    let query = format!("?from={first}&to={last}");
    let stats = app.usage_stats(&user, &query).await;
    let series = stats.ok()["series"].as_array().unwrap();
    assert!(series.len() == 366 && series.iter().all(|day| day["rentals"] == 12));
    assert_budget(&app, OPERATION, (1, 9.5, 0.0, 0)).await;
}
