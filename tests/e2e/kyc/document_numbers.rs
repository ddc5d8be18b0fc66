//! Document numbers: each belongs to one account.

use serde_json::{Value, json};

use crate::harness::{
    App, Needs, User, concurrently, count,
    kyc::{jpeg, submission},
};

async fn post(app: &App, user: &User, number: &str) -> crate::harness::Response {
    app.post_kyc(user, &submission(number, &jpeg(number))).await
}

/// The number of confirmed and of provisional claims of a user.
async fn claims(app: &App, user: &User) -> (usize, usize) {
    let claims = app.rows_where("kyc", "user_id", &user.user_id).await;
    let claims = claims.iter().filter(|row| row["item_type"] == "document_number_claim");
    let confirmed: Vec<_> = claims.map(|row| !row.contains_key("expires_at")).collect();
    (
        confirmed.iter().filter(|confirmed| **confirmed).count(),
        confirmed.iter().filter(|confirmed| !**confirmed).count(),
    )
}

#[tokio::test]
async fn a_number_belongs_to_one_account_in_every_spelling() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    post(&app, &user, "27-01-70/abc45").await.body(201);
    for typed in ["270170ABC45", "27 01 70 abc 45", "27.01.70-ABC45"] {
        let refused = post(&app, &other, typed).await;
        refused.problem(409, "document_in_use");
        assert_eq!(refused.fields(), ["document_number"]);
        assert!(!String::from_utf8_lossy(&refused.bytes).to_uppercase().contains("ABC45"));
    }
    assert_eq!(app.kyc_status(&other).await.ok()["status"], "NOT_SUBMITTED");
    let mut passport = submission("270170ABC45", &jpeg(""));
    passport["document_type"] = json!("PASSPORT");
    app.post_kyc(&other, &passport).await.body(201);
    let citizenship = json!({"document_type": "CITIZENSHIP"});
    app.patch_kyc(&other, &citizenship).await.problem(409, "document_in_use");
    post(&app, &user, "270170abc45").await.body(201);
}

#[tokio::test]
async fn when_accounts_claim_one_number_at_once_exactly_one_gets_it() {
    let Some(app) = App::start(Needs::Codes).await else { return };
    let mut users = Vec::new();
    for _ in 0..6 {
        users.push(app.register_user().await);
    }
    let all = users.into_iter().map(|user| {
        let app = app.clone();
        async move { post(&app, &user, "4455-66").await }
    });
    let responses = concurrently(all).await;
    assert_eq!((count(&responses, 201), count(&responses, 409)), (1, 5), "{responses:?}");
}

#[tokio::test]
async fn the_claim_of_a_number_that_was_not_submitted_expires_after_a_day() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, front) = (app.register_user().await, jpeg("9-9-9"));
    let submitted = post(&app, &user, "9-9-9").await;
    app.send_files(&submitted, &[&front]).await;
    app.advance(86_340).await;
    let (user, other) = (app.sign_in_again(&user).await, app.register_user().await);
    post(&app, &other, "9-9-9").await.problem(409, "document_in_use");
    app.advance(120).await;
    post(&app, &other, "9-9-9").await.body(201);
    app.submit_kyc(&user).await.problem(409, "document_in_use");
    assert_eq!(app.kyc_status(&user).await.ok()["status"], "AWAITING_DOCUMENTS");
    app.patch_kyc(&user, &json!({"document_number": "8-8-8"})).await.ok();
    assert_eq!((claims(&app, &user).await, claims(&app, &other).await), ((0, 1), (0, 1)));
    app.submit_kyc(&user).await.ok();
}

#[tokio::test]
async fn the_claim_of_a_submitted_number_never_expires() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.pending_user("1212-12").await;
    assert_eq!(claims(&app, &user).await, (1, 0));
    app.advance(40 * 86_400).await;
    let (user, other) = (app.sign_in_again(&user).await, app.register_user().await);
    post(&app, &other, "121212").await.problem(409, "document_in_use");
    app.patch_kyc(&user, &json!({"document_number": "3434-34"})).await.ok();
    post(&app, &other, "121212").await.problem(409, "document_in_use");
    assert_eq!(claims(&app, &user).await, (1, 1));
    app.patch_kyc(&user, &json!({"document_number": "5656-56"})).await.ok();
    assert_eq!(
        claims(&app, &user).await,
        (1, 1),
        "the claim of a number that was not submitted is released"
    );
    post(&app, &other, "343434").await.body(201);
    app.submit_kyc(&user).await.ok();
    assert_eq!(claims(&app, &user).await, (2, 0));
    app.patch_kyc(&user, &json!({"document_number": "12 12 12"})).await.ok();
    assert_eq!(claims(&app, &user).await, (2, 0), "the claim of an own number is still confirmed");
}

#[tokio::test]
async fn an_account_can_submit_at_most_ten_numbers() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut user = app.pending_user("number-0").await;
    for number in 1..10 {
        app.advance(86_400).await;
        user = app.sign_in_again(&user).await;
        let number = json!({"document_number": format!("number-{number}")});
        app.patch_kyc(&user, &number).await.ok();
        app.submit_kyc(&user).await.ok();
    }
    let eleventh = json!({"document_number": "number-10"});
    app.patch_kyc(&user, &eleventh).await.problem(409, "too_many_documents");
    post(&app, &user, "number-10").await.problem(409, "too_many_documents");
    app.patch_kyc(&user, &json!({"document_number": "number-3"})).await.ok();
}

#[tokio::test]
async fn a_number_is_in_plain_text_only_in_its_record() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let number = "PLANTED70717";
    let user = app.pending_user(number).await;
    app.post_kyc(&user, &submission(number, &jpeg("again"))).await.body(201);
    let body = submission(number, &jpeg("with a key"));
    app.kyc(&user, "POST", "/users/kyc", &body).key("k1").send().await.body(201);
    let mut records = 0;
    for table in
        ["users", "sessions", "devices", "profiles", "kyc", "wallets", "usage", "otp", "audit"]
    {
        for row in app.rows(table).await {
            let is_record = row["item_type"] == "kyc_submission";
            records += usize::from(is_record);
            let text = Value::Object(row).to_string();
            assert_eq!(text.contains(number), is_record, "{table}: {text}");
        }
    }
    assert_eq!(records, 1);
    assert!(!app.files_of(&user).await.join(" ").contains(number));
}
