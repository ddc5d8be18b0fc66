//! The daily limits on attempts with a number and on reads of invalid files.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use crate::harness::{
    App, Needs, Response, User, assert_budget, concurrently, count,
    kyc::{File, jpeg, submission},
};

const TAKEN: &str = "27-01-70-12345";

/// Early in the day: a user who holds a number, and one who does not.
async fn holder_and_other(app: &App) -> (User, User) {
    app.advance_into(86_400, 7_200).await;
    (app.pending_user(TAKEN).await, app.register_user().await)
}

async fn submit_taken_number(app: &App, user: &User) -> Response {
    app.post_kyc(user, &submission(TAKEN, &jpeg("theirs"))).await
}

#[tokio::test]
async fn a_refused_number_counts_and_the_sixth_attempt_does_not_reveal_if_it_is_in_use() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (_, user) = holder_and_other(&app).await;
    for number in 0..5 {
        submit_taken_number(&app, &user).await.problem(409, "document_in_use");
        let record = app.submission(&user).await.unwrap();
        assert_eq!((record.attempts, record.documents.len()), (number + 1, 0));
    }
    for number in [TAKEN, "99-99-99"] {
        let refused = app.post_kyc(&user, &submission(number, &jpeg("x"))).await;
        refused.problem(429, "too_many_requests");
        assert!((78_000..=79_200).contains(&refused.retry_after()));
    }
    assert_budget(&app, "POST /users/kyc", (3, 2.0, 13.0, 0)).await;
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "NOT_SUBMITTED");
    app.patch_kyc(&user, &json!({})).await.problem(409, "no_submission");
    app.submit_kyc(&user).await.problem(409, "no_submission");
    let row = &app.rows_where("kyc", "pk", &format!("USER#{}", user.user_id)).await[0];
    assert!(row["expires_at"].is_i64() && !row.contains_key("status_shard"), "{row:?}");
    app.advance_into(86_400, 1).await;
    let user = app.sign_in_again(&user).await;
    app.post_kyc(&user, &submission("99-99-99", &jpeg("x"))).await.body(201);
    let record = app.submission(&user).await.unwrap();
    assert_eq!((record.attempts, record.expires_at), (1, None));
}

#[tokio::test]
async fn of_many_concurrent_attempts_five_reveal_that_a_number_is_in_use() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (_, user) = holder_and_other(&app).await;
    let all = (0..12).map(|_| {
        let (app, user) = (app.clone(), user.clone());
        async move {
            loop {
                let response = submit_taken_number(&app, &user).await;
                if response.status != 503 {
                    return response;
                }
            }
        }
    });
    let responses = concurrently(all).await;
    assert_eq!((count(&responses, 409), count(&responses, 429)), (5, 7), "{responses:?}");
}

#[tokio::test]
async fn a_refused_number_does_not_change_the_existing_submission() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (_, user) = holder_and_other(&app).await;
    let front = jpeg("mine");
    let made = app.post_kyc(&user, &submission("1234", &front)).await;
    let before = app.submission(&user).await.unwrap();
    app.advance(60).await;
    let number = json!({"document_number": TAKEN});
    app.patch_kyc(&user, &number).await.problem(409, "document_in_use");
    submit_taken_number(&app, &user).await.problem(409, "document_in_use");
    let after = app.submission(&user).await.unwrap();
    assert_eq!((after.attempts, after.revision), (3, before.revision + 2));
    let same = |mut submission: shared::kyc::Submission| {
        (submission.attempts, submission.revision) = (0, 0);
        submission
    };
    assert_eq!(same(after), same(before));
    app.send_files(&made, &[&front]).await;
    app.submit_kyc(&user).await.ok();
}

#[tokio::test]
async fn a_change_of_the_type_only_counts_if_it_is_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (_, user) = holder_and_other(&app).await;
    let mut body = submission(TAKEN, &jpeg("x"));
    body["document_type"] = json!("PASSPORT");
    app.post_kyc(&user, &body).await.body(201);
    let to = async |name: &str| app.patch_kyc(&user, &json!({"document_type": name})).await;
    for _ in 0..4 {
        for name in ["NATIONAL_ID", "PASSPORT"] {
            to(name).await.ok();
        }
    }
    assert_eq!(app.submission(&user).await.unwrap().attempts, 1);
    for _ in 0..4 {
        to("CITIZENSHIP").await.problem(409, "document_in_use");
    }
    to("CITIZENSHIP").await.problem(429, "too_many_requests");
    // A change that does not count is refused too, because its result would reveal the same.
    to("NATIONAL_ID").await.problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_change_of_the_number_or_the_files_counts() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance_into(86_400, 7_200).await;
    let user = app.register_user().await;
    app.post_kyc(&user, &submission("1234", &jpeg("1"))).await.body(201);
    let back = json!({"documents": {"back": jpeg("2").declaration()}});
    let changes = [json!({"document_number": "12-34"}), back, json!({"documents": {"back": null}})];
    for (number, change) in changes.iter().enumerate() {
        app.patch_kyc(&user, change).await.ok();
        let attempts = app.submission(&user).await.unwrap().attempts;
        assert_eq!(usize::try_from(attempts).unwrap(), number + 2, "{change}");
    }
}

#[tokio::test]
async fn the_cleanup_job_keeps_the_attempts_of_the_day() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (_, user) = holder_and_other(&app).await;
    app.post_kyc(&user, &submission("1234", &jpeg("never sent"))).await.body(201);
    app.advance(86_400 - 600).await;
    let user = app.sign_in_again(&user).await;
    for _ in 0..5 {
        submit_taken_number(&app, &user).await.problem(409, "document_in_use");
    }
    app.advance(600).await;
    assert_eq!(app.run_cleanup().await, (0, 0));
    let user = app.sign_in_again(&user).await;
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "NOT_SUBMITTED");
    submit_taken_number(&app, &user).await.problem(429, "too_many_requests");
    let record = app.submission(&user).await.unwrap();
    assert!(record.expires_at.is_some() && record.documents.is_empty());
    let other = app.register_user().await;
    app.post_kyc(&other, &submission("1234", &jpeg("mine"))).await.body(201);
}

#[tokio::test]
async fn attempts_are_recorded_only_for_existing_accounts_and_deleted_with_them() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (_, user) = holder_and_other(&app).await;
    submit_taken_number(&app, &user).await.problem(409, "document_in_use");
    app.delete_account(&user.access_token, "").await.ok();
    assert!(app.submission(&user).await.is_none());

    // The account is deleted while the number is refused.
    let gone = app.register_user().await;
    let key = AttributeValue::S(format!("USER#{}", gone.user_id));
    let delete = app.dynamodb().delete_item().table_name(app.table_name("users"));
    delete.key("pk", key).send().await.unwrap();
    submit_taken_number(&app, &gone).await.problem(401, "session_ended");
    assert!(app.submission(&gone).await.is_none());
}

/// A file that is not the picture it is declared to be.
fn invalid_file() -> File {
    File { content_type: "image/jpeg", bytes: vec![7; 4_096] }
}

#[tokio::test]
async fn files_that_do_not_match_are_read_at_most_ten_times_a_day() {
    let Some(app) = App::start(Needs::Own).await else { return };
    app.advance_into(86_400, 7_200).await;
    let (user, invalid_file, front) = (app.register_user().await, invalid_file(), jpeg("x"));
    let made = app.post_kyc(&user, &submission("1234", &invalid_file)).await;
    for _ in 0..12 {
        // Missing files do not count as reads.
        app.submit_kyc(&user).await.problem(400, "document_missing");
    }
    app.send_files(&made, &[&invalid_file]).await;
    for _ in 0..10 {
        app.submit_kyc(&user).await.problem(400, "document_invalid");
    }
    assert_budget(&app, "POST /users/kyc/submit", (3, 2.0, 4.0, 0)).await;
    let reads = app.costs("POST /users/kyc/submit").await;
    let refused = app.submit_kyc(&user).await;
    refused.problem(429, "too_many_requests");
    assert!((78_000..=79_200).contains(&refused.retry_after()));
    let cost = app.costs("POST /users/kyc/submit").await;
    assert_eq!((cost.calls, cost.hops), (reads.calls + 1, 1), "the bucket is not read");
    // A valid file is refused too until the next day.
    let change = json!({"documents": {"front": front.declaration()}});
    let changed = app.patch_kyc(&user, &change).await;
    app.send_files(&changed, &[&front]).await;
    app.submit_kyc(&user).await.problem(429, "too_many_requests");
    app.advance_into(86_400, 1).await;
    let user = app.sign_in_again(&user).await;
    app.submit_kyc(&user).await.ok();
}
