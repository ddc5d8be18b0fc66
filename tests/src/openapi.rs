//! The OpenAPI document, built from the entries of all functions, and checks of responses against
//! it.

use std::sync::LazyLock;

use http::Method;
use serde_json::{Map, Value, json};
use shared::{
    http::operation::{self, Function, Lookup},
    openapi::{OperationDoc, Schemas, components},
};

/// The path of the committed document.
pub const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

/// The prefix of references to schemas.
const SCHEMAS: &str = "#/components/schemas/";

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(&operations()));

/// Every documented operation, function by function.
pub fn operations() -> Vec<OperationDoc> {
    let functions = [
        otp::openapi::operations,
        auth::openapi::operations,
        profile::openapi::operations,
        kyc::openapi::operations,
        wallet::openapi::operations,
        analytics::openapi::operations,
        admin::openapi::operations,
    ];
    functions.into_iter().flat_map(|operations| operations()).collect()
}

/// The document of these operations.
pub fn document(operations: &[OperationDoc]) -> Value {
    let mut components = components();
    let mut paths = Map::new();
    for doc in operations {
        merge(&mut components["schemas"], &doc.schemas);
        let path = paths.entry(doc.operation.path).or_insert_with(|| json!({}));
        path[doc.operation.method.as_str().to_lowercase()] = doc.to_json();
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Accounts for a power-bank rental app",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": DESCRIPTION,
        },
        "servers": [{ "url": "/" }],
        "tags": tags(operations),
        "paths": paths,
        "components": components,
    });
    document.sort_all_objects();
    document
}

const DESCRIPTION: &str = "\
Unknown request fields are ignored, and null is the same as absent, but where a PUT or PATCH \
merges: there null clears a field. An operation with a body refuses an empty one. Answers may gain \
fields. HEAD is served where anyone may GET. \
Every failure of an operation is a problem (RFC 9457) with a stable `code`. An unknown path is a \
404 `not_found`, another method a 405 `method_not_allowed`. What API Gateway answers by itself \
(throttling, time-outs, bodies over 10 MB) is no problem document: look at the status first.";

/// Adds schemas; one name must always be the same schema.
fn merge(all: &mut Value, schemas: &Schemas) {
    for (name, schema) in schemas.iter() {
        let known = &mut all[name];
        assert!(known.is_null() || known == schema, "two different schemas are called {name}");
        *known = schema.clone();
    }
}

fn tags(operations: &[OperationDoc]) -> Vec<Value> {
    let used = Function::ALL.into_iter().filter(|function| {
        operations.iter().any(|documented| documented.operation.function == *function)
    });
    let description = |function| match function {
        Function::Otp => "One-time codes.",
        Function::Auth => "Accounts, sessions and tokens.",
        Function::Profile => "The person's profile.",
        Function::Kyc => "Identity documents.",
        Function::Wallet => "Balances and the ledger.",
        Function::Analytics => "Usage statistics.",
        Function::Admin => "For staff.",
    };
    used.map(|used| json!({ "name": used.name(), "description": description(used) })).collect()
}

/// The text of the committed file.
pub fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The schema of a response body, with references resolved. It allows no additional members: the
/// document lets responses gain fields, but a field that is not documented yet is an error here.
///
/// `path` is the requested path without the query. An unknown path has the common 404, an
/// unsupported method the common 405.
///
/// # Panics
/// If the document has no such response.
#[track_caller]
pub fn schema_for(method: &Method, path: &str, status: u16) -> Value {
    let responses = match operation::find(method, path) {
        Lookup::Found(operation) => {
            let method = method.as_str().to_lowercase();
            &DOCUMENT["paths"][operation.path][method]["responses"]
        }
        Lookup::OtherMethods(_) => &json!({ "405": reference("MethodNotAllowed") }),
        Lookup::Unknown => &json!({ "404": reference("NotFound") }),
    };
    let response = follow(&responses[status.to_string()]);
    let content = response["content"].as_object().and_then(|content| content.values().next());
    let Some(content) = content else { panic!("{status} of {method} {path} is not documented") };
    let mut schema = content["schema"].clone();
    inline(&mut schema);
    close(&mut schema);
    schema
}

/// The violations of the document by a response.
///
/// # Panics
/// If the document has no such response, or its schema is invalid.
#[track_caller]
pub fn violations(method: &Method, path: &str, status: u16, body: &Value) -> Vec<String> {
    let schema = schema_for(method, path, status);
    validate(&schema, body)
}

/// The violations of `schema` by `value`, formats included.
///
/// # Panics
/// If the schema is invalid.
pub fn validate(schema: &Value, value: &Value) -> Vec<String> {
    let validator = jsonschema::options().should_validate_formats(true).build(schema);
    let validator = validator.unwrap_or_else(|error| panic!("{error} in {schema}"));
    let errors = validator.iter_errors(value);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// A schema of the components by name, with references resolved.
pub fn component(name: &str) -> Value {
    let mut schema = json!({ "$ref": format!("{SCHEMAS}{name}") });
    inline(&mut schema);
    schema
}

fn reference(response: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{response}") })
}

fn follow(value: &Value) -> &Value {
    let target = value["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
    target.and_then(|pointer| DOCUMENT.pointer(pointer)).unwrap_or(value)
}

fn inline(schema: &mut Value) {
    let target = follow(schema);
    if target != schema {
        *schema = target.clone();
    }
    match schema {
        Value::Object(members) => members.values_mut().for_each(inline),
        Value::Array(items) => items.iter_mut().for_each(inline),
        _ => {}
    }
}

/// Forbids members that no part of an object's schema names.
fn close(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    for (name, member) in members.iter_mut() {
        match (name.as_str(), member) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(close);
            }
            ("oneOf" | "anyOf", Value::Array(choices)) => choices.iter_mut().for_each(close),
            ("items", items) => close(items),
            // The parts of `allOf` describe one object, so only the whole can be closed.
            ("allOf", Value::Array(parts)) => parts.iter_mut().for_each(close_members),
            _ => {}
        }
    }
    if members.contains_key("properties") || members.contains_key("allOf") {
        members.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}

fn close_members(part: &mut Value) {
    close(part);
    if let Value::Object(members) = part {
        members.remove("unevaluatedProperties");
    }
}
