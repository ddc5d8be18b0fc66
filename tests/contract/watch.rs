//! `cargo lambda watch`: its router serves every operation, and its environment is that of the
//! local stack.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::MetadataCommand;
use local::settings::LOCAL_DEFAULTS;
use shared::http::operation::{ALL, Operation};

use crate::project::{read, root};

#[test]
fn the_watch_router_matches_the_operations() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    let metadata = metadata.expect("cargo metadata").workspace_metadata;
    let routes = metadata["lambda"]["watch"]["router"].as_array().expect("a router").clone();
    let mut routed = Vec::new();
    for route in &routes {
        let text = |name: &str| route[name].as_str().expect("a text").to_owned();
        for method in route["methods"].as_array().expect("methods") {
            let method = method.as_str().expect("a method");
            routed.push((format!("{method} {}", text("path")), text("function")));
        }
    }
    let expected = ALL
        .iter()
        .map(|operation| (Operation::route_key(operation), operation.function.name().to_owned()));
    let as_set: BTreeSet<_> = routed.iter().cloned().collect();
    assert_eq!(as_set, expected.collect());
    assert_eq!(as_set.len(), routed.len(), "a route is duplicated");
}

#[test]
fn the_watch_environment_matches_the_local_stack() {
    let text = read("local/watch.env");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut environment: BTreeMap<&str, &str> =
        lines.map(|line| line.split_once('=').expect("NAME=value")).collect();
    for (name, value) in LOCAL_DEFAULTS {
        match *name {
            // Under `cargo lambda watch` metric lines would only fill the terminal.
            "METRICS_NAMESPACE" => assert_eq!(environment.remove(name), None),
            _ => assert_eq!(environment.remove(name), Some(*value), "{name}"),
        }
    }
    for (offset, service) in (1..).zip(["DYNAMODB", "S3", "SNS", "SESV2"]) {
        let url = format!("http://127.0.0.1:{}", 9000 + offset);
        let name = format!("AWS_ENDPOINT_URL_{service}");
        assert_eq!(environment.remove(&*name), Some(&*url), "{name}");
    }
    let mut left: Vec<_> = environment.into_keys().collect();
    left.sort_unstable();
    let expected = [
        "AWS_ACCESS_KEY_ID",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "DEFAULT_ROUTE",
        "LOGIN_SOURCE_MAX_FAILURES",
        "OTP_SOURCE_MAX_PER_HOUR",
    ];
    assert_eq!(left, expected);
}
