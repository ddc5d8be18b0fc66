//! The schemas of one operation.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;

/// Schemas by name, as in the components of the document.
#[derive(Debug, Clone, Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// All schemas.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// Adds the schemas of a request body, and returns the name of the body's schema.
    pub(super) fn request<T: ToSchema>(&mut self) -> String {
        self.0.extend(collect::<T>());
        T::name().into_owned()
    }

    /// Adds the schemas of a response body, and returns the name of the body's schema.
    ///
    /// Responses contain every member: one without a value is null. A member that may be absent is
    /// declared with `nullable = false`.
    pub(super) fn response<T: ToSchema>(&mut self) -> String {
        let mut added = collect::<T>();
        added.values_mut().for_each(require_nullable);
        self.0.extend(added);
        T::name().into_owned()
    }

    /// An example of the schema `name`, composed of the examples of its properties.
    pub(super) fn example(&self, name: &str) -> Value {
        self.0.get(name).map(|schema| self.example_of(schema)).unwrap_or_default()
    }

    fn example_of(&self, schema: &Value) -> Value {
        let declared = [&schema["example"], &schema["examples"][0], &schema["enum"][0]];
        if let Some(example) = declared.into_iter().find(|example| !example.is_null()) {
            return example.clone();
        }
        let choices = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        let references =
            choices.iter().chain([schema]).filter_map(|schema| schema["$ref"].as_str());
        if let Some(name) = references.filter_map(|target| target.rsplit('/').next()).next() {
            return self.example(name);
        }
        let properties = schema["properties"].as_object();
        properties.map_or(Value::Null, |properties| {
            let examples = properties.iter().map(|(name, schema)| (name, self.example_of(schema)));
            examples.map(|(name, example)| (name.clone(), example)).collect()
        })
    }

    /// Requires at least one of `fields` in the schema `name`.
    pub(super) fn require_one_of(&mut self, name: &str, fields: &[&str]) {
        self.require("anyOf", name, fields);
    }

    /// Requires exactly one of `fields` in the schema `name`.
    pub(super) fn require_exactly_one_of(&mut self, name: &str, fields: &[&str]) {
        self.require("oneOf", name, fields);
    }

    /// Requires `field` in the schema `name` if `decider` has `value`, and forbids it otherwise.
    pub(super) fn require_with(&mut self, name: &str, decider: &str, value: &str, field: &str) {
        let Some(schema) = self.0.get_mut(name) else { return };
        schema["if"] =
            json!({ "required": [decider], "properties": { decider: { "const": value } } });
        schema["then"] =
            json!({ "required": [field], "properties": { field: { "not": { "type": "null" } } } });
        schema["else"] = json!({ "properties": { field: { "type": "null" } } });
    }

    fn require(&mut self, keyword: &str, name: &str, fields: &[&str]) {
        let Some(schema) = self.0.get_mut(name) else { return };
        let present = |field: &&str| {
            let is_flag = types(&schema["properties"][*field]).any(|name| name == "boolean");
            let value = if is_flag {
                json!({ "const": true })
            } else {
                json!({ "not": { "type": "null" } })
            };
            json!({ "required": [field], "properties": { *field: value } })
        };
        let alternatives: Vec<_> = fields.iter().map(present).collect();
        schema[keyword] = alternatives.into();
    }
}

fn collect<T: ToSchema>() -> BTreeMap<String, Value> {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    let schemas = found.into_iter();
    schemas.map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect()
}

/// A query parameter for each property of an object. A query has no null: a property that may be
/// null becomes an optional parameter.
pub(super) fn query_parameters(object: &Value) -> Vec<Value> {
    let Some(properties) = object["properties"].as_object() else { return Vec::new() };
    let required = object["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let parameters = properties.iter().map(|(name, property)| {
        let mut schema = property.clone();
        let is_required = required.iter().any(|required| required == name);
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        if let Some(kind) = types(property).find(|kind| *kind != "null") {
            schema["type"] = kind.into();
        }
        json!({
            "in": "query",
            "name": name,
            "description": description.unwrap_or_default(),
            "required": is_required,
            "schema": schema,
        })
    });
    parameters.collect()
}

/// The members of a schema's `type`.
fn types(schema: &Value) -> impl Iterator<Item = &str> {
    let listed = schema["type"].as_array().map(Vec::as_slice).unwrap_or_default();
    listed.iter().chain([&schema["type"]]).filter_map(Value::as_str)
}

fn may_be_null(schema: &Value) -> bool {
    let choices = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    choices.iter().chain([schema]).any(|schema| types(schema).any(|name| name == "null"))
}

fn require_nullable(schema: &mut Value) {
    if let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) {
        return parts.iter_mut().for_each(require_nullable);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let nullable = properties.iter().filter(|(_, property)| may_be_null(property));
    let mut required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
    required.extend(nullable.map(|(name, _)| json!(name)));
    required.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
    schema["required"] = required.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(ToSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Sample {
        name: String,
        nick: Option<String>,
        #[schema(nullable = false)]
        series: Option<String>,
        all: Option<bool>,
    }

    #[test]
    fn a_response_requires_nullable_members_and_a_request_does_not() {
        let mut schemas = Schemas::default();
        let name = schemas.response::<Sample>();
        assert_eq!(schemas.0[&name]["required"], json!(["all", "name", "nick"]));
        let name = schemas.request::<Sample>();
        assert_eq!(schemas.0[&name]["required"], json!(["name"]));
    }

    #[test]
    fn query_parameters_are_not_nullable() {
        let schema = serde_json::to_value(<Sample as utoipa::PartialSchema>::schema()).unwrap();
        let parameters = query_parameters(&schema);
        let all = parameters.iter().find(|parameter| parameter["name"] == "all").unwrap();
        assert_eq!(all["schema"], json!({ "type": "boolean" }));
        let required = parameters.iter().filter(|parameter| parameter["required"] == true);
        assert_eq!(required.map(|parameter| &parameter["name"]).collect::<Vec<_>>(), ["name"]);
    }

    #[test]
    fn an_alternative_requires_a_value_and_a_flag_requires_true() {
        let mut schemas = Schemas::default();
        let name = schemas.request::<Sample>();
        schemas.require_one_of(&name, &["nick", "all"]);
        let alternatives = &schemas.0[&name]["anyOf"];
        assert_eq!(alternatives[0]["properties"]["nick"], json!({ "not": { "type": "null" } }));
        assert_eq!(alternatives[1]["properties"]["all"], json!({ "const": true }));
    }
}
