//! DynamoDB faults: a request succeeds anyway, or returns a 503 that can be retried, and no write
//! is partial.

use serde_json::{Value, json};

use crate::harness::{App, Needs, PASSWORD, Response, random_ip, random_phone};

const WRITES: [&str; 5] = ["throttle", "conflict", "timeout", "error_500", "lost_response"];
const READS: [&str; 4] = ["throttle", "timeout", "error_500", "lost_response"];

fn kinds(operation: &str) -> &'static [&'static str] {
    match operation {
        "BatchGetItem" | "Query" => &READS,
        _ => &WRITES,
    }
}

/// Sends a request until the response is not 503. Returns the response and the number of 503s.
async fn retry_while_503(request: impl AsyncFn() -> Response) -> (Response, u32) {
    for refused in 0..10 {
        let response = request().await;
        if response.status != 503 {
            assert!(response.status < 500, "{response:?}");
            return (response, refused);
        }
        response.problem(503, "unavailable");
    }
    panic!("503 ten times");
}

/// Sends a request with one fault and returns its final response.
async fn with_one_fault(
    app: &App,
    operation: &str,
    kind: &str,
    request: impl AsyncFn() -> Response,
) -> Response {
    app.inject_fault("dynamodb", operation, kind, 1).await;
    retry_while_503(request).await.0
}

/// Sends a request with more faults than the SDK has attempts: it returns 503 at least once.
async fn with_many_faults(
    app: &App,
    operation: &str,
    request: impl AsyncFn() -> Response,
) -> Response {
    app.inject_fault("dynamodb", operation, "error_500", 5).await;
    let (response, refused) = retry_while_503(request).await;
    assert!(refused > 0, "{operation} was not called, or had more attempts");
    response
}

#[tokio::test]
async fn an_otp_request_sends_one_code_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for operation in ["TransactWriteItems", "BatchGetItem", "UpdateItem"] {
        for kind in kinds(operation) {
            let phone = random_phone();
            let response = with_one_fault(&app, operation, kind, async || {
                app.request_otp(&phone, "REGISTER").await
            });
            response.await.ok();
            assert_eq!(app.messages(&phone).await.len(), 1, "{operation} {kind}");
            let code = app.code_for(&phone).await;
            app.verify(&phone, &code, "REGISTER").await.ok();
        }
        let phone = random_phone();
        with_many_faults(&app, operation, async || app.request_otp(&phone, "REGISTER").await)
            .await
            .ok();
        assert_eq!(app.messages(&phone).await.len(), 1, "{operation}");
    }
}

#[tokio::test]
async fn an_otp_verification_issues_one_token_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for operation in ["UpdateItem", "TransactWriteItems"] {
        for kind in kinds(operation).iter().chain(&["many"]) {
            let phone = random_phone();
            app.request_otp(&phone, "REGISTER").await.ok();
            let code = app.code_for(&phone).await;
            let before = app.rows_where("otp", "item_type", "verification_token").await.len();
            let verify = async || app.verify(&phone, &code, "REGISTER").await;
            let response = match *kind {
                "many" => with_many_faults(&app, operation, verify).await,
                kind => with_one_fault(&app, operation, kind, verify).await,
            };
            response.ok();
            let tokens = app.rows_where("otp", "item_type", "verification_token").await.len();
            assert_eq!(tokens, before + 1, "{operation} {kind}");
        }
    }
}

#[tokio::test]
async fn a_wrong_code_counts_once_even_if_the_dynamodb_response_is_lost() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let phone = random_phone();
    app.request_otp(&phone, "REGISTER").await.ok();
    let code = app.code_for(&phone).await;
    let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    for _ in 0..4 {
        app.inject_fault("dynamodb", "UpdateItem", "lost_response", 1).await;
        app.verify(&phone, &wrong, "REGISTER").await.problem(400, "invalid_otp");
    }
    app.verify(&phone, &code, "REGISTER").await.ok();
}

#[tokio::test]
async fn a_registration_creates_one_complete_account_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let inviter = app.register_user().await;
    let code = app.me(&inviter.access_token).await.text("referral_code").to_owned();
    let mut made = 0;
    for operation in ["BatchGetItem", "TransactWriteItems"] {
        for kind in kinds(operation).iter().chain(&["many"]) {
            let new = app.new_user().await.with("referral_code", code.as_str());
            let register = async || app.register(&new).await;
            let response = match *kind {
                "many" => with_many_faults(&app, operation, register).await,
                kind => with_one_fault(&app, operation, kind, register).await,
            };
            made += 1;
            response.body(201);
            let me = app.me(response.text("access_token")).await;
            assert_eq!(me.ok()["points"]["current_points"], 100, "{operation} {kind}");
            for (table, item_type, expected) in [
                ("users", "account", 1 + made),
                ("users", "claim", 3 + 3 * made),
                ("profiles", "profile", 1 + made),
                ("sessions", "session", 1 + made),
                ("wallets", "balance", 1 + made),
                ("wallets", "entry", 1 + 3 * made),
            ] {
                let rows = app.rows_where(table, "item_type", item_type).await.len();
                assert_eq!(rows, expected, "{operation} {kind}: {table} {item_type}");
            }
        }
    }
    let me = app.me(&inviter.access_token).await;
    assert_eq!(me.json["points"]["current_points"], 50 + 100 * made);
}

#[tokio::test]
async fn a_registration_that_cannot_be_written_writes_nothing() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let new = app.new_user().await;
    let before = app.table_sizes().await;
    app.inject_fault("dynamodb", "TransactWriteItems", "error_500", 1_000).await;
    app.register(&new).await.problem(503, "unavailable");
    assert_eq!(app.table_sizes().await, before);
}

#[tokio::test]
async fn a_login_creates_one_session_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for operation in ["BatchGetItem", "UpdateItem", "Query", "TransactWriteItems", "DeleteItem"] {
        let user = app.register_user().await;
        for kind in kinds(operation) {
            let before = app.rows_where("sessions", "user_id", &user.user_id).await.len();
            let response = with_one_fault(&app, operation, kind, async || {
                app.login(&user.phone, PASSWORD).await
            });
            let response = response.await;
            response.ok();
            app.me(response.text("access_token")).await.ok();
            let sessions = app.rows_where("sessions", "user_id", &user.user_id).await.len();
            assert_eq!(sessions, before + 1, "{operation} {kind}");
        }
        // A sign-in does not fail because its attempts cannot be cleared.
        if operation != "DeleteItem" {
            with_many_faults(&app, operation, async || app.login(&user.phone, PASSWORD).await)
                .await
                .ok();
        }
    }
}

#[tokio::test]
async fn a_sign_in_attempt_counts_once_even_if_the_dynamodb_response_is_lost() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for _ in 0..9 {
        app.login(&user.phone, "not the password").await.problem(400, "invalid_credentials");
    }
    // The tenth attempt is still allowed.
    app.inject_fault("dynamodb", "UpdateItem", "lost_response", 1).await;
    app.login(&user.phone, PASSWORD).await.ok();
}

#[tokio::test]
async fn a_refresh_returns_the_same_successor_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut token = app.register_user().await.refresh_token;
    for key in [None, Some("k1")] {
        for kind in WRITES.iter().chain(&["many"]) {
            let refresh = async || match key {
                Some(key) => app.refresh_with_key(&token, key).await,
                None => app.refresh(&token).await,
            };
            let response = match *kind {
                "many" => with_many_faults(&app, "UpdateItem", refresh).await,
                kind => with_one_fault(&app, "UpdateItem", kind, refresh).await,
            };
            response.ok();
            let successor = response.text("refresh_token").to_owned();
            assert_eq!(refresh().await.text("refresh_token"), successor, "{kind}");
            token = successor;
        }
    }
}

#[tokio::test]
async fn a_client_that_loses_every_other_response_keeps_its_session() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let mut token = app.register_user().await.refresh_token;
    for round in 0..40 {
        let kind = WRITES[round % WRITES.len()];
        app.inject_fault("dynamodb", "UpdateItem", kind, 1 + u32::try_from(round % 3).unwrap())
            .await;
        // The first response is lost on its way to the phone, which repeats the request.
        retry_while_503(async || app.refresh(&token).await).await.0.ok();
        let response = retry_while_503(async || app.refresh(&token).await).await.0;
        response.ok();
        token = response.text("refresh_token").to_owned();
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for kind in WRITES {
        let user = app.register_user().await;
        let body = json!({ "refresh_token": user.refresh_token });
        let out = async || app.logout(&user.access_token, &body).await;
        with_one_fault(&app, "DeleteItem", kind, out).await.ok();
        app.me(&user.access_token).await.problem(401, "session_ended");
    }
    for operation in ["BatchGetItem", "DeleteItem"] {
        let user = app.register_user().await;
        for kind in kinds(operation) {
            let other = app.login(&user.phone, PASSWORD).await;
            let body = json!({ "refresh_token": other.text("refresh_token") });
            let out = async || app.logout(&user.access_token, &body).await;
            with_one_fault(&app, operation, kind, out).await.ok();
            app.me(other.text("access_token")).await.problem(401, "session_ended");
        }
    }
}

#[tokio::test]
async fn a_logout_of_all_sessions_succeeds_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for operation in ["Query", "TransactWriteItems"] {
        for kind in kinds(operation).iter().chain(&["many"]) {
            let user = app.register_user().await;
            let other = app.login(&user.phone, PASSWORD).await;
            let out = async || app.logout(&user.access_token, &json!({"all": true})).await;
            let response = match *kind {
                "many" => with_many_faults(&app, operation, out).await,
                kind => with_one_fault(&app, operation, kind, out).await,
            };
            response.ok();
            for token in [&user.access_token, other.text("access_token")] {
                app.me(token).await.problem(401, "session_ended");
            }
        }
    }
}

#[tokio::test]
async fn a_dynamodb_fault_never_causes_401_from_me() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for kind in READS {
        with_one_fault(&app, "BatchGetItem", kind, async || app.me(&user.access_token).await)
            .await
            .ok();
    }
    with_many_faults(&app, "BatchGetItem", async || app.me(&user.access_token).await).await.ok();
}

/// After a 503 the same request succeeds, and exactly one message is sent, whether the first write
/// took effect or not.
async fn otp_request_after(app: &App, kind: &str, key: Option<&str>) {
    let phone = random_phone();
    let body: Value = json!({"identifier": phone, "purpose": "REGISTER"});
    let ask = async || {
        let request = app.post("/auth/otp/request", &body).with_client_ip(&random_ip());
        match key {
            Some(key) => request.key(key).send().await,
            None => request.send().await,
        }
    };
    // As many faults as the SDK has attempts.
    app.inject_fault("dynamodb", "TransactWriteItems", kind, 5).await;
    ask().await.problem(503, "unavailable");
    ask().await.ok();
    assert_eq!(app.messages(&phone).await.len(), 1, "{kind} {key:?}");
}

#[tokio::test]
async fn an_otp_request_that_got_503_can_be_retried() {
    let Some(app) = App::start(Needs::Own).await else { return };
    for kind in ["throttle", "conflict", "timeout", "error_500"] {
        otp_request_after(&app, kind, None).await;
        otp_request_after(&app, kind, Some("k1")).await;
    }
}

#[tokio::test]
async fn an_otp_request_whose_dynamodb_responses_were_lost_can_be_retried() {
    let Some(app) = App::start(Needs::Own).await else { return };
    otp_request_after(&app, "lost_response", None).await;
}

#[tokio::test]
async fn an_otp_request_with_a_key_whose_dynamodb_responses_were_lost_can_be_retried() {
    let Some(app) = App::start(Needs::Own).await else { return };
    otp_request_after(&app, "lost_response", Some("k1")).await;
}

#[tokio::test]
async fn a_registration_whose_dynamodb_responses_were_lost_creates_no_second_account() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let new = app.new_user().await;
    app.inject_fault("dynamodb", "TransactWriteItems", "lost_response", 5).await;
    // The account was written; the function finds it before it responds.
    app.register(&new).await.body(201);
    app.register(&new).await.problem(400, "invalid_verification_token");
    assert_eq!(app.rows_where("users", "item_type", "account").await.len(), 1);
    app.login(&new.phone, PASSWORD).await.ok();
}
