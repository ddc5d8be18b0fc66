//! `PATCH /admin/users/{user_id}`: the status and the staff flag.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, User, assert_budget, concurrently, random_email};

const OPERATION: &str = "PATCH /admin/users/{user_id}";

/// Every token of the user is refused and no session is left.
async fn assert_signed_out(app: &App, user_id: &str, access: &[&str], refresh: &[&str]) {
    for token in access {
        app.me(token).await.problem(401, "session_ended");
        let list = app.get("/admin/users").bearer(token).send().await;
        list.problem(401, "session_ended");
    }
    for token in refresh {
        app.refresh(token).await.problem(401, "invalid_refresh_token");
    }
    assert!(app.rows_where("sessions", "user_id", user_id).await.is_empty());
}

#[tokio::test]
async fn a_ban_takes_effect_at_the_next_request_of_every_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    for status in ["BANNED", "INACTIVE"] {
        let user = app.register_user().await;
        let second = app.login(&user.phone, PASSWORD).await;
        let device = json!({"device_id": "p", "fcm_token": "t", "device_type": "IOS"});
        app.post("/auth/device", &device).bearer(&user.access_token).send().await.ok();
        let response = app.change_user(&staff, &user.user_id, &json!({"status": status})).await;
        assert_eq!(response.ok()["status"], status);
        assert_eq!(
            (&response.json["sessions"], &response.json["devices"]),
            (&json!([]), &json!([]))
        );
        let access = [user.access_token.as_str(), second.text("access_token")];
        let refresh = [user.refresh_token.as_str(), second.text("refresh_token")];
        assert_signed_out(&app, &user.user_id, &access, &refresh).await;
        assert!(app.rows("devices").await.is_empty());
        app.login(&user.phone, PASSWORD).await.problem(400, "account_not_active");
        let trail = app.audit_entries(&user.user_id).await;
        assert_eq!(trail[0].0, "sign_in_refused");
        assert_eq!(trail[1], ("user_updated".to_owned(), json!({"status": status})));

        app.change_user(&staff, &user.user_id, &json!({"status": "ACTIVE"})).await.ok();
        assert_signed_out(&app, &user.user_id, &access, &refresh).await;
        app.login(&user.phone, PASSWORD).await.ok();
    }
}

#[tokio::test]
async fn a_sign_in_during_a_ban_leaves_no_session() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    for round in 0..4 {
        let user = app.register_user().await;
        let sign_ins: Vec<_> = (0..6)
            .map(|_| {
                let (app, phone) = (app.clone(), user.phone.clone());
                async move { app.login(&phone, PASSWORD).await }
            })
            .collect();
        let signing_in = tokio::spawn(concurrently(sign_ins));
        tokio::time::sleep(std::time::Duration::from_millis(40 * round)).await;
        let ban = json!({"status": "BANNED"});
        let mut banned = app.change_user(&staff, &user.user_id, &ban).await;
        while banned.status == 503 {
            banned = app.change_user(&staff, &user.user_id, &ban).await;
        }
        banned.ok();
        assert!(app.rows_where("sessions", "user_id", &user.user_id).await.is_empty());
        let responses = signing_in.await.unwrap();
        let signed_in = responses.iter().filter(|response| response.status == 200);
        let access: Vec<_> = signed_in.map(|response| response.text("access_token")).collect();
        assert_signed_out(&app, &user.user_id, &access, &[]).await;
        let refused = responses.iter().filter(|response| response.status == 400);
        for response in refused {
            response.problem(400, "account_not_active");
        }
    }
}

#[tokio::test]
async fn a_ban_is_applied_completely_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    for operation in ["BatchGetItem", "Query", "TransactWriteItems"] {
        for kind in ["throttle", "timeout", "error_500", "lost_response"] {
            for times in [1, 6] {
                let user = app.register_user().await;
                let second = app.login(&user.phone, PASSWORD).await;
                let ban = json!({"status": "BANNED"});
                app.inject_fault("dynamodb", operation, kind, times).await;
                let mut response = app.change_user(&staff, &user.user_id, &ban).await;
                while response.status == 503 {
                    response.problem(503, "unavailable");
                    response = app.change_user(&staff, &user.user_id, &ban).await;
                }
                response.ok();
                let access = [user.access_token.as_str(), second.text("access_token")];
                assert_signed_out(&app, &user.user_id, &access, &[]).await;
                let updates = app.rows_where("audit", "subject", &user.user_id).await;
                let updates = updates.iter().filter(|row| row["action"] == "user_updated");
                assert_eq!(updates.count(), 1, "{operation} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn a_ban_that_cannot_be_written_changes_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let before = (app.rows("users").await, app.table_sizes().await);
    app.inject_fault("dynamodb", "TransactWriteItems", "error_500", 5).await;
    let ban = json!({"status": "BANNED"});
    app.change_user(&staff, &user.user_id, &ban).await.problem(503, "unavailable");
    assert_eq!((app.rows("users").await, app.table_sizes().await), before);
    app.me(&user.access_token).await.ok();
}

#[tokio::test]
async fn a_revoked_staff_right_takes_effect_at_the_next_request() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, other) = (app.staff().await, app.staff().await);
    app.admin_get(&other, "/admin/users").await.ok();
    let response = app.change_user(&staff, &other.user_id, &json!({"is_staff": false})).await;
    assert_eq!(response.ok()["is_staff"], false);
    assert_signed_out(&app, &other.user_id, &[&other.access_token], &[&other.refresh_token]).await;
    let details = app.audit_entries(&other.user_id).await.remove(0).1;
    assert_eq!(details, json!({"is_staff": "false"}));
    let again = app.login(&other.phone, PASSWORD).await;
    let list = app.get("/admin/users").bearer(again.text("access_token")).send().await;
    list.problem(403, "forbidden");
    app.me(again.text("access_token")).await.ok();
}

#[tokio::test]
async fn a_granted_staff_right_applies_to_later_sessions_only() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let response = app.change_user(&staff, &user.user_id, &json!({"is_staff": true})).await;
    assert_eq!(
        (&response.ok()["is_staff"], &response.json["sessions"][0]["is_staff"]),
        (&json!(true), &json!(false))
    );
    app.me(&user.access_token).await.ok();
    app.get("/admin/users").bearer(&user.access_token).send().await.problem(403, "forbidden");
    let token = app.refresh(&user.refresh_token).await.text("access_token").to_owned();
    app.get("/admin/users").bearer(&token).send().await.problem(403, "forbidden");
    let again = app.login(&user.phone, PASSWORD).await;
    app.get("/admin/users").bearer(again.text("access_token")).send().await.ok();
}

#[tokio::test]
async fn staff_changing_their_own_rights_are_refused_and_audited() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let rows = app.rows("users").await;
    for (count, body) in [
        json!({"is_staff": false}),
        json!({"status": "BANNED"}),
        json!({"status": "INACTIVE", "full_name": "Sita Rai"}),
    ]
    .into_iter()
    .enumerate()
    {
        app.change_user(&staff, &staff.user_id, &body).await.problem(403, "own_account");
        let path = format!("/admin/users/{}", staff.user_id);
        app.admin(&staff, "PUT", &path, Some(&body)).await.problem(403, "own_account");
        let trail = app.audit_entries(&staff.user_id).await;
        assert_eq!(trail.len(), 2 * count + 3);
        assert_eq!(trail[0].0, "own_account_refused");
    }
    assert_eq!(app.rows("users").await, rows);
    app.admin_get(&staff, "/admin/users").await.ok();
    // Equal values are no change, and the name is not a right.
    let same = json!({"is_staff": true, "status": "ACTIVE", "full_name": "Sita Rai"});
    let response = app.change_user(&staff, &staff.user_id, &same).await;
    assert_eq!(response.ok()["profile"]["full_name"], "Sita Rai");
}

#[tokio::test]
async fn when_two_staff_revoke_each_others_right_at_once_one_keeps_it() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    for body in [json!({"is_staff": false}), json!({"status": "BANNED"})] {
        for _ in 0..6 {
            let pair = [app.staff().await, app.staff().await];
            let [one, other] = pair.clone();
            let demote = |by: User, whom: User| {
                let (app, body) = (app.clone(), body.clone());
                async move {
                    loop {
                        let response = app.change_user(&by, &whom.user_id, &body).await;
                        if response.status != 503 {
                            return response;
                        }
                    }
                }
            };
            let responses =
                concurrently([demote(one.clone(), other.clone()), demote(other, one)]).await;
            let statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
            let done = statuses.iter().filter(|status| **status == 200).count();
            assert_eq!(done, 1, "{responses:?}");
            assert!(
                statuses.iter().all(|status| [200, 401, 403].contains(status)),
                "{responses:?}"
            );
            let mut left = 0;
            for staff in &pair {
                let list = app.get("/admin/users").bearer(&staff.access_token).send().await;
                left += usize::from(list.status == 200);
            }
            assert_eq!(left, 1, "{responses:?}");
        }
    }
}

#[tokio::test]
async fn a_ban_of_a_user_with_twenty_sessions_costs_2_hops_9_rru_52_wru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    for _ in 0..20 {
        app.login(&user.phone, PASSWORD).await.ok();
    }
    app.change_user(&staff, &user.user_id, &json!({"status": "BANNED"})).await.ok();
    assert_budget(&app, OPERATION, (2, 9.0, 52.0, 0)).await;
}

#[tokio::test]
async fn a_request_in_progress_cannot_use_a_revoked_staff_right() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    // As if the right were revoked after the session was read.
    app.set_staff(&staff, false).await;
    let sizes = app.table_sizes().await;
    let adjusted = app.adjust(&staff, &user.user_id, "k", &App::correction("CREDIT", "9.00")).await;
    adjusted.problem(403, "forbidden");
    app.end_sessions(&staff, &user.user_id).await.problem(403, "forbidden");
    let new = json!({"username": "somebody.new", "phone_number": "9841234567"});
    let made = app.admin(&staff, "POST", "/admin/users", Some(&new)).await;
    made.problem(403, "forbidden");
    let banned = app.change_user(&staff, &user.user_id, &json!({"status": "BANNED"})).await;
    banned.problem(403, "forbidden");
    app.delete_user(&staff.access_token, &user.user_id, "").await.problem(403, "forbidden");
    assert_eq!(app.table_sizes().await, sizes);
    app.me(&user.access_token).await.ok();
}

#[tokio::test]
async fn staff_cannot_unverify_their_own_identifiers() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    for edit in [json!({"phone_verified": false}), json!({"phone_verified": false, "address": "x"})]
    {
        app.change_user(&staff, &staff.user_id, &edit).await.problem(403, "own_account");
    }
    app.change_user(&staff, &staff.user_id, &json!({"phone_verified": true})).await.ok();
    app.login(&staff.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn a_user_with_many_recent_sign_ins_can_be_banned() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    for _ in 0..45 {
        app.login(&user.phone, PASSWORD).await.ok();
    }
    assert_eq!(app.rows_where("sessions", "user_id", &user.user_id).await.len(), 20);
    let pk = format!("USER#{}", user.user_id);
    let account = app.rows_where("users", "pk", &pk).await.remove(0);
    assert!(account["recent_sessions"].as_array().unwrap().len() <= 40);
    app.end_sessions(&staff, &user.user_id).await.ok();
    app.login(&user.phone, PASSWORD).await.ok();
    app.change_user(&staff, &user.user_id, &json!({"status": "BANNED"})).await.ok();
    assert!(app.rows_where("sessions", "user_id", &user.user_id).await.is_empty());
}

#[tokio::test]
async fn verifying_and_replacing_an_address_at_once_leaves_no_stale_claim() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    for _ in 0..8 {
        let (old, new) = (random_email(), random_email());
        let registered = app.register(&app.new_user().await.with("email", old.as_str())).await;
        let (user_id, access) = (registered.text("user_id"), registered.text("access_token"));
        let token = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
        let body = json!({"identifier": new, "verification_token": token});
        let change = app.post("/auth/identifier", &body).bearer(access).send();
        let verified = json!({"email_verified": true});
        let (changed, vouched) = tokio::join!(change, app.change_user(&staff, user_id, &verified));
        assert!([200, 503].contains(&changed.status), "{changed:?}");
        assert!([200, 503].contains(&vouched.status), "{vouched:?}");
        let email = app.me(access).await.json["email"].clone();
        for row in app.rows_where("users", "user_id", user_id).await {
            let pk = row["pk"].as_str().unwrap();
            assert!(
                !pk.starts_with("EMAIL#") || *pk == format!("EMAIL#{}", email.as_str().unwrap())
            );
        }
    }
}
