//! The sample events in `events/` match the operations.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Map, Value, json};
use shared::{
    http::operation::{ALL, Caller, Operation},
    runtime::lambda,
};
use tests::events::{self, SCHEDULED};

use crate::project::read;

/// Every operation with its event, placeholders included.
fn by_operation() -> Vec<(&'static Operation, Value)> {
    let mut all = events::all();
    let mut event_of = |operation| {
        let file = events::file_name(operation);
        all.remove(&file).unwrap_or_else(|| panic!("no events/{file}"))
    };
    ALL.iter().map(|operation| (operation, event_of(operation))).collect()
}

/// A path with placeholders, as in an event: `/auth/devices/{{device_id}}`.
fn with_placeholders(path: &str) -> String {
    path.replace('{', "{{").replace('}', "}}")
}

#[test]
fn there_is_one_event_per_operation_and_one_for_the_schedule() {
    let files: BTreeSet<_> = events::all().into_keys().collect();
    let names: Vec<_> = ALL.iter().map(events::file_name).chain([SCHEDULED.to_owned()]).collect();
    assert_eq!(files.len(), names.len(), "two operations share a file");
    assert_eq!(files, names.into_iter().collect());
}

#[test]
fn an_event_matches_its_operation() {
    for (operation, event) in by_operation() {
        let key = operation.route_key();
        let (context, path) = (&event["requestContext"], with_placeholders(operation.path));
        assert_eq!((&event["version"], &context["stage"]), (&json!("2.0"), &json!("$default")));
        assert_eq!((&event["routeKey"], &context["routeKey"]), (&json!(key), &json!(key)));
        assert_eq!(context["http"]["method"], operation.method.as_str(), "{key}");
        assert_eq!((&event["rawPath"], &context["http"]["path"]), (&json!(path), &json!(path)));
        let names =
            operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Map<_, _> =
            names.map(|name| (name.to_owned(), json!(format!("{{{{{name}}}}}")))).collect();
        let expected = if parameters.is_empty() { Value::Null } else { parameters.into() };
        assert_eq!(event["pathParameters"], expected, "{key}");
    }
}

#[test]
fn an_event_has_the_credentials_of_its_caller() {
    for (operation, event) in by_operation() {
        let key = operation.route_key();
        let identity = &event["requestContext"]["authorizer"]["iam"];
        let is_of_a_service = operation.caller == Caller::Service;
        assert_eq!(identity["userArn"].is_string(), is_of_a_service, "{key}");
        assert_eq!(event["requestContext"]["authorizer"].is_null(), !is_of_a_service, "{key}");
        let authorization = event["headers"]["authorization"].as_str();
        match operation.caller {
            Caller::Anyone => assert_eq!(authorization, None, "{key}"),
            Caller::User => assert_eq!(authorization, Some("Bearer {{access_token}}"), "{key}"),
            Caller::Staff => {
                assert_eq!(authorization, Some("Bearer {{staff_access_token}}"), "{key}");
            }
            Caller::Service => {
                let signature = authorization.unwrap_or_default();
                assert!(signature.starts_with("AWS4-HMAC-SHA256 "), "{key}");
            }
        }
    }
}

#[test]
fn the_parts_of_an_event_are_consistent_as_in_api_gateway() {
    let mut ids = BTreeSet::new();
    for (operation, event) in by_operation() {
        let (key, context) = (operation.route_key(), &event["requestContext"]);
        let headers = event["headers"].as_object().expect("headers");
        assert!(headers.keys().all(|name| *name == name.to_lowercase()), "{key}");
        assert_eq!(headers["host"], context["domainName"], "{key}");
        assert_eq!(headers["user-agent"], context["http"]["userAgent"], "{key}");
        assert_eq!(headers["x-forwarded-for"], context["http"]["sourceIp"], "{key}");
        let source = context["http"]["sourceIp"].as_str().expect("an address");
        assert!(source.starts_with("203.0.113."), "{key}: not a documentation address (RFC 5737)");
        let epoch = context["timeEpoch"].as_i64().expect("milliseconds");
        let at = jiff::Timestamp::from_millisecond(epoch).expect("a time");
        assert_eq!(context["time"], at.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(), "{key}");
        assert!(ids.insert(context["requestId"].as_str().expect("an id").to_owned()), "{key}");

        let query = event["rawQueryString"].as_str().expect("a query");
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs: BTreeMap<_, _> = pairs.collect();
        let expected = if pairs.is_empty() { Value::Null } else { json!(pairs) };
        assert_eq!(event["queryStringParameters"], expected, "{key}");

        assert_eq!(event["isBase64Encoded"], false, "{key}");
        let body = event["body"].as_str();
        assert_eq!(headers.contains_key("content-type"), body.is_some(), "{key}");
        assert!(body.is_none() || operation.method != Method::GET, "{key}");
        let is_object = |text| serde_json::from_str::<Map<String, Value>>(text).is_ok();
        assert!(body.is_none_or(is_object), "{key}: the body is not JSON");
    }
}

#[test]
fn the_scheduled_event_matches_the_template() {
    let event = &events::all()[SCHEDULED];
    assert!(lambda::is_scheduled(event));
    let template = read("template.yaml");
    let inputs = template.lines().filter_map(|line| line.trim().strip_prefix("Input: '"));
    let inputs: Vec<Value> = inputs
        .map(|input| serde_json::from_str(input.trim_end_matches('\'')).expect("an event"))
        .collect();
    assert_eq!(inputs.iter().collect::<Vec<_>>(), [event]);
    for (operation, event) in by_operation() {
        assert!(!lambda::is_scheduled(&event), "{}", operation.route_key());
    }
}
