//! What a call asks for, as IAM sees it.

use std::{collections::BTreeMap, fmt};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http::Uri;
use serde_json::Value;

use crate::{
    aws::call::{Call, Service},
    tables::Table,
};

/// One action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// `dynamodb:UpdateItem`.
    pub(super) action: String,
    /// A table's name, `users/index/by_joined`, `bucket`, `bucket/*`, `identity/${EmailSender}`; a
    /// topic's ARN, and nothing where a phone number is.
    pub(super) resource: String,
    /// The leading keys, the prefix, or the sender.
    pub(super) keys: Vec<String>,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A leading key can be an identifier: what comes after its kind stays unsaid.
        let kinds: Vec<_> =
            self.keys.iter().map(|key| key.split('#').next().unwrap_or_default()).collect();
        write!(f, "{} {} {kinds:?}", self.action, self.resource)
    }
}

/// What accesses are told by: names of partition keys, by table and by index, and the sender.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    prefix: String,
    sender: Option<String>,
    partition_keys: BTreeMap<String, String>,
}

impl Schema {
    /// The schema of these tables, whose names begin with `prefix`, and of e-mail from `sender`.
    pub(crate) fn new(tables: &[Table], prefix: &str, sender: Option<&str>) -> Self {
        let partition_keys = tables.iter().flat_map(Table::partition_keys).collect();
        Self { prefix: prefix.to_owned(), sender: sender.map(str::to_owned), partition_keys }
    }

    /// What `request` asks for. An action that is not known here asks for itself, on nothing: it is
    /// granted to nobody.
    pub(crate) fn accesses(&self, call: &Call, request: &HttpRequest) -> Vec<Access> {
        match call.service {
            Service::Dynamodb => {
                let body = request.body().bytes().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                self.of_dynamodb(&call.operation, &body)
            }
            Service::S3 => vec![of_s3(&call.operation, request)],
            Service::Sns => vec![of_sns(&call.operation, request)],
            Service::Ses => self.of_ses(&call.operation, request),
        }
    }

    /// E-mail is sent with the right to its address or to its domain, by which of them is verified;
    /// so both must be granted.
    fn of_ses(&self, operation: &str, request: &HttpRequest) -> Vec<Access> {
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let from = body["FromEmailAddress"].as_str().unwrap_or_default();
        let from = if self.sender.as_deref() == Some(from) { "${EmailSender}" } else { from };
        let access = |identity: &str| Access {
            action: format!("ses:{operation}"),
            resource: identity.to_owned(),
            keys: vec![from.to_owned()],
        };
        ["identity/${EmailSender}", "identity/${Domain}"].map(access).into()
    }

    pub(super) fn of_dynamodb(&self, operation: &str, body: &Value) -> Vec<Access> {
        let action = format!("dynamodb:{operation}");
        match operation {
            "BatchGetItem" | "BatchWriteItem" => {
                let tables = body["RequestItems"].as_object().into_iter().flatten();
                tables.map(|(table, asked)| self.batch(&action, table, asked)).collect()
            }
            "TransactWriteItems" => {
                let items = body["TransactItems"].as_array().into_iter().flatten();
                let parts = items.flat_map(|item| item.as_object().into_iter().flatten());
                parts.map(|(kind, part)| self.part(kind, part)).collect()
            }
            "Query" => vec![self.query(&action, body)],
            _ => vec![self.access(&action, &body["TableName"], &[item_of(body)])],
        }
    }

    fn batch(&self, action: &str, table: &str, asked: &Value) -> Access {
        let reads = asked["Keys"].as_array().into_iter().flatten();
        let writes = asked.as_array().into_iter().flatten();
        let writes = writes.map(|write| {
            let put = &write["PutRequest"]["Item"];
            if put.is_null() { &write["DeleteRequest"]["Key"] } else { put }
        });
        let items: Vec<_> = reads.chain(writes).collect();
        self.access(action, &table.into(), &items)
    }

    fn part(&self, kind: &str, part: &Value) -> Access {
        let action = match kind {
            "Put" => "dynamodb:PutItem",
            "Update" => "dynamodb:UpdateItem",
            "Delete" => "dynamodb:DeleteItem",
            _ => "dynamodb:ConditionCheckItem",
        };
        self.access(action, &part["TableName"], &[item_of(part)])
    }

    fn access(&self, action: &str, table: &Value, items: &[&Value]) -> Access {
        let resource = self.table(table);
        let name = self.partition_keys.get(&resource).cloned().unwrap_or_default();
        let keys = items.iter().filter_map(|item| item[&name]["S"].as_str()).map(str::to_owned);
        Access { action: action.to_owned(), keys: keys.collect(), resource }
    }

    fn query(&self, action: &str, body: &Value) -> Access {
        let table = self.table(&body["TableName"]);
        let resource = match body["IndexName"].as_str() {
            Some(index) => format!("{table}/index/{index}"),
            None => table,
        };
        let name = self.partition_keys.get(&resource).cloned().unwrap_or_default();
        let condition = body["KeyConditionExpression"].as_str().unwrap_or_default();
        let key = condition.split(" AND ").find_map(|clause| {
            let (left, right) = clause.split_once(" = ")?;
            let left = body["ExpressionAttributeNames"][left].as_str().unwrap_or(left);
            let value = &body["ExpressionAttributeValues"][right]["S"];
            (left == name).then(|| value.as_str().map(str::to_owned))?
        });
        Access { action: action.to_owned(), resource, keys: key.into_iter().collect() }
    }

    fn table(&self, name: &Value) -> String {
        let name = name.as_str().unwrap_or_default();
        name.strip_prefix(&self.prefix).unwrap_or(name).to_owned()
    }
}

/// The item that a write puts, or the key that it names.
fn item_of(part: &Value) -> &Value {
    if part["Item"].is_null() { &part["Key"] } else { &part["Item"] }
}

fn of_sns(operation: &str, request: &HttpRequest) -> Access {
    let body = request.body().bytes().unwrap_or_default();
    let mut fields = form_urlencoded::parse(body);
    let topic = fields.find(|(name, _)| name == "TopicArn" || name == "TargetArn");
    let resource = topic.map(|(_, arn)| arn.into_owned()).unwrap_or_default();
    Access { action: format!("sns:{operation}"), resource, keys: Vec::new() }
}

fn of_s3(operation: &str, request: &HttpRequest) -> Access {
    let (action, resource) = match operation {
        "GetObject" | "HeadObject" => ("s3:GetObject", "bucket/*"),
        "PutObject" => ("s3:PutObject", "bucket/*"),
        "DeleteObject" | "DeleteObjects" => ("s3:DeleteObject", "bucket/*"),
        "ListObjectsV2" => ("s3:ListBucket", "bucket"),
        other => return Access { action: other.to_owned(), resource: String::new(), keys: vec![] },
    };
    let uri: Option<Uri> = request.uri().parse().ok();
    let query = uri.as_ref().and_then(Uri::query).unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let prefix = pairs.find(|(name, _)| name == "prefix").map(|(_, prefix)| prefix.into_owned());
    let (action, resource) = (action.to_owned(), resource.to_owned());
    Access { action, resource, keys: prefix.into_iter().collect() }
}
