//! Who may do what: how the statements are written, and the few that matter most.

use std::collections::BTreeMap;

use serde_yaml_ng::Value;

use super::{functions, list, tagged, template, text};

/// The statements of each function, those that hang on a condition of the stack among them.
fn statements() -> BTreeMap<String, Vec<Value>> {
    let of = |function: &Value| {
        let policies = list(&function["Properties"]["Policies"]);
        let all = policies.iter().flat_map(|policy| list(&policy["Statement"]));
        all.map(|statement| match tagged(&statement, "If") {
            Some(branches) => branches[1].clone(),
            None => statement,
        })
        .collect()
    };
    functions(&template()).iter().map(|(name, function)| (name.clone(), of(function))).collect()
}

fn allowed() -> impl Iterator<Item = (String, Value)> {
    let pairs = statements().into_iter().flat_map(|(name, statements)| {
        statements.into_iter().map(move |statement| (name.clone(), statement))
    });
    pairs.filter(|(_, statement)| statement["Effect"].as_str() == Some("Allow"))
}

fn actions(statement: &Value) -> Vec<String> {
    list(&statement["Action"]).iter().map(text).collect()
}

/// The table that a statement is about.
fn table(statement: &Value) -> Option<String> {
    let arn = tagged(&statement["Resource"], "GetAtt").map(text)?;
    arn.strip_suffix("Table.Arn").map(str::to_owned)
}

fn leading_keys(statement: &Value) -> Vec<String> {
    let condition = &statement["Condition"];
    let keys = ["ForAllValues:StringEquals", "ForAllValues:StringLike"];
    let keys = keys.map(|operator| list(&condition[operator]["dynamodb:LeadingKeys"]));
    keys.iter().flatten().map(text).collect()
}

#[test]
fn actions_are_single_and_so_are_resources() {
    for (function, statement) in allowed() {
        for action in actions(&statement) {
            assert!(!action.contains('*'), "{function}: {action}");
            assert_ne!(action, "dynamodb:Scan", "{function}");
        }
        let is_anything = statement["Resource"].as_str() == Some("*");
        assert!(!is_anything || actions(&statement) == ["sns:Publish"], "{function}");
    }
}

#[test]
fn keys_are_reached_row_by_row_and_private_ones_by_auth_alone() {
    let mut readers = Vec::new();
    for (function, statement) in allowed() {
        if table(&statement).as_deref() != Some("Keys") {
            continue;
        }
        let rows = leading_keys(&statement);
        assert!(!rows.is_empty(), "{function} reaches every row of keys");
        assert!(!rows.iter().any(|row| row.contains('*')), "{function}: {rows:?}");
        if rows.iter().any(|row| row == "PRIVATE") {
            readers.push(function);
        }
    }
    readers.dedup();
    assert_eq!(readers, ["auth"]);
}

#[test]
fn only_otp_and_auth_send_and_never_to_a_topic() {
    let all = statements();
    let with = |effect: &str| {
        let sends = |statement: &Value| {
            statement["Effect"].as_str() == Some(effect) && actions(statement) == ["sns:Publish"]
        };
        let sending = all.iter().filter(|(_, statements)| statements.iter().any(sends));
        sending.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(with("Allow"), ["auth", "otp"]);
    assert_eq!(with("Deny"), ["auth", "otp"]);
}

#[test]
fn the_key_is_used_through_services_only() {
    for (function, statement) in allowed() {
        if actions(&statement).iter().any(|action| action.starts_with("kms:")) {
            let through = &statement["Condition"]["StringEquals"]["kms:ViaService"];
            assert!(!through.is_null(), "{function} may use the key by itself");
        }
    }
}

#[test]
fn documents_are_listed_one_person_at_a_time() {
    for (function, statement) in allowed() {
        // It lists nothing: S3 tells a missing document from a forbidden one by this permission.
        if function == "kyc" || !actions(&statement).iter().any(|it| it == "s3:ListBucket") {
            continue;
        }
        let prefix = &statement["Condition"]["StringLike"]["s3:prefix"];
        assert!(text(prefix).contains('/'), "{function} lists every document");
    }
}
