//! Who may do what: how the statements are written, and the few that matter most.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value;

use super::{functions, list, resources, tagged, template, text};

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

/// Every action on tables that is granted, `BatchGetItem`, with the table, `UsersTable`.
pub(super) fn tables_by_action() -> BTreeSet<(String, String)> {
    let pairs = allowed().flat_map(|(_, statement)| {
        let resources: Vec<String> = list(&statement["Resource"]).iter().map(named).collect();
        let actions = actions(&statement).into_iter().filter_map(|action| {
            let action = action.strip_prefix("dynamodb:")?.to_owned();
            Some(
                resources
                    .iter()
                    .filter_map(|name| {
                        let table = name.trim_start_matches("${").split_once("Table.Arn")?.0;
                        Some(format!("{table}Table"))
                    })
                    .map(move |table| (action.clone(), table))
                    .collect::<Vec<_>>(),
            )
        });
        actions.flatten().collect::<Vec<_>>()
    });
    pairs.collect()
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

/// The text behind `!GetAtt` or `!Sub`, which names the resource that a statement is about.
fn named(resource: &Value) -> String {
    let named = tagged(resource, "GetAtt").or_else(|| tagged(resource, "Sub"));
    // `!Sub` takes its text alone, or first in a list.
    named.and_then(|it| list(it).first().map(text)).unwrap_or_default()
}

/// The resources that are under the stack's own key, as statements begin to name them.
fn under_the_key(template: &Value) -> BTreeSet<String> {
    let tables = resources(template, "AWS::DynamoDB::Table").into_iter();
    let tables = tables.filter(|(_, table)| {
        let key = &table["Properties"]["SSESpecification"]["KMSMasterKeyId"];
        tagged(key, "Ref").map(text).as_deref() == Some("DataKey")
    });
    let buckets = resources(template, "AWS::S3::Bucket").into_iter().filter(|(_, bucket)| {
        let rules = &bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"];
        named(&rules[0]["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == "DataKey.Arn"
    });
    tables.chain(buckets).map(|(name, _)| name).collect()
}

/// What a service asks of the key in the caller's name. DynamoDB decrypts a table's own key with
/// it, be it to read or to write; S3 has a new key made for what is put.
fn asked_of_the_key(action: &str) -> Option<(&'static str, &'static str)> {
    match action {
        "s3:GetObject" => Some(("kms:Decrypt", "s3")),
        "s3:PutObject" => Some(("kms:GenerateDataKey", "s3")),
        _ => action.starts_with("dynamodb:").then_some(("kms:Decrypt", "dynamodb")),
    }
}

#[test]
fn the_key_is_granted_as_far_as_what_is_under_it_and_no_further() {
    let under = under_the_key(&template());
    assert_eq!(under, ["KeysTable", "KycBucket", "KycTable"].map(str::to_owned).into());
    let (mut granted, mut needed) = (BTreeSet::new(), BTreeSet::new());
    for (function, statement) in allowed() {
        let resources = list(&statement["Resource"]);
        for action in actions(&statement) {
            if action.starts_with("kms:") {
                assert!(resources.iter().all(|it| named(it) == "DataKey.Arn"), "{function}");
                let through = &statement["Condition"]["StringEquals"]["kms:ViaService"];
                let service = named(through);
                let service = service.strip_suffix(".${AWS::Region}.amazonaws.com").expect("one");
                granted.insert((function.clone(), action, service.to_owned()));
                continue;
            }
            let names = resources.iter().map(named);
            let names = names.map(|it| it.trim_start_matches("${").to_owned());
            let is_under = |name: String| under.iter().any(|it| name.starts_with(&**it));
            if names.into_iter().any(is_under)
                && let Some((action, service)) = asked_of_the_key(&action)
            {
                needed.insert((function.clone(), action.to_owned(), service.to_owned()));
            }
        }
    }
    let missing: Vec<_> = needed.difference(&granted).collect();
    let too_much: Vec<_> = granted.difference(&needed).collect();
    assert!(missing.is_empty() && too_much.is_empty(), "missing {missing:?}, more {too_much:?}");
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
