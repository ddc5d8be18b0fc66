//! `POST /internal/usage-events`.

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::harness::{App, Needs, Response, User, assert_budget, concurrently};

const OPERATION: &str = "POST /internal/usage-events";

fn rental(user: &User, id: &str, at: Timestamp) -> Value {
    json!({
        "event_id": id, "user_id": user.user_id, "type": "RENTAL_COMPLETED", "occurred_at": at,
        "amount": "25.00", "on_time": true,
    })
}

fn station(user: &User, id: &str, at: Timestamp, is_favorite: bool) -> Value {
    let kind = if is_favorite { "STATION_FAVORITED" } else { "STATION_UNFAVORITED" };
    json!({
        "event_id": id, "user_id": user.user_id, "type": kind, "occurred_at": at,
        "station_id": "thamel-chowk",
    })
}

/// The status of each event, or the code of its rejection.
fn outcomes(response: &Response) -> Vec<String> {
    let results = response.ok()["results"].as_array().unwrap().iter();
    let outcome = |result: &Value| {
        let is_rejected = result["status"] == "rejected";
        assert_eq!(result.get("code").is_some(), is_rejected, "{result}");
        let name = if is_rejected { "code" } else { "status" };
        result[name].as_str().unwrap().to_owned()
    };
    results.map(outcome).collect()
}

async fn total(app: &App, user: &User, name: &str) -> Value {
    app.usage_stats(user, "").await.ok()[name].clone()
}

#[tokio::test]
async fn each_event_is_counted_and_results_keep_the_order_of_the_events() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let now = app.now().await;
    let mut late = rental(&user, "e2", now - 1.hour());
    late["on_time"] = json!(false);
    late["amount"] = json!("0.5");
    let events = json!([
        rental(&user, "e1", now - 2.hours()),
        rental(&other, "e1", now),
        late,
        station(&user, "e3", now, true),
    ]);
    let response = app.usage_events(&events).await;
    let ids: Vec<_> = response.ok()["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["e1", "e1", "e2", "e3"]);
    assert_eq!(outcomes(&response), ["counted"; 4]);
    let stats = app.usage_stats(&user, "").await;
    for (name, expected) in [
        ("total_rentals", json!(2)),
        ("total_spent", json!("25.50")),
        ("timely_returns", json!(1)),
        ("late_returns", json!(1)),
        ("favorite_stations_count", json!(1)),
        ("total_points_earned", json!(50)),
    ] {
        assert_eq!(stats.ok()[name], expected, "{name}");
    }
    let last: Timestamp = stats.text("last_rental_date").parse().unwrap();
    assert_eq!(last.as_second(), (now - 1.hour()).as_second());
    assert_eq!(total(&app, &other, "total_rentals").await, 1);
}

#[tokio::test]
async fn an_event_counts_once_however_often_it_is_sent() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await;
    let batch =
        json!([rental(&user, "e1", now), rental(&user, "e1", now), rental(&user, "e2", now)]);
    assert_eq!(outcomes(&app.usage_events(&batch).await), ["counted", "duplicate", "counted"]);
    assert_eq!(outcomes(&app.usage_events(&batch).await), ["duplicate"; 3]);
    let mixed = json!([rental(&user, "e3", now), rental(&user, "e1", now)]);
    assert_eq!(outcomes(&app.usage_events(&mixed).await), ["counted", "duplicate"]);
    app.advance(34 * 24 * 3_600).await;
    assert_eq!(outcomes(&app.usage_events(&batch).await), ["duplicate"; 3]);
    let user = app.login(&user.phone, crate::harness::PASSWORD).await;
    let path = "/users/analytics/usage-stats";
    let stats = app.get(path).bearer(user.text("access_token")).send().await;
    assert_eq!(stats.ok()["total_rentals"], 3);
}

/// The same id with other content is an error of the sender. It is neither counted nor a repeat.
#[tokio::test]
async fn an_event_id_reused_for_other_content_is_rejected() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let now = app.now().await - 1.hour();
    let first = rental(&user, "e1", now);
    let changed = |field: &str, value: Value| {
        let mut event = first.clone();
        event[field] = value;
        event
    };
    let mut contradictions = vec![
        changed("amount", json!("25.01")),
        changed("on_time", json!(false)),
        changed("occurred_at", json!(now + 1.millisecond())),
        station(&user, "e1", now, true),
    ];
    // In one request, in either order.
    let together = json!([first, contradictions[0], first]);
    let expected = ["counted", "event_id_reused", "duplicate"];
    assert_eq!(outcomes(&app.usage_events(&together).await), expected);
    contradictions.push(station(&user, "e1", now, false));
    for contradiction in &contradictions {
        for _ in 0..2 {
            let response = app.usage_events(&json!([contradiction])).await;
            assert_eq!(outcomes(&response), ["event_id_reused"], "{contradiction}");
        }
    }
    // The same content in another form, or with fields that are ignored.
    let same = [
        changed("amount", json!("25")),
        changed("occurred_at", json!(now.to_string().replace('Z', "+00:00"))),
        changed("currency", json!("NPR")),
        changed("unknown", json!(7)),
    ];
    assert_eq!(outcomes(&app.usage_events(&json!(same)).await), ["duplicate"; 4]);
    let stats = app.usage_stats(&user, "").await;
    let counts = (&stats.ok()["total_rentals"], &stats.json["total_spent"]);
    assert_eq!(counts, (&json!(1), &json!("25.00")));
    assert_eq!(stats.json["favorite_stations_count"], 0);
    // Ids belong to the user.
    let theirs = json!([rental(&other, "e1", now + 1.second())]);
    assert_eq!(outcomes(&app.usage_events(&theirs).await), ["counted"]);
}

#[tokio::test]
async fn of_concurrent_events_with_one_id_and_different_content_one_is_counted() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await - 1.minute();
    let senders = (1..=8_u32).map(|sender| {
        let (app, user) = (app.clone(), user.clone());
        async move {
            let mut event = rental(&user, "e1", now);
            event["amount"] = json!(format!("{sender}.00"));
            loop {
                let response = app.usage_events(&json!([event])).await;
                if response.status != 503 {
                    return outcomes(&response).remove(0);
                }
            }
        }
    });
    let mut outcomes = concurrently(senders).await;
    outcomes.sort();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "counted").count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "event_id_reused").count(), 7);
    assert_eq!(total(&app, &user, "total_rentals").await, 1);
}

/// An older release counted the event without storing a digest of its content.
#[tokio::test]
async fn an_event_stored_without_its_content_is_a_duplicate() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, now) = (app.register_user().await, app.now().await);
    let row = json!({
        "user_id": user.user_id, "sk": "EVENT#e1", "item_type": "usage_event",
        "schema_version": 1, "expires_at": now.as_second() + 86_400,
    });
    app.put_row("usage", &row).await;
    let response = app.usage_events(&json!([rental(&user, "e1", now)])).await;
    assert_eq!(outcomes(&response), ["duplicate"]);
}

#[tokio::test]
async fn the_latest_event_about_a_station_wins_in_any_order_of_arrival() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let now = app.now().await - 1.hour();
    let events_in_time = [(0, true), (1, false), (2, true), (3, false)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        for last in [2, 3] {
            let user = app.register_user().await;
            for number in order.into_iter().filter(|number| *number <= last) {
                let (at, is_favorite) = events_in_time[number];
                // Two of the events are within one second.
                let at = now + (at * 400).milliseconds();
                let event = station(&user, &format!("e{number}"), at, is_favorite);
                assert_eq!(outcomes(&app.usage_events(&json!([event])).await), ["counted"]);
            }
            let expected = i64::from(events_in_time[last].1);
            assert_eq!(total(&app, &user, "favorite_stations_count").await, expected, "{order:?}");
        }
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_counted_is_rejected_without_affecting_the_others() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await;
    let day = 24.hours();
    let mut unknown = rental(&user, "nobody", now);
    unknown["user_id"] = json!("01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11");
    let mut events = vec![
        rental(&user, "good", now - day * 35 + 1.minute()),
        rental(&user, "old", now - day * 35 - 1.minute()),
        rental(&user, "soon", now + 4.minutes()),
        rental(&user, "future", now + 6.minutes()),
        unknown,
    ];
    let bad: [(&str, Value); 10] = [
        ("currency", json!("INR")),
        ("currency", json!(7)),
        ("type", json!("RENTAL")),
        ("amount", json!("-1")),
        ("amount", json!(25)),
        ("amount", Value::Null),
        ("on_time", json!("yes")),
        ("on_time", Value::Null),
        ("user_id", json!("7")),
        ("occurred_at", json!("now")),
    ];
    for (number, (field, value)) in bad.into_iter().enumerate() {
        let mut event = rental(&user, &format!("bad{number}"), now);
        event[field] = value;
        events.push(event);
    }
    let mut nowhere = station(&user, "nowhere", now, true);
    nowhere["station_id"] = json!("a b");
    events.push(nowhere);
    let before = app.rows("usage").await.len();
    let found = outcomes(&app.usage_events(&json!(events)).await);
    assert_eq!(found[..5], ["counted", "too_old", "counted", "in_future", "unknown_user"]);
    assert_eq!(found[5..], ["invalid_event"; 11]);
    assert_eq!(total(&app, &user, "total_rentals").await, 2);
    // Two events, and the counters of their days and months.
    assert!(app.rows("usage").await.len() <= before + 6);
}

#[tokio::test]
async fn a_batch_has_1_to_25_objects_with_an_event_id() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await;
    let of = |count: usize| -> Value {
        (0..count).map(|number| rental(&user, &format!("e{number}"), now)).collect()
    };
    for bad in [of(0), of(26), json!("x"), json!({}), Value::Null] {
        app.usage_events(&bad).await.refuses(&["events"]);
    }
    app.usage_events(&json!([7, rental(&user, "e0", now)])).await.refuses(&["events[0]"]);
    let unnamed = json!([rental(&user, "e0", now), {"event_id": "a b"}, {}]);
    let response = app.usage_events(&unnamed).await;
    response.refuses(&["events[1].event_id", "events[2].event_id"]);
    assert_eq!(total(&app, &user, "total_rentals").await, 0);
    assert_eq!(outcomes(&app.usage_events(&of(25)).await), ["counted"; 25]);
    assert_eq!(total(&app, &user, "total_rentals").await, 25);
}

#[tokio::test]
async fn users_and_anonymous_callers_get_403() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let body = json!({"events": [rental(&user, "e1", app.now().await)]});
    let request = || app.post("/internal/usage-events", &body);
    assert_eq!(request().send().await.status, 403);
    assert_eq!(request().bearer(&user.access_token).send().await.status, 403);
    assert_eq!(total(&app, &user, "total_rentals").await, 0);
}

#[tokio::test]
async fn the_same_events_sent_concurrently_are_each_counted_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await - 1.minute();
    let senders = (0..12_usize).map(|sender| {
        let (app, user) = (app.clone(), user.clone());
        async move {
            // Each sender sends four of eight rentals and one station event.
            let mut events: Vec<_> = (0..4)
                .map(|number| (sender + number) % 8)
                .map(|number| {
                    rental(
                        &user,
                        &format!("e{number}"),
                        now + i64::try_from(number).unwrap().seconds(),
                    )
                })
                .collect();
            let at = now + i64::try_from(sender).unwrap().seconds();
            events.push(station(&user, &format!("s{sender}"), at, sender % 2 == 0));
            loop {
                let response = app.usage_events(&json!(events)).await;
                if response.status != 503 {
                    return outcomes(&response);
                }
            }
        }
    });
    let outcomes = concurrently(senders).await.concat();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "counted").count(), 8 + 12);
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "duplicate").count(), 12 * 4 - 8);
    let stats = app.usage_stats(&user, "").await;
    assert_eq!(
        (&stats.ok()["total_rentals"], &stats.json["total_spent"]),
        (&json!(8), &json!("200.00"))
    );
    assert_eq!(stats.json["favorite_stations_count"], 0, "the last event removes the favourite");
    let last: Timestamp = stats.text("last_rental_date").parse().unwrap();
    assert_eq!(last.as_second(), (now + 7.seconds()).as_second());
}

#[tokio::test]
async fn an_event_counts_once_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let now = app.now().await;
    let writes = ["throttle", "conflict", "timeout", "error_500", "lost_response"];
    let writes = writes.map(|kind| ("TransactWriteItems", kind));
    let reads = ["throttle", "timeout", "error_500", "lost_response"];
    let faults = writes.into_iter().chain(reads.map(|kind| ("BatchGetItem", kind)));
    let mut sent = 0;
    for (operation, kind) in faults {
        for times in [1, 6] {
            app.inject_fault("dynamodb", operation, kind, times).await;
            sent += 1;
            let events = json!([rental(&user, &format!("e{sent}"), now)]);
            let response = loop {
                let response = app.usage_events(&events).await;
                if response.status != 503 {
                    break response;
                }
                response.problem(503, "unavailable");
            };
            let outcome = outcomes(&response).remove(0);
            assert!(["counted", "duplicate"].contains(&&*outcome), "{operation} {kind}: {outcome}");
            assert_eq!(total(&app, &user, "total_rentals").await, sent, "{operation} {kind}");
        }
    }
}

#[tokio::test]
async fn a_batch_costs_2_hops_and_1_rru_8_wru_per_event() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let now = app.now().await;
    app.usage_events(&json!([rental(&user, "e1", now)])).await.ok();
    app.usage_events(&json!([rental(&user, "e1", now)])).await.ok();
    app.usage_events(&json!([station(&user, "e2", now, true)])).await.ok();
    assert_budget(&app, OPERATION, (2, 1.0, 8.0, 0)).await;
    let many: Vec<_> = (0..25)
        .map(|number| match number % 3 {
            0 => station(&user, &format!("n{number}"), now + number.seconds(), number % 2 == 0),
            1 => rental(&user, &format!("n{number}"), now - (number * 24).hours()),
            _ => rental(&other, &format!("n{number}"), now - (number * 24).hours()),
        })
        .collect();
    assert_eq!(outcomes(&app.usage_events(&json!(many)).await), ["counted"; 25]);
    assert_budget(&app, OPERATION, (2, 25.0, 200.0, 0)).await;
}
