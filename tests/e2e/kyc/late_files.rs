//! Files that arrive late: a file uploaded with a valid link is either part of the submission or
//! deleted.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, User, assert_budget,
    kyc::{File, jpeg, submission},
};

impl App {
    /// New upload links, by a `PATCH /users/kyc` without changes.
    async fn uploads(&self, user: &User) -> Value {
        self.patch_kyc(user, &json!({})).await.ok()["uploads"][0].clone()
    }

    /// Replaces the front and returns its upload.
    async fn replace(&self, user: &User, front: &File) -> Value {
        let change = json!({"documents": {"front": front.declaration()}});
        self.patch_kyc(user, &change).await.ok()["uploads"][0].clone()
    }
}

/// A user whose submission was reviewed within ten minutes, and the upload of a file that was
/// replaced before.
async fn reviewed_user(app: &App, staff: &User, decision: &Value) -> (User, Value) {
    let (user, new) = (app.register_user().await, jpeg("new"));
    let body = submission(&user.user_id[24..], &jpeg("old"));
    let first = app.post_kyc(&user, &body).await.json["uploads"][0].clone();
    let upload = app.replace(&user, &new).await;
    assert_eq!(app.send_file(&upload, &new.bytes).await, 200);
    app.submit_kyc(&user).await.ok();
    app.post_review(staff, &user, decision).await.ok();
    (user, first)
}

#[tokio::test]
async fn requesting_uploads_again_extends_the_deadline_by_a_day() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg("front"));
    let body = submission("12345", &front);
    let made = app.kyc(&user, "POST", "/users/kyc", &body).key("k").send().await;
    app.advance(86_400 - 30).await;
    let user = app.sign_in_again(&user).await;
    let upload = app.uploads(&user).await;
    app.advance(60).await;
    app.run_cleanup().await;
    assert_eq!(app.send_file(&upload, &front.bytes).await, 200);
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "AWAITING_DOCUMENTS");
    app.advance(86_400).await;
    app.run_cleanup().await;
    assert_eq!(app.files_of(&user).await, Vec::<String>::new());
    assert!(app.submission(&user).await.is_none());
    assert_eq!(app.send_file(&upload, &front.bytes).await, 403);

    // The same with a repeated POST.
    let user = app.sign_in_again(&user).await;
    let request = async || app.kyc(&user, "POST", "/users/kyc", &body).key("k2").send().await;
    let second = request().await;
    assert_ne!(second.body(201)["id"], made.json["id"]);
    app.advance(86_400 - 30).await;
    let user = app.sign_in_again(&user).await;
    let again = app.kyc(&user, "POST", "/users/kyc", &body).key("k2").send().await;
    assert_eq!(again.body(201)["id"], second.json["id"]);
    app.advance(60).await;
    app.run_cleanup().await;
    assert_eq!(app.send_file(&again.json["uploads"][0], &front.bytes).await, 200);
    app.submit_kyc(&user).await.ok();
    assert_eq!(app.files_of(&user).await.len(), 1);
}

#[tokio::test]
async fn a_replaced_file_that_arrives_late_is_deleted_with_the_abandoned_submission() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg("1"));
    let first = app.post_kyc(&user, &submission("12345", &front)).await;
    for number in 2..4 {
        let body = submission("12345", &jpeg(&number.to_string()));
        app.post_kyc(&user, &body).await.body(201);
    }
    app.send_files(&first, &[&front]).await;
    app.advance(86_400).await;
    app.run_cleanup().await;
    assert_eq!(app.files_of(&user).await, Vec::<String>::new());
    assert!(app.submission(&user).await.is_none());
}

#[tokio::test]
async fn a_replaced_file_stays_recorded_as_long_as_it_may_arrive() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, old) = (app.register_user().await, jpeg("old"));
    let first = app.post_kyc(&user, &submission("12345", &old)).await;
    app.replace(&user, &jpeg("new")).await;
    // This deletes the recorded file, and then it arrives.
    app.patch_kyc(&user, &json!({"document_type": "PASSPORT"})).await.ok();
    app.send_files(&first, &[&old]).await;
    app.advance(3_600).await;
    let user = app.sign_in_again(&user).await;
    app.patch_kyc(&user, &json!({"document_type": "NATIONAL_ID"})).await.ok();
    assert_eq!(app.files_of(&user).await, Vec::<String>::new());
    assert_eq!(app.submission(&user).await.unwrap().replaced, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_arrives_after_the_review_is_deleted_by_the_cleanup_job() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let reject = json!({"decision": "REJECT", "rejection_reason": "It is blurred."});
    for decision in [json!({"decision": "APPROVE"}), reject] {
        let staff = app.sign_in_again(&staff).await;
        let (user, upload) = reviewed_user(&app, &staff, &decision).await;
        let kept = app.submission(&user).await.unwrap().documents[0].key.clone();
        assert_eq!(app.send_file(&upload, &jpeg("old").bytes).await, 200);
        assert_eq!(app.files_of(&user).await.len(), 2);
        app.advance(3_000).await;
        app.run_cleanup().await;
        assert_eq!(app.files_of(&user).await.len(), 2, "a file may still arrive");
        app.advance(600).await;
        app.inject_fault("s3", "ListObjectsV2", "error_500", 100).await;
        assert_eq!(app.run_cleanup().await, (0, 1));
        app.clear_faults().await;
        app.advance(600).await;
        assert_eq!(app.run_cleanup().await, (0, 0));
        assert_eq!(app.files_of(&user).await, [kept]);
        assert_eq!(app.rows_where("kyc", "item_type", "kyc_clearing").await.len(), 0);
        app.advance(7_200).await;
    }
}

#[tokio::test]
async fn the_cleanup_job_keeps_files_submitted_after_a_review() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let reject = json!({"decision": "REJECT", "rejection_reason": "It is blurred."});
    let (user, upload) = reviewed_user(&app, &staff, &reject).await;
    assert_eq!(app.send_file(&upload, &jpeg("old").bytes).await, 200);
    let (user, sharper) = (app.sign_in_again(&user).await, jpeg("sharper"));
    let upload = app.replace(&user, &sharper).await;
    assert_eq!(app.send_file(&upload, &sharper.bytes).await, 200);
    app.submit_kyc(&user).await.ok();
    app.advance(3_600).await;
    app.run_cleanup().await;
    let kept = app.submission(&user).await.unwrap().documents[0].key.clone();
    assert_eq!(app.files_of(&user).await, [kept]);
    let staff = app.sign_in_again(&staff).await;
    let other = app.admin_get(&staff, "/admin/kyc?status=AWAITING_DOCUMENTS").await;
    assert_eq!(other.ok()["results"], json!([]));
}

#[tokio::test]
async fn the_clearing_record_is_not_listed_and_is_deleted_with_the_account() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    let (user, _) = reviewed_user(&app, &staff, &json!({"decision": "APPROVE"})).await;
    assert_budget(&app, "POST /admin/kyc/{user_id}/review", (5, 2.0, 18.0, 0)).await;
    assert_eq!(app.rows_where("kyc", "item_type", "kyc_clearing").await.len(), 1);
    app.advance(86_400).await;
    let staff = app.sign_in_again(&staff).await;
    let awaited = app.admin_get(&staff, "/admin/kyc?status=AWAITING_DOCUMENTS").await;
    assert_eq!(awaited.ok()["results"], json!([]));
    let user = app.sign_in_again(&user).await;
    app.delete_account(&user.access_token, "?forfeit_balance=true").await.ok();
    assert_eq!(app.rows_where("kyc", "user_id", &user.user_id).await, []);
}
