//! `GET /admin/users`: rows, exact names, cursors, refusals.

use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, User, assert_budget, random_email, random_username};

/// The ids on the first page of a query.
async fn listed(app: &App, staff: &User, query: &str) -> Vec<String> {
    let response = app.admin_get(staff, &format!("/admin/users?{query}")).await;
    let results = response.ok()["results"].as_array().unwrap();
    results.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_row_shows_every_field_of_a_user() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let email = random_email();
    let new = app.new_user().await.with("email", email.as_str());
    let registered = app.register(&new).await;
    let response = app.admin_get(&staff, "/admin/users").await;
    let me = app.me(registered.text("access_token")).await;
    let expected = json!({
        "id": registered.text("user_id"),
        "username": new.body["username"],
        "email": email,
        "phone_number": new.phone,
        "status": "ACTIVE",
        "kyc_status": "NOT_SUBMITTED",
        "is_profile_complete": false,
        "is_staff": false,
        "date_joined": me.ok()["date_joined"],
        "last_login": me.json["last_login"],
    });
    assert_eq!(response.ok()["results"][0], expected);
    assert_eq!(response.json["results"][1]["id"], staff.user_id.as_str());
    assert_eq!(response.json["results"][1]["is_staff"], true);
    assert_eq!(response.json["next_cursor"], Value::Null);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let complete =
        json!({"full_name": "Sita Rai", "date_of_birth": "1999-04-14", "address": "Patan"});
    app.change_user(&staff, registered.text("user_id"), &complete).await.ok();
    let response = app.admin_get(&staff, "/admin/users?limit=1").await;
    assert_eq!(response.ok()["results"][0]["is_profile_complete"], true);
}

#[tokio::test]
async fn an_exact_name_finds_its_holder_if_all_other_filters_match() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let (one, other) = (app.register_user().await, app.register_user().await);
    let email = random_email();
    let new = app.new_user().await.with("email", email.as_str());
    app.register(&new).await.body(201);
    let body = json!({"username": random_username(), "email": "Gita@Example.com"});
    let made = app.admin(&staff, "POST", "/admin/users", Some(&body)).await;
    let made = made.body(201)["id"].as_str().unwrap().to_owned();
    let phone = one.phone.replace('+', "%2B");
    let national = &one.phone[4..];
    let (now, upper) = (app.now().await, one.username.to_uppercase());
    for query in [
        format!("phone_number={phone}"),
        format!("phone_number={national}"),
        format!("username={}", one.username),
        format!("username={upper}"),
        format!("username={upper}&phone_number={phone}"),
        format!("username={upper}&status=ACTIVE&kyc_status=NOT_SUBMITTED&username_prefix=USER-"),
        format!(
            "phone_number={phone}&joined_before={}&limit=1",
            now + jiff::SignedDuration::from_secs(1)
        ),
    ] {
        assert_eq!(listed(&app, &staff, &query).await, [&*one.user_id], "{query}");
    }
    assert_eq!(listed(&app, &staff, "email=gita@example.com").await, [&*made]);
    assert_eq!(listed(&app, &staff, "email=GITA@example.com&status=ACTIVE").await, [&*made]);
    for query in [
        format!("username={}&phone_number={phone}", other.username),
        format!("username={upper}&status=BANNED"),
        format!("username={upper}&kyc_status=APPROVED"),
        format!("username={upper}&username_prefix=other"),
        format!("username={upper}&joined_after={}", now + jiff::SignedDuration::from_secs(2)),
        "username=nobody-has-this".to_owned(),
        // The address is not verified.
        format!("email={email}"),
        format!("email={email}&phone_number={phone}"),
    ] {
        assert!(listed(&app, &staff, &query).await.is_empty(), "{query}");
    }
    assert_budget(&app, "GET /admin/users", (2, 9.0, 0.0, 0)).await;
}

#[tokio::test]
async fn a_username_is_found_by_its_current_prefix() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    app.change_user(&staff, &user.user_id, &json!({"username": "Renamed.One"})).await.ok();
    assert_eq!(listed(&app, &staff, "username_prefix=renamed.").await, [&*user.user_id]);
    assert_eq!(listed(&app, &staff, "username=renamed.one").await, [&*user.user_id]);
    assert_eq!(listed(&app, &staff, "username_prefix=user-").await, [&*staff.user_id]);
    assert!(listed(&app, &staff, &format!("username={}", user.username)).await.is_empty());
}

#[tokio::test]
async fn a_cursor_that_is_altered_or_from_another_query_or_caller_is_refused() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, other) = (app.staff().await, app.staff().await);
    app.register_user().await;
    let get = async |staff: &User, query: &str| {
        app.admin_get(staff, &format!("/admin/users?{query}")).await
    };
    let first = get(&staff, "limit=1&status=ACTIVE").await;
    let cursor = first.text("next_cursor").to_owned();
    get(&staff, &format!("limit=2&status=ACTIVE&cursor={cursor}")).await.ok();
    let last = if cursor.ends_with('A') { 'B' } else { 'A' };
    let altered = format!("{}{last}", &cursor[..cursor.len() - 1]);
    for (who, query) in [
        (&staff, format!("cursor={cursor}")),
        (&staff, format!("status=BANNED&cursor={cursor}")),
        (&staff, format!("status=ACTIVE&kyc_status=PENDING&cursor={cursor}")),
        (&staff, format!("status=ACTIVE&username={}&cursor={cursor}", staff.username)),
        (&staff, format!("status=ACTIVE&joined_after=2020-01-01T00:00:00Z&cursor={cursor}")),
        (&other, format!("status=ACTIVE&cursor={cursor}")),
        (&staff, format!("status=ACTIVE&cursor={altered}")),
    ] {
        get(who, &query).await.problem(400, "invalid_cursor");
    }
}

#[tokio::test]
async fn every_invalid_query_parameter_is_named() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    let wrong = "status=DEAD&kyc_status=LOST&email=x&phone_number=1&username=a&username_prefix=a%20b\
                 &joined_after=yesterday&joined_before=2026&limit=0";
    app.admin_get(&staff, &format!("/admin/users?{wrong}")).await.refuses(&[
        "status",
        "kyc_status",
        "email",
        "phone_number",
        "username",
        "username_prefix",
        "joined_after",
        "joined_before",
        "limit",
    ]);
    let reversed = "joined_after=2026-01-02T00:00:00Z&joined_before=2026-01-01T00:00:00Z";
    app.admin_get(&staff, &format!("/admin/users?{reversed}")).await.refuses(&["joined_before"]);
    let long = "x".repeat(151);
    let path = format!("/admin/users?username_prefix={long}");
    app.admin_get(&staff, &path).await.refuses(&["username_prefix"]);
}

#[tokio::test]
async fn a_list_succeeds_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    for kind in ["throttle", "timeout", "error_500", "lost_response"] {
        for operation in ["Query", "BatchGetItem"] {
            app.inject_fault("dynamodb", operation, kind, 1).await;
            assert_eq!(listed(&app, &staff, "limit=5").await, [&*staff.user_id]);
        }
    }
}

/// Every staff operation on users, balances and the audit trail.
fn operations(user_id: &str) -> Vec<(&'static str, String, Value)> {
    let user = format!("/admin/users/{user_id}");
    let correction = App::correction("CREDIT", "1.00");
    let new = json!({"username": random_username(), "email": random_email()});
    vec![
        ("GET", "/admin/users".to_owned(), json!({})),
        ("GET", "/admin/users?username=nobody".to_owned(), json!({})),
        ("POST", "/admin/users".to_owned(), new),
        ("GET", user.clone(), json!({})),
        ("GET", "/admin/users/no-id".to_owned(), json!({})),
        ("PUT", user.clone(), json!({"is_staff": true})),
        ("PATCH", user.clone(), json!({"is_staff": true})),
        ("DELETE", format!("{user}/sessions"), json!({})),
        ("POST", format!("{user}/wallet/adjustments"), correction),
        ("GET", format!("/admin/audit?user_id={user_id}"), json!({})),
    ]
}

#[tokio::test]
async fn anonymous_callers_get_401_and_non_staff_users_get_an_audited_403() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let send = async |method: &str, path: &str, body: &Value, token: Option<&str>| {
        let request = app.request(method, path).key("k1").body(body.to_string());
        let request = request.header("content-type", "application/json");
        let request = match token {
            Some(token) => request.bearer(token),
            None => request,
        };
        request.send().await.documented(method, path.split('?').next().unwrap())
    };
    let sizes = async || {
        let mut sizes = app.table_sizes().await;
        sizes.retain(|(table, _)| *table != "audit");
        sizes
    };
    let before = sizes().await;
    for about in [&user.user_id, &other.user_id] {
        for (method, path, body) in operations(about) {
            send(method, &path, &body, None).await.problem(401, "authentication_required");
            send(method, &path, &body, Some("x")).await.problem(401, "invalid_access_token");
            let audited = app.audit_entries(&user.user_id).await.len();
            let response = send(method, &path, &body, Some(&user.access_token)).await;
            response.problem(403, "forbidden");
            let trail = app.audit_entries(&user.user_id).await;
            assert_eq!((trail.len(), trail[0].0.as_str()), (audited + 1, "staff_refused"));
        }
    }
    assert_eq!(sizes().await, before);
    app.me(&other.access_token).await.ok();
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    for (method, path, body) in operations(&user.user_id) {
        let response = send(method, &path, &body, Some(&user.access_token)).await;
        response.problem(401, "session_ended");
    }
}

#[tokio::test]
async fn the_session_decides_who_is_staff_not_the_account() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    app.change_user(&staff, &user.user_id, &json!({"is_staff": true})).await.ok();
    app.admin_get(&user, "/admin/users").await.problem(403, "forbidden");
    let again = app.login(&user.phone, PASSWORD).await;
    let user = User { access_token: again.text("access_token").to_owned(), ..user };
    app.admin_get(&user, "/admin/users").await.ok();
}
