//! Referrals: who is credited, how much, and how often.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::harness::{App, Needs, NewUser, Response, User, concurrently};

async fn code_of(app: &App, user: &User) -> String {
    app.me(&user.access_token).await.text("referral_code").to_owned()
}

async fn points(app: &App, access_token: &str) -> (i64, i64) {
    let me = app.me(access_token).await;
    let points = &me.ok()["points"];
    (points["current_points"].as_i64().unwrap(), points["total_points"].as_i64().unwrap())
}

/// Sends a registration until the response is not 503.
async fn register(app: &App, new: &NewUser) -> Response {
    loop {
        let response = app.register(new).await;
        if response.status != 503 {
            return response;
        }
        response.assert_problem();
    }
}

/// Each balance is the sum of its entries, and each entry starts at the previous balance.
async fn assert_ledger(app: &App) {
    let rows = app.rows("wallets").await;
    for balance in rows.iter().filter(|row| row["item_type"] == "balance") {
        let mut entries: Vec<_> = rows
            .iter()
            .filter(|row| row["item_type"] == "entry" && row["user_id"] == balance["user_id"])
            .collect();
        entries.sort_by_key(|entry| entry["balance_after"].as_i64());
        let mut sum = 0;
        for entry in entries {
            assert_eq!(entry["balance_before"], sum, "{entry:?}");
            sum += entry["quantity"].as_i64().unwrap();
            assert_eq!(entry["balance_after"], sum, "{entry:?}");
        }
        assert_eq!((&balance["points"], &balance["points_credited"]), (&json!(sum), &json!(sum)));
    }
}

#[tokio::test]
async fn a_code_is_looked_up_as_typed_and_then_in_crockford_form() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let claim = async |user: &User, code: &str| {
        let item = [
            ("pk", AttributeValue::S(format!("REFERRAL#{code}"))),
            ("item_type", AttributeValue::S("claim".into())),
            ("user_id", AttributeValue::S(user.user_id.clone())),
        ];
        let item = item.map(|(name, value)| (name.to_owned(), value)).into();
        let put = app.dynamodb().put_item().table_name(app.table_name("users"));
        put.set_item(Some(item)).send().await.unwrap();
    };
    let (crockford, older) = (app.register_user().await, app.register_user().await);
    claim(&crockford, "0A1B1C77").await;
    for (typed, inviter, before) in [
        ("0A1B1C77", &crockford, 50),
        ("oA-iB-lC-77", &crockford, 150),
        (" Oa1bIc७७ ", &crockford, 250),
    ] {
        assert_eq!(points(&app, &inviter.access_token).await.0, before, "{typed}");
        let new = app.new_user().await.with("referral_code", typed);
        app.register(&new).await.body(201);
        assert_eq!(points(&app, &inviter.access_token).await.0, before + 100, "{typed}");
    }
    // An older code may contain such letters; it is found as typed.
    claim(&older, "OAIBLC77").await;
    let new = app.new_user().await.with("referral_code", "oaib-lc77");
    app.register(&new).await.body(201);
    assert_eq!(points(&app, &older.access_token).await.0, 150);
    assert_eq!(points(&app, &crockford.access_token).await.0, 350);
    let new = app.new_user().await.with("referral_code", "0A1B1C7O");
    app.register(&new).await.problem(400, "invalid_referral_code");
}

#[tokio::test]
async fn a_referral_credits_both_users_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let inviter = app.register_user().await;
    let code = code_of(&app, &inviter).await;
    let invitee = app.register(&app.new_user().await.with("referral_code", code)).await;
    invitee.body(201);
    assert_eq!(points(&app, &inviter.access_token).await, (150, 150));
    assert_eq!(points(&app, invitee.text("access_token")).await, (100, 100));
    assert_ledger(&app).await;
    let entries = app.rows_where("wallets", "item_type", "entry").await;
    let mut quantities: Vec<_> = entries.iter().map(|entry| entry["quantity"].clone()).collect();
    quantities.sort_by_key(Value::as_i64);
    assert_eq!(quantities, [50, 50, 50, 100]);
}

#[tokio::test]
async fn every_user_has_a_different_referral_code() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (one, other) = (app.register_user().await, app.register_user().await);
    let (one, other) = (code_of(&app, &one).await, code_of(&app, &other).await);
    assert!(!one.is_empty() && one != other);
}

#[tokio::test]
async fn from_the_51st_referral_the_code_is_valid_and_pays_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let inviter = app.register_user().await;
    let code = code_of(&app, &inviter).await;
    let key = [("user_id", inviter.user_id.as_str()), ("sk", "BALANCE")];
    app.set_attribute("wallets", &key, "referrals_paid", AttributeValue::N("49".to_owned())).await;
    for (number, inviters, invitees) in [(50, 150, 100), (51, 150, 50), (52, 150, 50)] {
        let new = app.new_user().await.with("referral_code", code.as_str());
        let invitee = app.register(&new).await;
        invitee.body(201);
        assert_eq!(points(&app, &inviter.access_token).await.0, inviters, "referral {number}");
        assert_eq!(points(&app, invitee.text("access_token")).await.0, invitees, "{number}");
    }
    assert_ledger(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_concurrent_referrals_of_one_user_are_all_credited() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let inviter = app.register_user().await;
    let code = code_of(&app, &inviter).await;
    let responses = invite_concurrently(&app, &code, 20).await;
    for response in &responses {
        response.body(201);
        assert_eq!(points(&app, response.text("access_token")).await, (100, 100));
    }
    assert_eq!(points(&app, &inviter.access_token).await, (2_050, 2_050));
    assert_ledger(&app).await;
    let accounts = app.rows_where("users", "item_type", "account").await;
    assert_eq!(accounts.len(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_12_concurrent_referrals_only_those_below_the_cap_are_paid() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let inviter = app.register_user().await;
    let code = code_of(&app, &inviter).await;
    let key = [("user_id", inviter.user_id.as_str()), ("sk", "BALANCE")];
    app.set_attribute("wallets", &key, "referrals_paid", AttributeValue::N("45".to_owned())).await;
    let mut paid = 0;
    for response in invite_concurrently(&app, &code, 12).await {
        response.body(201);
        paid += i32::from(points(&app, response.text("access_token")).await.0 == 100);
    }
    assert_eq!((paid, points(&app, &inviter.access_token).await.0), (5, 550));
    assert_ledger(&app).await;
}

async fn invite_concurrently(app: &App, code: &str, invitees: usize) -> Vec<Response> {
    let mut news = Vec::new();
    for _ in 0..invitees {
        news.push(app.new_user().await.with("referral_code", code));
    }
    concurrently(news.into_iter().map(|new| {
        let app = app.clone();
        async move { register(&app, &new).await }
    }))
    .await
}
