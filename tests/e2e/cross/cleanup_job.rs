//! The cleanup job: a scheduled invocation that finishes interrupted work.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use shared::deletion;

use crate::harness::{
    App, Needs, Person, User,
    kyc::{jpeg, submission},
};

/// Deletes an account while every call after the transaction fails, so that work is left for the
/// cleanup job.
async fn delete_interrupted(app: &App, person: &Person) {
    app.inject_faults_after("dynamodb", 3, "error_500").await;
    app.inject_faults_after("s3", 0, "error_500").await;
    app.delete_account(&person.user.access_token, "?forfeit_balance=true").await.ok();
    app.clear_faults().await;
}

impl App {
    /// The stored status; the user's session may be over.
    async fn kyc_status_of(&self, user: &User) -> String {
        let pk = format!("USER#{}", user.user_id);
        let rows = self.rows_where("kyc", "pk", &pk).await;
        rows[0]["status"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_cleanup_job_without_work_changes_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.person().await;
    let sizes = app.table_sizes().await;
    let result = app.post("/_local/sweep", &json!({})).send().await;
    assert_eq!(result.ok(), &json!({"deletions": 0, "submissions": 0, "failed": 0}));
    assert_eq!(app.table_sizes().await, sizes);
}

#[tokio::test]
async fn an_interrupted_deletion_is_finished_after_a_minute() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    delete_interrupted(&app, &person).await;
    assert!(app.traces(&person).await.len() > 5);
    // The request itself has a minute to finish.
    assert_eq!(app.run_cleanup().await, (0, 0));
    app.advance(60).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    assert_eq!(app.traces(&person).await.len(), 1, "only the deletion record");
    app.advance(3_540).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    assert_eq!(app.traces(&person).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_interrupted_deletion_found_after_an_hour_is_finished_in_one_run() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    delete_interrupted(&app, &person).await;
    app.advance(3_600).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    assert_eq!(app.traces(&person).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_that_arrived_after_the_deletion_is_removed_an_hour_later() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    app.delete_account(&person.user.access_token, "?forfeit_balance=true").await.ok();
    assert_eq!(app.objects().await, Vec::<String>::new());
    app.upload(&person.user, "front").await;
    app.advance(3_000).await;
    assert_eq!(app.run_cleanup().await, (0, 0));
    assert_eq!(app.objects().await.len(), 1);
    app.advance(600).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    assert_eq!(app.objects().await, Vec::<String>::new());
    assert_eq!(app.traces(&person).await, Vec::<String>::new());
}

#[tokio::test]
async fn two_concurrent_cleanup_runs_do_no_harm() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (one, other) = (app.person().await, app.person().await);
    for person in [&one, &other] {
        delete_interrupted(&app, person).await;
    }
    for seconds in [60, 3_600] {
        app.advance(seconds).await;
        let (first, second) = tokio::join!(app.run_cleanup(), app.run_cleanup());
        assert!(first.0 + second.0 >= 2 && first.1 + second.1 == 0, "{first:?} {second:?}");
    }
    assert_eq!(app.run_cleanup().await, (0, 0));
    for person in [&one, &other] {
        assert_eq!(app.traces(person).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_failing_deletion_is_postponed_and_the_others_are_finished() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (one, other) = (app.person().await, app.person().await);
    for person in [&one, &other] {
        delete_interrupted(&app, person).await;
    }
    app.advance(60).await;
    // A document number that is not a string makes the record unreadable.
    let pk = format!("USER#{}", one.user.user_id);
    let set =
        async |number| app.set_attribute("kyc", &[("pk", &pk)], "document_number", number).await;
    set(AttributeValue::N("7".to_owned())).await;
    assert_eq!(app.run_cleanup().await, (1, 1));
    assert_eq!(app.traces(&other).await.len(), 1, "only the deletion record");
    assert_eq!(app.objects().await, Vec::<String>::new(), "all other steps are done");
    set(AttributeValue::S(one.document_number.clone())).await;
    assert_eq!(app.run_cleanup().await, (0, 0), "it is postponed");
    app.advance(600).await;
    assert_eq!(app.run_cleanup().await.1, 0);
    app.advance(3_600).await;
    app.run_cleanup().await;
    for person in [&one, &other] {
        assert_eq!(app.traces(person).await, Vec::<String>::new());
    }
}

/// Writes thirty due deletions without remaining data. Returns when the first is due.
async fn seed_thirty_due_deletions(app: &App) -> i64 {
    let first = app.now().await.as_second() - 7_200;
    for number in 0..30 {
        let id = format!("01998f6e-5c1b-7d34-9a44-0f4f2f1c8b{number:02}");
        let row = json!({
            "pk": format!("DELETED#{id}"), "item_type": "deletion", "schema_version": 1,
            "deletion": "PENDING", "user_id": id, "receipt_id": id,
            "deleted_at": first + number, "due_at": first + number,
        });
        app.put_row("users", &row).await;
    }
    first
}

#[tokio::test]
async fn one_run_finishes_everything_due() {
    let Some(app) = App::start(Needs::Own).await else { return };
    seed_thirty_due_deletions(&app).await;
    assert_eq!(app.run_cleanup().await, (30, 0));
    assert_eq!(app.rows_where("users", "item_type", "deletion").await.len(), 0);
}

#[tokio::test]
async fn the_oldest_deletions_come_first_and_a_run_has_a_time_limit() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (first, checks) = (seed_thirty_due_deletions(&app).await, AtomicUsize::new(0));
    // The third time check reports the end, before the eleventh deletion.
    let is_over = || checks.fetch_add(1, Ordering::Relaxed) == 2;
    let (store, documents, now) = (app.store(), app.documents(), app.now().await);
    let result = deletion::run_cleanup(&store, &documents, now, is_over).await.unwrap();
    assert_eq!((result.deletions, result.failed), (10, 0));
    let mut left = app.rows_where("users", "item_type", "deletion").await;
    left.sort_by_key(|row| row["due_at"].as_i64());
    assert_eq!((left.len(), &left[0]["due_at"]), (20, &json!(first + 10)));
    assert_eq!(app.run_cleanup().await, (20, 0));
}

#[tokio::test]
async fn failing_submissions_are_postponed_and_all_others_are_abandoned_in_one_run() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut users = Vec::new();
    for number in 0..30 {
        let user = app.register_user().await;
        let body = submission(&format!("number-{number}"), &jpeg("never sent"));
        app.post_kyc(&user, &body).await.body(201);
        users.push(user);
    }
    app.advance(86_400).await;
    // The oldest record is unreadable.
    let pk = format!("USER#{}", users[0].user_id);
    let set =
        async |number| app.set_attribute("kyc", &[("pk", &pk)], "document_number", number).await;
    set(AttributeValue::N("7".to_owned())).await;
    let run = async || app.post("/_local/sweep", &json!({})).send().await.json;
    let expected = json!({"deletions": 0, "submissions": 29, "failed": 1});
    assert_eq!(run().await, expected);
    set(AttributeValue::S("number-0".to_owned())).await;
    let nothing = json!({"deletions": 0, "submissions": 0, "failed": 0});
    assert_eq!(run().await, nothing, "it is postponed");
    app.advance(600).await;
    let expected = json!({"deletions": 0, "submissions": 1, "failed": 0});
    assert_eq!(run().await, expected);
    assert_eq!(app.rows("kyc").await.len(), 0);
}

#[tokio::test]
async fn a_run_that_cannot_read_the_due_work_fails() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.inject_fault("dynamodb", "Query", "error_500", 100).await;
    let failed = app.post("/_local/sweep", &json!({})).send().await;
    assert_eq!(failed.status, 500, "{failed:?}");
    app.clear_faults().await;
    assert_eq!(app.run_cleanup().await, (0, 0));
}

#[tokio::test]
async fn files_that_are_not_submitted_are_abandoned_after_a_day() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, waiting) = (app.register_user().await, app.pending_user("5678").await);
    let front = jpeg("front");
    let response = app.post_kyc(&user, &submission("1234", &front)).await;
    app.send_files(&response, &[&front]).await;
    app.advance(86_400 - 60).await;
    app.run_cleanup().await;
    assert_eq!(app.kyc_status_of(&user).await, "AWAITING_DOCUMENTS");
    app.advance(60).await;
    // In the first run the bucket fails; the record stays for the next run.
    app.inject_fault("s3", "DeleteObjects", "error_500", 100).await;
    assert_eq!(app.run_cleanup().await, (0, 1));
    app.clear_faults().await;
    app.advance(600).await;
    let result = app.post("/_local/sweep", &json!({})).send().await;
    assert_eq!(result.ok(), &json!({"deletions": 0, "submissions": 1, "failed": 0}));
    assert_eq!(app.files_of(&user).await, Vec::<String>::new());
    assert_eq!(
        app.rows("kyc").await.len(),
        2,
        "the pending submission and the claim of its number"
    );
    assert_eq!(app.files_of(&waiting).await.len(), 1);
    let metrics = app.get("/_local/metrics").send().await;
    let last = |name: &str| metrics.json["metrics"][name]["last"].clone();
    assert_eq!((last("KycPending"), last("SweepFailed")), (json!(1), json!(0)));
    assert_eq!(metrics.json["metrics"]["SweepFailed"]["sum"], 1);
}
