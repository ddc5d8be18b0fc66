//! The recorded view of staff, and the state that a review applies to.

use serde_json::{Value, json};
use shared::{
    dynamodb::Transaction,
    kyc::{
        review,
        submit::{self, SaveOutcome, SubmissionWrite},
    },
};

use crate::harness::{
    App, Needs, Response, User,
    kyc::{id_of, jpeg, submission},
};

impl App {
    /// A review without `If-Match`.
    async fn post_review_without_if_match(&self, staff: &User, user: &User) -> Response {
        let path = format!("/admin/kyc/{}/review", user.user_id);
        self.admin(staff, "POST", &path, Some(&json!({"decision": "APPROVE"}))).await
    }

    /// Replaces the submitted documents and submits again.
    async fn replace_documents(&self, user: &User, method: &str) {
        let other = jpeg("swapped");
        let body = match method {
            "POST" => submission(&user.user_id[24..], &other),
            _ => json!({"documents": {"front": other.declaration()}}),
        };
        let response = self.kyc(user, method, "/users/kyc", &body).send().await;
        self.send_files(&response, &[&other]).await;
        self.submit_kyc(user).await.ok();
    }
}

#[tokio::test]
async fn a_review_without_if_match_of_documents_changed_since_the_view_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    for method in ["PATCH", "POST"] {
        let user = app.pending_user(method).await;
        app.view_documents(&staff, &user).await.ok();
        app.replace_documents(&user, method).await;
        app.post_review_without_if_match(&staff, &user).await.problem(412, "precondition_failed");
        assert_eq!(app.kyc_status(&user).await.ok()["status"], "PENDING");
        let viewed = app.submission(&user).await.unwrap().viewed.unwrap();
        assert_eq!((viewed.revision, viewed.by), (2, id_of(&staff)), "{method}");
        app.view_documents(&staff, &user).await.ok();
        assert_eq!(
            app.post_review_without_if_match(&staff, &user).await.ok()["status"],
            "APPROVED"
        );
    }
}

#[tokio::test]
async fn the_last_view_counts_for_a_review_without_if_match_and_if_match_overrides_it() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (one, other) = (app.staff().await, app.register_user().await);
    app.set_staff(&other, true).await;
    let other = app.sign_in_again(&other).await;
    let user = app.pending_user("1234").await;
    let first = app.view_documents(&one, &user).await.header("etag").unwrap().to_owned();
    // A view does not change the ETag.
    let second = app.view_documents(&other, &user).await.header("etag").unwrap().to_owned();
    assert_eq!(first, second);
    assert_eq!(app.submission(&user).await.unwrap().viewed.unwrap().by, id_of(&other));
    app.replace_documents(&user, "PATCH").await;
    let approve = json!({"decision": "APPROVE"});
    app.post_review_if_match(&one, &user, &first, &approve)
        .await
        .problem(412, "precondition_failed");
    app.post_review_without_if_match(&one, &user).await.problem(412, "precondition_failed");
    app.post_review_if_match(&one, &user, "*", &approve).await.ok();

    let user = app.pending_user("5678").await;
    app.view_documents(&one, &user).await.ok();
    app.replace_documents(&user, "PATCH").await;
    app.view_documents(&other, &user).await.ok();
    app.post_review_without_if_match(&one, &user).await.ok();
}

#[tokio::test]
async fn a_change_that_conflicts_with_a_view_is_retried_and_the_view_stays_recorded() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("1234").await);
    for round in 0..2 {
        let read = app.submission(&user).await.unwrap();
        assert_eq!(read.viewed.is_some(), round > 0);
        let viewer = if round == 0 { &staff } else { &user };
        let store = app.store();
        let viewed =
            review::record_view(&store, &read, id_of(viewer), Transaction::default()).await;
        assert!(viewed.unwrap());
        let after = read.clone().with_next_revision();
        let saving = SubmissionWrite { submission: &after, released: None, request: None };
        let saved = submit::save(&store, &saving, app.now().await).await.unwrap();
        assert_eq!(saved, SaveOutcome::Conflict);
    }
    // A view of an old revision is not recorded.
    let read = app.submission(&user).await.unwrap();
    app.patch_kyc(&user, &json!({"document_type": "PASSPORT"})).await.ok();
    let viewed =
        review::record_view(&app.store(), &read, id_of(&staff), Transaction::default()).await;
    assert!(!viewed.unwrap());
    let viewed = app.submission(&user).await.unwrap().viewed;
    assert_eq!(viewed, read.viewed);
}

#[tokio::test]
async fn a_view_and_its_audit_entry_are_written_together_or_not_at_all() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.pending_user("1234").await);
    app.inject_fault("dynamodb", "TransactWriteItems", "error_500", 50).await;
    app.view_documents(&staff, &user).await.problem(503, "unavailable");
    app.clear_faults().await;
    let entries = async || app.rows_where("audit", "action", "documents_viewed").await.len();
    assert_eq!((entries().await, app.submission(&user).await.unwrap().viewed), (0, None));
    for kind in ["conflict", "lost_response", "timeout"] {
        let before = entries().await;
        app.inject_fault("dynamodb", "TransactWriteItems", kind, 1).await;
        let seen = app.view_documents(&staff, &user).await;
        assert_ne!(seen.ok()["documents"], Value::Array(Vec::new()));
        assert_eq!(entries().await, before + 1, "{kind}");
    }
    let seen = app.submission(&user).await.unwrap();
    assert!(!seen.has_changed_since_viewed() && seen.viewed.is_some());
}
