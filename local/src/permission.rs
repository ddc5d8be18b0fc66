//! The permissions that `template.yaml` grants each function, held against every call that it makes
//! here: what would be denied on AWS is denied on a laptop.
//!
//! What bears on DynamoDB, S3, SNS and SES is evaluated: actions, resources, leading keys, prefixes,
//! senders. A statement about them with another condition is an error, never one that is taken as
//! met.

mod access;

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    sync::{LazyLock, Mutex},
};

use serde_json::{Map, Value};
use shared::http::operation::Function;

pub(crate) use access::{Access, Schema};

use crate::{
    sync::lock,
    tables::{TEMPLATE, Template},
};

/// Every resource.
const ANYTHING: &str = "*";

/// What a function may do, statement by statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permissions {
    function: Function,
    grants: Vec<Grant>,
    denials: Vec<Denial>,
}

/// One action on whatever the pattern fits, which no grant allows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Denial {
    action: String,
    pattern: String,
}

/// One action on one resource, and the keys or prefixes that it is limited to, if it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    action: String,
    /// A table's name, `users/index/by_joined`, `bucket`, `bucket/*` for its objects,
    /// `identity/${EmailSender}`; `*` for anything.
    resource: String,
    limits: Option<Vec<String>>,
}

/// Why the template's permissions cannot be evaluated.
#[derive(Debug, Clone, thiserror::Error)]
#[error("template.yaml: {0}")]
pub struct PermissionError(String);

impl Permissions {
    /// What the template grants `function`.
    pub(crate) fn of(function: Function) -> Result<Self, PermissionError> {
        // Read once for all stacks of a process.
        static ALL: LazyLock<Result<Vec<Permissions>, PermissionError>> = LazyLock::new(|| {
            let template = serde_yaml_ng::from_str(TEMPLATE).map_err(wrong)?;
            let read = |function| Permissions::read(function, &template);
            Function::ALL.into_iter().map(read).collect()
        });
        let mut all = ALL.as_ref().map_err(Clone::clone)?.iter();
        let found = all.find(|permissions| permissions.function == function);
        found.cloned().ok_or_else(|| wrong("a function is missing"))
    }

    fn read(function: Function, template: &Template) -> Result<Self, PermissionError> {
        let id = logical_id(function);
        let resource = template.resources.get(&id).ok_or_else(|| wrong(format!("no {id}")))?;
        if resource.r#type != "AWS::Serverless::Function" {
            return Err(wrong(format!("{id} is no function")));
        }
        let policies = plain(&resource.properties)?["Policies"].clone();
        let policies = policies.as_array().ok_or_else(|| wrong(format!("{id} has no policies")))?;
        let statements = policies.iter().flat_map(|policy| list(&policy["Statement"]));
        let (mut granted, mut denied) = (Vec::new(), Vec::new());
        for statement in statements {
            match statement["Effect"].as_str() {
                Some("Deny") => denied.extend(denials(&statement)?),
                _ => granted.extend(grants(&statement)?),
            }
        }
        Ok(Self { function, grants: granted, denials: denied })
    }

    /// Whether every part of a call is granted; else what is missing. Notes what was used.
    pub(crate) fn allow(&self, accesses: &[Access], used: &Used) -> Result<(), String> {
        accesses.iter().try_for_each(|access| {
            let denied = self.denials.iter().any(|denial| denial.covers(access));
            let grant = self.grants.iter().find_map(|grant| grant.covers(access));
            let grant = grant.filter(|_| !denied);
            let grant =
                grant.ok_or_else(|| format!("{} may not {access}", self.function.name()))?;
            used.note(format!("{} {grant}", self.function.name()));
            Ok(())
        })
    }

    /// Everything that is granted, a line for each action, resource and limit.
    pub(crate) fn lines(&self) -> BTreeSet<String> {
        let lines = self.grants.iter().flat_map(|grant| {
            let limits = grant.limits.as_deref().unwrap_or_default();
            let limited = limits.iter().map(|limit| grant.line(Some(limit)));
            let plain = grant.limits.is_none().then(|| grant.line(None));
            limited.chain(plain).collect::<Vec<_>>()
        });
        lines.map(|line| format!("{} {line}", self.function.name())).collect()
    }
}

impl Grant {
    fn line(&self, limit: Option<&str>) -> String {
        let Self { action, resource, .. } = self;
        match limit {
            Some(limit) => format!("{action} {resource} {limit}"),
            None => format!("{action} {resource}"),
        }
    }

    /// The line of the grant that covers an access whole.
    fn covers(&self, access: &Access) -> Option<String> {
        let is_it = self.resource == ANYTHING || self.resource == access.resource;
        if self.action != access.action || !is_it {
            return None;
        }
        let Some(limits) = &self.limits else { return Some(self.line(None)) };
        let met = |key: &String| limits.iter().find(|limit| matches(limit, key));
        let mut met_by = access.keys.iter().map(met);
        // As many keys as a call has, each must be within the limits; none is within them.
        let first = met_by.next()??;
        met_by.all(|limit| limit.is_some()).then(|| self.line(Some(first)))
    }
}

impl Denial {
    fn covers(&self, access: &Access) -> bool {
        self.action == access.action && matches(&self.pattern, &access.resource)
    }
}

/// `*` stands for any characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    match pattern.next() {
        None => text.next().is_none(),
        Some('*') => {
            let rest = pattern.as_str();
            let ends = text.as_str().char_indices().map(|(at, _)| at).chain([text.as_str().len()]);
            ends.into_iter().any(|at| matches(rest, &text.as_str()[at..]))
        }
        Some('?') => text.next().is_some() && matches(pattern.as_str(), text.as_str()),
        Some(expected) => text.next() == Some(expected) && matches(pattern.as_str(), text.as_str()),
    }
}

/// `OtpFunction`.
fn logical_id(function: Function) -> String {
    let name = function.name();
    format!("{}{}Function", name[..1].to_uppercase(), &name[1..])
}

fn wrong(error: impl ToString) -> PermissionError {
    PermissionError(error.to_string())
}

/// The value with its CloudFormation tags as members: `!Ref X` as `{"Ref": "X"}`.
fn plain(value: &serde_yaml_ng::Value) -> Result<Value, PermissionError> {
    use serde_yaml_ng::Value as Yaml;
    Ok(match value {
        Yaml::Tagged(tagged) => {
            let name = tagged.tag.to_string().trim_start_matches('!').to_owned();
            Value::Object(Map::from_iter([(name, plain(&tagged.value)?)]))
        }
        Yaml::Sequence(items) => Value::Array(items.iter().map(plain).collect::<Result<_, _>>()?),
        Yaml::Mapping(members) => {
            let members = members.iter().map(|(name, value)| {
                let name = name.as_str().ok_or_else(|| wrong("a name is no text"))?;
                Ok((name.to_owned(), plain(value)?))
            });
            Value::Object(members.collect::<Result<_, PermissionError>>()?)
        }
        other => serde_json::to_value(other).map_err(wrong)?,
    })
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// What a statement denies again of what others grant: of SNS alone.
fn denials(statement: &Value) -> Result<Vec<Denial>, PermissionError> {
    let actions = list(&statement["Action"]);
    let actions: Vec<_> = actions.iter().filter_map(Value::as_str).filter(is_evaluated).collect();
    let patterns = list(&statement["Resource"]);
    let patterns: Vec<_> = patterns.iter().filter_map(|it| it["Sub"].as_str()).collect();
    match (&actions[..], &patterns[..]) {
        ([], _) => Ok(Vec::new()),
        ([action @ "sns:Publish"], [pattern]) if statement["Condition"].is_null() => {
            let pattern = pattern.replace("${AWS::Partition}", "*");
            Ok(vec![Denial { action: (*action).to_owned(), pattern }])
        }
        _ => Err(wrong(format!("what is denied cannot be evaluated: {statement}"))),
    }
}

/// What a statement grants of what is evaluated. A choice between statements grants the first.
fn grants(statement: &Value) -> Result<Vec<Grant>, PermissionError> {
    if let Some(choice) = statement.get("If") {
        return grants(&choice[1]);
    }
    let actions = list(&statement["Action"]);
    let actions: Vec<_> = actions.iter().filter_map(Value::as_str).filter(is_evaluated).collect();
    if actions.is_empty() {
        return Ok(Vec::new());
    }
    if statement["Effect"] != "Allow" {
        return Err(wrong(format!("only what is allowed can be evaluated: {statement}")));
    }
    let limits = limits(&statement["Condition"])?;
    let resources = match (&actions[..], &statement["Resource"]) {
        (["sns:Publish"], anything) if anything == ANYTHING => Ok(vec![ANYTHING.to_owned()]),
        (_, resources) => list(resources).iter().map(resource).collect::<Result<Vec<_>, _>>(),
    };
    let resources = resources?;
    let each = |action: &&str| {
        let action = (*action).to_owned();
        let grant = |resource: &String| Grant {
            action: action.clone(),
            resource: resource.clone(),
            limits: limits.clone(),
        };
        resources.iter().map(grant).collect::<Vec<_>>()
    };
    Ok(actions.iter().flat_map(each).collect())
}

fn is_evaluated(action: &&str) -> bool {
    ["dynamodb:", "s3:", "sns:", "ses:"].iter().any(|service| action.starts_with(service))
}

/// The keys or prefixes that a condition limits to.
fn limits(condition: &Value) -> Result<Option<Vec<String>>, PermissionError> {
    let Some(condition) = condition.as_object() else { return Ok(None) };
    let mut tests = condition.iter().flat_map(|(operator, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(key, values)| (operator.as_str(), key.as_str(), values))
    });
    match (tests.next(), tests.next()) {
        (
            Some((
                "ForAllValues:StringEquals" | "ForAllValues:StringLike",
                "dynamodb:LeadingKeys",
                values,
            ))
            | Some(("StringLike", "s3:prefix", values))
            | Some(("StringEquals", "ses:FromAddress", values)),
            None,
        ) => {
            let text = |value: &Value| {
                let parameter = value["Ref"].as_str().map(|name| format!("${{{name}}}"));
                value.as_str().map(str::to_owned).or(parameter)
            };
            let texts: Option<Vec<_>> = list(values).iter().map(text).collect();
            texts.map(Some).ok_or_else(|| wrong("a limit is no text"))
        }
        _ => Err(wrong(format!("a condition that cannot be evaluated: {condition:?}"))),
    }
}

/// A resource by the names that accesses have: tables and the bucket without the stack's prefix,
/// identities by the parameter that names them.
fn resource(value: &Value) -> Result<String, PermissionError> {
    const IDENTITIES: &str = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:";
    if let Some(text) = value["Sub"].as_str().or_else(|| value["Sub"][0].as_str())
        && let Some(identity) = text.strip_prefix(IDENTITIES)
    {
        return Ok(identity.to_owned());
    }
    let of_table = |id: &str| {
        let table = id.strip_suffix("Table").map(str::to_lowercase);
        table.or_else(|| (id == "KycBucket").then(|| "bucket".to_owned()))
    };
    let named = match (value["GetAtt"].as_str(), value["Sub"].as_str()) {
        (Some(attribute), _) => attribute.strip_suffix(".Arn").and_then(of_table),
        (_, Some(text)) => text.strip_prefix("${").and_then(|text| {
            let (id, rest) = text.split_once(".Arn}")?;
            Some(format!("{}{rest}", of_table(id)?))
        }),
        _ => None,
    };
    named.ok_or_else(|| wrong(format!("a resource that cannot be evaluated: {value}")))
}

/// The grants that were used by this process's stacks.
#[derive(Debug, Default)]
pub(crate) struct Used {
    seen: Mutex<BTreeSet<String>>,
    file: Option<Mutex<std::fs::File>>,
}

impl Used {
    /// Also appends each grant, once, to a file of this process in `directory`.
    pub(crate) fn recorded_in(directory: Option<&Path>) -> std::io::Result<Self> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        std::fs::create_dir_all(directory)?;
        let path = directory.join(std::process::id().to_string());
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { seen: Mutex::default(), file: Some(Mutex::new(file)) })
    }

    fn note(&self, line: String) {
        if !lock(&self.seen).insert(line.clone()) {
            return;
        }
        if let Some(file) = &self.file
            && let Err(error) = lock(file).write_all(format!("{line}\n").as_bytes())
        {
            tracing::error!(%error, "a grant that was used was not recorded");
        }
    }
}

/// Everything that the template grants all functions: `function action resource limit`.
pub fn granted() -> Result<BTreeSet<String>, PermissionError> {
    let of = |function| Permissions::of(function).map(|permissions| permissions.lines());
    let all: Result<Vec<_>, _> = Function::ALL.into_iter().map(of).collect();
    Ok(all?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
