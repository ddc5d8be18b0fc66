//! `DELETE /auth/account` and `DELETE /admin/users/{user_id}`.

use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, User, assert_budget, money, random_ip};

const OWN: &str = "DELETE /auth/account";
const STAFF: &str = "DELETE /admin/users/{user_id}";
const UNKNOWN_ID: &str = "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11";

/// The audit entries about a user with this action.
async fn audit_entries(app: &App, user_id: &str, action: &str) -> Vec<Value> {
    let rows = app.rows_where("audit", "subject", user_id).await;
    rows.into_iter().filter(|row| row["action"] == action).map(|row| json!(row)).collect()
}

/// The access token of a reauthentication.
async fn fresh(app: &App, access_token: &str) -> String {
    let body = json!({ "password": PASSWORD });
    let response = app.post("/auth/reauthenticate", &body).bearer(access_token).send().await;
    response.text("access_token").to_owned()
}

#[tokio::test]
async fn a_deletion_leaves_only_the_ledger_and_the_audit_trail() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (person, other) = (app.person().await, app.person().await);
    assert!(app.traces(&person).await.len() > 15);
    let before = app.traces(&other).await;
    let deleted = app.delete_account(&person.user.access_token, "?forfeit_balance=true").await;
    let record = app.rows_where("users", "item_type", "deletion").await;
    assert_eq!((record.len(), &record[0]["receipt_id"]), (1, &deleted.ok()["receipt_id"]));
    assert_eq!(app.traces(&person).await.len(), 1, "only the deletion record");
    app.advance(3_600).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    assert_eq!(app.traces(&person).await, Vec::<String>::new());
    assert_eq!(app.run_cleanup().await, (0, 0));
    assert_eq!(app.traces(&other).await, before, "the data of another user is unchanged");
}

#[tokio::test]
async fn the_receipt_names_the_audit_entry_which_holds_no_personal_data() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for (query, forfeited) in [("?forfeit_balance=true", "true"), ("", "false")] {
        let user = app.register_user().await;
        if forfeited == "true" {
            app.post_entry("k", &money(&user, "CREDIT", "10.00")).await.body(201);
        }
        let deleted = app.delete_account(&user.access_token, query).await;
        let entries = audit_entries(&app, &user.user_id, "account_deleted").await;
        assert_eq!((entries.len(), &entries[0]["entry_id"]), (1, &deleted.ok()["receipt_id"]));
        assert_eq!(entries[0]["details"], json!({ "balance_forfeited": forfeited }));
        assert_eq!(entries[0].get("actor"), None);
    }
}

#[tokio::test]
async fn sessions_that_do_not_fit_into_the_transaction_are_deleted_too() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, by_staff, own) =
        (app.staff().await, app.register_user().await, app.register_user().await);
    for user in [&by_staff, &own] {
        let mut rows = app.rows_where("sessions", "user_id", &user.user_id).await;
        let row = rows.remove(0);
        let more = (0..100).map(|number| {
            let mut row = row.clone();
            let id = format!("01998f6e-5c1b-7d34-9a44-0f4f2f1c8{number:03}");
            row.insert("session_id".to_owned(), json!(id));
            json!(row)
        });
        app.put_rows("sessions", &more.collect::<Vec<_>>()).await;
    }
    app.delete_user(&staff.access_token, &by_staff.user_id, "").await.ok();
    app.delete_account(&own.access_token, "").await.ok();
    for user in [&by_staff, &own] {
        assert!(app.rows_where("sessions", "user_id", &user.user_id).await.is_empty());
    }
}

#[tokio::test]
async fn asvs_7_4_2_every_token_of_every_session_is_refused_at_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    let other = app.login(&person.email, PASSWORD).await;
    app.delete_account(other.text("access_token"), "?forfeit_balance=true").await.ok();
    for token in [&person.user.access_token, other.text("access_token")] {
        app.me(token).await.problem(401, "session_ended");
        app.delete_account(token, "").await.problem(401, "session_ended");
        for (method, path) in [
            ("GET", "/auth/account/export"),
            ("GET", "/auth/sessions"),
            ("GET", "/users/profile"),
            ("GET", "/users/wallet"),
            ("GET", "/users/analytics/usage-stats"),
        ] {
            let response = app.request(method, path).bearer(token).send().await;
            response.problem(401, "session_ended");
        }
        app.put_profile(&person).await.problem(401, "session_ended");
        app.put_device(&person).await.problem(401, "session_ended");
    }
    for token in [&person.user.refresh_token, other.text("refresh_token")] {
        app.refresh(token).await.problem(401, "invalid_refresh_token");
    }
    for identifier in [&person.user.phone, &person.email] {
        app.login(identifier, PASSWORD).await.problem(400, "invalid_credentials");
    }
    let entry = app.post_entry("late", &money(&person.user, "CREDIT", "1.00")).await;
    entry.problem(404, "not_found");
    let events = app.post_rental_and_favorite(&person, "late").await;
    for result in events.ok()["results"].as_array().unwrap() {
        assert_eq!(result["code"], "unknown_user", "{events:?}");
    }
}

#[tokio::test]
async fn identifiers_and_username_can_be_registered_again_at_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    app.delete_account(&person.user.access_token, "?forfeit_balance=true").await.ok();
    app.advance(61).await;
    let token = app.verification_token(&person.user.phone, "REGISTER").await;
    let new = app.new_user().await;
    let new = new.with("phone_number", person.user.phone.as_str());
    let new = new.with("username", person.user.username.as_str());
    let new = new.with("verification_token", token);
    let again = app.register(&new).await;
    again.body(201);
    assert_ne!(again.text("user_id"), person.user.user_id);
    let me = app.me(again.text("access_token")).await;
    assert_eq!(me.ok()["points"], json!({"current_points": 50, "total_points": 50}));
    assert_eq!(me.json["profile"]["full_name"], Value::Null);
    assert_eq!(me.json["kyc"]["status"], "NOT_SUBMITTED");
    let token = app.verification_token(&person.email, "CHANGE_IDENTIFIER").await;
    let body = json!({"identifier": person.email, "verification_token": token});
    let request = app.post("/auth/identifier", &body).bearer(again.text("access_token"));
    request.send().await.ok();
    // The last cleanup of the old account does not touch the new one.
    app.advance(3_600).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    app.login(&person.user.phone, PASSWORD).await.ok();
    app.login(&person.email, PASSWORD).await.ok();
}

#[tokio::test]
async fn asvs_7_5_1_a_deletion_requires_recent_authentication() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(601).await;
    let stale = app.delete_account(&user.access_token, "").await;
    stale.problem(403, "reauthentication_required");
    app.me(&user.access_token).await.ok();
    let token = fresh(&app, &user.access_token).await;
    app.delete_account(&token, "").await.ok();
    app.me(&token).await.problem(401, "session_ended");
}

#[tokio::test]
async fn a_deletion_with_a_balance_requires_forfeit_balance() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.post_entry("k", &money(&user, "CREDIT", "12.34")).await.body(201);
    // An empty parameter counts as absent.
    for query in ["", "?forfeit_balance=false", "?forfeit_balance="] {
        let refused = app.delete_account(&user.access_token, query).await;
        refused.problem(400, "wallet_not_empty");
    }
    for query in ["?forfeit_balance=yes", "?forfeit_balance=TRUE"] {
        let refused = app.delete_account(&user.access_token, query).await;
        refused.refuses(&["forfeit_balance"]);
    }
    assert_eq!(app.wallet(&user).await.ok()["balance"], "12.34");
    app.delete_account(&user.access_token, "?forfeit_balance=true").await.ok();
    let rows = app.rows_where("wallets", "user_id", &user.user_id).await;
    let balance = rows.iter().find(|row| row["sk"] == "BALANCE").unwrap();
    // Points are not money and stay unchanged.
    assert_eq!((&balance["balance_minor"], &balance["points"]), (&json!(0), &json!(50)));
    assert!(balance["closed_at"].is_u64());
    let last = rows.iter().find(|row| row.get("reference") == Some(&json!("account_deletion")));
    let last = last.unwrap();
    let figures = ["asset", "direction", "quantity", "balance_before", "balance_after", "actor"];
    let figures = figures.map(|name| last[name].clone());
    let expected =
        ["MONEY".into(), "DEBIT".into(), 1_234.into(), 1_234.into(), 0.into(), "system".into()];
    assert_eq!(figures, expected as [Value; 6]);
}

#[tokio::test]
async fn a_deletion_with_a_spent_balance_does_not_require_forfeit_balance() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.post_entry("c", &money(&user, "CREDIT", "5.00")).await.body(201);
    app.post_entry("d", &money(&user, "DEBIT", "5.00")).await.body(201);
    app.delete_account(&user.access_token, "").await.ok();
    // A repeat of an earlier request is replayed; a new request is refused.
    let replayed = app.post_entry("c", &money(&user, "CREDIT", "5.00")).await;
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    app.post_entry("e", &money(&user, "CREDIT", "5.00")).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_deletion_by_staff_is_audited_with_the_actor() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, person) = (app.staff().await, app.person().await);
    let id = person.user.user_id.as_str();
    let stale = app.delete_user(&staff.access_token, id, "").await;
    stale.problem(400, "wallet_not_empty");
    app.advance(601).await;
    let deleted = app.delete_user(&staff.access_token, id, "?forfeit_balance=true").await;
    let entries = audit_entries(&app, id, "account_deleted").await;
    assert_eq!((entries.len(), &entries[0]["entry_id"]), (1, &deleted.ok()["receipt_id"]));
    assert_eq!(entries[0]["actor"], json!(staff.user_id));
    app.me(&person.user.access_token).await.problem(401, "session_ended");
    app.advance(3_600).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    assert_eq!(app.traces(&person).await, Vec::<String>::new());
    let again = app.delete_user(&staff.access_token, id, "").await;
    // The access token has expired by now.
    again.problem(401, "invalid_access_token");
    let token = app.refresh(&staff.refresh_token).await.text("access_token").to_owned();
    for unknown in [id, UNKNOWN_ID, "7"] {
        app.delete_user(&token, unknown, "").await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn staff_deleting_their_own_account_are_refused_and_audited() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, other) = (app.staff().await, app.staff().await);
    app.delete_account(&staff.access_token, "").await.problem(403, "own_account");
    let own = app.delete_user(&staff.access_token, &staff.user_id, "").await;
    own.problem(403, "own_account");
    let upper = staff.user_id.to_uppercase();
    app.delete_user(&staff.access_token, &upper, "").await.problem(403, "own_account");
    assert_eq!(audit_entries(&app, &staff.user_id, "own_account_refused").await.len(), 3);
    app.me(&staff.access_token).await.ok();
    app.delete_user(&other.access_token, &staff.user_id, "").await.ok();
    app.me(&staff.access_token).await.problem(401, "session_ended");
}

#[tokio::test]
async fn when_two_staff_delete_each_other_at_once_one_account_remains() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    for _ in 0..5 {
        let (a, b) = (app.staff().await, app.staff().await);
        let (first, second) = tokio::join!(
            app.delete_user(&a.access_token, &b.user_id, ""),
            app.delete_user(&b.access_token, &a.user_id, ""),
        );
        let won = [first.status, second.status].iter().filter(|status| **status == 200).count();
        assert_eq!(won, 1, "{first:?} {second:?}");
        let lives = async |user: &User| app.me(&user.access_token).await.status == 200;
        assert!(lives(&a).await != lives(&b).await);
    }
}

#[tokio::test]
async fn anonymous_callers_get_401_and_non_staff_users_get_403() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    for path in ["/auth/account".to_owned(), format!("/admin/users/{}", other.user_id)] {
        let anonymous = app.request("DELETE", &path).send().await;
        anonymous.problem(401, "authentication_required");
        let anonymous = app.request("DELETE", &path).bearer("garbage").send().await;
        anonymous.problem(401, "invalid_access_token");
    }
    for whom in [other.user_id.as_str(), user.user_id.as_str(), UNKNOWN_ID, "7"] {
        let refused = app.delete_user(&user.access_token, whom, "").await;
        refused.problem(403, "forbidden");
    }
    assert_eq!(audit_entries(&app, &user.user_id, "staff_refused").await.len(), 4);
    // The account decides, not the staff flag of the session.
    let former = app.staff().await;
    app.set_staff(&former, false).await;
    let refused = app.delete_user(&former.access_token, &other.user_id, "").await;
    refused.problem(403, "forbidden");
    app.me(&other.access_token).await.ok();
}

#[tokio::test]
async fn a_deletion_and_a_cleanup_run_stay_within_their_budgets() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user, person) = (app.staff().await, app.register_user().await, app.person().await);
    // Cleanup steps run concurrently; if they interleave, they count as two more hops.
    app.delete_account(&user.access_token, "").await.ok();
    assert_budget(&app, OWN, (7, 8.0, 28.0, 0)).await;
    app.delete_account(&person.user.access_token, "").await.problem(400, "wallet_not_empty");
    assert_eq!(app.costs(OWN).await.hops, 1);
    app.delete_account(&person.user.access_token, "?forfeit_balance=true").await.ok();
    assert_budget(&app, OWN, (8, 8.0, 42.0, 0)).await;
    let other = app.person().await;
    let query = "?forfeit_balance=true";
    app.delete_user(&staff.access_token, &other.user.user_id, query).await.ok();
    assert_budget(&app, STAFF, (8, 8.0, 45.0, 0)).await;
    app.run_cleanup().await;
    assert_budget(&app, "sweep", (1, 4.5, 0.0, 0)).await;
    app.advance(3_600).await;
    assert_eq!(app.run_cleanup().await, (3, 0));
    assert_budget(&app, "sweep", (5, 16.5, 6.0, 0)).await;
}

#[tokio::test]
async fn verification_tokens_issued_before_the_deletion_are_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    app.advance(61).await;
    let token = app.verification_token(&user.phone, "LOGIN").await;
    app.advance(61).await;
    let reset = app.verification_token(&user.phone, "RESET_PASSWORD").await;
    let body = json!({ "password": PASSWORD });
    let request = app.post("/auth/reauthenticate", &body).bearer(&user.access_token);
    request.with_client_ip(&random_ip()).send().await.ok();
    app.delete_account(&user.access_token, "").await.ok();
    let body = json!({"identifier": user.phone, "verification_token": token});
    app.login_with(&body).await.problem(400, "invalid_credentials");
    let body = json!({
        "identifier": user.phone, "verification_token": reset, "new_password": "a copper kettle sings",
    });
    let response = app.post("/auth/password/reset", &body).send().await;
    response.problem(400, "invalid_verification_token");
}
