//! `PUT` and `PATCH /admin/users/{user_id}`: names, identifiers and profiles.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, PASSWORD, User, assert_budget, concurrently, random_email, random_phone,
    random_username,
};

/// The newest audit entry about a user.
async fn newest(app: &App, user_id: &str) -> (String, Value) {
    app.audit_entries(user_id).await.remove(0)
}

async fn put(app: &App, staff: &User, user_id: &str, body: &Value) -> crate::harness::Response {
    app.admin(staff, "PUT", &format!("/admin/users/{user_id}"), Some(body)).await
}

fn profile() -> Value {
    json!({
        "full_name": "Sita Rai", "date_of_birth": "1999-04-14", "address": "Jhamsikhel 3",
        "avatar_url": "https://cdn.example.com/sita.jpg",
    })
}

#[tokio::test]
async fn a_patch_changes_the_fields_sent_and_null_clears_a_field() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let id = &user.user_id;
    let response = app.change_user(&staff, id, &profile()).await;
    assert_eq!(response.ok()["profile"]["is_profile_complete"], true);
    assert_eq!(response.json["profile"]["full_name"], "Sita Rai");
    assert_eq!(response.json["profile_picture"], "https://cdn.example.com/sita.jpg");
    let set =
        json!({"full_name": "set", "date_of_birth": "set", "address": "set", "avatar_url": "set"});
    assert_eq!(newest(&app, id).await, ("user_updated".to_owned(), set));
    let shown = app.admin_get(&staff, &format!("/admin/users/{id}")).await;
    assert_eq!(shown.ok(), response.ok());
    let me = app.me(&user.access_token).await;
    assert_eq!(me.ok()["profile"], response.json["profile"]);

    let response = app.change_user(&staff, id, &json!({"address": null, "status": null})).await;
    assert_eq!(response.ok()["profile"]["address"], Value::Null);
    assert_eq!(response.json["profile"]["full_name"], "Sita Rai");
    assert_eq!(response.json["profile"]["is_profile_complete"], false);
    assert_eq!(newest(&app, id).await.1, json!({"address": "cleared"}));
    let list = app.admin_get(&staff, "/admin/users?limit=1").await;
    assert_eq!(list.ok()["results"][0]["is_profile_complete"], false);
}

#[tokio::test]
async fn a_put_changes_the_fields_sent_keeps_the_others_and_audits_the_change() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let id = &user.user_id;
    let before = app.change_user(&staff, id, &profile()).await;
    let named = [
        ("full_name", json!("Gita Rai"), json!({"full_name": "set"})),
        ("address", json!(null), json!({"address": "cleared"})),
        ("status", json!("BANNED"), json!({"status": "BANNED"})),
        ("status", json!("ACTIVE"), json!({"status": "ACTIVE"})),
        ("is_staff", json!(true), json!({"is_staff": "true"})),
        ("phone_verified", json!(false), json!({"phone_verified": "false"})),
    ];
    let mut expected = before.ok().clone();
    for (field, value, audited) in named {
        let response = put(&app, &staff, id, &json!({ field: value })).await;
        let place =
            if expected[field].is_null() { &mut expected["profile"] } else { &mut expected };
        place[field] = value;
        for name in ["full_name", "date_of_birth", "address", "avatar_url"] {
            assert_eq!(
                response.ok()["profile"][name],
                expected["profile"][name],
                "{field}: {name}"
            );
        }
        for name in ["username", "status", "phone_number", "phone_verified", "is_staff"] {
            assert_eq!(response.json[name], expected[name], "{field}: {name}");
        }
        assert_eq!(newest(&app, id).await, ("user_updated".to_owned(), audited));
    }
}

#[tokio::test]
async fn a_change_without_a_body_is_refused_and_neither_applied_nor_audited() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let path = format!("/admin/users/{}", user.user_id);
    let before = app.change_user(&staff, &user.user_id, &profile()).await;
    let audited = app.audit_entries(&user.user_id).await;
    for method in ["PUT", "PATCH"] {
        app.admin(&staff, method, &path, None).await.problem(400, "invalid_json");
    }
    let after = app.admin_get(&staff, &path).await;
    assert_eq!(after.ok(), before.ok());
    assert_eq!(app.audit_entries(&user.user_id).await, audited);
}

#[tokio::test]
async fn every_invalid_field_is_named_and_nothing_changes() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let before = app.rows("users").await;
    let wrong = json!({
        "username": "a b", "status": "DEAD", "is_staff": "yes", "email_verified": 1,
        "phone_verified": "no", "full_name": "x", "date_of_birth": "2999-01-01",
        "address": "\u{7}", "avatar_url": "http://x",
    });
    let fields: Vec<_> = wrong.as_object().unwrap().keys().map(String::as_str).collect();
    app.change_user(&staff, &user.user_id, &wrong).await.refuses(&fields);
    put(&app, &staff, &user.user_id, &wrong).await.refuses(&fields);
    // The account has no address to verify.
    let wrong = json!({"email_verified": true, "full_name": "Sita Rai"});
    app.change_user(&staff, &user.user_id, &wrong).await.refuses(&["email_verified"]);
    let made = json!({"username": random_username(), "email": random_email()});
    let made = app.admin(&staff, "POST", "/admin/users", Some(&made)).await;
    let wrong = json!({"phone_verified": true});
    app.change_user(&staff, made.text("id"), &wrong).await.refuses(&["phone_verified"]);
    // Protected fields are ignored.
    let ignored = json!({"epoch": 9, "referral_code": "X", "points": 7, "id": "x", "balance": "9"});
    app.change_user(&staff, &user.user_id, &ignored).await.ok();
    let after = app.rows("users").await;
    assert!(before.iter().all(|row| after.contains(row)));
}

#[tokio::test]
async fn an_update_without_changes_writes_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    // The change must not fall into the second of the registration.
    app.advance(2).await;
    app.change_user(&staff, &user.user_id, &profile()).await.ok();
    let audited = app.audit_entries(&user.user_id).await.len();
    let mut same = profile();
    same["username"] = json!(user.username);
    same["status"] = json!("ACTIVE");
    same["is_staff"] = json!(false);
    same["phone_verified"] = json!(true);
    same["email_verified"] = json!(false);
    let (before, rows) = (app.rows("profiles").await, app.rows("users").await);
    app.change_user(&staff, &user.user_id, &same).await.ok();
    put(&app, &staff, &user.user_id, &same).await.ok();
    app.change_user(&staff, &user.user_id, &json!({})).await.ok();
    assert_eq!((app.rows("profiles").await, app.rows("users").await), (before, rows));
    assert_eq!(app.audit_entries(&user.user_id).await.len(), audited);
    assert_eq!(app.costs("PATCH /admin/users/{user_id}").await.wru, 0.0);
}

#[tokio::test]
async fn a_username_change_moves_its_claim_and_a_taken_username_is_refused() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user, other) =
        (app.staff().await, app.register_user().await, app.register_user().await);
    let id = &user.user_id;
    let taken = json!({"username": other.username.to_uppercase(), "full_name": "Sita Rai"});
    let refused = app.change_user(&staff, id, &taken).await;
    refused.problem(400, "already_exists");
    assert_eq!(refused.fields(), ["username"]);
    assert_eq!(app.me(&user.access_token).await.ok()["profile"]["full_name"], Value::Null);

    let response = app.change_user(&staff, id, &json!({"username": "New.Name"})).await;
    assert_eq!(response.ok()["username"], "New.Name");
    assert_eq!(newest(&app, id).await.1, json!({"username": "N***"}));
    // Another case is the same name.
    app.change_user(&staff, id, &json!({"username": "NEW.name"})).await.ok();
    let claims = app.rows_where("users", "item_type", "claim").await;
    let names: Vec<_> = claims
        .iter()
        .filter(|row| row["user_id"] == id.as_str())
        .map(|row| row["pk"].as_str().unwrap())
        .filter(|pk| pk.starts_with("USERNAME#"))
        .collect();
    assert_eq!(names, ["USERNAME#new.name"]);
    // The old username is free again.
    let new = app.new_user().await.with("username", user.username.as_str());
    app.register(&new).await.body(201);
    let new = app.new_user().await.with("username", "new.NAME");
    app.register(&new).await.problem(400, "already_exists");
}

#[tokio::test]
async fn when_many_accounts_get_one_username_at_once_one_has_it() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    let mut users = Vec::new();
    for _ in 0..8 {
        users.push(app.register_user().await);
    }
    let responses =
        concurrently(
            users.into_iter().map(|user| {
                let (app, staff) = (app.clone(), staff.clone());
                async move {
                    app.change_user(&staff, &user.user_id, &json!({"username": "wanted"})).await
                }
            }),
        )
        .await;
    let made = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(made, 1, "{responses:?}");
    let refused = responses.iter().filter(|response| response.status != 200);
    for response in refused {
        response.problem(400, "already_exists");
    }
}

#[tokio::test]
async fn unverifying_releases_the_identifier_and_verifying_claims_it_if_it_is_free() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, email) = (app.staff().await, random_email());
    let new = app.new_user().await.with("email", email.as_str());
    let registered = app.register(&new).await;
    let id = registered.text("user_id").to_owned();

    app.login(&email, PASSWORD).await.problem(400, "invalid_credentials");
    let response = app.change_user(&staff, &id, &json!({"email_verified": true})).await;
    assert_eq!(response.ok()["email_verified"], true);
    assert_eq!(newest(&app, &id).await.1, json!({"email_verified": "true"}));
    app.login(&email, PASSWORD).await.ok();

    // The session stays, because no right was revoked.
    app.change_user(&staff, &id, &json!({"phone_verified": false})).await.ok();
    app.me(registered.text("access_token")).await.ok();
    assert_eq!(app.me(registered.text("access_token")).await.json["phone_number"], new.phone);
    app.login(&new.phone, PASSWORD).await.problem(400, "invalid_credentials");
    let body = json!({"username": random_username(), "phone_number": new.phone});
    let other = app.admin(&staff, "POST", "/admin/users", Some(&body)).await;
    other.body(201);
    let refused = app.change_user(&staff, &id, &json!({"phone_verified": true})).await;
    refused.problem(400, "already_exists");
    assert_eq!(refused.fields(), ["phone_verified"]);

    // Even the last one: no sign-in is possible until one is verified again.
    app.change_user(&staff, &id, &json!({"email_verified": false})).await.ok();
    app.login(&email, PASSWORD).await.problem(400, "invalid_credentials");
    app.change_user(&staff, other.text("id"), &json!({"phone_verified": false})).await.ok();
    app.change_user(&staff, &id, &json!({"phone_verified": true})).await.ok();
    app.login(&new.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn concurrent_changes_of_different_fields_all_apply_and_identical_changes_apply_once() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let changes = [
        json!({"full_name": "Sita Rai"}),
        json!({"address": "Patan"}),
        json!({"date_of_birth": "1999-04-14"}),
        json!({"username": "another"}),
        json!({"username": "another"}),
        json!({"username": "another"}),
    ];
    let responses = concurrently(changes.map(|body| {
        let (app, staff, id) = (app.clone(), staff.clone(), user.user_id.clone());
        async move {
            loop {
                let response = app.change_user(&staff, &id, &body).await;
                if response.status != 503 {
                    return response;
                }
            }
        }
    }))
    .await;
    assert!(responses.iter().all(|response| response.status == 200), "{responses:?}");
    let me = app.me(&user.access_token).await;
    assert_eq!(me.ok()["username"], "another");
    assert_eq!(me.json["profile"]["is_profile_complete"], true);
    let list = app.admin_get(&staff, "/admin/users?username=another").await;
    assert_eq!(list.ok()["results"][0]["is_profile_complete"], true);
    let updates = app.audit_entries(&user.user_id).await;
    assert_eq!(updates.iter().filter(|(action, _)| action == "user_updated").count(), 4);
}

#[tokio::test]
async fn a_change_is_applied_once_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let writes = ["throttle", "conflict", "timeout", "error_500", "lost_response"];
    let writes = writes.map(|kind| ("TransactWriteItems", kind));
    let reads = ["throttle", "timeout", "error_500", "lost_response"];
    let reads = reads.into_iter().flat_map(|kind| [("BatchGetItem", kind), ("Query", kind)]);
    let mut made = 0;
    for (operation, kind) in writes.into_iter().chain(reads) {
        for times in [1, 6] {
            made += 1;
            let name = format!("name-{made}");
            let body = json!({"username": name, "full_name": format!("Sita {made}")});
            app.inject_fault("dynamodb", operation, kind, times).await;
            let mut response = app.change_user(&staff, &user.user_id, &body).await;
            while response.status == 503 {
                response.problem(503, "unavailable");
                response = app.change_user(&staff, &user.user_id, &body).await;
            }
            assert_eq!(response.ok()["username"], name.as_str());
            let audited = app.rows_where("audit", "action", "user_updated").await.len();
            assert_eq!(audited, made, "{operation} {kind}");
            let claims = app.rows_where("users", "user_id", &user.user_id).await.len();
            assert_eq!(claims, 4, "account, username, phone, referral code: {operation} {kind}");
        }
    }
}

#[tokio::test]
async fn a_change_costs_2_hops_8_rru_14_wru_and_2_wru_more_for_a_verified_flag() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let new = app.new_user().await.with("email", random_email());
    let registered = app.register(&new).await;
    let id = registered.text("user_id");
    let path = "PATCH /admin/users/{user_id}";
    app.change_user(&staff, id, &profile()).await.ok();
    assert_budget(&app, path, (2, 8.0, 8.0, 0)).await;
    app.change_user(&staff, id, &json!({"username": random_username()})).await.ok();
    assert_budget(&app, path, (2, 8.0, 10.0, 0)).await;
    let body = json!({"username": random_username(), "full_name": null});
    app.change_user(&staff, id, &body).await.ok();
    assert_budget(&app, path, (2, 8.0, 14.0, 0)).await;
    let unknown = "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11";
    let body = json!({"username": random_phone()[1..]});
    app.change_user(&staff, unknown, &body).await.problem(404, "not_found");
    assert_budget(&app, path, (2, 8.0, 14.0, 0)).await;
    // A verified flag also writes a claim and checks that the caller is still staff.
    let body = json!({"username": random_username(), "email_verified": true, "full_name": "Sita"});
    app.change_user(&staff, id, &body).await.ok();
    assert_budget(&app, path, (2, 8.0, 16.0, 0)).await;
}
