//! `GET /users/wallet` and `GET /users/wallet/transactions`.

use serde_json::{Value, json};

use crate::harness::{App, Needs, Response, User, assert_budget, money, points};

async fn page(app: &App, user: &User, query: &str) -> Response {
    let path = "/users/wallet/transactions";
    let request = app.get(&format!("{path}{query}")).bearer(&user.access_token);
    request.send().await.documented("GET", path)
}

/// All entries, page by page.
async fn all(app: &App, user: &User, query: &str) -> Vec<Value> {
    let mut entries = Vec::new();
    let mut cursor = String::new();
    loop {
        let response = page(app, user, &format!("?{query}{cursor}")).await;
        entries.extend(response.ok()["results"].as_array().unwrap().iter().cloned());
        match response.json["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return entries,
        }
    }
}

/// A user with seven entries: the registration points, then money and points in turn.
async fn user_with_entries(app: &App) -> User {
    let user = app.register_user().await;
    for number in 1..=3 {
        let credit = money(&user, "CREDIT", &format!("{number}.50"));
        app.post_entry(&format!("m{number}"), &credit).await.body(201);
        app.post_entry(&format!("p{number}"), &points(&user, "CREDIT", number)).await.body(201);
    }
    user
}

#[tokio::test]
async fn a_new_wallet_has_no_money_and_the_registration_points() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let wallet = app.wallet(&user).await;
    let expected = json!({
        "balance": "0.00",
        "currency": "NPR",
        "points": {"current_points": 50, "total_points": 50},
        "last_updated": wallet.text("last_updated"),
    });
    assert_eq!(wallet.ok(), &expected);
    let entries = page(&app, &user, "").await;
    let entry = &entries.ok()["results"][0];
    let expected = json!({
        "id": entry["id"],
        "direction": "CREDIT",
        "points": 50,
        "balance_before": 0,
        "balance_after": 50,
        "reference": entry["reference"],
        "reason": entry["reason"],
        "created_at": entry["created_at"],
    });
    assert_eq!(entry, &expected);
    assert_eq!(entries.json["results"].as_array().unwrap().len(), 1);
    assert_eq!(wallet.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn amounts_have_the_decimal_places_of_the_configured_currency() {
    for (currency, nothing) in [("JPY", "0"), ("BHD", "0.000")] {
        let Some(app) = App::with(&[("CURRENCY", currency)]).await else { return };
        let user = app.register_user().await;
        let wallet = app.wallet(&user).await;
        assert_eq!(wallet.ok()["balance"], nothing);
        assert_eq!(wallet.json["currency"], currency);
    }
}

#[tokio::test]
async fn entries_are_listed_newest_first_and_once_each() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = user_with_entries(&app).await;
    let whole = page(&app, &user, "").await;
    let whole = whole.ok()["results"].as_array().unwrap();
    let ids: Vec<_> = whole.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 7);
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    for limit in [1, 2, 3, 6, 7, 100] {
        assert_eq!(&all(&app, &user, &format!("limit={limit}")).await, whole, "{limit}");
    }
    for (asset, quantity, expected) in [("MONEY", "amount", 3), ("POINTS", "points", 4)] {
        let of_asset: Vec<_> =
            whole.iter().filter(|entry| entry.get(quantity).is_some()).cloned().collect();
        assert_eq!(of_asset.len(), expected);
        for limit in [1, 2, 20] {
            let query = format!("asset={asset}&limit={limit}");
            assert_eq!(all(&app, &user, &query).await, of_asset, "{query}");
        }
    }
}

#[tokio::test]
async fn each_entry_starts_at_the_balance_of_the_previous_one() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = user_with_entries(&app).await;
    app.post_entry("d", &money(&user, "DEBIT", "0.05")).await.body(201);
    let entries = all(&app, &user, "asset=MONEY").await;
    let balances: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| (&entry["balance_before"], &entry["balance_after"]))
        .collect();
    let expected = [("0.00", "1.50"), ("1.50", "4.00"), ("4.00", "7.50"), ("7.50", "7.45")];
    for ((before, after), (expected_before, expected_after)) in balances.iter().zip(expected) {
        assert_eq!((*before, *after), (&json!(expected_before), &json!(expected_after)));
    }
    let wallet = app.wallet(&user).await;
    assert_eq!(wallet.ok()["balance"], "7.45");
    assert_eq!(wallet.json["points"], json!({"current_points": 56, "total_points": 56}));
}

#[tokio::test]
async fn a_cursor_that_is_altered_or_from_another_query_or_caller_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (user_with_entries(&app).await, user_with_entries(&app).await);
    let first = page(&app, &user, "?limit=2&asset=POINTS").await;
    let cursor = first.text("next_cursor").to_owned();
    let more = page(&app, &user, &format!("?limit=1&asset=POINTS&cursor={cursor}")).await;
    more.ok();
    let last = if cursor.ends_with('A') { 'B' } else { 'A' };
    let altered = format!("{}{last}", &cursor[..cursor.len() - 1]);
    let refused = [
        (&user, format!("?cursor={cursor}")),
        (&user, format!("?asset=MONEY&cursor={cursor}")),
        (&other, format!("?asset=POINTS&cursor={cursor}")),
        (&user, format!("?asset=POINTS&cursor={altered}")),
        (&user, "?cursor=garbage".to_owned()),
        (&user, format!("?cursor={}", "A".repeat(5_000))),
    ];
    for (who, query) in refused {
        page(&app, who, &query).await.problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn every_invalid_query_parameter_is_named() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    for limit in ["0", "101", "-1", "x", "1.5"] {
        let response = page(&app, &user, &format!("?limit={limit}&asset=GOLD")).await;
        response.refuses(&["limit", "asset"]);
    }
    page(&app, &user, "?limit=100&asset=MONEY").await.ok();
}

#[tokio::test]
async fn anonymous_callers_get_401_and_users_see_only_their_own_wallet() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (user_with_entries(&app).await, app.register_user().await);
    let query = format!("?user_id={}", user.user_id);
    page(&app, &other, &query).await.problem(400, "unknown_parameter");
    assert_eq!(page(&app, &other, "").await.ok()["results"].as_array().unwrap().len(), 1);
    assert_eq!(app.wallet(&other).await.ok()["balance"], "0.00");
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    app.wallet(&user).await.problem(401, "session_ended");
    page(&app, &user, "").await.problem(401, "session_ended");
    for path in ["/users/wallet", "/users/wallet/transactions"] {
        app.get(path).send().await.problem(401, "authentication_required");
        app.get(path).bearer("garbage").send().await.problem(401, "invalid_access_token");
    }
}

#[tokio::test]
async fn the_balance_costs_1_hop_1_5_rru_and_a_page_of_entries_1_hop_2_rru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = user_with_entries(&app).await;
    app.wallet(&user).await.ok();
    assert_budget(&app, "GET /users/wallet", (1, 1.5, 0.0, 0)).await;
    for query in ["", "?limit=2", "?asset=POINTS"] {
        page(&app, &user, query).await.ok();
        assert_budget(&app, "GET /users/wallet/transactions", (1, 2.0, 0.0, 0)).await;
    }
}

#[tokio::test]
async fn a_missing_wallet_gets_500_without_internal_details() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let user = app.register_user().await;
    app.remove_row("wallets", &[("user_id", &user.user_id), ("sk", "BALANCE")]).await;
    let response = app.wallet(&user).await;
    response.problem(500, "internal_error");
    assert_eq!(response.text("detail"), "The fault has been logged.");
}
