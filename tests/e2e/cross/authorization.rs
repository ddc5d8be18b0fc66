//! Every operation, called without permission, with valid and malformed requests.

use serde_json::{Value, json};
use shared::http::operation::{ALL, Caller, Operation};
use tests::{
    UNKNOWN_ID,
    events::{self, file_name},
    path_of,
};

use crate::harness::{App, Needs, Response, WithBody};

/// Malformed requests: path parameter, query, content type, body.
const MALFORMED: [(&str, &str, &str, &str); 5] = [
    (UNKNOWN_ID, "", "application/json", "{}"),
    ("x", "", "application/json", "{}"),
    (UNKNOWN_ID, "", "application/json", "["),
    (UNKNOWN_ID, "", "text/plain", "x"),
    (UNKNOWN_ID, "?limit=0&cursor=x&from=x&forfeit_balance=x", "application/json", ""),
];

async fn send_malformed(app: &App, operation: &Operation, token: &str) -> Vec<Response> {
    let mut responses = Vec::new();
    for (parameter, query, content_type, body) in MALFORMED {
        let path = format!("{}{query}", path_of(operation, parameter));
        let request = app.request(operation.method.as_str(), &path).bearer(token);
        let request = request.header("content-type", content_type).header("if-match", "x");
        let response = request.body(body).send().await;
        responses.push(response.documented(operation.method.as_str(), operation.path));
    }
    responses
}

/// The operations for these callers.
fn operations_for(callers: &[Caller]) -> impl Iterator<Item = &'static Operation> {
    let callers = callers.to_vec();
    ALL.iter().filter(move |operation| callers.contains(&operation.caller))
}

#[tokio::test]
async fn asvs_7_4_1_an_ended_session_gets_401_on_every_operation_whatever_is_sent() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    for person in [&staff, &user] {
        app.logout(&person.access_token, &json!({"all": true})).await.ok();
    }
    let before = app.table_sizes().await;
    for operation in operations_for(&[Caller::User, Caller::Staff]) {
        for token in [&staff.access_token, &user.access_token] {
            for response in send_malformed(&app, operation, token).await {
                response.problem(401, "session_ended");
            }
        }
    }
    assert_eq!(app.table_sizes().await, before);
}

#[tokio::test]
async fn a_non_staff_user_gets_403_on_every_staff_operation_whatever_is_sent() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let user = app.register_user().await;
    for operation in operations_for(&[Caller::Staff]) {
        let before = app.audit_entries(&user.user_id).await.len();
        for response in send_malformed(&app, operation, &user.access_token).await {
            response.problem(403, "forbidden");
        }
        let entries = app.audit_entries(&user.user_id).await;
        assert_eq!(entries.len(), before + MALFORMED.len(), "{}", operation.route_key());
        assert!(entries[..MALFORMED.len()].iter().all(|(action, _)| action == "staff_refused"));
    }
}

#[tokio::test]
async fn staff_get_the_specific_problem_of_a_malformed_request() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    for path in ["/admin/users", "/admin/users/x/wallet/adjustments", "/admin/kyc/x/review"] {
        let response = app.post_bytes(path, "[").bearer(&staff.access_token).key("k").send().await;
        response.problem(400, "invalid_json");
    }
    app.admin_get(&staff, "/admin/users?cursor=x").await.problem(400, "invalid_cursor");
}

#[tokio::test]
async fn a_malformed_request_of_a_signed_in_user_costs_one_hop() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    for operation in
        operations_for(&[Caller::User]).filter(|operation| operation.path == "/users/profile")
    {
        send_malformed(&app, operation, &user.access_token).await;
        let cost = app.costs(&operation.route_key()).await;
        assert!(cost.hops_max <= 1 && cost.wru_max == 0.0, "{}: {cost:?}", operation.route_key());
    }
}

/// API Gateway refuses these requests, but a route deployed without its authorizer would not.
#[tokio::test]
async fn a_function_refuses_an_event_without_an_iam_identity() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let user = app.register_user().await;
    let events = events::all();
    let before = app.table_sizes().await;
    for operation in operations_for(&[Caller::Service]) {
        let mut event = events[&file_name(operation)].clone();
        event["headers"]["authorization"] = format!("Bearer {}", user.access_token).into();
        for authorizer in
            [Value::Null, json!({}), json!({"iam": {}}), json!({"iam": {"userArn": ""}})]
        {
            event["requestContext"]["authorizer"] = authorizer;
            let response = Response::of_invocation(&app.invoke(operation.function, &event).await);
            let response = response.documented(operation.method.as_str(), operation.path);
            response.problem(403, "forbidden");
        }
    }
    assert_eq!(app.table_sizes().await, before);
}

#[tokio::test]
async fn asvs_4_1_1_every_operation_refuses_a_body_that_is_not_a_json_object_the_same_way() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let too_large = format!("{{\"x\": \"{}\"}}", "x".repeat(64 * 1_024));
    for operation in WithBody::all().into_iter().map(|each| each.operation) {
        for (content_type, body, status, code) in [
            ("application/json", "[]", 400, "invalid_json"),
            ("application/json", "{\"a\"", 400, "invalid_json"),
            ("text/plain", "{}", 415, "unsupported_media_type"),
            ("application/json", &too_large, 413, "body_too_large"),
        ] {
            let request = app.request(operation.method.as_str(), &path_of(operation, UNKNOWN_ID));
            let request = request.header("content-type", content_type).key("k").body(body);
            let request = match operation.caller {
                Caller::Anyone => request,
                Caller::User => request.bearer(&user.access_token),
                Caller::Staff => request.bearer(&staff.access_token),
                Caller::Service => request.signed(),
            };
            let response = request.send().await;
            let response = response.documented(operation.method.as_str(), operation.path);
            response.problem(status, code);
        }
    }
}

#[tokio::test]
async fn an_unsupported_method_gets_405_with_the_allowed_methods() {
    let Some(app) = App::start(Needs::ApiGateway).await else { return };
    for operation in ALL {
        let response = app.request("TRACE", &path_of(operation, UNKNOWN_ID)).send().await;
        response.problem(405, "method_not_allowed");
        let of_path = ALL.iter().filter(|other| other.path == operation.path);
        let head = operation.serves_head().then_some("HEAD");
        let mut expected: Vec<_> = of_path.map(|other| other.method.as_str()).chain(head).collect();
        let mut allowed: Vec<_> = response.header("allow").unwrap().split(", ").collect();
        expected.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(allowed, expected, "{}", operation.path);
    }
}
