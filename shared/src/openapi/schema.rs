//! The schemas that an operation refers to.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;

/// Schemas by name, as they stand among the document's components.
#[derive(Debug, Clone, Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// Adds those of a request body; answers its name.
    pub(super) fn request<T: ToSchema>(&mut self) -> String {
        self.0.extend(collect::<T>());
        T::name().into_owned()
    }

    /// Adds those of an answer; answers its name.
    ///
    /// In an answer a member that has no value is null, not absent. One that may be absent says
    /// `nullable = false` where it is declared.
    pub(super) fn answer<T: ToSchema>(&mut self) -> String {
        let mut added = collect::<T>();
        added.values_mut().for_each(require_nullable);
        self.0.extend(added);
        T::name().into_owned()
    }

    /// An example of the schema `name`, put together from those of its properties.
    pub(super) fn example(&self, name: &str) -> Value {
        self.0.get(name).map(|schema| self.example_of(schema)).unwrap_or_default()
    }

    fn example_of(&self, schema: &Value) -> Value {
        let given = [&schema["example"], &schema["examples"][0], &schema["enum"][0]];
        if let Some(example) = given.into_iter().find(|example| !example.is_null()) {
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

    /// Adds to the schema `name` that one of `fields` at least must be there.
    pub(super) fn require_one_of(&mut self, name: &str, fields: &[&str]) {
        self.require("anyOf", name, fields);
    }

    /// Adds to the schema `name` that one of `fields` must be there, and no other of them.
    pub(super) fn require_exactly_one_of(&mut self, name: &str, fields: &[&str]) {
        self.require("oneOf", name, fields);
    }

    /// Adds to the schema `name` that `field` must be there exactly where `decider` has `value`.
    pub(super) fn require_with(&mut self, name: &str, decider: &str, value: &str, field: &str) {
        let Some(schema) = self.0.get_mut(name) else { return };
        schema["if"] =
            json!({ "required": [decider], "properties": { decider: { "const": value } } });
        schema["then"] =
            json!({ "required": [field], "properties": { field: { "not": { "type": "null" } } } });
        schema["else"] = json!({ "properties": { field: { "type": "null" } } });
    }

    fn require(&mut self, how_many: &str, name: &str, fields: &[&str]) {
        let Some(schema) = self.0.get_mut(name) else { return };
        let present = |field: &&str| {
            let is_flag = types(&schema["properties"][*field]).any(|name| name == "boolean");
            let value = match is_flag {
                true => json!({ "const": true }),
                false => json!({ "not": { "type": "null" } }),
            };
            json!({ "required": [field], "properties": { *field: value } })
        };
        let any: Vec<_> = fields.iter().map(present).collect();
        schema[how_many] = any.into();
    }
}

fn collect<T: ToSchema>() -> BTreeMap<String, Value> {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    let schemas = found.into_iter();
    schemas.map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default())).collect()
}

/// A parameter for each property of an object. There is no null in a query: what may be null may
/// be left out.
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
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Sample {
        name: String,
        nick: Option<String>,
        #[schema(nullable = false)]
        series: Option<String>,
        all: Option<bool>,
    }

    #[test]
    fn in_an_answer_null_is_there_and_only_what_is_not_nullable_may_be_absent() {
        let mut schemas = Schemas::default();
        let name = schemas.answer::<Sample>();
        assert_eq!(schemas.0[&name]["required"], json!(["all", "name", "nick"]));
        let name = schemas.request::<Sample>();
        assert_eq!(schemas.0[&name]["required"], json!(["name"]));
    }

    #[test]
    fn a_query_has_no_null() {
        let schema = serde_json::to_value(<Sample as utoipa::PartialSchema>::schema()).unwrap();
        let parameters = query_parameters(&schema);
        let all = parameters.iter().find(|parameter| parameter["name"] == "all").unwrap();
        assert_eq!(all["schema"], json!({ "type": "boolean" }));
        let required = parameters.iter().filter(|parameter| parameter["required"] == true);
        assert_eq!(required.map(|parameter| &parameter["name"]).collect::<Vec<_>>(), ["name"]);
    }

    #[test]
    fn one_of_several_fields_must_be_there_and_a_flag_be_true() {
        let mut schemas = Schemas::default();
        let name = schemas.request::<Sample>();
        schemas.require_one_of(&name, &["nick", "all"]);
        let any = &schemas.0[&name]["anyOf"];
        assert_eq!(any[0]["properties"]["nick"], json!({ "not": { "type": "null" } }));
        assert_eq!(any[1]["properties"]["all"], json!({ "const": true }));
    }
}
