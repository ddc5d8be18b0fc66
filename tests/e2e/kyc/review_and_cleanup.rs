//! Reviews, the cleanup job and deletions, through the functions of `shared::kyc`.

use serde_json::{Value, json};
use shared::{
    http::{cursor, problem::Code},
    kyc::{
        self, KycStatus, Submission,
        cleanup::{self, CleanupTask},
        queue,
        review::{self, Decision},
    },
};

use crate::harness::{
    App, Needs, User, concurrently,
    kyc::{id_of, jpeg, submission},
};

fn rejected(reason: &str) -> Decision {
    Decision::Reject(reason.to_owned())
}

#[tokio::test]
async fn an_approved_identity_cannot_be_submitted_again() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, staff) = (app.pending_user("11-22-33").await, app.user_with_staff_flag().await);
    let approved = app.review(&staff, &user, Decision::Approve, None).await.unwrap();
    assert_eq!(approved.reviewed_by, Some(id_of(&staff)));
    let status = app.kyc_status(&user).await;
    assert_eq!(status.ok()["status"], "APPROVED");
    assert!(!status.text("verified_at").is_empty());
    assert!(!status.text("submitted_at").is_empty());
    let front = jpeg("new");
    app.post_kyc(&user, &submission("11-22-34", &front)).await.problem(409, "kyc_approved");
    app.patch_kyc(&user, &json!({"document_number": "1234"})).await.problem(409, "kyc_approved");
    app.patch_kyc(&user, &json!({})).await.problem(409, "kyc_approved");
    app.submit_kyc(&user).await.problem(409, "kyc_approved");
    assert_eq!(app.kyc_status(&user).await.ok(), status.ok());
}

#[tokio::test]
async fn a_rejected_submission_shows_the_reason_and_can_be_submitted_again() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, staff) = (app.pending_user("11-22-33").await, app.user_with_staff_flag().await);
    app.review(&staff, &user, rejected("The picture is blurred."), None).await.unwrap();
    let status = app.kyc_status(&user).await;
    assert_eq!(status.ok()["status"], "REJECTED");
    assert_eq!(status.json["rejection_reason"], "The picture is blurred.");
    app.submit_kyc(&user).await.problem(409, "no_submission");
    let other = app.register_user().await;
    let theirs = app.post_kyc(&other, &submission("112233", &jpeg(""))).await;
    theirs.problem(409, "document_in_use");
    let front = jpeg("sharper");
    let changed = app.patch_kyc(&user, &json!({"documents": {"front": front.declaration()}})).await;
    assert_eq!(changed.ok()["rejection_reason"], Value::Null);
    app.send_files(&changed, &[&front]).await;
    assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING");
    app.review(&staff, &user, Decision::Approve, None).await.unwrap();
}

#[tokio::test]
async fn a_pending_submission_is_reviewed_once_by_staff_at_the_viewed_revision() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, staff) = (app.register_user().await, app.user_with_staff_flag().await);
    let code = async |by: &User, seen| {
        let reviewed = app.review(by, &user, Decision::Approve, seen).await;
        reviewed.map(|_| ()).map_err(|problem| problem.code())
    };
    assert_eq!(code(&staff, None).await, Err(Code::NotFound));
    let front = jpeg("");
    let response = app.post_kyc(&user, &submission("12345", &front)).await;
    assert_eq!(code(&staff, None).await, Err(Code::KycNotPending));
    app.send_files(&response, &[&front]).await;
    app.submit_kyc(&user).await.ok();
    for not_staff in [&user, &app.register_user().await] {
        assert_eq!(code(not_staff, None).await, Err(Code::Forbidden));
    }
    assert_eq!(code(&staff, Some(1)).await, Err(Code::PreconditionFailed));
    let all = (0..6).map(|number| {
        let (app, staff, user) = (app.clone(), staff.clone(), user.clone());
        let decision = if number % 2 == 0 { Decision::Approve } else { rejected("No.") };
        async move { app.review(&staff, &user, decision, Some(2)).await.is_ok() }
    });
    let reviewed = concurrently(all).await;
    assert_eq!(reviewed.iter().filter(|reviewed| **reviewed).count(), 1);
    assert_eq!(code(&staff, None).await, Err(Code::KycNotPending));
}

/// A change comes before the review or is refused, so staff approve what they viewed.
#[tokio::test]
async fn of_a_concurrent_change_and_review_one_wins() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.user_with_staff_flag().await;
    for number in 0..6 {
        let user = app.pending_user(&format!("number {number}")).await;
        let change = {
            let (app, user) = (app.clone(), user.clone());
            tokio::spawn(async move {
                app.patch_kyc(&user, &json!({"document_type": "PASSPORT"})).await
            })
        };
        let reviewed = app.review(&staff, &user, Decision::Approve, None).await;
        let changed = change.await.unwrap();
        let record = app.submission(&user).await.unwrap();
        match reviewed {
            Ok(_) => {
                changed.problem(409, "kyc_approved");
                assert_eq!(record.status, KycStatus::Approved);
            }
            Err(problem) => {
                assert_eq!(problem.code(), Code::KycNotPending);
                assert_eq!(changed.ok()["status"], "AWAITING_DOCUMENTS");
                assert_eq!(record.status, KycStatus::AwaitingDocuments);
            }
        }
    }
}

#[tokio::test]
async fn staff_release_the_number_of_a_rejected_submission() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, staff) = (app.pending_user("11-22-33").await, app.user_with_staff_flag().await);
    let other = app.register_user().await;
    let release = async |by: &User| {
        let released =
            review::release_number(&app.store(), id_of(&user), id_of(by), |_, _| Ok(())).await;
        released.map(|_| ()).map_err(|problem| problem.code())
    };
    assert_eq!(release(&staff).await, Err(Code::KycNotRejected));
    app.review(&staff, &user, rejected("Not yours."), None).await.unwrap();
    assert_eq!(release(&other).await, Err(Code::Forbidden));
    assert_eq!(release(&staff).await, Ok(()));
    assert_eq!(release(&staff).await, Ok(()));
    app.post_kyc(&other, &submission("112233", &jpeg("mine"))).await.body(201);
    let back =
        json!({"document_type": "CITIZENSHIP", "documents": {"back": jpeg("b").declaration()}});
    app.patch_kyc(&user, &back).await.problem(409, "document_in_use");
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "REJECTED");
}

#[tokio::test]
async fn the_queue_is_oldest_first_and_pages_show_each_submission_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut waiting = Vec::new();
    for number in 0..9 {
        waiting.push(id_of(&app.pending_user(&format!("number {number}")).await));
        app.advance(2).await;
    }
    let awaiting = app.register_user().await;
    app.post_kyc(&awaiting, &submission("awaiting", &jpeg(""))).await.body(201);
    let store = app.store();
    for limit in [1, 2, 4, 9, 20] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = queue::page(&store, KycStatus::Pending, after, limit).await.unwrap();
            assert!(page.0.len() <= limit);
            assert!(page.0.iter().all(|row| row.submitted_at.is_some()));
            found.extend(page.0.into_iter().map(|row| row.user_id));
            let Some(next) = page.1 else { break };
            assert_eq!(
                cursor::Position::from_bytes(&cursor::Position::to_bytes(&next)),
                Some(next)
            );
            after = Some(next);
        }
        assert_eq!(found, waiting, "{limit}");
    }
    let of = async |status| {
        let (rows, _) = queue::page(&store, status, None, 20).await.unwrap();
        rows.into_iter().map(|row| row.user_id).collect::<Vec<_>>()
    };
    assert_eq!(of(KycStatus::AwaitingDocuments).await, [id_of(&awaiting)]);
    assert_eq!(of(KycStatus::Approved).await, []);
}

/// Runs the cleanup job. Returns the number of abandoned submissions.
async fn clean_up(app: &App) -> u64 {
    let done = app.post("/_local/sweep", &json!({})).send().await;
    assert_eq!(done.ok()["failed"], 0, "{done:?}");
    done.json["submissions"].as_u64().unwrap()
}

/// The only submission that is due, as the cleanup job reads it.
async fn due_submission(app: &App) -> Submission {
    let (store, now) = (app.store(), app.now().await);
    let (due, _) = cleanup::due(&store, now, None, 20).await.unwrap();
    assert_eq!(due.len(), 1);
    match cleanup::load_task(&store, &due[0], now).await.unwrap() {
        CleanupTask::Abandon(submission) => *submission,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_submission_awaiting_files_for_a_day_is_abandoned_with_its_claim() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg(""));
    let pending = app.pending_user("other").await;
    let before = app.rows("kyc").await.len();
    let response = app.post_kyc(&user, &submission("12345", &front)).await;
    app.send_files(&response, &[&front]).await;
    app.advance(86_000).await;
    assert_eq!(clean_up(&app).await, 0);
    app.advance(400).await;
    assert_eq!(clean_up(&app).await, 1);
    assert_eq!(clean_up(&app).await, 0);
    assert_eq!(app.rows("kyc").await.len(), before);
    assert_eq!(app.files_of(&user).await, Vec::<String>::new());
    let (user, pending) = (app.sign_in_again(&user).await, app.sign_in_again(&pending).await);
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "NOT_SUBMITTED");
    let account = app.rows_where("users", "pk", &format!("USER#{}", user.user_id)).await;
    assert_eq!(account[0]["kyc_status"], "NOT_SUBMITTED");
    assert_eq!(app.kyc_status(&pending).await.ok()["status"], "PENDING");
    app.patch_kyc(&user, &json!({})).await.problem(409, "no_submission");
    app.post_kyc(&user, &submission("12345", &front)).await.body(201);
}

#[tokio::test]
async fn an_interrupted_cleanup_is_finished_by_the_next_run() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg(""));
    let response = app.post_kyc(&user, &submission("12345", &front)).await;
    app.send_files(&response, &[&front]).await;
    app.advance(86_400).await;
    let (now, found) = (app.now().await, due_submission(&app).await);
    // The record is abandoned first. Then the files cannot be deleted.
    app.inject_fault("s3", "DeleteObjects", "error_500", 100).await;
    assert_eq!(app.run_cleanup().await, (0, 1));
    app.clear_faults().await;
    let user = app.sign_in_again(&user).await;
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "NOT_SUBMITTED");
    app.submit_kyc(&user).await.problem(409, "no_submission");
    assert_eq!(app.files_of(&user).await.len(), 1);
    let stale = async || Ok(());
    assert!(!review::abandon(&app.store(), &found, now, stale).await.unwrap());
    app.advance(600).await;
    assert_eq!(clean_up(&app).await, 1);
    assert_eq!(app.files_of(&user).await, Vec::<String>::new());
    assert!(app.submission(&user).await.is_none());
}

/// A user submits again during the cleanup: the new files and the record stay.
#[tokio::test]
async fn the_cleanup_job_keeps_a_submission_that_changed_meanwhile() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg(""));
    app.post_kyc(&user, &submission("12345", &front)).await.body(201);
    app.advance(86_400).await;
    let (now, user) = (app.now().await, app.sign_in_again(&user).await);
    let found = due_submission(&app).await;
    let documents = app.documents();
    let meanwhile = async || {
        let response = app.post_kyc(&user, &submission("12345", &front)).await;
        app.send_files(&response, &[&front]).await;
        documents.delete_old_except(id_of(&user), &[], now).await
    };
    assert!(!review::abandon(&app.store(), &found, now, meanwhile).await.unwrap());
    assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING");
    assert_eq!(clean_up(&app).await, 0);
}

#[tokio::test]
async fn a_submitted_number_stays_claimed_when_the_submission_is_abandoned() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("11-22-33").await;
    app.patch_kyc(&user, &json!({"documents": {"front": jpeg("x").declaration()}})).await.ok();
    app.advance(86_400).await;
    assert_eq!(clean_up(&app).await, 1);
    assert_eq!(clean_up(&app).await, 0);
    assert_eq!(app.files_of(&user).await, Vec::<String>::new());
    let (user, other) = (app.sign_in_again(&user).await, app.register_user().await);
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "NOT_SUBMITTED");
    let theirs = app.post_kyc(&other, &submission("112233", &jpeg(""))).await;
    theirs.problem(409, "document_in_use");
    app.patch_kyc(&user, &json!({"document_type": "PASSPORT"})).await.problem(409, "no_submission");
    app.post_kyc(&user, &submission("112233", &jpeg("y"))).await.body(201);
}

#[tokio::test]
async fn a_deletion_releases_every_number_and_can_be_repeated() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("11-22-33").await;
    let body = submission("44-55-66", &jpeg("y"));
    app.kyc(&user, "POST", "/users/kyc", &body).key("k").send().await.body(201);
    app.inject_fault("dynamodb", "DeleteItem", "error_500", 1).await;
    for _ in 0..2 {
        kyc::delete_all(&app.store(), id_of(&user)).await.unwrap();
        app.documents().delete_all(id_of(&user)).await.unwrap();
    }
    let left = app.rows("kyc").await;
    assert!(left.iter().all(|row| row["item_type"] == "idempotency_key"), "{left:?}");
    assert!(!json!(left).to_string().contains(&user.user_id));
    assert_eq!(app.files_of(&user).await, Vec::<String>::new());
    let other = app.register_user().await;
    for number in ["112233", "445566"] {
        app.post_kyc(&other, &submission(number, &jpeg(""))).await.body(201);
    }
}
