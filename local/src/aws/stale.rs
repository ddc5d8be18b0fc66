//! Eventually consistent reads at their worst: each finds what the first one found.
//!
//! What DynamoDB may answer for a moment after a write, the embedded one never does. While the
//! fault is there, the first eventually consistent reading of a key, or of a query, is kept and
//! repeated. Consistent reads see everything.

use std::{collections::HashMap, sync::Mutex};

use serde_json::{Map, Value};

use crate::sync::lock;

/// The readings that are repeated.
#[derive(Debug, Default)]
pub(crate) struct OldReadings(Mutex<HashMap<String, Value>>);

impl OldReadings {
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The response to a read with the first readings in place of its own. `None` where it stays.
    pub(crate) fn repeat(
        &self,
        operation: &str,
        request: &Value,
        response: &Value,
    ) -> Option<Value> {
        match operation {
            "BatchGetItem" => Some(self.repeat_items(request, response)),
            "GetItem" | "Query" if !is_consistent(request) => {
                Some(self.first(format!("{operation} {request}"), || response.clone()))
            }
            _ => None,
        }
    }

    fn repeat_items(&self, request: &Value, response: &Value) -> Value {
        let mut response = response.clone();
        for (table, asked) in request["RequestItems"].as_object().into_iter().flatten() {
            if is_consistent(asked) {
                continue;
            }
            let found = response["Responses"][table].take();
            let found: Vec<Value> = found.as_array().cloned().unwrap_or_default();
            let keys = asked["Keys"].as_array().into_iter().flatten();
            let items = keys.map(|key| {
                self.first(format!("{table} {key}"), || {
                    let has_key = |item: &&Value| {
                        let mut parts = key.as_object().into_iter().flatten();
                        parts.all(|(name, value)| item[name] == *value)
                    };
                    found.iter().find(has_key).cloned().unwrap_or_default()
                })
            });
            let items: Vec<Value> = items.filter(|item| !item.is_null()).collect();
            response["Responses"][table] = items.into();
        }
        response
    }

    fn first(&self, reading: String, now: impl FnOnce() -> Value) -> Value {
        lock(&self.0).entry(reading).or_insert_with(now).clone()
    }
}

fn is_consistent(read: &Value) -> bool {
    read["ConsistentRead"] == true
}

/// A request's body as it names its reading: without what only the meter asks for.
pub(crate) fn reading(body: &[u8]) -> Value {
    let mut fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    fields.remove("ReturnConsumedCapacity");
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_eventually_consistent_reading_is_repeated_and_a_consistent_one_is_not() {
        let old = OldReadings::default();
        let key = json!({"pk": {"S": "a"}});
        let read = |consistent: bool| json!({"RequestItems": {"t": {"Keys": [key], "ConsistentRead": consistent}}});
        let found = |items: Value| json!({"Responses": {"t": items}, "UnprocessedKeys": {}});
        let item = json!({"pk": {"S": "a"}, "n": {"N": "1"}});
        let (none, one) = (found(json!([])), found(json!([item])));
        let repeat = |request, response| old.repeat("BatchGetItem", &request, response).unwrap();
        assert_eq!(repeat(read(false), &none), none);
        assert_eq!(repeat(read(false), &one), none);
        assert_eq!(repeat(read(true), &one), one);
        old.clear();
        assert_eq!(repeat(read(false), &one), one);
        assert_eq!(repeat(read(false), &none), one);
        assert_eq!(old.repeat("PutItem", &read(false), &none), None);
    }
}
