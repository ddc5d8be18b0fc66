//! `POST` and `PATCH /users/kyc`, `GET /users/kyc/status`.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, assert_budget, concurrently, count,
    kyc::{jpeg, pdf, png, submission},
};

#[tokio::test]
async fn a_document_is_announced_uploaded_and_submitted() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (user, front, back) = (app.register_user().await, jpeg("front"), pdf());
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "NOT_SUBMITTED");
    let documents = json!({ "front": front.declaration(), "back": back.declaration() });
    let body = json!({
        "document_type": "PASSPORT", "document_number": "PA-0123456", "documents": documents,
    });
    let response = app.post_kyc(&user, &body).await;
    let uploads = response.body(201)["uploads"].as_array().unwrap();
    let expected = json!({
        "id": response.json["id"],
        "document_type": "PASSPORT",
        "document_number": "******3456",
        "status": "AWAITING_DOCUMENTS",
        "verified_at": null,
        "rejection_reason": null,
        "created_at": response.json["created_at"],
        "updated_at": response.json["created_at"],
        "uploads": uploads,
    });
    assert_eq!(response.json, expected);
    let sides: Vec<_> = uploads.iter().map(|upload| &upload["side"]).collect();
    assert_eq!(sides, ["front", "back"]);
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "AWAITING_DOCUMENTS");
    app.send_files(&response, &[&front, &back]).await;
    let submitted = app.submit_kyc(&user).await;
    assert_eq!(submitted.ok()["status"], "PENDING");
    assert_eq!(submitted.json["uploads"], json!([]));
    assert_eq!(submitted.json["id"], response.json["id"]);
    let status = app.kyc_status(&user).await;
    let expected = json!({
        "status": "PENDING",
        "submitted_at": submitted.json["updated_at"],
        "verified_at": null,
        "rejection_reason": null,
    });
    assert_eq!(status.ok(), &expected);
    assert_eq!(app.me(&user.access_token).await.ok()["kyc"], expected);
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    app.post_kyc(&user, &json!({})).await.refuses(&["document_number", "documents"]);
    let bad = json!({
        "document_type": "LIBRARY_CARD",
        "document_number": "#",
        "documents": {
            "front": { "content_type": "image/svg+xml", "size": 0, "sha256": "abc" },
            "back": { "content_type": 7, "size": "1" },
        },
    });
    let fields = [
        "document_type",
        "document_number",
        "documents.front.content_type",
        "documents.front.size",
        "documents.front.sha256",
        "documents.back.content_type",
        "documents.back.size",
        "documents.back.sha256",
    ];
    app.post_kyc(&user, &bad).await.refuses(&fields);
    app.patch_kyc(&user, &bad).await.refuses(&fields);
    let only_back =
        json!({"document_number": "12345", "documents": {"back": jpeg("").declaration()}});
    app.post_kyc(&user, &only_back).await.refuses(&["documents.front"]);
    let with_size = |size: Value| {
        let mut body = submission("12345", &jpeg(""));
        body["documents"]["front"]["size"] = size;
        body
    };
    for size in [json!(0), json!(-1), json!(10_485_761), json!(1.5), json!(1e300), json!("31")] {
        app.post_kyc(&user, &with_size(size)).await.refuses(&["documents.front.size"]);
    }
    app.post_kyc(&user, &with_size(json!(10_485_760))).await.body(201);
}

#[tokio::test]
async fn anonymous_callers_get_401_and_users_see_only_their_own_submission() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.pending_user("12-345").await, app.register_user().await);
    assert_eq!(app.kyc_status(&other).await.ok()["status"], "NOT_SUBMITTED");
    app.patch_kyc(&other, &json!({"user_id": user.user_id})).await.problem(409, "no_submission");
    app.submit_kyc(&other).await.problem(409, "no_submission");
    app.logout(&user.access_token, &json!({"all": true})).await.ok();
    app.kyc_status(&user).await.problem(401, "session_ended");
    app.post_kyc(&user, &submission("1234", &png())).await.problem(401, "session_ended");
    app.patch_kyc(&user, &json!({})).await.problem(401, "session_ended");
    app.submit_kyc(&user).await.problem(401, "session_ended");
    for (method, path) in [("POST", ""), ("PATCH", ""), ("POST", "/submit"), ("GET", "/status")] {
        let request = || app.request(method, &format!("/users/kyc{path}"));
        request().send().await.problem(401, "authentication_required");
        request().bearer("garbage").send().await.problem(401, "invalid_access_token");
    }
}

#[tokio::test]
async fn a_patch_keeps_absent_fields_and_requires_a_new_submit() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("12-34-567").await;
    let before = app.submission(&user).await.unwrap();
    let same = app.patch_kyc(&user, &json!({"document_number": "12-34-567"})).await;
    assert_eq!(same.ok()["status"], "PENDING");
    app.advance(5).await;
    let changed = app.patch_kyc(&user, &json!({"document_type": "PASSPORT"})).await;
    assert_eq!(changed.ok()["status"], "AWAITING_DOCUMENTS");
    assert_eq!(changed.json["document_type"], "PASSPORT");
    assert_eq!(changed.json["document_number"], "******567");
    assert_eq!(changed.json["uploads"], json!([]), "the checked file stays");
    assert_eq!(changed.json["id"], before.submission_id.to_string());
    assert_ne!(changed.json["updated_at"], changed.json["created_at"]);
    let status = app.kyc_status(&user).await;
    assert_eq!(status.ok()["submitted_at"], Value::Null);
    assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING");
    let back = png();
    let with_back = json!({"documents": {"back": back.declaration()}});
    let changed = app.patch_kyc(&user, &with_back).await;
    assert_eq!(changed.ok()["uploads"][0]["side"], "back");
    app.submit_kyc(&user).await.problem(400, "document_missing");
    app.send_files(&changed, &[&back]).await;
    app.submit_kyc(&user).await.ok();
    assert_eq!(app.files_of(&user).await.len(), 2);
    let without = app.patch_kyc(&user, &json!({"documents": {"back": null}})).await;
    assert_eq!(without.ok()["uploads"], json!([]));
    app.submit_kyc(&user).await.ok();
    let after = app.submission(&user).await.unwrap();
    assert_eq!(after.documents, before.documents);
    assert_eq!(app.files_of(&user).await, [before.documents[0].key.as_str()]);
}

#[tokio::test]
async fn a_patch_without_changes_returns_new_uploads_and_is_not_counted() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg(""));
    let first = app.post_kyc(&user, &submission("12345", &front)).await;
    app.advance(601).await;
    for body in [json!({}), submission("12345", &front), json!({"documents": {"back": null}})] {
        for _ in 0..3 {
            let again = app.patch_kyc(&user, &body).await;
            assert_eq!(again.ok()["updated_at"], first.json["updated_at"]);
            assert_ne!(again.json["uploads"][0]["url"], first.json["uploads"][0]["url"]);
            app.send_files(&again, &[&front]).await;
        }
    }
    app.submit_kyc(&user).await.ok();
}

#[tokio::test]
async fn a_new_submission_replaces_the_previous_one_and_its_files() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("11-111").await;
    let old = app.files_of(&user).await;
    let front = jpeg("another");
    let response = app.post_kyc(&user, &submission("11-111", &front)).await;
    assert_eq!(response.body(201)["status"], "AWAITING_DOCUMENTS");
    assert_eq!(app.kyc_status(&user).await.ok()["submitted_at"], Value::Null);
    app.send_files(&response, &[&front]).await;
    app.submit_kyc(&user).await.ok();
    let new = app.files_of(&user).await;
    assert_eq!(new.len(), 1);
    assert_ne!(new, old);
    // The replaced file may still arrive, so it stays recorded.
    assert_eq!(app.submission(&user).await.unwrap().replaced, old);
    app.advance(3_600).await;
    let user = app.sign_in_again(&user).await;
    app.patch_kyc(&user, &json!({"document_type": "PASSPORT"})).await.ok();
    assert_eq!(app.submission(&user).await.unwrap().replaced, Vec::<String>::new());
}

#[tokio::test]
async fn asvs_5_2_the_sixth_attempt_of_a_utc_day_gets_429_until_the_day_ends() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance_into(86_400, 3_600).await;
    let user = app.register_user().await;
    let post = async |number: usize| {
        app.post_kyc(&user, &submission("12345", &jpeg(&number.to_string()))).await
    };
    let patch = async |number: usize| {
        let documents = json!({"front": jpeg(&number.to_string()).declaration()});
        app.patch_kyc(&user, &json!({ "documents": documents })).await
    };
    for number in 0..3 {
        post(number).await.body(201);
    }
    for number in 3..5 {
        patch(number).await.ok();
    }
    for number in 5..30 {
        let refused = if number % 2 == 0 { post(number).await } else { patch(number).await };
        refused.problem(429, "too_many_requests");
        let left = refused.retry_after();
        assert!((82_000..=82_800).contains(&left), "{left}");
    }
    app.patch_kyc(&user, &json!({})).await.ok();
    app.advance_into(86_400, 1).await;
    let user = app.sign_in_again(&user).await;
    app.post_kyc(&user, &submission("12345", &jpeg("next day"))).await.body(201);
}

#[tokio::test]
async fn of_many_concurrent_attempts_five_succeed() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance_into(86_400, 3_600).await;
    let user = app.register_user().await;
    let all = (0..12).map(|number| {
        let (app, user) = (app.clone(), user.clone());
        async move {
            loop {
                let body = submission("12345", &jpeg(&number.to_string()));
                let response = app.post_kyc(&user, &body).await;
                if response.status != 503 {
                    return response;
                }
            }
        }
    });
    let responses = concurrently(all).await;
    assert_eq!((count(&responses, 201), count(&responses, 429)), (5, 7), "{responses:?}");
}

#[tokio::test]
async fn kyc_operations_stay_within_their_budgets() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg(""));
    app.kyc_status(&user).await.ok();
    let body = submission("12345", &front);
    app.post_kyc(&user, &body).await.body(201);
    app.advance(2).await;
    app.post_kyc(&user, &body).await.body(201);
    assert_budget(&app, "POST /users/kyc", (2, 2.0, 9.0, 0)).await;
    for _ in 0..2 {
        app.advance(2).await;
        app.kyc(&user, "POST", "/users/kyc", &body).key("k").send().await.body(201);
        assert_budget(&app, "POST /users/kyc", (3, 3.0, 11.0, 0)).await;
    }
    app.advance(2).await;
    let changed = app.patch_kyc(&user, &json!({"document_number": "54321"})).await;
    changed.ok();
    assert_budget(&app, "PATCH /users/kyc", (3, 2.0, 11.0, 0)).await;
    app.send_files(&changed, &[&front]).await;
    app.advance(2).await;
    app.submit_kyc(&user).await.ok();
    assert_budget(&app, "POST /users/kyc/submit", (3, 2.0, 9.0, 0)).await;
    assert_eq!(app.costs("POST /users/kyc/submit").await.hops, 3);
    app.advance(2).await;
    let back = json!({"documents": {"back": png().declaration()}});
    app.patch_kyc(&user, &back).await.ok();
    assert_budget(&app, "PATCH /users/kyc", (3, 2.0, 11.0, 0)).await;
    app.kyc_status(&user).await.ok();
    assert_budget(&app, "GET /users/kyc/status", (1, 1.5, 0.0, 0)).await;
    app.me(&user.access_token).await.ok();
    assert_budget(&app, "GET /auth/me", (1, 3.0, 0.0, 0)).await;
}

#[tokio::test]
async fn a_repeated_key_never_returns_another_submission() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let user = app.register_user().await;
    let (first, second) = (submission("1111", &jpeg("1")), submission("2222", &jpeg("2")));
    let post = async |key: &str, body: &Value| {
        let request = app.kyc(&user, "POST", "/users/kyc", body).key(key);
        request.send().await.documented("POST", "/users/kyc")
    };
    let made = post("k1", &first).await;
    assert_eq!(post("k1", &first).await.body(201)["id"], made.json["id"]);
    post("k2", &second).await.body(201);
    post("k1", &first).await.problem(409, "no_submission");
}
