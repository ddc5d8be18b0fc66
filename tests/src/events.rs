//! The sample events in `events/`: one for each operation, and the scheduled one.
//!
//! A value that is known only at run time is a placeholder: `{{access_token}}`.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use shared::http::operation::Operation;

/// The event that EventBridge sends.
pub const SCHEDULED: &str = "scheduled.json";

/// The name of an operation's file: `DELETE /auth/devices/{device_id}` is
/// `delete-auth-devices-device_id.json`.
pub fn file_name(operation: &Operation) -> String {
    let path = operation.path.replace('/', "-").replace(['{', '}'], "");
    format!("{}{path}.json", operation.method.as_str().to_lowercase())
}

/// Every file in `events/`, by its name.
///
/// # Panics
/// If a file is not JSON.
pub fn all() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let events = entries.map(|entry| {
        let path = entry.unwrap_or_else(|error| panic!("{folder:?}: {error}")).path();
        let event = fs::read(&path).map(|bytes| serde_json::from_slice(&bytes));
        match event {
            Ok(Ok(event)) => (file_name_of(&path), event),
            problem => panic!("{path:?}: {problem:?}"),
        }
    });
    events.collect()
}

fn file_name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The event with its placeholders replaced by these values, by name.
///
/// # Panics
/// If a placeholder has no value.
pub fn filled(event: &Value, values: &BTreeMap<&str, String>) -> Value {
    match event {
        Value::String(text) => fill(text, values).into(),
        Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), filled(value, values)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

fn fill(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or_else(|| panic!("{text}"));
        filled += values.get(name).unwrap_or_else(|| panic!("no value for {name}"));
        filled += rest;
    }
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_placeholder_is_filled() {
        let event = json!({"path": "/a/{{id}}/{{id}}", "list": ["Bearer {{token}}"], "size": 3});
        let values = [("id", "7".to_owned()), ("token", "\"t\"".to_owned())].into();
        let expected = json!({"path": "/a/7/7", "list": ["Bearer \"t\""], "size": 3});
        assert_eq!(filled(&event, &values), expected);
    }

    #[test]
    #[should_panic = "no value for id"]
    fn a_placeholder_without_a_value_panics_with_its_name() {
        filled(&json!("{{id}}"), &BTreeMap::new());
    }
}
