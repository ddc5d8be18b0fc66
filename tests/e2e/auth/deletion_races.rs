//! A deletion and another request at the same time: nothing of the account is left, whichever of
//! them comes first.

use serde_json::json;

use crate::harness::{App, Needs, PASSWORD, Person, Response, concurrently, money};

/// Deletes the account and forfeits its balance; repeats on 503.
async fn delete(app: App, access_token: String) -> Response {
    loop {
        let response = app.delete_account(&access_token, "?forfeit_balance=true").await;
        if response.status != 503 {
            return response;
        }
    }
}

/// Runs `other` several times during a deletion, then the cleanup job, and checks that nothing of
/// the account is left. Returns the responses of `other`.
async fn race<F>(
    app: &App,
    person: &Person,
    times: usize,
    other: impl Fn(App, Person, usize) -> F,
) -> Vec<Response>
where
    F: Future<Output = Response> + Send + 'static,
{
    let deletion = tokio::spawn(delete(app.clone(), person.user.access_token.clone()));
    let others = (0..times).map(|number| other(app.clone(), person.clone(), number));
    let responses = concurrently(others).await;
    deletion.await.unwrap().ok();
    assert_deleted(app, person).await;
    responses
}

async fn assert_deleted(app: &App, person: &Person) {
    app.me(&person.user.access_token).await.problem(401, "session_ended");
    app.advance(3_600).await;
    assert_eq!(app.run_cleanup().await, (1, 0));
    assert_eq!(app.traces(person).await, Vec::<String>::new());
}

/// Every response is one of these.
#[track_caller]
fn assert_only(responses: &[Response], expected: &[(u16, &str)]) {
    for response in responses {
        let found = (response.status, response.code_or_none());
        let is_known = expected.iter().any(|(status, code)| found == (*status, (*code).to_owned()));
        assert!(is_known, "{response:?}");
    }
}

#[tokio::test]
async fn sign_ins_during_a_deletion_leave_no_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for _ in 0..3 {
        let person = app.person().await;
        let sign_in =
            async |app: App, person: Person, _| app.login(&person.user.phone, PASSWORD).await;
        let responses = race(&app, &person, 8, sign_in).await;
        assert_only(&responses, &[(200, ""), (400, "invalid_credentials"), (503, "unavailable")]);
        for response in responses.iter().filter(|response| response.status == 200) {
            let refreshed = app.refresh(response.text("refresh_token")).await;
            refreshed.problem(401, "invalid_refresh_token");
        }
    }
}

#[tokio::test]
async fn refreshes_during_a_deletion_leave_no_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for _ in 0..3 {
        let person = app.person().await;
        let refresh =
            async |app: App, person: Person, _| app.refresh(&person.user.refresh_token).await;
        let responses = race(&app, &person, 12, refresh).await;
        assert_only(&responses, &[(200, ""), (401, "invalid_refresh_token")]);
    }
}

#[tokio::test]
async fn device_and_profile_writes_during_a_deletion_leave_no_items() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for _ in 0..3 {
        let person = app.person().await;
        let write = async |app: App, person: Person, number: usize| match number % 2 {
            0 => app.put_device(&person).await,
            _ => app.put_profile(&person).await,
        };
        let responses = race(&app, &person, 12, write).await;
        assert_only(&responses, &[(200, ""), (401, "session_ended"), (503, "unavailable")]);
    }
}

#[tokio::test]
async fn usage_events_during_a_deletion_leave_no_items() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for _ in 0..3 {
        let person = app.person().await;
        let send_events = async |app: App, person: Person, number| {
            app.post_rental_and_favorite(&person, &format!("r{number}")).await
        };
        let responses = race(&app, &person, 12, send_events).await;
        assert_only(&responses, &[(200, ""), (503, "unavailable")]);
    }
}

#[tokio::test]
async fn registrations_with_the_referral_code_pay_before_the_deletion_or_are_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for referrals_paid in ["1", "50"] {
        let person = app.person().await;
        let key = [("user_id", person.user.user_id.as_str()), ("sk", "BALANCE")];
        let paid = aws_sdk_dynamodb::types::AttributeValue::N(referrals_paid.to_owned());
        app.set_attribute("wallets", &key, "referrals_paid", paid).await;
        let mut friends = Vec::new();
        for _ in 0..8 {
            let friend = app.new_user().await;
            friends.push(friend.with("referral_code", person.referral_code.as_str()));
        }
        let register = |app: App, _, number: usize| {
            let friend: crate::harness::NewUser = friends[number].clone();
            async move { app.register(&friend).await }
        };
        let responses = race(&app, &person, friends.len(), register).await;
        assert_only(&responses, &[(201, ""), (400, "invalid_referral_code"), (503, "unavailable")]);
        assert_balanced(&app, &person).await;
    }
}

#[tokio::test]
async fn the_referral_code_of_a_deleted_account_is_invalid() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    app.delete_account(&person.user.access_token, "?forfeit_balance=true").await.ok();
    let friend = app.new_user().await.with("referral_code", person.referral_code.as_str());
    app.register(&friend).await.problem(400, "invalid_referral_code");
}

/// The sum of the entries of each asset is the balance, and the wallet is closed.
async fn assert_balanced(app: &App, person: &Person) {
    let rows = app.rows_where("wallets", "user_id", &person.user.user_id).await;
    let sum = |asset: &str| -> i64 {
        let of_asset = rows.iter().filter(|row| row.get("asset") == Some(&json!(asset)));
        let signed = of_asset.map(|row| {
            let quantity = row["quantity"].as_i64().unwrap();
            if row["direction"] == "CREDIT" { quantity } else { -quantity }
        });
        signed.sum()
    };
    let balance = rows.iter().find(|row| row["sk"] == "BALANCE").unwrap();
    assert_eq!((sum("MONEY"), &balance["balance_minor"]), (0, &json!(0)));
    assert_eq!(json!(sum("POINTS")), balance["points"]);
    assert!(balance["closed_at"].is_u64(), "{balance:?}");
    // The forfeited amount is the whole balance, so no entry came after it.
    let forfeits =
        rows.iter().filter(|row| row.get("reference") == Some(&json!("account_deletion")));
    let forfeits: Vec<_> = forfeits.map(|row| (&row["quantity"], &row["balance_before"])).collect();
    assert_eq!(forfeits.len(), 1);
    assert_eq!(forfeits[0].0, forfeits[0].1);
}

#[tokio::test]
async fn each_of_two_hundred_credits_is_in_the_forfeited_balance_or_refused() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    let credit = async |app: App, person: Person, number: usize| {
        let body = match number % 4 {
            0 => crate::harness::points(&person.user, "CREDIT", 3),
            _ => money(&person.user, "CREDIT", "1.00"),
        };
        app.post_entry_with_retry(format!("k{number}"), body).await
    };
    let responses = race(&app, &person, 200, credit).await;
    assert_only(&responses, &[(201, ""), (404, "not_found")]);
    assert_balanced(&app, &person).await;
}

#[tokio::test]
async fn of_many_deletions_at_once_one_succeeds() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let person = app.person().await;
    let token = &person.user.access_token;
    let responses = concurrently((0..10).map(|_| delete(app.clone(), token.clone()))).await;
    assert_only(&responses, &[(200, ""), (401, "session_ended")]);
    assert_eq!(responses.iter().filter(|response| response.status == 200).count(), 1);
    let audit = app.rows_where("audit", "action", "account_deleted").await;
    assert_eq!(audit.len(), 1);
    assert_deleted(&app, &person).await;
}

#[tokio::test]
async fn an_identifier_added_during_the_deletion_is_free_afterwards() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for _ in 0..5 {
        let person = app.person().await;
        let new = crate::harness::random_phone();
        let verification = app.verification_token(&new, "CHANGE_IDENTIFIER").await;
        let body = json!({"identifier": new, "verification_token": verification});
        let change = |app: App, person: Person, _| {
            let body = body.clone();
            async move {
                let token = &person.user.access_token;
                app.post("/auth/identifier", &body).bearer(token).send().await
            }
        };
        let responses = race(&app, &person, 1, change).await;
        assert_only(
            &responses,
            &[
                (200, ""),
                (401, "session_ended"),
                (400, "invalid_verification_token"),
                (503, "unavailable"),
            ],
        );
        let claims = app.rows_where("users", "pk", &format!("PHONE#{new}")).await;
        assert_eq!(claims, Vec::new());
    }
}

#[tokio::test]
async fn a_push_token_taken_over_by_another_user_stays_theirs() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (person, other) = (app.person().await, app.register_user().await);
    let body = json!({
        "device_id": "theirs", "fcm_token": person.fcm_token, "device_type": "IOS",
    });
    let taken = app.post("/auth/device", &body).bearer(&other.access_token).send().await;
    taken.ok();
    app.delete_account(&person.user.access_token, "?forfeit_balance=true").await.ok();
    let devices = app.get("/auth/devices").bearer(&other.access_token).send().await;
    assert_eq!(devices.ok()["results"][0]["device_id"], "theirs");
    let rows = app.rows("devices").await;
    assert_eq!(rows.len(), 2, "the device and the claim of its token");
    assert_eq!(rows[0]["expires_at"], rows[1]["expires_at"], "they expire together");
}
