//! `GET /auth/account/export`.

use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, Response, assert_budget, money};

const OPERATION: &str = "GET /auth/account/export";

async fn export(app: &App, access_token: &str) -> Response {
    let path = "/auth/account/export";
    app.get(path).bearer(access_token).send().await.documented("GET", path)
}

#[tokio::test]
async fn an_export_has_everything_stored_about_the_user() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (person, other) = (app.person().await, app.person().await);
    let response = export(&app, &person.user.access_token).await;
    let held = response.ok();
    let me = app.me(&person.user.access_token).await;
    for name in ["id", "username", "email", "phone_number", "referral_code", "status"] {
        assert_eq!(held["account"][name], me.json[name], "{name}");
    }
    assert_eq!(held["account"]["has_password"], true);
    assert_eq!(held["profile"], me.json["profile"]);
    assert_eq!(held["kyc"]["document_number"], person.document_number.as_str());
    assert_eq!(held["kyc"]["document_type"], "PASSPORT");
    assert_eq!(held["devices"][0]["fcm_token"], person.fcm_token.as_str());
    assert_eq!(held["sessions"].as_array().unwrap().len(), 2);
    let wallet = &held["wallet"];
    assert_eq!(
        (&wallet["balance"], &wallet["points"]["current_points"]),
        (&json!("75.50"), &json!(150))
    );
    let entries = wallet["entries"]["results"].as_array().unwrap();
    let listed = app.get("/users/wallet/transactions").bearer(&person.user.access_token).send();
    assert_eq!(entries, listed.await.ok()["results"].as_array().unwrap());
    assert_eq!((entries.len(), &wallet["entries"]["is_complete"]), (3, &json!(true)));
    let usage = &held["usage"];
    assert_eq!((&usage["total_rentals"], &usage["total_referrals"]), (&json!(1), &json!(1)));
    assert_eq!(usage["days"]["results"][0]["spent"], "25.00");
    assert_eq!(usage["months"]["results"][0]["rentals"], 1);
    assert_eq!(usage["stations"]["results"][0]["station_id"], "first-thamel-chowk");
    let actions = held["audit"]["results"].as_array().unwrap().iter().rev();
    let actions: Vec<_> = actions.map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["registered", "identifier_changed", "signed_in"]);
    // The export itself is audited, so the next export contains it.
    let next = export(&app, &person.user.access_token).await;
    let newest = &next.ok()["audit"]["results"][0];
    assert_eq!(
        (&newest["action"], &newest["by_staff"]),
        (&json!("account_exported"), &json!(false))
    );
    let text = held.to_string();
    for theirs in [&other.user.user_id, &other.email, &other.user.phone, &other.document_number] {
        assert!(!text.contains(theirs.as_str()), "{theirs}");
    }
}

/// S3 does not know sessions: a link that was signed before the session ended is valid for a minute.
#[tokio::test]
async fn links_in_an_export_expire_at_most_a_minute_after_the_session_ends() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("11-22-33").await;
    let response = export(&app, &user.access_token).await;
    let file = &response.ok()["kyc"]["documents"][0];
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lifetime =
        time(&file["expires_at"]).as_second() - time(&response.json["exported_at"]).as_second();
    assert_eq!(lifetime, 60);
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    let fetch =
        async || reqwest::get(file["url"].as_str().unwrap()).await.unwrap().status().as_u16();
    assert_eq!(fetch().await, 200);
    app.advance(61).await;
    assert_eq!(fetch().await, 403);
}

#[tokio::test]
async fn an_export_that_cannot_be_audited_is_not_returned() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.inject_fault("dynamodb", "TransactWriteItems", "error_500", 100).await;
    export(&app, &user.access_token).await.problem(503, "unavailable");
}

#[tokio::test]
async fn an_export_has_no_hashes_digests_or_internal_fields() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    let text = export(&app, &person.user.access_token).await.ok().to_string();
    let inside = [
        "argon2",
        "epoch",
        "mac_slot",
        "counter",
        "digest",
        "schema",
        "item_type",
        "revision",
        "number_claim",
        "sign_ins",
        "recent_sessions",
        "last_key",
        "joined_shard",
        "device_token",
    ];
    for word in inside {
        assert!(!text.contains(word), "{word}");
    }
}

#[tokio::test]
async fn an_export_hides_the_network_of_staff() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let name = json!({"full_name": "Sita Rai"});
    app.change_user(&staff, &user.user_id, &name).await.ok();
    let response = export(&app, &user.access_token).await;
    let entries = response.ok()["audit"]["results"].as_array().unwrap();
    let shown: Vec<_> =
        entries.iter().map(|entry| (&entry["by_staff"], entry["source"].is_null())).collect();
    assert_eq!(shown, [(&json!(true), true), (&json!(false), false)]);
}

#[tokio::test]
async fn an_export_of_a_new_account_has_empty_lists() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let response = export(&app, &user.access_token).await;
    let held = response.ok();
    assert_eq!((&held["kyc"], &held["devices"]), (&Value::Null, &json!([])));
    assert_eq!(held["wallet"]["entries"]["results"].as_array().unwrap().len(), 1);
    assert_eq!(held["usage"]["stations"], json!({"results": [], "is_complete": true}));
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_truncated_list_is_marked_incomplete() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let user = app.register_user().await;
    for number in 0..1_001 {
        let row = json!({
            "subject": user.user_id, "entry_id": format!("01998f6e-5c1b-7d34-9a44-0f4f2f1{number:05}"),
            "action": "signed_in", "source": "192.0.2.0/24", "at": 1_700_000_000,
            "expires_at": 1_900_000_000, "item_type": "audit", "schema_version": 1,
        });
        app.put_row("audit", &row).await;
    }
    let response = export(&app, &user.access_token).await;
    let audit = &response.ok()["audit"];
    let entries = audit["results"].as_array().unwrap();
    assert_eq!((entries.len(), &audit["is_complete"]), (1_000, &json!(false)));
    assert_eq!(entries[0]["action"], "registered", "the newest entries come first");
}

#[tokio::test]
async fn asvs_7_5_1_an_export_requires_recent_authentication() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(601).await;
    let stale = export(&app, &user.access_token).await;
    stale.problem(403, "reauthentication_required");
    assert_budget(&app, OPERATION, (1, 6.0, 0.0, 0)).await;
    let exported = app.rows_where("audit", "action", "account_exported").await;
    assert_eq!(exported.len(), 0, "only a successful export is audited");
    let body = json!({ "password": PASSWORD });
    let renewed = app.post("/auth/reauthenticate", &body).bearer(&user.access_token).send().await;
    export(&app, renewed.text("access_token")).await.ok();
}

#[tokio::test]
async fn anonymous_callers_get_401() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let anonymous = app.get("/auth/account/export").send().await;
    anonymous.problem(401, "authentication_required");
    export(&app, "garbage").await.problem(401, "invalid_access_token");
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    export(&app, &user.access_token).await.problem(401, "session_ended");
}

#[tokio::test]
async fn an_export_costs_2_hops() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    for number in 0..20 {
        let credit = money(&person.user, "CREDIT", "1.00");
        app.post_entry(&format!("k{number}"), &credit).await.body(201);
    }
    export(&app, &person.user.access_token).await.ok();
    assert_budget(&app, OPERATION, (2, 14.0, 2.0, 0)).await;
}

#[tokio::test]
async fn the_largest_export_fits_into_a_lambda_response() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let (words, at) = ("न".repeat(200), app.now().await.as_second());
    let row = |number: u64| {
        let id = format!("0192f0c8-0000-7000-8000-{number:012x}");
        json!({
            "user_id": user.user_id, "sk": format!("ENTRY#{id}"), "entry_id": id, "asset": "MONEY",
            "direction": "CREDIT", "quantity": 1, "balance_before": number,
            "balance_after": number + 1, "reference": words, "reason": words, "actor": "a",
            "created_at": at, "item_type": "entry", "schema_version": 1,
        })
    };
    app.put_rows("wallets", &(0..2_500).map(row).collect::<Vec<_>>()).await;
    let response = export(&app, &user.access_token).await;
    let entries = &response.ok()["wallet"]["entries"];
    let shown = entries["results"].as_array().unwrap().len();
    assert_eq!((shown, &entries["is_complete"]), (2_000, &json!(false)));
    // The limit of a Lambda response.
    assert!(response.bytes.len() < 6 * 1024 * 1024, "{} bytes", response.bytes.len());
}
