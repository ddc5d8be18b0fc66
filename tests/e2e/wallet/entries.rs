//! `POST /internal/wallet/entries`.

use jiff::ToSpan;
use serde_json::{Value, json};

use crate::harness::{App, Needs, User, assert_budget, concurrently, count, money, points};

const OPERATION: &str = "POST /internal/wallet/entries";

/// The stored entries of a wallet.
async fn entries(app: &App, user: &User, asset: &str) -> Vec<Value> {
    let mut rows = app.rows_where("wallets", "user_id", &user.user_id).await;
    rows.retain(|row| row.get("asset").is_some_and(|of| of == asset));
    rows.into_iter().map(Value::Object).collect()
}

/// The sum of the entries and the stored balance, in minor units or points.
async fn sums(app: &App, user: &User, asset: &str) -> (i64, i64) {
    let sum = entries(app, user, asset).await.iter().fold(0, |sum, entry| {
        let quantity = entry["quantity"].as_i64().unwrap();
        sum + if entry["direction"] == "CREDIT" { quantity } else { -quantity }
    });
    let rows = app.rows_where("wallets", "user_id", &user.user_id).await;
    let balance = rows.iter().find(|row| row["sk"] == "BALANCE").unwrap();
    let name = if asset == "MONEY" { "balance_minor" } else { "points" };
    (sum, balance[name].as_i64().unwrap())
}

#[tokio::test]
async fn money_is_credited_and_debited_with_an_entry() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.post_entry("k1", &money(&user, "CREDIT", "100")).await.body(201);
    let response = app.post_entry("k2", &money(&user, "DEBIT", "25.5")).await;
    let expected = json!({
        "id": response.text("id"),
        "direction": "DEBIT",
        "amount": "25.50",
        "currency": "NPR",
        "balance_before": "100.00",
        "balance_after": "74.50",
        "reference": "rental-1",
        "reason": "A rental",
        "created_at": response.text("created_at"),
    });
    assert_eq!(response.body(201), &expected);
    assert_eq!(response.header("idempotent-replayed"), None);
    assert_eq!(app.wallet(&user).await.ok()["balance"], "74.50");
    let path = "/users/wallet/transactions?limit=1";
    let page = app.get(path).bearer(&user.access_token).send().await;
    assert_eq!(page.ok()["results"][0], expected);
}

#[tokio::test]
async fn credited_points_count_as_earned_even_after_they_are_spent() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let response = app.post_entry("k1", &points(&user, "CREDIT", 25)).await;
    assert_eq!((&response.body(201)["points"], response.json.get("amount")), (&json!(25), None));
    assert_eq!(
        (&response.json["balance_before"], &response.json["balance_after"]),
        (&json!(50), &json!(75))
    );
    app.post_entry("k2", &points(&user, "DEBIT", 75)).await.body(201);
    let wallet = app.wallet(&user).await;
    assert_eq!(wallet.ok()["points"], json!({"current_points": 0, "total_points": 75}));
    // In Kathmandu, the default time zone.
    let day = (app.now().await + 5.hours() + 45.minutes()).to_string()[..10].to_owned();
    let stats = app.usage_stats(&user, &format!("?from={day}&to={day}")).await;
    assert_eq!(stats.ok()["total_points_earned"], 75);
    assert_eq!(stats.json["series"][0]["points_earned"], 75);
}

#[tokio::test]
async fn an_entry_below_zero_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.post_entry("k1", &money(&user, "DEBIT", "0.01")).await.problem(400, "insufficient_balance");
    app.post_entry("k2", &points(&user, "DEBIT", 51)).await.problem(400, "insufficient_balance");
    assert_eq!(sums(&app, &user, "MONEY").await, (0, 0));
    assert_eq!(sums(&app, &user, "POINTS").await, (50, 50));
    // A refused request does not use its key.
    app.post_entry("k3", &money(&user, "CREDIT", "0.01")).await.body(201);
    app.post_entry("k1", &money(&user, "DEBIT", "0.01")).await.body(201);
}

#[tokio::test]
async fn every_invalid_field_is_named_and_one_of_amount_and_points_is_required() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let post = async |body: Value| app.post_entry("k1", &body).await;
    let all = ["user_id", "direction", "amount", "points", "reference", "reason"];
    post(json!({})).await.refuses(&all);
    let wrong = json!({
        "user_id": "7", "direction": "UP", "amount": "-1", "points": 0, "reference": "",
        "reason": "x".repeat(201),
    });
    post(wrong).await.refuses(&all);
    let mut both = money(&user, "CREDIT", "1");
    both["points"] = json!(1);
    post(both).await.refuses(&["amount", "points"]);
    for amount in ["0", "0.00", "1.005", "1e3", "01", ""] {
        post(money(&user, "CREDIT", amount)).await.refuses(&["amount"]);
    }
    post(points(&user, "CREDIT", -1)).await.refuses(&["points"]);
    post(points(&user, "CREDIT", 1_000_000_000_000)).await.refuses(&["points"]);
    // Within the bounds of one entry, but too much for the balance.
    post(points(&user, "CREDIT", 999_999_999_999)).await.refuses(&["points"]);
    post(money(&user, "CREDIT", "9999999999999.99")).await.body(201);
    app.post_entry("k2", &money(&user, "CREDIT", "0.01")).await.refuses(&["amount"]);
}

#[tokio::test]
async fn the_wallet_of_an_unknown_user_is_not_found() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut body = money(&app.register_user().await, "CREDIT", "1");
    body["user_id"] = json!("01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11");
    let before = app.table_sizes().await;
    app.post_entry("k1", &body).await.problem(404, "not_found");
    assert_eq!(app.table_sizes().await, before);
}

#[tokio::test]
async fn users_and_anonymous_callers_get_403() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let body = money(&user, "CREDIT", "1000");
    let request = || app.post("/internal/wallet/entries", &body).key("k1");
    assert_eq!(request().send().await.status, 403);
    assert_eq!(request().bearer(&user.access_token).send().await.status, 403);
    let forged = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/execute-api/aws4_request, \
                  SignedHeaders=host;x-amz-date, Signature=00";
    assert_eq!(request().header("authorization", forged).send().await.status, 403);
    assert_eq!(app.wallet(&user).await.ok()["balance"], "0.00");
}

#[tokio::test]
async fn a_request_without_an_idempotency_key_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let body = money(&app.register_user().await, "CREDIT", "1");
    let request = app.post("/internal/wallet/entries", &body).signed();
    request.send().await.refuses(&["Idempotency-Key"]);
    app.post_entry(&"k".repeat(256), &body).await.refuses(&["Idempotency-Key"]);
}

#[tokio::test]
async fn a_key_replays_its_first_response_for_a_day() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    for (key, body) in [("k1", money(&user, "CREDIT", "10")), ("k2", points(&user, "CREDIT", 5))] {
        let first = app.post_entry(key, &body).await;
        first.body(201);
        app.post_entry(&format!("{key}-other"), &body).await.body(201);
        app.advance(3_600).await;
        let again = app.post_entry(key, &body).await;
        assert_eq!(again.body(201), first.body(201));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    for changed in [
        money(&user, "CREDIT", "11"),
        money(&user, "DEBIT", "10"),
        points(&user, "CREDIT", 1_000),
        json!({"user_id": user.user_id, "direction": "CREDIT", "amount": "10", "reference": "rental-2", "reason": "A rental"}),
        json!({"user_id": user.user_id, "direction": "CREDIT", "amount": "10", "reference": "rental-1", "reason": "Another"}),
    ] {
        app.post_entry("k1", &changed).await.problem(422, "idempotency_key_reused");
    }
    // A key belongs to the account.
    let foreign = app.post_entry("k1", &money(&other, "CREDIT", "10")).await;
    foreign.body(201);
    assert_eq!(foreign.header("idempotent-replayed"), None);
    assert_eq!(sums(&app, &user, "MONEY").await, (2_000, 2_000));
    app.advance(24 * 3_600).await;
    app.post_entry("k1", &money(&user, "CREDIT", "10")).await.body(201);
    assert_eq!(sums(&app, &user, "MONEY").await, (3_000, 3_000));
}

#[tokio::test]
async fn concurrent_entries_with_one_key_apply_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let body = money(&user, "CREDIT", "10");
    let responses = concurrently(
        (0..20).map(|_| app.clone().post_entry_with_retry("k1".to_owned(), body.clone())),
    )
    .await;
    assert_eq!(count(&responses, 201), 20, "{responses:?}");
    let ids: std::collections::BTreeSet<_> =
        responses.iter().map(|response| response.text("id")).collect();
    let fresh =
        responses.iter().filter(|response| response.header("idempotent-replayed").is_none());
    assert_eq!((ids.len(), fresh.count()), (1, 1));
    assert_eq!(sums(&app, &user, "MONEY").await, (1_000, 1_000));
}

#[tokio::test]
async fn two_hundred_concurrent_debits_never_go_below_zero_and_the_entries_add_up() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.post_entry("top-up", &money(&user, "CREDIT", "50")).await.body(201);
    let debits = (0..200).map(|number| {
        let debit = money(&user, "DEBIT", "1");
        app.clone().post_entry_with_retry(format!("d{number}"), debit)
    });
    let responses = concurrently(debits).await;
    assert_eq!((count(&responses, 201), count(&responses, 400)), (50, 150));
    let refused = responses.iter().filter(|response| response.status == 400);
    assert!(refused.clone().all(|response| response.text("code") == "insufficient_balance"));
    assert_eq!(sums(&app, &user, "MONEY").await, (0, 0));
    // The ids of the entries have the order of the balance changes.
    let mut made = entries(&app, &user, "MONEY").await;
    made.sort_by_key(|entry| entry["sk"].as_str().unwrap().to_owned());
    assert_eq!(made.len(), 51);
    let mut steps = made.windows(2);
    assert!(steps.all(|step| step[0]["balance_after"] == step[1]["balance_before"]), "{made:?}");
}

#[tokio::test]
async fn an_entry_is_applied_once_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let writes = ["throttle", "conflict", "timeout", "error_500", "lost_response"];
    let writes = writes.map(|kind| ("TransactWriteItems", kind));
    let reads = ["throttle", "timeout", "error_500", "lost_response"];
    let faults = writes.into_iter().chain(reads.map(|kind| ("BatchGetItem", kind)));
    let mut made = 0;
    for (operation, kind) in faults {
        // One fault, and more faults than the SDK has attempts.
        for times in [1, 6] {
            app.inject_fault("dynamodb", operation, kind, times).await;
            made += 1;
            let body = money(&user, "CREDIT", "1");
            let response = app.clone().post_entry_with_retry(format!("k{made}"), body).await;
            response.body(201);
            assert_eq!(sums(&app, &user, "MONEY").await, (made * 100, made * 100), "{kind}");
        }
    }
}

/// A request with another currency is refused, by every operation that reads an amount.
#[tokio::test]
async fn only_the_currency_of_the_deployment_is_accepted() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let with = |mut body: Value, currency: &Value| {
        body["currency"] = currency.clone();
        body
    };
    let entries = [money(&user, "CREDIT", "1"), points(&user, "CREDIT", 1)];
    for currency in ["INR", "npr", "", "NPR2", "रू"].map(Value::from) {
        for entry in &entries {
            let refused = app.post_entry("k", &with(entry.clone(), &currency)).await;
            refused.refuses(&["currency"]);
            assert_eq!(refused.json["errors"][0]["code"], "wrong_currency", "{currency}");
            let body = with(entry.clone(), &currency);
            app.adjust(&staff, &user.user_id, "k", &body).await.refuses(&["currency"]);
        }
    }
    app.post_entry("k", &with(entries[0].clone(), &json!(524))).await.refuses(&["currency"]);
    assert_eq!(sums(&app, &user, "MONEY").await, (0, 0));
    for (key, currency) in [("k1", json!("NPR")), ("k2", Value::Null)] {
        for (kind, entry) in entries.iter().enumerate() {
            let body = with(entry.clone(), &currency);
            app.post_entry(&format!("{key}{kind}"), &body).await.body(201);
            app.adjust(&staff, &user.user_id, &format!("{key}{kind}"), &body).await.body(201);
        }
    }
    assert_eq!(sums(&app, &user, "MONEY").await, (400, 400));
    // An entry with the currency is the same request as one without it.
    let repeated = app.post_entry("k10", &entries[0]).await;
    assert_eq!(repeated.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn an_entry_costs_2_hops_2_rru_8_wru_and_6_wru_more_for_points() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.post_entry("k1", &money(&user, "CREDIT", "10")).await.body(201);
    app.post_entry("k2", &money(&user, "DEBIT", "10")).await.body(201);
    app.post_entry("k2", &money(&user, "DEBIT", "10")).await.body(201);
    app.post_entry("k2", &money(&user, "DEBIT", "11")).await.problem(422, "idempotency_key_reused");
    app.post_entry("k3", &money(&user, "DEBIT", "11")).await.problem(400, "insufficient_balance");
    assert_budget(&app, OPERATION, (2, 2.0, 8.0, 0)).await;
    app.post_entry("k4", &points(&user, "CREDIT", 10)).await.body(201);
    assert_budget(&app, OPERATION, (2, 2.0, 14.0, 0)).await;
    app.post_entry("k5", &json!({})).await.refuses(&[
        "user_id",
        "direction",
        "amount",
        "points",
        "reference",
        "reason",
    ]);
    assert_eq!(app.costs(OPERATION).await.last(), (0, 0.0, 0.0));
}
