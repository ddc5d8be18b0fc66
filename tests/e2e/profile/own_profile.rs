//! `GET`, `PUT` and `PATCH /users/profile`.

use serde_json::{Value, json};

use crate::harness::{App, Needs, Response, User, assert_budget, concurrently, count};

const PATH: &str = "/users/profile";

async fn read(app: &App, user: &User) -> Response {
    app.get(PATH).bearer(&user.access_token).send().await.documented("GET", PATH)
}

async fn change(app: &App, method: &str, user: &User, body: &Value) -> Response {
    change_if(app, method, user, body, None).await
}

async fn change_if(
    app: &App,
    method: &str,
    user: &User,
    body: &Value,
    tags: Option<&str>,
) -> Response {
    let request = app.request(method, PATH).bearer(&user.access_token);
    let request = request.header("content-type", "application/json").body(body.to_string());
    let request = match tags {
        Some(tags) => request.header("if-match", tags),
        None => request,
    };
    request.send().await.documented(method, PATH)
}

fn whole() -> Value {
    json!({
        "full_name": "Sita Rai",
        "date_of_birth": "1999-04-14",
        "address": "Jhamsikhel 3, Lalitpur",
        "avatar_url": "https://cdn.example.com/sita.jpg",
    })
}

fn fields(response: &Response) -> Value {
    let names = ["full_name", "date_of_birth", "address", "avatar_url"];
    names.map(|name| (name.to_owned(), response.json[name].clone())).into_iter().collect()
}

fn etag(response: &Response) -> String {
    let etag = response.header("etag").unwrap_or_else(|| panic!("no ETag: {response:?}"));
    assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    etag.to_owned()
}

#[tokio::test]
async fn a_new_profile_is_empty_and_has_an_etag() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let response = read(&app, &user).await;
    let expected = json!({
        "id": user.user_id,
        "full_name": null,
        "date_of_birth": null,
        "address": null,
        "avatar_url": null,
        "is_profile_complete": false,
        "created_at": response.text("created_at"),
        "updated_at": response.text("created_at"),
    });
    assert_eq!(response.ok(), &expected);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    etag(&response);
}

#[tokio::test]
async fn put_sets_the_fields_sent_and_keeps_the_others() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let before = read(&app, &user).await;
    let response = change(&app, "PUT", &user, &whole()).await;
    assert_eq!(response.ok()["is_profile_complete"], true);
    assert_eq!(fields(&response), whole());
    assert_ne!(etag(&response), etag(&before));
    let again = read(&app, &user).await;
    assert_eq!((again.ok(), etag(&again)), (response.ok(), etag(&response)));
    let me = app.me(&user.access_token).await;
    assert_eq!(&me.ok()["profile"], response.ok());
    assert_eq!(me.json["profile_picture"], whole()["avatar_url"]);
    let response = change(&app, "PUT", &user, &json!({"full_name": "Sita"})).await;
    assert_eq!(response.ok()["is_profile_complete"], true);
    let mut expected = whole();
    expected["full_name"] = json!("Sita");
    assert_eq!(fields(&response), expected);
    assert_eq!(response.json["created_at"], before.json["created_at"]);
}

#[tokio::test]
async fn a_put_or_patch_without_a_body_gets_400_and_changes_nothing() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    change(&app, "PUT", &user, &whole()).await.ok();
    for method in ["PUT", "PATCH"] {
        for content_type in [None, Some("application/json")] {
            let request = app.request(method, PATH).bearer(&user.access_token);
            let request = match content_type {
                Some(content_type) => request.header("content-type", content_type),
                None => request,
            };
            let response = request.send().await.documented(method, PATH);
            response.problem(400, "invalid_json");
        }
        let kept = change(&app, method, &user, &json!({})).await;
        assert_eq!((kept.ok(), fields(&kept)), (&kept.json, whole()));
    }
    assert_eq!(fields(&read(&app, &user).await), whole());
}

#[tokio::test]
async fn put_and_patch_keep_absent_fields_and_null_clears_a_field() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    for method in ["PUT", "PATCH"] {
        assert_keeps_and_clears(&app, method).await;
    }
}

async fn assert_keeps_and_clears(app: &App, method: &str) {
    let user = app.register_user().await;
    change(app, method, &user, &whole()).await.ok();
    let edit = json!({"address": "Patan", "avatar_url": null, "other": 7});
    let response = change(app, method, &user, &edit).await;
    let mut expected = whole();
    expected["address"] = json!("Patan");
    expected["avatar_url"] = Value::Null;
    assert_eq!(
        (response.ok()["is_profile_complete"].clone(), fields(&response)),
        (json!(true), expected)
    );
    let response = change(app, method, &user, &json!({"date_of_birth": null})).await;
    assert_eq!(response.ok()["is_profile_complete"], false);
    assert_eq!(fields(&change(app, method, &user, &json!({})).await), fields(&response));
}

#[tokio::test]
async fn the_account_records_whether_the_profile_is_complete() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let recorded = async || {
        let accounts = app.rows_where("users", "item_type", "account").await;
        accounts[0]["is_profile_complete"].clone()
    };
    assert_eq!(recorded().await, false);
    change(&app, "PUT", &user, &whole()).await.ok();
    assert_eq!(recorded().await, true);
    change(&app, "PATCH", &user, &json!({"full_name": null})).await.ok();
    assert_eq!(recorded().await, false);
}

#[tokio::test]
async fn every_invalid_field_is_named_and_nothing_changes() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    change(&app, "PUT", &user, &whole()).await.ok();
    let bad = [
        json!({"full_name": "S", "date_of_birth": "14-04-1999", "address": "x".repeat(256), "avatar_url": "http://example.com/a.png"}),
        json!({"full_name": "\u{7}bell", "date_of_birth": "2999-01-01", "address": "", "avatar_url": "javascript:alert(1)"}),
        json!({"full_name": 7, "date_of_birth": [], "address": {}, "avatar_url": true}),
    ];
    for body in bad {
        for method in ["PUT", "PATCH"] {
            let response = change(&app, method, &user, &body).await;
            response.refuses(&["full_name", "date_of_birth", "address", "avatar_url"]);
        }
    }
    assert_eq!(fields(&read(&app, &user).await), whole());
}

#[tokio::test]
async fn rfc_9110_if_match_allows_a_change_of_the_current_version_only() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let first = etag(&read(&app, &user).await);
    for method in ["PUT", "PATCH"] {
        let present = etag(&read(&app, &user).await);
        let body = json!({"full_name": format!("Sita {method}")});
        let response = change_if(&app, method, &user, &body, Some(&present)).await;
        response.ok();
        let next = etag(&response);
        for old in [&present, &first, &format!("W/{next}"), "\"none\""] {
            let refused = change_if(&app, method, &user, &json!({}), Some(old)).await;
            refused.problem(412, "precondition_failed");
        }
        // A comma inside a tag does not separate tags, and empty list members are ignored.
        for others in ["\"a,b\"", "\"none\", \"a\"", "W/\"x\",,"] {
            let refused = change_if(&app, method, &user, &json!({}), Some(others)).await;
            refused.problem(412, "precondition_failed");
        }
        for (before, after) in [(",", ""), ("", " ,"), ("\"a,b\",", ""), ("\"none\", ", "")] {
            let listed = format!("{before}{}{after}", etag(&read(&app, &user).await));
            change_if(&app, method, &user, &body, Some(&listed)).await.ok();
        }
        let next = etag(&read(&app, &user).await);
        let request = app.request(method, PATH).bearer(&user.access_token);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let request = request.header("if-match", "\"none\"").header("if-match", next);
        request.send().await.ok();
        change_if(&app, method, &user, &body, Some("*")).await.ok();
        change_if(&app, method, &user, &body, Some("7")).await.refuses(&["If-Match"]);
    }
    assert_eq!(read(&app, &user).await.text("full_name"), "Sita PATCH");
}

#[tokio::test]
async fn an_update_without_changes_keeps_the_etag_and_writes_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let before = change(&app, "PUT", &user, &whole()).await;
    app.advance(5).await;
    let same = [
        ("PUT", whole()),
        ("PATCH", whole()),
        ("PATCH", json!({})),
        ("PATCH", json!({"full_name": whole()["full_name"]})),
        ("PATCH", json!({"unknown": 7})),
    ];
    for (method, body) in same {
        for tag in [None, Some(etag(&before)), Some("*".to_owned())] {
            let response = change_if(&app, method, &user, &body, tag.as_deref()).await;
            assert_eq!((response.ok(), etag(&response)), (before.ok(), etag(&before)), "{body}");
            let operation = format!("{method} {PATH}");
            assert_eq!(app.costs(&operation).await.last().2, 0.0, "{operation} wrote");
        }
        let refused = change_if(&app, method, &user, &body, Some("\"old\"")).await;
        refused.problem(412, "precondition_failed");
    }
    // The same holds for an update by staff.
    let staff = app.staff().await;
    for body in [json!({}), whole(), json!({"status": "ACTIVE", "is_staff": false})] {
        app.change_user(&staff, &user.user_id, &body).await.ok();
        let after = read(&app, &user).await;
        assert_eq!((after.ok(), etag(&after)), (before.ok(), etag(&before)), "{body}");
    }
    let changed = change(&app, "PATCH", &user, &json!({"full_name": "Gita"})).await;
    assert_ne!(etag(&changed), etag(&before));
}

async fn change_with_retry(app: App, user: User, body: Value, tags: Option<String>) -> Response {
    loop {
        let response = change_if(&app, "PATCH", &user, &body, tags.as_deref()).await;
        if response.status != 503 {
            return response;
        }
        response.problem(503, "unavailable");
    }
}

#[tokio::test]
async fn concurrent_changes_of_different_fields_all_apply() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    for _ in 0..5 {
        let user = app.register_user().await;
        let edits = whole().as_object().unwrap().clone().into_iter();
        let edits = edits.map(|(name, value)| {
            change_with_retry(app.clone(), user.clone(), json!({ name: value }), None)
        });
        let responses = concurrently(edits).await;
        assert_eq!(count(&responses, 200), 4, "{responses:?}");
        let profile = read(&app, &user).await;
        assert_eq!(fields(&profile), whole());
        assert_eq!(profile.json["is_profile_complete"], true);
    }
}

#[tokio::test]
async fn of_concurrent_changes_of_one_version_exactly_one_applies() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let tag = etag(&read(&app, &user).await);
    let changes = (0..10).map(|number| {
        let body = json!({ "full_name": format!("Sita {number}") });
        change_with_retry(app.clone(), user.clone(), body, Some(tag.clone()))
    });
    let responses = concurrently(changes).await;
    assert_eq!((count(&responses, 200), count(&responses, 412)), (1, 9), "{responses:?}");
}

#[tokio::test]
async fn anonymous_callers_get_401_and_another_users_profile_stays_unchanged() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    let before = read(&app, &other).await;
    change(&app, "PUT", &user, &whole()).await.ok();
    let named = json!({"id": other.user_id, "user_id": other.user_id, "full_name": "Mallory"});
    change(&app, "PATCH", &user, &named).await.ok();
    let after = read(&app, &other).await;
    assert_eq!((after.ok(), etag(&after)), (before.ok(), etag(&before)));
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    for method in ["GET", "PUT", "PATCH"] {
        change(&app, method, &user, &whole()).await.problem(401, "session_ended");
        let request = app.request(method, PATH).header("content-type", "application/json");
        request.body("{}").send().await.problem(401, "authentication_required");
    }
}

#[tokio::test]
async fn a_change_is_applied_once_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let faults = [
        ("TransactWriteItems", "throttle"),
        ("TransactWriteItems", "conflict"),
        ("TransactWriteItems", "timeout"),
        ("TransactWriteItems", "error_500"),
        ("TransactWriteItems", "lost_response"),
        ("BatchGetItem", "error_500"),
        ("BatchGetItem", "lost_response"),
    ];
    for (number, (operation, kind)) in faults.into_iter().enumerate() {
        let tag = etag(&read(&app, &user).await);
        app.inject_fault("dynamodb", operation, kind, 1).await;
        let body = json!({ "full_name": format!("Sita {number}") });
        let response = change_with_retry(app.clone(), user.clone(), body, Some(tag)).await;
        assert_eq!(response.ok()["full_name"], format!("Sita {number}"), "{operation} {kind}");
        assert_eq!(etag(&read(&app, &user).await), etag(&response));
    }
}

#[tokio::test]
async fn a_read_costs_1_hop_1_5_rru_and_a_change_2_hops_2_wru_or_6_wru_if_completeness_changes() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for method in ["PUT", "PATCH"] {
        let user = app.register_user().await;
        read(&app, &user).await.ok();
        assert_budget(&app, "GET /users/profile", (1, 1.5, 0.0, 0)).await;
        let operation = format!("{method} /users/profile");
        change(&app, method, &user, &json!({"full_name": "Sita"})).await.ok();
        assert_budget(&app, &operation, (2, 1.5, 2.0, 0)).await;
        change(&app, method, &user, &json!({"full_name": "x"})).await.refuses(&["full_name"]);
        assert_eq!(app.costs(&operation).await.last(), (1, 1.0, 0.0));
        change(&app, method, &user, &whole()).await.ok();
        assert_budget(&app, &operation, (2, 1.5, 6.0, 0)).await;
        change(&app, method, &user, &json!({"full_name": null})).await.ok();
        assert_budget(&app, &operation, (2, 1.5, 6.0, 0)).await;
    }
}

#[tokio::test]
async fn a_change_of_an_old_version_costs_2_hops_3_5_rru() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for method in ["PUT", "PATCH"] {
        let old = change_if(&app, method, &user, &whole(), Some("\"none\"")).await;
        old.problem(412, "precondition_failed");
        assert_budget(&app, &format!("{method} /users/profile"), (2, 3.5, 0.0, 0)).await;
    }
}

#[tokio::test]
async fn a_missing_profile_gets_404() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let user = app.register_user().await;
    app.remove_row("profiles", &[("user_id", &user.user_id)]).await;
    read(&app, &user).await.problem(404, "not_found");
}
