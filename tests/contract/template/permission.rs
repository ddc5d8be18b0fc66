//! The permissions of the functions: the form of the statements, and the most important ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value;

use super::{functions, list, resources, tagged, template, text};

/// The statements of each function, including those under a condition of the stack.
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

/// Every granted table action, as `BatchGetItem`, with its table, as `UsersTable`.
pub(super) fn tables_by_action() -> BTreeSet<(String, String)> {
    let pairs = allowed().flat_map(|(_, statement)| {
        let resources: Vec<String> =
            list(&statement["Resource"]).iter().map(resource_name).collect();
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

/// The table of a statement.
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
fn statements_name_single_actions_and_resources() {
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
fn keys_are_granted_row_by_row_and_private_keys_to_auth_only() {
    let mut readers = Vec::new();
    for (function, statement) in allowed() {
        if table(&statement).as_deref() != Some("Keys") {
            continue;
        }
        let rows = leading_keys(&statement);
        assert!(!rows.is_empty(), "{function} may read every row of keys");
        assert!(!rows.iter().any(|row| row.contains('*')), "{function}: {rows:?}");
        if rows.iter().any(|row| row == "PRIVATE") {
            readers.push(function);
        }
    }
    readers.dedup();
    assert_eq!(readers, ["auth"]);
}

#[test]
fn only_otp_and_auth_send_sms_and_never_to_a_topic() {
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
fn the_kms_key_is_usable_through_services_only() {
    for (function, statement) in allowed() {
        if actions(&statement).iter().any(|action| action.starts_with("kms:")) {
            let through = &statement["Condition"]["StringEquals"]["kms:ViaService"];
            assert!(!through.is_null(), "{function} may use the key directly");
        }
    }
}

/// The text behind `!GetAtt` or `!Sub`, which names the resource of a statement.
fn resource_name(resource: &Value) -> String {
    let named = tagged(resource, "GetAtt").or_else(|| tagged(resource, "Sub"));
    // `!Sub` has its text alone or first in a list.
    named.and_then(|it| list(it).first().map(text)).unwrap_or_default()
}

/// The resources that the stack's own key encrypts.
fn encrypted_resources(template: &Value) -> BTreeSet<String> {
    let tables = resources(template, "AWS::DynamoDB::Table").into_iter();
    let tables = tables.filter(|(_, table)| {
        let key = &table["Properties"]["SSESpecification"]["KMSMasterKeyId"];
        tagged(key, "Ref").map(text).as_deref() == Some("DataKey")
    });
    let buckets = resources(template, "AWS::S3::Bucket").into_iter().filter(|(_, bucket)| {
        let rules = &bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"];
        resource_name(&rules[0]["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == "DataKey.Arn"
    });
    tables.chain(buckets).map(|(name, _)| name).collect()
}

/// The KMS action that a service needs on behalf of the caller, and the service. DynamoDB decrypts
/// a table key for reads and writes; S3 generates a data key for each object.
fn kms_action(action: &str) -> Option<(&'static str, &'static str)> {
    match action {
        "s3:GetObject" => Some(("kms:Decrypt", "s3")),
        "s3:PutObject" => Some(("kms:GenerateDataKey", "s3")),
        _ => action.starts_with("dynamodb:").then_some(("kms:Decrypt", "dynamodb")),
    }
}

#[test]
fn the_kms_key_is_granted_exactly_for_the_resources_it_encrypts() {
    let encrypted = encrypted_resources(&template());
    assert_eq!(encrypted, ["KeysTable", "KycBucket", "KycTable"].map(str::to_owned).into());
    let (mut granted, mut needed) = (BTreeSet::new(), BTreeSet::new());
    for (function, statement) in allowed() {
        let resources = list(&statement["Resource"]);
        for action in actions(&statement) {
            if action.starts_with("kms:") {
                assert!(
                    resources.iter().all(|it| resource_name(it) == "DataKey.Arn"),
                    "{function}"
                );
                let through = &statement["Condition"]["StringEquals"]["kms:ViaService"];
                let service = resource_name(through);
                let service = service.strip_suffix(".${AWS::Region}.amazonaws.com").expect("one");
                granted.insert((function.clone(), action, service.to_owned()));
                continue;
            }
            let names = resources.iter().map(resource_name);
            let names = names.map(|it| it.trim_start_matches("${").to_owned());
            let is_encrypted = |name: String| encrypted.iter().any(|it| name.starts_with(&**it));
            if names.into_iter().any(is_encrypted)
                && let Some((action, service)) = kms_action(&action)
            {
                needed.insert((function.clone(), action.to_owned(), service.to_owned()));
            }
        }
    }
    let missing: Vec<_> = needed.difference(&granted).collect();
    let too_much: Vec<_> = granted.difference(&needed).collect();
    assert!(
        missing.is_empty() && too_much.is_empty(),
        "missing {missing:?}, too much {too_much:?}"
    );
}

#[test]
fn documents_are_listed_for_one_user_at_a_time() {
    for (function, statement) in allowed() {
        // `kyc` does not list: with this permission S3 reports a missing object as 404.
        if function == "kyc" || !actions(&statement).iter().any(|it| it == "s3:ListBucket") {
            continue;
        }
        let prefix = &statement["Condition"]["StringLike"]["s3:prefix"];
        assert!(text(prefix).contains('/'), "{function} lists every document");
    }
}
