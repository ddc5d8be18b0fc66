//! A deletion that fails at any call: the cleanup job finishes it, and the account cannot be used
//! in the meantime.

use crate::harness::{App, Needs, PASSWORD, Person, Response};

/// More calls than the deletion of a full account makes to DynamoDB.
const CALLS: u32 = 15;

/// After a deletion with faults either nothing has changed and it can be repeated, or the account
/// is gone and two cleanup runs remove the rest. Returns whether nothing had changed.
async fn assert_unchanged_or_deleted(app: &App, person: &Person, response: &Response) -> bool {
    let token = &person.user.access_token;
    let me = app.me(token).await;
    let is_unchanged = me.status == 200;
    if is_unchanged {
        response.problem(503, "unavailable");
        app.login(&person.email, PASSWORD).await.ok();
        assert_eq!(me.json["profile"]["full_name"], person.full_name.as_str());
        assert_eq!(me.json["wallet_balance"]["balance"], "75.50");
        let devices = app.get("/auth/devices").bearer(token).send().await;
        assert_eq!(devices.ok()["results"].as_array().unwrap().len(), 1);
        app.delete_account(token, "?forfeit_balance=true").await.ok();
    }
    app.me(token).await.problem(401, "session_ended");
    app.refresh(&person.user.refresh_token).await.problem(401, "invalid_refresh_token");
    app.login(&person.email, PASSWORD).await.problem(400, "invalid_credentials");
    app.put_device(person).await.problem(401, "session_ended");
    app.advance(60).await;
    assert_eq!(app.run_cleanup().await.1, 0);
    assert!(app.traces(person).await.len() <= 1, "{:?}", app.traces(person).await);
    app.advance(3_600).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    assert_eq!(app.traces(person).await, Vec::<String>::new());
    let receipts = app.rows_where("audit", "subject", &person.user.user_id).await;
    let receipts = receipts.iter().filter(|row| row["action"] == "account_deleted").count();
    assert_eq!(receipts, 1);
    is_unchanged
}

/// Deletes an account for each call, with this fault from that call on.
async fn fail_after_each_call(kind: &str, documents: bool) {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut unchanged = 0;
    for after in 0..CALLS {
        let person = app.person().await;
        app.inject_faults_after("dynamodb", after, kind).await;
        if documents {
            app.inject_faults_after("s3", after.saturating_sub(3), kind).await;
        }
        let response = app.delete_account(&person.user.access_token, "?forfeit_balance=true").await;
        assert!([200, 503].contains(&response.status), "{response:?}");
        app.clear_faults().await;
        unchanged += u32::from(assert_unchanged_or_deleted(&app, &person, &response).await);
    }
    // Two reads come before the transaction.
    assert!((2..=3).contains(&unchanged), "{unchanged}");
}

#[tokio::test]
async fn a_deletion_that_fails_at_any_call_is_finished_by_the_cleanup_job() {
    fail_after_each_call("error_500", true).await;
}

#[tokio::test]
async fn a_deletion_whose_calls_time_out_is_finished_by_the_cleanup_job() {
    fail_after_each_call("timeout", true).await;
}

#[tokio::test]
async fn a_deletion_whose_responses_are_lost_is_finished_by_the_cleanup_job() {
    fail_after_each_call("lost_response", false).await;
}

#[tokio::test]
async fn a_failed_document_deletion_does_not_stop_the_other_cleanup_steps() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for after in 0..2 {
        let person = app.person().await;
        app.inject_faults_after("s3", after, "error_500").await;
        app.delete_account(&person.user.access_token, "?forfeit_balance=true").await.ok();
        app.clear_faults().await;
        assert_eq!(app.traces(&person).await.len(), 3, "the deletion record and two documents");
        app.advance(60).await;
        app.run_cleanup().await;
        assert_eq!(app.objects().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_deletion_succeeds_despite_any_single_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let calls = [
        ("dynamodb", "BatchGetItem"),
        ("dynamodb", "Query"),
        ("dynamodb", "TransactWriteItems"),
        ("dynamodb", "DeleteItem"),
        ("dynamodb", "BatchWriteItem"),
        ("dynamodb", "UpdateItem"),
        ("s3", "ListObjectsV2"),
        ("s3", "DeleteObjects"),
    ];
    for (service, operation) in calls {
        for kind in ["throttle", "conflict", "error_500", "lost_response"] {
            let writes = ["TransactWriteItems", "DeleteItem", "UpdateItem"];
            if kind == "conflict" && !writes.contains(&operation) {
                continue;
            }
            let person = app.person().await;
            app.inject_fault(service, operation, kind, 1).await;
            let deleted =
                app.delete_account(&person.user.access_token, "?forfeit_balance=true").await;
            deleted.ok();
            app.clear_faults().await;
            let left = app.traces(&person).await;
            assert_eq!(left.len(), 1, "{operation} {kind}: {left:?}");
        }
    }
}
