//! The OpenAPI document says what the code does.
//!
//! `UPDATE_OPENAPI=1 cargo test -p tests --test contract openapi` writes `docs/openapi.json` anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod body;
mod journey;
mod query;
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
    reason = "whether to write a file is not the product's setting"
)]
fn the_committed_document_is_the_generated_one() {
    let generated = text(&document(&operations()));
    if std::env::var("UPDATE_OPENAPI").is_ok() {
        std::fs::write(PATH, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/openapi.json is out of date. Write it anew with\n\
         UPDATE_OPENAPI=1 cargo test -p tests --test contract openapi"
    );
}

#[test]
fn the_document_has_exactly_the_operations_that_there_are() {
    let document = document(&operations());
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let caller = operation["x-caller"].as_str().unwrap();
            let new = documented.insert((method.to_uppercase(), path.as_str(), caller));
            assert!(new, "{method} {path} twice");
        }
    }
    let all = operation::ALL.iter().map(|operation| {
        (operation.method.to_string(), operation.path, openapi::caller(operation.caller))
    });
    assert_eq!(documented, all.collect());
    assert_eq!(operations().len(), operation::ALL.len());
}

#[test]
fn operation_ids_are_unique_and_every_path_parameter_is_there() {
    let document = document(&operations());
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let expected = path.split('/').filter_map(|part| part.strip_prefix('{'));
        let expected: BTreeSet<_> = expected.map(|part| part.trim_end_matches('}')).collect();
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} twice");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let named = parameters.iter().filter(|parameter| parameter["in"] == "path");
            let named = named.map(|parameter| parameter["name"].as_str().unwrap());
            assert_eq!(named.collect::<BTreeSet<_>>(), expected, "{id}");
        }
    }
}

#[test]
fn every_failure_names_codes_that_there_are_and_its_headers() {
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

/// The meta-schema is <https://spec.openapis.org/oas/3.1/schema/2022-10-07>, word for word
/// (Apache-2.0, the OpenAPI Initiative). It leaves schemas to JSON Schema's own.
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
        assert!(document.pointer(target).is_some(), "{target} leads nowhere");
    }
}

/// Nothing of the document is linked into a function.
#[test]
fn no_deployed_function_has_utoipa() {
    let functions = operation::Function::ALL.into_iter().map(|function| function.name());
    for function in functions {
        let arguments = ["tree", "--offline", "--prefix", "none", "-e", "normal", "-p", function];
        let tree = std::process::Command::new(env!("CARGO")).args(arguments).output().unwrap();
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.contains("lambda_http"), "{tree}");
        assert!(!tree.contains("utoipa"), "{function} depends on utoipa");
    }
}
