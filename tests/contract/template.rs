//! `template.yaml` matches the code that it deploys.

mod metric;
mod permission;

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value;
use shared::http::operation::{self, Caller, DEFAULT_FUNCTION, Function};

use crate::{
    project::{quoted, read},
    settings,
};

/// The environment variable of a function that is not a setting: the log library reads it.
const LOG_FILTER: &str = "RUST_LOG";

fn template() -> Value {
    serde_yaml_ng::from_str(&read("template.yaml")).expect("template.yaml is YAML")
}

/// The resources of a type by their logical names.
fn resources(template: &Value, wanted: &str) -> BTreeMap<String, Value> {
    let all = template["Resources"].as_mapping().expect("resources");
    let of_type = all.iter().filter(|(_, resource)| resource["Type"].as_str() == Some(wanted));
    of_type.map(|(name, resource)| (text(name), resource.clone())).collect()
}

/// The functions, by the names of their binaries.
fn functions(template: &Value) -> BTreeMap<String, Value> {
    let functions = resources(template, "AWS::Serverless::Function").into_values();
    functions.map(|it| (text(&it["Metadata"]["BuildProperties"]["Binary"]), it)).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value:?}")).to_owned()
}

/// The value behind a `!Name` tag.
fn tagged<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Tagged(tagged) if tagged.tag == name => Some(&tagged.value),
        _ => None,
    }
}

fn reference(value: &Value) -> Option<String> {
    tagged(value, "Ref").map(text)
}

/// The items of a list; a single value counts as a list of one.
fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Sequence(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// A route of the API.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    /// `GET /auth/me`, or `$default`.
    key: String,
    function: String,
    needs_iam: bool,
}

fn routes(template: &Value) -> BTreeSet<Route> {
    let mut routes = BTreeSet::new();
    for (function, resource) in functions(template) {
        let events = resource["Properties"]["Events"].as_mapping().expect("events").clone();
        for event in events.into_values().filter(|event| event["Type"].as_str() == Some("HttpApi"))
        {
            let properties = &event["Properties"];
            let key = match (&properties["Method"], &properties["Path"]) {
                (Value::Null, Value::Null) => "$default".to_owned(),
                (method, path) => format!("{} {}", text(method), text(path)),
            };
            assert_eq!(reference(&properties["ApiId"]).as_deref(), Some("Api"), "{key}");
            let needs_iam = match &properties["Auth"]["Authorizer"] {
                Value::Null => false,
                authorizer => text(authorizer) == "AWS_IAM",
            };
            let route = Route { key, function: function.clone(), needs_iam };
            assert!(routes.insert(route), "a route is duplicated");
        }
    }
    routes
}

#[test]
fn the_routes_match_the_operations() {
    let route = |key, function: Function, needs_iam| {
        let function = function.name().to_owned();
        Route { key, function, needs_iam }
    };
    let operations = operation::ALL.iter().map(|operation| {
        let is_internal = operation.path.starts_with("/internal/");
        let needs_iam = operation.caller == Caller::Service;
        assert_eq!(needs_iam, is_internal, "{}", operation.path);
        route(operation.route_key(), operation.function, needs_iam)
    });
    let default = route("$default".to_owned(), DEFAULT_FUNCTION, false);
    let expected: BTreeSet<Route> = operations.chain([default]).collect();
    let deployed = routes(&template());
    let missing: Vec<_> = expected.difference(&deployed).collect();
    let unknown: Vec<_> = deployed.difference(&expected).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}

#[test]
fn the_deployed_functions_match_the_code() {
    let template = template();
    let deployed = functions(&template);
    let names: BTreeSet<&str> = deployed.keys().map(String::as_str).collect();
    assert_eq!(names, Function::ALL.map(Function::name).into());
    for (name, function) in &deployed {
        let properties = &function["Properties"];
        let full = tagged(&properties["FunctionName"], "Sub").map(text);
        assert_eq!(full, Some(format!("${{AWS::StackName}}-{name}")));
        assert_eq!(function["Metadata"]["BuildMethod"].as_str(), Some("rust-cargolambda"));
        // A build of another folder would link the dependencies of other functions.
        assert_eq!(text(&properties["CodeUri"]), format!("functions/{name}"));
        assert!(properties["MemorySize"].as_u64().is_some(), "{name} has no memory size");
        // A request may take 20 seconds.
        let shared = &template["Globals"]["Function"]["Timeout"];
        let own = &properties["Timeout"];
        let timeout = own.as_u64().or_else(|| shared.as_u64()).expect("a time-out");
        assert!(timeout > 20, "{name} times out before it responds");
    }
}

#[test]
fn routes_with_their_own_throttle_exist() {
    let template = template();
    let known: BTreeSet<String> = routes(&template).into_iter().map(|route| route.key).collect();
    let api = &template["Resources"]["Api"]["Properties"];
    let limited = api["RouteSettings"].as_mapping().expect("route settings");
    let limited: BTreeSet<String> = limited.keys().map(text).collect();
    let unknown: Vec<_> = limited.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for route in ["POST /auth/otp/request", "POST /auth/otp/verify", "POST /auth/login"] {
        assert!(limited.contains(route), "{route} is not limited");
    }
}

fn environment(template: &Value) -> BTreeMap<String, Value> {
    let variables = &template["Globals"]["Function"]["Environment"]["Variables"];
    let variables = variables.as_mapping().expect("variables").clone();
    variables.into_iter().map(|(name, value)| (text(&name), value)).collect()
}

#[test]
fn every_function_has_every_setting() {
    let template = template();
    let mut names: BTreeSet<String> = environment(&template).into_keys().collect();
    assert!(names.remove(LOG_FILTER));
    assert_eq!(names, settings::setting_names());
    for (name, function) in functions(&template) {
        assert!(function["Properties"]["Environment"].is_null(), "{name} has its own environment");
    }
}

#[test]
fn parameters_have_the_documented_defaults_and_ranges() {
    let template = template();
    let environment = environment(&template);
    let mut checked = 0;
    for setting in settings::documented() {
        let value = environment.get(&setting.name).unwrap_or_else(|| panic!("{}", setting.name));
        let parameter = reference(value).filter(|name| !template["Parameters"][name].is_null());
        let Some(parameter) = parameter else { continue };
        let declared = &template["Parameters"][&parameter];
        let default = match &declared["Default"] {
            Value::Number(number) => number.to_string(),
            value => text(value),
        };
        match setting.default.as_str() {
            "none" => assert_eq!(default, "", "{parameter}"),
            documented => assert_eq!(Some(&*default), quoted(documented), "{parameter}"),
        }
        if let Some((least, most)) = setting.values.split_once(" to ") {
            let limit = |name| declared[name].as_u64().map(|limit: u64| limit.to_string());
            assert_eq!(limit("MinValue").as_deref(), Some(least), "{parameter}");
            assert_eq!(limit("MaxValue").as_deref(), Some(most), "{parameter}");
        }
        checked += 1;
    }
    assert!(checked >= 15, "only {checked} parameters were found");
}

#[test]
fn every_parameter_is_described() {
    let template = template();
    let parameters = template["Parameters"].as_mapping().expect("parameters");
    for (name, parameter) in parameters {
        assert!(parameter["Description"].is_string(), "{name:?} has no description");
        assert!(!parameter["Default"].is_null(), "{name:?} has no default");
    }
}

#[test]
fn stages_set_only_existing_parameters() {
    let template = template();
    let config = read("samconfig.toml");
    let lines = config.lines().filter_map(|line| line.trim().strip_prefix('"'));
    let set: Vec<&str> = lines.filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(!set.is_empty(), "no stage sets a parameter");
    for name in set {
        assert!(!template["Parameters"][name].is_null(), "parameter {name} does not exist");
    }
}
