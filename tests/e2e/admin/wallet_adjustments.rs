//! `POST /admin/users/{user_id}/wallet/adjustments`.

use serde_json::{Value, json};

use crate::harness::{App, Needs, Response, User, assert_budget, concurrently, count};

const OPERATION: &str = "POST /admin/users/{user_id}/wallet/adjustments";

/// Sends an adjustment until the response is not 503.
async fn adjust_with_retry(
    app: App,
    staff: User,
    user: User,
    key: String,
    body: Value,
) -> Response {
    loop {
        let response = app.adjust(&staff, &user.user_id, &key, &body).await;
        if response.status != 503 {
            return response;
        }
        response.problem(503, "unavailable");
    }
}

fn points(direction: &str, points: i64) -> Value {
    json!({"direction": direction, "points": points, "reason": "A mistake"})
}

#[tokio::test]
async fn an_adjustment_adds_a_ledger_entry_and_an_audit_entry() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let body = App::correction("CREDIT", "12.50");
    let made = app.adjust(&staff, &user.user_id, "k1", &body).await;
    let expected = json!({
        "id": made.text("id"), "direction": "CREDIT", "amount": "12.50", "currency": "NPR",
        "balance_before": "0.00", "balance_after": "12.50", "reference": "adjustment",
        "reason": "A mistake", "created_at": made.text("created_at"),
    });
    assert_eq!(made.body(201), &expected);
    let entries = app.get("/users/wallet/transactions?asset=MONEY").bearer(&user.access_token);
    assert_eq!(entries.send().await.ok()["results"], json!([expected]));
    let rows = app.rows_where("wallets", "entry_id", made.text("id")).await;
    assert_eq!(rows[0]["actor"], staff.user_id.as_str());
    let (action, details) = app.audit_entries(&user.user_id).await.remove(0);
    assert_eq!(action, "wallet_adjusted");
    let expected = json!({"entry_id": made.text("id"), "direction": "CREDIT", "asset": "MONEY"});
    assert_eq!(details, expected);
    let trail = app.rows_where("audit", "actor", &staff.user_id).await;
    assert_eq!(trail.len(), 1);

    app.adjust(&staff, &user.user_id, "k2", &App::correction("DEBIT", "0.50")).await.body(201);
    app.adjust(&staff, &user.user_id, "k3", &points("CREDIT", 25)).await.body(201);
    app.adjust(&staff, &user.user_id, "k4", &points("DEBIT", 5)).await.body(201);
    let wallet = app.wallet(&user).await;
    assert_eq!(wallet.ok()["balance"], "12.00");
    assert_eq!(wallet.json["points"], json!({"current_points": 70, "total_points": 75}));
    assert_eq!(app.usage_stats(&user, "").await.ok()["total_points_earned"], 75);
}

#[tokio::test]
async fn an_adjustment_below_zero_is_refused_and_not_audited() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let debit = App::correction("DEBIT", "0.01");
    let refused = app.adjust(&staff, &user.user_id, "k1", &debit).await;
    refused.problem(400, "insufficient_balance");
    let refused = app.adjust(&staff, &user.user_id, "k2", &points("DEBIT", 51)).await;
    refused.problem(400, "insufficient_balance");
    let most = points("CREDIT", 999_999_999_999);
    app.adjust(&staff, &user.user_id, "k3", &most).await.refuses(&["points"]);
    assert!(app.rows_where("audit", "actor", &staff.user_id).await.is_empty());
    // A refused request does not use its key.
    app.adjust(&staff, &user.user_id, "k4", &App::correction("CREDIT", "0.01")).await.body(201);
    app.adjust(&staff, &user.user_id, "k1", &debit).await.body(201);
}

#[tokio::test]
async fn every_invalid_field_is_named_and_the_idempotency_key_is_required() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let adjust = async |body: Value| app.adjust(&staff, &user.user_id, "k1", &body).await;
    adjust(json!({})).await.refuses(&["direction", "amount", "points", "reason"]);
    let wrong = json!({"direction": "UP", "amount": "-1", "reason": ""});
    adjust(wrong).await.refuses(&["direction", "amount", "reason"]);
    let both = json!({"direction": "CREDIT", "amount": "1", "points": 1, "reason": "x"});
    adjust(both).await.refuses(&["amount", "points"]);
    let long = json!({"direction": "CREDIT", "amount": "1", "reason": "x".repeat(201)});
    adjust(long).await.refuses(&["reason"]);
    let path = format!("/admin/users/{}/wallet/adjustments", user.user_id);
    let body = App::correction("CREDIT", "1");
    let response = app.post(&path, &body).bearer(&staff.access_token).send().await;
    response.documented("POST", &path).refuses(&["Idempotency-Key"]);
    let long = "k".repeat(256);
    app.adjust(&staff, &user.user_id, &long, &body).await.refuses(&["Idempotency-Key"]);
}

#[tokio::test]
async fn adjusting_ones_own_wallet_is_refused_and_audited() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    let body = App::correction("CREDIT", "1000");
    for key in ["k1", "k1"] {
        let refused = app.adjust(&staff, &staff.user_id, key, &body).await;
        refused.problem(403, "own_account");
    }
    assert_eq!(app.wallet(&staff).await.ok()["balance"], "0.00");
    let trail = app.audit_entries(&staff.user_id).await;
    assert_eq!((trail.len(), trail[0].0.as_str()), (3, "own_account_refused"));
}

#[tokio::test]
async fn a_key_replays_its_first_response_for_a_day_to_any_staff_member() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, other) = (app.staff().await, app.staff().await);
    let (user, second) = (app.register_user().await, app.register_user().await);
    let body = App::correction("CREDIT", "10");
    let first = app.adjust(&staff, &user.user_id, "k1", &body).await;
    first.body(201);
    assert_eq!(first.header("idempotent-replayed"), None);
    for who in [&staff, &other] {
        let again = app.adjust(who, &user.user_id, "k1", &body).await;
        assert_eq!(again.body(201), first.body(201));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    for changed in [
        App::correction("CREDIT", "11"),
        App::correction("DEBIT", "10"),
        points("CREDIT", 10),
        json!({"direction": "CREDIT", "amount": "10", "reason": "Another"}),
    ] {
        let refused = app.adjust(&staff, &user.user_id, "k1", &changed).await;
        refused.problem(422, "idempotency_key_reused");
    }
    // A key belongs to the account and to the operation.
    let foreign = app.adjust(&staff, &second.user_id, "k1", &body).await;
    foreign.body(201);
    assert_eq!(foreign.header("idempotent-replayed"), None);
    let entry = crate::harness::money(&user, "CREDIT", "10");
    let posted = app.post_entry("k1", &entry).await;
    assert_eq!((posted.status, posted.header("idempotent-replayed")), (201, None));
    assert_eq!(app.rows_where("audit", "action", "wallet_adjusted").await.len(), 2);
    app.advance(24 * 3_600).await;
    let token = app.refresh(&staff.refresh_token).await.text("access_token").to_owned();
    let staff = User { access_token: token, ..staff };
    app.adjust(&staff, &user.user_id, "k1", &body).await.body(201);
    let token = app.refresh(&user.refresh_token).await.text("access_token").to_owned();
    let user = User { access_token: token, ..user };
    assert_eq!(app.wallet(&user).await.ok()["balance"], "30.00");
}

#[tokio::test]
async fn concurrent_adjustments_with_one_key_apply_and_are_audited_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let responses = concurrently((0..20).map(|_| {
        let body = App::correction("CREDIT", "10");
        adjust_with_retry(app.clone(), staff.clone(), user.clone(), "k1".to_owned(), body)
    }))
    .await;
    assert_eq!(count(&responses, 201), 20, "{responses:?}");
    let fresh =
        responses.iter().filter(|response| response.header("idempotent-replayed").is_none());
    assert_eq!(fresh.count(), 1);
    assert_eq!(app.wallet(&user).await.ok()["balance"], "10.00");
    assert_eq!(app.rows_where("audit", "action", "wallet_adjusted").await.len(), 1);
}

#[tokio::test]
async fn an_adjustment_is_applied_once_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
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
            let (body, key) = (App::correction("CREDIT", "1"), format!("k{made}"));
            let adjusted = adjust_with_retry(app.clone(), staff.clone(), user.clone(), key, body);
            adjusted.await.body(201);
            let wallet = app.wallet(&user).await;
            assert_eq!(wallet.ok()["balance"], format!("{made}.00"), "{operation} {kind}");
            let audited = app.rows_where("audit", "action", "wallet_adjusted").await.len();
            assert_eq!(audited, made, "{operation} {kind}");
        }
    }
}

#[tokio::test]
async fn an_adjustment_costs_2_hops_2_rru_12_wru_and_6_wru_more_for_points() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let adjust = async |key: &str, body: Value| app.adjust(&staff, &user.user_id, key, &body).await;
    adjust("k1", App::correction("CREDIT", "10")).await.body(201);
    adjust("k2", App::correction("DEBIT", "10")).await.body(201);
    adjust("k2", App::correction("DEBIT", "10")).await.body(201);
    adjust("k2", App::correction("DEBIT", "11")).await.problem(422, "idempotency_key_reused");
    assert_budget(&app, OPERATION, (2, 2.0, 12.0, 0)).await;
    adjust("k3", points("CREDIT", 10)).await.body(201);
    assert_budget(&app, OPERATION, (2, 2.0, 18.0, 0)).await;
    // A refusal rests on a consistent read.
    adjust("k4", App::correction("DEBIT", "10")).await.problem(400, "insufficient_balance");
    assert_budget(&app, OPERATION, (2, 4.0, 18.0, 0)).await;
}
