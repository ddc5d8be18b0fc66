//! Repeated requests, and faults of DynamoDB and S3.

use serde_json::{Value, json};
use shared::kyc::review::Decision;

use crate::harness::{
    App, Needs, Response, User, concurrently, count,
    kyc::{jpeg, submission},
};

async fn post_with_key(app: &App, user: &User, key: &str, body: &Value) -> Response {
    let response = app.kyc(user, "POST", "/users/kyc", body).key(key).send().await;
    response.documented("POST", "/users/kyc")
}

#[tokio::test]
async fn the_same_key_returns_the_same_submission_with_new_uploads() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg(""));
    let body = submission("12345", &front);
    let first = post_with_key(&app, &user, "k1", &body).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
    app.advance(650).await;
    let again = post_with_key(&app, &user, "k1", &body).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!(again.json["id"], first.json["id"]);
    let path = |response: &Response| {
        let url = response.json["uploads"][0]["url"].as_str().unwrap().to_owned();
        url.split('?').next().unwrap().to_owned()
    };
    assert_eq!(path(&again), path(&first));
    app.send_files(&again, &[&front]).await;
    for other in [submission("12346", &front), submission("12345", &jpeg("other"))] {
        let reused = post_with_key(&app, &user, "k1", &other).await;
        reused.problem(422, "idempotency_key_reused");
    }
    for _ in 0..10 {
        post_with_key(&app, &user, "k1", &body).await.body(201);
    }
    app.submit_kyc(&user).await.ok();
    let later = post_with_key(&app, &user, "k1", &body).await;
    assert_eq!(later.body(201)["status"], "PENDING");
    assert_eq!(later.json["uploads"], json!([]));
    let other = app.register_user().await;
    let elsewhere = post_with_key(&app, &other, "k1", &submission("54321", &front)).await;
    assert_eq!(elsewhere.body(201)["status"], "AWAITING_DOCUMENTS", "a key belongs to its account");
}

#[tokio::test]
async fn the_same_key_after_the_review_returns_the_reviewed_submission() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.user_with_staff_flag().await;
    for decision in [Decision::Approve, Decision::Reject("It is blurred.".to_owned())] {
        let (user, front) = (app.register_user().await, jpeg(decision.as_str()));
        let body = submission(decision.as_str(), &front);
        let first = post_with_key(&app, &user, "k1", &body).await;
        app.send_files(&first, &[&front]).await;
        app.submit_kyc(&user).await.ok();
        let reviewed = app.review(&staff, &user, decision, None).await.unwrap();
        let again = post_with_key(&app, &user, "k1", &body).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
        assert_eq!(again.json["id"], first.json["id"]);
        assert_eq!(again.json["status"], reviewed.status.as_str());
        assert_eq!(again.json["rejection_reason"], json!(reviewed.rejection_reason));
        assert_eq!(again.json["uploads"], json!([]));
    }
}

#[tokio::test]
async fn a_key_is_kept_for_a_day_and_must_be_valid() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, body) = (app.register_user().await, submission("12345", &jpeg("")));
    let first = post_with_key(&app, &user, "k1", &body).await;
    for bad in ["", "with space", &"k".repeat(256)] {
        post_with_key(&app, &user, bad, &body).await.refuses(&["Idempotency-Key"]);
    }
    app.advance(86_400).await;
    let user = app.sign_in_again(&user).await;
    let second = post_with_key(&app, &user, "k1", &body).await;
    assert_eq!((second.status, second.header("idempotent-replayed")), (201, None));
    assert_ne!(second.json["id"], first.json["id"]);
}

#[tokio::test]
async fn concurrent_requests_with_one_key_create_one_submission() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, body) = (app.register_user().await, submission("12345", &jpeg("")));
    let all = (0..8).map(|_| {
        let (app, user, body) = (app.clone(), user.clone(), body.clone());
        async move { post_with_key(&app, &user, "k1", &body).await }
    });
    let responses = concurrently(all).await;
    assert_eq!(count(&responses, 201), 8, "{responses:?}");
    assert!(responses.iter().all(|response| response.json["id"] == responses[0].json["id"]));
    let made = responses.iter().filter(|response| response.header("idempotent-replayed").is_none());
    assert_eq!(made.count(), 1);
    assert_eq!(app.submission(&user).await.unwrap().attempts, 1);
}

#[tokio::test]
async fn concurrent_submits_submit_once() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg(""));
    let response = app.post_kyc(&user, &submission("12345", &front)).await;
    app.send_files(&response, &[&front]).await;
    let all = (0..6).map(|_| {
        let (app, user) = (app.clone(), user.clone());
        async move { app.submit_kyc(&user).await }
    });
    let responses = concurrently(all).await;
    assert_eq!(count(&responses, 200), 6, "{responses:?}");
    assert!(responses.iter().all(|response| response.json == responses[0].json));
    assert_eq!(app.submission(&user).await.unwrap().revision, 2);
    app.advance(10).await;
    assert_eq!(app.submit_kyc(&user).await.ok(), &responses[0].json);
}

/// The account and the record have the same status. Returns it.
async fn assert_same_status(app: &App, user: &User) -> String {
    let account = app.rows_where("users", "pk", &format!("USER#{}", user.user_id)).await;
    let status = account[0]["kyc_status"].as_str().unwrap().to_owned();
    let record = app.submission(user).await;
    let recorded = record.map_or("NOT_SUBMITTED", |record| record.status.as_str());
    assert_eq!(status, recorded);
    status
}

#[tokio::test]
async fn a_step_succeeds_completely_despite_one_database_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for kind in ["lost_response", "error_500", "timeout", "throttle", "conflict"] {
        let (user, front) = (app.register_user().await, jpeg(kind));
        let fault = async || app.inject_fault("dynamodb", "TransactWriteItems", kind, 1).await;
        let number = kind.replace('_', "-");
        fault().await;
        let made = app.post_kyc(&user, &submission(&number, &front)).await;
        made.body(201);
        assert_eq!(assert_same_status(&app, &user).await, "AWAITING_DOCUMENTS");
        fault().await;
        app.patch_kyc(&user, &json!({"document_type": "PASSPORT"})).await.ok();
        app.send_files(&made, &[&front]).await;
        fault().await;
        app.submit_kyc(&user).await.ok();
        assert_eq!(assert_same_status(&app, &user).await, "PENDING");
        let record = app.submission(&user).await.unwrap();
        assert_eq!((record.revision, record.attempts), (3, 1), "{kind}");
    }
}

#[tokio::test]
async fn a_request_that_got_503_during_a_database_outage_succeeds_on_retry() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for kind in ["lost_response", "error_500", "timeout"] {
        let (user, front) = (app.register_user().await, jpeg(kind));
        let body = submission(&kind.replace('_', "-"), &front);
        app.inject_fault("dynamodb", "TransactWriteItems", kind, 5).await;
        post_with_key(&app, &user, "k", &body).await.problem(503, "unavailable");
        assert_same_status(&app, &user).await;
        let made = post_with_key(&app, &user, "k", &body).await;
        made.body(201);
        assert_eq!(app.submission(&user).await.unwrap().attempts, 1, "{kind}");
        app.send_files(&made, &[&front]).await;
        app.inject_fault("dynamodb", "TransactWriteItems", kind, 5).await;
        app.submit_kyc(&user).await.problem(503, "unavailable");
        assert_same_status(&app, &user).await;
        assert_eq!(app.submit_kyc(&user).await.ok()["status"], "PENDING");
        assert_eq!(assert_same_status(&app, &user).await, "PENDING");
    }
}

#[tokio::test]
async fn a_bucket_fault_never_accepts_or_loses_a_file() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for kind in ["lost_response", "error_500", "timeout", "throttle"] {
        let (user, front) = (app.register_user().await, jpeg(kind));
        let made = app.post_kyc(&user, &submission(&kind.replace('_', "-"), &front)).await;
        app.inject_fault("s3", "GetObject", kind, 4).await;
        app.submit_kyc(&user).await.problem(503, "unavailable");
        assert_eq!(assert_same_status(&app, &user).await, "AWAITING_DOCUMENTS");
        app.inject_fault("s3", "GetObject", kind, 1).await;
        app.submit_kyc(&user).await.problem(400, "document_missing");
        app.send_files(&made, &[&front]).await;
        app.inject_fault("s3", "GetObject", kind, 1).await;
        app.submit_kyc(&user).await.ok();
        assert_eq!(assert_same_status(&app, &user).await, "PENDING");
    }
}

#[tokio::test]
async fn replaced_files_that_could_not_be_deleted_are_deleted_later() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("1-2-3-4").await;
    let (old, front) = (app.files_of(&user).await, jpeg("new"));
    let made = app.post_kyc(&user, &submission("1234", &front)).await;
    app.send_files(&made, &[&front]).await;
    app.inject_fault("s3", "DeleteObjects", "error_500", 4).await;
    app.submit_kyc(&user).await.ok();
    assert_eq!(app.files_of(&user).await.len(), 2);
    assert_eq!(app.submission(&user).await.unwrap().replaced, old);
    app.advance(3_600).await;
    let user = app.sign_in_again(&user).await;
    app.patch_kyc(&user, &json!({"document_type": "PASSPORT"})).await.ok();
    assert_eq!(app.files_of(&user).await.len(), 1);
    assert_eq!(app.submission(&user).await.unwrap().replaced, Vec::<String>::new());
}

/// The account is deleted while the request is in progress.
#[tokio::test]
async fn a_submission_for_a_deleted_account_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let (stack, key) = (app.stack(), format!("USER#{}", user.user_id));
    let delete = stack.dynamodb().delete_item().table_name(stack.table_name("users"));
    let key = aws_sdk_dynamodb::types::AttributeValue::S(key);
    delete.key("pk", key).send().await.unwrap();
    let before = app.rows("kyc").await.len();
    let response = app.post_kyc(&user, &submission("12345", &jpeg(""))).await;
    response.problem(401, "session_ended");
    assert_eq!(app.rows("kyc").await.len(), before);
}
