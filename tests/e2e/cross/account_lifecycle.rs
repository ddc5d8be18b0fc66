//! The lifecycle of an account, from the first code to the last cleanup.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, PASSWORD, Person, Response, User,
    kyc::{jpeg, pdf},
    money, points, random_email, random_phone, random_username,
};

const NUMBER: &str = "27-01-70-98765";

/// A new user with a profile and a device.
async fn sign_up(app: &App) -> Person {
    let user = app.register_user().await;
    let person = Person {
        email: random_email(),
        full_name: format!("Maya {}", random_username()),
        fcm_token: format!("token-{}", random_username()),
        device_id: format!("device-{}", random_username()),
        document_number: NUMBER.to_owned(),
        referral_code: app.me(&user.access_token).await.text("referral_code").to_owned(),
        user,
    };
    app.put_device(&person).await.ok();
    let profile = app.put_profile(&person).await;
    assert_eq!(profile.ok()["is_profile_complete"], true);
    person
}

/// Uploads two documents, is rejected for an unreadable one, replaces it, and is approved.
async fn prove_identity(app: &App, staff: &User, user: &User) {
    let (front, back) = (jpeg("front"), pdf());
    let documents = json!({"front": front.declaration(), "back": back.declaration()});
    let body = json!({"document_number": NUMBER, "documents": documents});
    let posted = app.post_kyc(user, &body).await;
    assert_eq!(posted.body(201)["document_number"], "**********8765");
    app.submit_kyc(user).await.problem(400, "document_missing");
    app.send_files(&posted, &[&front, &back]).await;
    assert_eq!(app.submit_kyc(user).await.ok()["status"], "PENDING");

    let queue = app.admin_get(staff, "/admin/kyc?status=PENDING").await;
    assert_eq!(queue.ok()["results"][0]["user_id"], user.user_id.as_str());
    let reject = json!({"decision": "REJECT", "rejection_reason": "The front cannot be read."});
    app.post_review(staff, user, &reject).await.ok();
    let status = app.kyc_status(user).await;
    assert_eq!(status.ok()["rejection_reason"], "The front cannot be read.");

    let sharper = jpeg("sharper");
    let body = json!({"documents": {"front": sharper.declaration(), "back": back.declaration()}});
    let changed = app.patch_kyc(user, &body).await;
    app.send_files(&changed, &[&sharper]).await;
    app.submit_kyc(user).await.ok();
    let seen = app.view_documents(staff, user).await;
    let url = seen.ok()["documents"][0]["url"].as_str().unwrap();
    assert_eq!(reqwest::get(url).await.unwrap().bytes().await.unwrap(), sharper.bytes);
    let tag = seen.header("etag").unwrap();
    app.post_review_if_match(staff, user, tag, &json!({"decision": "APPROVE"})).await.ok();
    assert_eq!(app.kyc_status(user).await.ok()["status"], "APPROVED");
}

/// Gets money, rents twice, pays, and earns points for a timely return.
async fn rent(app: &App, user: &User) {
    app.post_entry("top-up", &money(user, "CREDIT", "200.00")).await.body(201);
    let now = app.now().await;
    for (name, on_time) in [("first", true), ("second", false)] {
        let event = json!({
            "event_id": name, "user_id": user.user_id, "occurred_at": now,
            "type": "RENTAL_COMPLETED", "amount": "45.50", "on_time": on_time,
        });
        let counted = app.usage_events(&json!([event])).await;
        assert_eq!(counted.ok()["results"][0]["status"], "counted");
        app.post_entry(name, &money(user, "DEBIT", "45.50")).await.body(201);
    }
    app.post_entry("reward", &points(user, "CREDIT", 10)).await.body(201);
    let wallet = app.wallet(user).await;
    assert_eq!(wallet.ok()["balance"], "109.00");
    assert_eq!(wallet.json["points"], json!({"current_points": 60, "total_points": 60}));
    let stats = app.usage_stats(user, "").await;
    let figures = |stats: &Value| (stats["total_rentals"].clone(), stats["total_spent"].clone());
    assert_eq!(figures(stats.ok()), (json!(2), json!("91.00")));
    assert_eq!(
        (&stats.json["timely_returns"], &stats.json["late_returns"]),
        (&json!(1), &json!(1))
    );
}

/// Changes the number and adds an address. Returns the old number.
async fn change_identifiers(app: &App, person: &mut Person) -> String {
    let old = person.user.phone.clone();
    let number = random_phone();
    for identifier in [&number, &person.email] {
        let token = app.verification_token(identifier, "CHANGE_IDENTIFIER").await;
        let body = json!({"identifier": identifier, "verification_token": token});
        let request = app.post("/auth/identifier", &body).bearer(&person.user.access_token);
        request.send().await.ok();
    }
    person.user.phone = number;
    let notices = app.messages(&old).await;
    assert!(notices[0]["body"].as_str().unwrap().contains("no longer"), "{notices:?}");
    app.login(&old, PASSWORD).await.problem(400, "invalid_credentials");
    old
}

async fn export(app: &App, access_token: &str) -> Response {
    let path = "/auth/account/export";
    let response = app.get(path).bearer(access_token).send().await.documented("GET", path);
    response.ok();
    response
}

#[tokio::test]
async fn a_deleted_account_leaves_only_anonymous_ledger_and_audit_entries() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let mut person = sign_up(&app).await;
    prove_identity(&app, &staff, &person.user).await;
    rent(&app, &person.user).await;
    let old_number = change_identifiers(&app, &mut person).await;

    let held = export(&app, &person.user.access_token).await;
    for theirs in [&person.user.phone, &person.email, &person.full_name, &person.fcm_token] {
        assert!(held.json.to_string().contains(theirs.as_str()), "{theirs} in {held:?}");
    }
    assert_eq!(held.json["kyc"]["document_number"], NUMBER);
    let token = person.user.access_token.clone();
    app.delete_account(&token, "").await.problem(400, "wallet_not_empty");
    app.advance(601).await;
    app.delete_account(&token, "?forfeit_balance=true")
        .await
        .problem(403, "reauthentication_required");
    let again = json!({ "password": PASSWORD });
    let again = app.post("/auth/reauthenticate", &again).bearer(&token).send().await;
    let held = export(&app, again.text("access_token")).await;
    let url = held.json["kyc"]["documents"][0]["url"].as_str().unwrap();
    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    let deleted = app.delete_account(again.text("access_token"), "?forfeit_balance=true").await;
    deleted.ok();

    app.me(again.text("access_token")).await.problem(401, "session_ended");
    app.refresh(&person.user.refresh_token).await.problem(401, "invalid_refresh_token");
    app.login(&person.user.phone, PASSWORD).await.problem(400, "invalid_credentials");
    assert_eq!(reqwest::get(url).await.unwrap().status(), 404);
    let gone = app.admin_get(&staff, &format!("/admin/users/{}", person.user.user_id)).await;
    gone.problem(404, "not_found");
    app.advance(3_600).await;
    assert_eq!(app.run_cleanup().await, (1, 0));

    assert_eq!(app.traces(&person).await, Vec::<String>::new());
    let before =
        Person { user: User { phone: old_number, ..person.user.clone() }, ..person.clone() };
    assert_eq!(app.traces(&before).await, Vec::<String>::new());
    assert_eq!(app.objects().await, Vec::<String>::new());
    assert_anonymous_remains(&app, &person.user).await;
    // The phone number and the document number are free for another account.
    let next = app.register_user().await;
    let front = jpeg("next");
    let body = json!({"document_number": NUMBER, "documents": {"front": front.declaration()}});
    app.post_kyc(&next, &body).await.body(201);
}

/// Only the ledger and the audit trail are kept, under the id of the deleted account.
async fn assert_anonymous_remains(app: &App, user: &User) {
    let wallet = app.rows_where("wallets", "user_id", &user.user_id).await;
    let kinds = |kind: &str| wallet.iter().filter(|row| row["item_type"] == kind).count();
    assert_eq!((kinds("entry"), kinds("balance")), (6, 1));
    let trail = app.audit_entries(&user.user_id).await;
    let actions: Vec<_> = trail.iter().rev().map(|(action, _)| action.as_str()).collect();
    let expected = [
        "registered",
        "kyc_reviewed",
        "documents_viewed",
        "kyc_reviewed",
        "identifier_changed",
        "identifier_changed",
        "account_exported",
        "reauthenticated",
        "account_exported",
        "account_deleted",
    ];
    assert_eq!(actions, expected);
}
