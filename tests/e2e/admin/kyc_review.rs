//! `/admin/kyc`: the review of identity documents by staff.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, Response, User, assert_budget, concurrently, count,
    kyc::{jpeg, png, submission},
};

const REVIEW: &str = "POST /admin/kyc/{user_id}/review";

impl App {
    async fn release_number(&self, staff: &User, user: &User) -> Response {
        let path = format!("/admin/kyc/{}/document-number", user.user_id);
        self.admin(staff, "DELETE", &path, None).await
    }
}

fn approve() -> Value {
    json!({"decision": "APPROVE"})
}

fn reject() -> Value {
    json!({"decision": "REJECT", "rejection_reason": "The picture is blurred."})
}

#[tokio::test]
async fn an_approval_is_shown_to_the_user_and_audited_with_the_reviewer() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("27-01-70-12345").await);
    let reviewed = app.post_review(&staff, &user, &approve()).await;
    let expected = json!({
        "user_id": user.user_id, "id": reviewed.text("id"), "status": "APPROVED",
        "verified_at": reviewed.text("verified_at"), "rejection_reason": null,
    });
    assert_eq!(reviewed.ok(), &expected);
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "APPROVED");
    let seen = app.admin_get(&staff, &format!("/admin/users/{}", user.user_id)).await;
    assert_eq!(seen.ok()["kyc"]["status"], "APPROVED");
    let listed = app.all_results(&staff, "/admin/users?kyc_status=APPROVED").await;
    assert_eq!(listed.len(), 1);
    let id = reviewed.text("id");
    let details = json!({"decision": "APPROVE", "submission_id": id, "revision": "3"});
    assert_eq!(app.audit_entries(&user.user_id).await[0], ("kyc_reviewed".to_owned(), details));
    assert_eq!(app.rows_where("audit", "actor", &staff.user_id).await.len(), 1);
}

#[tokio::test]
async fn a_rejected_user_sees_the_reason_and_can_submit_again() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("27-01-70-12345").await);
    let reviewed = app.post_review(&staff, &user, &reject()).await;
    assert_eq!(reviewed.ok()["status"], "REJECTED");
    let status = app.kyc_status(&user).await;
    assert_eq!(status.ok()["rejection_reason"], "The picture is blurred.");
    let front = jpeg("sharper");
    let again = app.post_kyc(&user, &submission("27-01-70-12345", &front)).await;
    again.body(201);
    app.send_files(&again, &[&front]).await;
    app.submit_kyc(&user).await.ok();
    assert_eq!(app.post_review(&staff, &user, &approve()).await.ok()["status"], "APPROVED");
    // The reason is for the user; the audit trail does not store it.
    let trail = format!("{:?}", app.rows("audit").await);
    assert!(!trail.contains("blurred"));
}

#[tokio::test]
async fn a_submission_is_reviewed_once_and_only_while_pending() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    app.post_review(&staff, &user, &approve()).await.problem(404, "not_found");
    let front = jpeg("1");
    app.post_kyc(&user, &submission("1234", &front)).await.body(201);
    app.post_review(&staff, &user, &approve()).await.problem(409, "kyc_not_pending");

    let user = app.pending_user("5678").await;
    let reviews = (0..8).map(|number| {
        let (app, staff, user) = (app.clone(), staff.clone(), user.clone());
        let body = if number % 2 == 0 { approve() } else { reject() };
        async move { app.post_review(&staff, &user, &body).await }
    });
    let responses = concurrently(reviews).await;
    assert_eq!((count(&responses, 200), count(&responses, 409)), (1, 7), "{responses:?}");
    let reviews = app.rows_where("audit", "action", "kyc_reviewed").await;
    let own = reviews.iter().filter(|row| row["subject"] == user.user_id).count();
    assert_eq!(own, 1);
}

#[tokio::test]
async fn a_review_of_a_submission_changed_since_it_was_viewed_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("1234").await);
    let seen = app.view_documents(&staff, &user).await;
    let tag = seen.header("etag").unwrap().to_owned();
    let front = png();
    let changed = app.patch_kyc(&user, &json!({"documents": {"front": front.declaration()}})).await;
    app.send_files(&changed, &[&front]).await;
    app.submit_kyc(&user).await.ok();
    let review = async |tag: &str| app.post_review_if_match(&staff, &user, tag, &approve()).await;
    review("7").await.refuses(&["If-Match"]);
    review(&tag).await.problem(412, "precondition_failed");
    let tag = app.view_documents(&staff, &user).await.header("etag").unwrap().to_owned();
    review(&tag).await.ok();
}

#[tokio::test]
async fn a_review_without_if_match_applies_to_the_current_state() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("1234").await);
    let path = format!("/admin/kyc/{}/review", user.user_id);
    let reviewed = app.admin(&staff, "POST", &path, Some(&approve())).await;
    assert_eq!(reviewed.ok()["status"], "APPROVED");
    assert_eq!(app.kyc_status(&user).await.json["status"], "APPROVED");
}

#[tokio::test]
async fn asvs_5_4_a_document_link_serves_an_attachment_of_the_checked_type_and_expires() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("27-01-70-12345").await);
    let seen = app.view_documents(&staff, &user).await;
    assert_eq!(seen.ok()["document_number"], "27-01-70-12345");
    assert_eq!(seen.header("cache-control"), Some("no-store"));
    let file = &seen.json["documents"][0];
    assert_eq!((&file["side"], &file["content_type"]), (&json!("front"), &json!("image/jpeg")));
    let url = file["url"].as_str().unwrap();
    let fetched = reqwest::get(url).await.unwrap();
    let header = |name: &str| fetched.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/jpeg");
    assert!(header("content-disposition").starts_with("attachment"));
    assert_eq!(fetched.bytes().await.unwrap(), jpeg("27-01-70-12345").bytes);
    assert_eq!(app.audit_entries(&user.user_id).await[0].0, "documents_viewed");
    app.advance(61).await;
    assert_eq!(reqwest::get(url).await.unwrap().status(), 403);
}

#[tokio::test]
async fn files_that_are_not_submitted_are_not_shown() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    app.view_documents(&staff, &user).await.problem(404, "not_found");
    let front = jpeg("1");
    let response = app.post_kyc(&user, &submission("1234", &front)).await;
    app.send_files(&response, &[&front]).await;
    let seen = app.view_documents(&staff, &user).await;
    assert_eq!(
        (&seen.ok()["status"], &seen.json["documents"]),
        (&json!("AWAITING_DOCUMENTS"), &json!([]))
    );
}

#[tokio::test]
async fn documents_of_a_deleted_account_are_not_shown_even_before_cleanup() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("27-01-70-12345").await);
    app.inject_faults_after("dynamodb", 3, "error_500").await;
    app.inject_faults_after("s3", 0, "error_500").await;
    app.delete_account(&user.access_token, "?forfeit_balance=true").await.ok();
    app.clear_faults().await;
    assert_eq!(app.files_of(&user).await.len(), 1);
    let viewed = app.rows_where("audit", "action", "documents_viewed").await;
    app.view_documents(&staff, &user).await.problem(404, "not_found");
    assert_eq!(app.rows_where("audit", "action", "documents_viewed").await, viewed);
}

#[tokio::test]
async fn the_review_queue_is_oldest_first_and_pages_show_each_submission_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let mut waiting = Vec::new();
    for number in 1000..1007 {
        waiting.push(app.pending_user(&number.to_string()).await);
        app.advance(1).await;
    }
    app.post_review(&staff, &waiting.remove(3), &approve()).await.ok();
    let expected: Vec<_> = waiting.iter().map(|user| user.user_id.as_str()).collect();
    for query in ["status=PENDING&limit=1", "limit=2", "limit=5", "limit=100"] {
        let rows = app.all_results(&staff, &format!("/admin/kyc?{query}")).await;
        let ids: Vec<_> = rows.iter().map(|row| row["user_id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let approved = app.all_results(&staff, "/admin/kyc?status=APPROVED").await;
    assert_eq!(approved.len(), 1);
    assert_eq!(approved[0]["document_type"], "CITIZENSHIP");
    app.admin_get(&staff, "/admin/kyc?limit=2").await.ok();
    assert_budget(&app, "GET /admin/kyc", (1, 5.0, 0.0, 0)).await;
    let first = app.admin_get(&staff, "/admin/kyc?limit=2").await;
    let other = format!("/admin/kyc?status=APPROVED&cursor={}", first.text("next_cursor"));
    app.admin_get(&staff, &other).await.problem(400, "invalid_cursor");
    let wrong = app.admin_get(&staff, "/admin/kyc?status=NOT_SUBMITTED&limit=0").await;
    wrong.refuses(&["status", "limit"]);
}

#[tokio::test]
async fn a_released_number_can_be_submitted_by_another_account() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("27-01-70-12345").await);
    app.release_number(&staff, &user).await.problem(409, "kyc_not_rejected");
    app.post_review(&staff, &user, &reject()).await.ok();
    let other = app.register_user().await;
    let theirs = submission("27-01-70-12345", &jpeg("theirs"));
    app.post_kyc(&other, &theirs).await.problem(409, "document_in_use");
    app.release_number(&staff, &user).await.ok();
    app.post_kyc(&other, &theirs).await.body(201);
    // A repeat does not release the new holder's claim.
    app.release_number(&staff, &user).await.ok();
    let mine = submission("27-01-70-12345", &jpeg("mine"));
    app.post_kyc(&user, &mine).await.problem(409, "document_in_use");
    assert_eq!(app.audit_entries(&user.user_id).await[0].0, "document_number_freed");
    app.release_number(&staff, &staff.clone()).await.problem(403, "own_account");
    let unknown = User { user_id: "nobody".to_owned(), ..other };
    app.release_number(&staff, &unknown).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_replaced_or_abandoned_number_can_be_released() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let can_be_submitted = async |number: &str| {
        let next = app.register_user().await;
        let theirs = submission(number, &jpeg("theirs"));
        app.post_kyc(&next, &theirs).await.status == 201
    };
    // Submitted with a wrong number first, then approved with another.
    let user = app.pending_user("11-11-11").await;
    app.patch_kyc(&user, &json!({"document_number": "22-22-22"})).await.ok();
    app.submit_kyc(&user).await.ok();
    app.post_review(&staff, &user, &approve()).await.ok();
    assert!(!can_be_submitted("11-11-11").await);
    app.release_number(&staff, &user).await.ok();
    assert!(can_be_submitted("11-11-11").await && !can_be_submitted("22-22-22").await);
    app.release_number(&staff, &user).await.problem(409, "kyc_not_rejected");
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "APPROVED");

    // Submitted, replaced, and abandoned.
    let user = app.pending_user("33-33-33").await;
    let front = jpeg("never sent");
    app.patch_kyc(&user, &json!({"documents": {"front": front.declaration()}})).await.ok();
    app.advance(86_400).await;
    app.run_cleanup().await;
    assert!(!can_be_submitted("33-33-33").await);
    let staff = app.staff().await;
    app.release_number(&staff, &user).await.ok();
    assert!(can_be_submitted("33-33-33").await);
}

#[tokio::test]
async fn an_approval_keeps_only_the_approved_files() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let (old, new) = (jpeg("old"), jpeg("new"));
    let first = app.post_kyc(&user, &submission("12345", &old)).await;
    let changed = app.patch_kyc(&user, &json!({"documents": {"front": new.declaration()}})).await;
    app.send_files(&changed, &[&new]).await;
    app.submit_kyc(&user).await.ok();
    // The upload link of the replaced file is still valid.
    assert_eq!(app.send_file(&first.json["uploads"][0], &old.bytes).await, 200);
    assert_eq!(app.files_of(&user).await.len(), 2);
    app.post_review(&staff, &user, &approve()).await.ok();
    let kept = app.submission(&user).await.unwrap().documents[0].key.clone();
    assert_eq!(app.files_of(&user).await, [kept]);

    // A failing bucket does not undo the approval.
    let other = app.pending_user("678").await;
    app.inject_fault("s3", "ListObjectsV2", "error_500", 100).await;
    app.post_review(&staff, &other, &approve()).await.ok();
}

#[tokio::test]
async fn every_invalid_field_of_a_decision_is_named() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("1234").await);
    let review = async |body: Value| app.post_review(&staff, &user, &body).await;
    review(json!({})).await.refuses(&["decision"]);
    review(json!({"decision": "MAYBE", "rejection_reason": ""}))
        .await
        .refuses(&["decision", "rejection_reason"]);
    review(json!({"decision": "REJECT"})).await.refuses(&["rejection_reason"]);
    let reason = |text: &str| json!({"decision": "REJECT", "rejection_reason": text});
    review(reason(&"x".repeat(501))).await.refuses(&["rejection_reason"]);
    review(reason("  ")).await.refuses(&["rejection_reason"]);
    review(reason("a\u{7}b")).await.refuses(&["rejection_reason"]);
    review(json!({"decision": "APPROVE", "rejection_reason": "good"}))
        .await
        .refuses(&["rejection_reason"]);
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "PENDING");
    review(reason(&"é".repeat(500))).await.ok();
}

#[tokio::test]
async fn only_staff_review_and_no_one_reviews_their_own_submission() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("1234").await);
    let front = jpeg("own");
    let own = app.post_kyc(&staff, &submission("9999", &front)).await;
    app.send_files(&own, &[&front]).await;
    app.submit_kyc(&staff).await.ok();
    app.post_review(&staff, &staff, &approve()).await.problem(403, "own_account");
    assert_eq!(app.audit_entries(&staff.user_id).await[0].0, "own_account_refused");

    let ordinary = app.register_user().await;
    app.post_review(&ordinary, &user, &approve()).await.problem(403, "forbidden");
    app.post_review(&user, &user, &approve()).await.problem(403, "forbidden");
    app.view_documents(&ordinary, &user).await.problem(403, "forbidden");
    app.view_documents(&user, &user).await.problem(403, "forbidden");
    app.release_number(&ordinary, &user).await.problem(403, "forbidden");
    app.admin_get(&ordinary, "/admin/kyc").await.problem(403, "forbidden");
    assert_eq!(app.audit_entries(&ordinary.user_id).await[0].0, "staff_refused");
    for (method, path) in [
        ("GET", "/admin/kyc".to_owned()),
        ("GET", format!("/admin/kyc/{}/documents", user.user_id)),
        ("POST", format!("/admin/kyc/{}/review", user.user_id)),
        ("DELETE", format!("/admin/kyc/{}/document-number", user.user_id)),
    ] {
        app.request(method, &path).send().await.problem(401, "authentication_required");
    }
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "PENDING");
}

#[tokio::test]
async fn a_decision_is_made_completely_or_not_at_all_despite_faults() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    for (number, (kind, times)) in
        [("conflict", 2), ("throttle", 2), ("lost_response", 1), ("timeout", 1)].iter().enumerate()
    {
        let user = app.pending_user(&format!("77{number}")).await;
        app.inject_fault("dynamodb", "TransactWriteItems", kind, *times).await;
        assert_eq!(
            app.post_review(&staff, &user, &approve()).await.ok()["status"],
            "APPROVED",
            "{kind}"
        );
        let audited = app.audit_entries(&user.user_id).await;
        assert_eq!(audited.iter().filter(|(action, _)| action == "kyc_reviewed").count(), 1);
    }
    let user = app.pending_user("7777").await;
    app.inject_fault("dynamodb", "TransactWriteItems", "error_500", 50).await;
    app.post_review(&staff, &user, &approve()).await.problem(503, "unavailable");
}

#[tokio::test]
async fn viewing_reviewing_and_releasing_stay_within_their_budgets() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("1234").await);
    app.view_documents(&staff, &user).await.ok();
    assert_budget(&app, "GET /admin/kyc/{user_id}/documents", (2, 3.0, 8.0, 0)).await;
    app.post_review(&staff, &user, &reject()).await.ok();
    assert_budget(&app, REVIEW, (3, 2.0, 18.0, 0)).await;
    // After an approval the function lists the bucket and deletes the files that are not approved.
    let other = app.register_user().await;
    let (old, new) = (jpeg("old"), jpeg("new"));
    let first = app.post_kyc(&other, &submission("5678", &old)).await;
    let changed = app.patch_kyc(&other, &json!({"documents": {"front": new.declaration()}})).await;
    app.send_files(&changed, &[&new]).await;
    app.submit_kyc(&other).await.ok();
    app.send_files(&first, &[&old]).await;
    app.post_review(&staff, &other, &approve()).await.ok();
    assert_eq!(app.costs(REVIEW).await.hops, 5);
    assert_budget(&app, REVIEW, (5, 2.0, 18.0, 0)).await;
    app.release_number(&staff, &user).await.ok();
    assert_budget(&app, "DELETE /admin/kyc/{user_id}/document-number", (3, 2.0, 20.0, 0)).await;
}
