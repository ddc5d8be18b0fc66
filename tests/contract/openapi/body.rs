//! The schema of a request body and its parser accept the same bodies.

use local::settings::Settings;
use serde_json::{Map, Value, json};
use shared::{
    http::problem::FieldError,
    openapi::{BodyDoc, OperationDoc},
    runtime::config::Config,
    value::Context,
};
use tests::openapi::{component, operations, validate};

/// A documented request body, with an example of every field.
pub(super) struct Sample {
    pub(super) name: String,
    doc: BodyDoc,
    pub(super) schema: Value,
    /// An example of every field.
    pub(super) examples: Map<String, Value>,
    /// A valid body with as many fields as possible.
    pub(super) whole: Map<String, Value>,
}

pub(super) fn samples() -> Vec<Sample> {
    let with_body = operations().into_iter().filter_map(|operation| {
        let OperationDoc { operation, body, .. } = operation;
        body.map(|doc| (operation.route_key(), doc))
    });
    let samples = with_body.map(|(name, doc)| {
        let schema = component(&doc.schema);
        let examples = doc.example.as_object().cloned().unwrap_or_default();
        let whole = doc.long_example().as_object().cloned().unwrap_or_default();
        for (field, example) in &examples {
            assert!(!example.is_null(), "{name}: {field} has no example");
        }
        Sample { name, doc, schema, examples, whole }
    });
    samples.collect()
}

pub(super) fn context() -> Context {
    let config = Config::read(|name| Settings::default().get(name)).unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let reserved_usernames = config.reserved_usernames;
    Context { region: config.phone_region, currency: config.currency, now, reserved_usernames }
}

impl Sample {
    /// The fields that the parser names; `None` if it accepts the body.
    fn refused(&self, body: &Map<String, Value>) -> Option<Vec<String>> {
        let errors = self.errors(body)?;
        Some(errors.into_iter().map(|error| error.field.into_owned()).collect())
    }

    /// The errors of the parser; `None` if it accepts the body.
    pub(super) fn errors(&self, body: &Map<String, Value>) -> Option<Vec<FieldError>> {
        (self.doc.read)(body.clone(), context()).err()
    }

    /// Whether the parser accepts the body. The schema must agree.
    fn is_accepted(&self, body: &Map<String, Value>) -> bool {
        let wrong = validate(&self.schema, &json!(body));
        let refused = self.refused(body);
        let body = json!(body);
        assert_eq!(
            wrong.is_empty(),
            refused.is_none(),
            "{} {body}: {wrong:?} {refused:?}",
            self.name
        );
        refused.is_none()
    }

    /// Schema and parser refuse the body, and the parser names `field`.
    fn refuses(&self, field: &str, body: &Map<String, Value>) {
        assert!(!self.is_accepted(body), "{} accepts {}", self.name, json!(body));
        let named = self.refused(body).unwrap_or_default();
        assert!(named.iter().any(|name| name == field), "{} {field}: {named:?}", self.name);
    }

    fn required(&self) -> Vec<&str> {
        let required = self.schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        required.iter().map(|name| name.as_str().unwrap()).collect()
    }

    fn without(&self, fields: &[&str]) -> Map<String, Value> {
        let kept = self.whole.iter().filter(|(name, _)| !fields.contains(&name.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The example with this value and without the alternatives of the field.
    pub(super) fn with(&self, field: &str, value: Value) -> Map<String, Value> {
        let groups = self.doc.alternatives.iter().filter(|group| group.contains(&field));
        let mut body =
            self.without(&groups.flat_map(|group| group.iter().copied()).collect::<Vec<_>>());
        body.insert(field.to_owned(), value);
        body
    }
}

#[test]
fn every_example_is_accepted() {
    for sample in samples() {
        assert!(
            sample.is_accepted(&sample.whole),
            "{}: {:?}",
            sample.name,
            sample.refused(&sample.whole)
        );
        let short = sample.doc.short_example();
        assert!(sample.is_accepted(short.as_object().unwrap()), "{}: {short}", sample.name);
        let mut with_more = sample.whole.clone();
        with_more.insert("unknown".to_owned(), json!([]));
        assert!(sample.is_accepted(&with_more), "{}: unknown fields are ignored", sample.name);
    }
}

#[test]
fn a_required_field_that_is_absent_or_null_is_named() {
    for sample in samples() {
        for field in sample.required() {
            sample.refuses(field, &sample.without(&[field]));
            sample.refuses(field, &sample.with(field, Value::Null));
        }
    }
}

#[test]
fn an_optional_field_may_be_absent_or_null() {
    for sample in samples() {
        let (required, grouped) = (sample.required(), sample.doc.alternatives.concat());
        let optional = sample.whole.keys().map(String::as_str);
        for field in optional.filter(|name| !required.contains(name) && !grouped.contains(name)) {
            assert!(sample.is_accepted(&sample.without(&[field])));
            assert!(sample.is_accepted(&sample.with(field, Value::Null)));
        }
    }
}

#[test]
fn one_of_the_alternatives_is_required() {
    for sample in samples() {
        for group in &sample.doc.alternatives {
            for field in *group {
                let alone = sample.with(field, sample.examples[*field].clone());
                assert!(sample.is_accepted(&alone), "{} {field}", sample.name);
                assert!(!sample.is_accepted(&sample.with(field, Value::Null)));
            }
            sample.refuses(group[0], &sample.without(group));
        }
    }
}

#[test]
fn two_exclusive_alternatives_together_are_both_named() {
    for sample in samples() {
        for field in sample.doc.exclusive.concat() {
            sample.refuses(field, &sample.examples);
        }
    }
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    let values = [json!("text"), json!(7), json!(7.5), json!(true), json!([]), json!({})];
    for sample in samples() {
        for (field, example) in &sample.examples {
            let same_kind =
                |value: &&Value| std::mem::discriminant(*value) == std::mem::discriminant(example);
            for value in values.iter().filter(|value| !same_kind(value)) {
                sample.refuses(field, &sample.with(field, value.clone()));
            }
        }
    }
}

#[test]
fn a_text_out_of_bounds_is_named() {
    for sample in samples() {
        for field in sample.examples.keys() {
            let property = &sample.schema["properties"][field];
            let mut bad = Vec::new();
            if let Some(max) = property["maxLength"].as_u64() {
                bad.push("1".repeat(max as usize + 1));
            }
            if let Some(min) = property["minLength"].as_u64() {
                bad.push("1".repeat(min as usize - 1));
            }
            if !property["pattern"].is_null() || property["enum"].is_array() {
                bad.push("no / such".to_owned());
            }
            for text in bad {
                sample.refuses(field, &sample.with(field, json!(text)));
            }
        }
    }
}

/// If a schema has both lengths and no other rule, every text within them is valid.
#[test]
fn a_text_just_within_bounds_is_accepted() {
    for sample in samples() {
        for field in sample.examples.keys() {
            let property = &sample.schema["properties"][field];
            let lengths = (property["minLength"].as_u64(), property["maxLength"].as_u64());
            let (Some(min), Some(max)) = lengths else { continue };
            for length in [min, max] {
                let text = "1".repeat(length as usize);
                assert!(sample.is_accepted(&sample.with(field, json!(text))), "{field}: {length}");
            }
        }
    }
}
