//! The OpenAPI document matches the code.
//!
//! `UPDATE_OPENAPI=1 cargo test -p tests --test contract openapi` rewrites `docs/openapi.json`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod body;
mod query;
mod responses;
mod text;

use std::collections::BTreeSet;

use serde_json::Value;
use shared::{
    http::{operation, problem::Code},
    openapi,
};
use tests::openapi::{PATH, document, operations, text, validate};

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "whether to write the file is not a setting of the product"
)]
fn the_committed_document_matches_the_generated_one() {
    let generated = text(&document(&operations()));
    if std::env::var("UPDATE_OPENAPI").is_ok() {
        std::fs::write(PATH, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/openapi.json is out of date. Update it with\n\
         UPDATE_OPENAPI=1 cargo test -p tests --test contract openapi"
    );
}

#[test]
fn the_document_has_exactly_the_existing_operations() {
    let document = document(&operations());
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let caller = operation["x-caller"].as_str().unwrap();
            let new = documented.insert((method.to_uppercase(), path.as_str(), caller));
            assert!(new, "{method} {path} is duplicated");
        }
    }
    let all = operation::ALL.iter().map(|operation| {
        (operation.method.to_string(), operation.path, openapi::caller(operation.caller))
    });
    assert_eq!(documented, all.collect());
    assert_eq!(operations().len(), operation::ALL.len());
}

#[test]
fn operation_ids_are_unique_and_every_path_parameter_is_documented() {
    let document = document(&operations());
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let expected = path.split('/').filter_map(|part| part.strip_prefix('{'));
        let expected: BTreeSet<_> = expected.map(|part| part.trim_end_matches('}')).collect();
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} is duplicated");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = parameters.iter().filter(|parameter| parameter["in"] == "path");
            let named = named.map(|parameter| parameter["name"].as_str().unwrap());
            assert_eq!(named.collect::<BTreeSet<_>>(), expected, "{id}");
        }
    }
}

#[test]
fn every_problem_response_has_existing_codes_and_its_headers() {
    let document = document(&operations());
    let known: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let pointer = response["$ref"].as_str().map(|target| &target[1..]);
                let response =
                    pointer.map_or(response, |pointer| document.pointer(pointer).unwrap());
                assert!(response["headers"]["X-Request-Id"].is_object(), "{operation}");
                if status.starts_with('2') {
                    assert!(response["content"]["application/json"].is_object(), "{operation}");
                    continue;
                }
                let schema = &response["content"]["application/problem+json"]["schema"];
                let codes = schema["properties"]["code"]["enum"].as_array().unwrap();
                assert!(codes.iter().all(|code| known.contains(code.as_str().unwrap())));
                assert!(!codes.is_empty());
                let waits = response["headers"]["Retry-After"].is_object();
                assert_eq!(waits, ["429", "503"].contains(&status.as_str()));
                let challenges = response["headers"]["WWW-Authenticate"].is_object();
                assert_eq!(challenges, status == "401");
            }
        }
    }
}

/// The meta-schema is an unchanged copy of <https://spec.openapis.org/oas/3.1/schema/2022-10-07>
/// (Apache-2.0, the OpenAPI Initiative). It does not check schemas; JSON Schema's meta-schema does.
#[test]
fn the_document_and_its_schemas_are_valid() {
    let document = document(&operations());
    let meta: Value = serde_json::from_str(include_str!("openapi/oas-3.1.schema.json")).unwrap();
    assert_eq!(validate(&meta, &document), Vec::<String>::new());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}");
    }
    let text = document.to_string();
    for target in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(target).is_some(), "{target} does not resolve");
    }
}

/// The document's code is not linked into a deployed function.
#[test]
fn no_deployed_function_depends_on_utoipa() {
    let functions = operation::Function::ALL.into_iter().map(|function| function.name());
    for function in functions {
        let arguments = ["tree", "--offline", "--prefix", "none", "-e", "normal", "-p", function];
        let tree = std::process::Command::new(env!("CARGO")).args(arguments).output().unwrap();
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.contains("lambda_http"), "{tree}");
        assert!(!tree.contains("utoipa"), "{function} depends on utoipa");
    }
}
