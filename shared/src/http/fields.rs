//! Request bodies, read field by field so that every bad field is named at once.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer};
use serde_json::{Map, Value};

use crate::{
    http::problem::FieldError,
    value::{Currency, Invalid, Region},
};

/// A request body: a JSON object whose fields are parsed one by one.
pub trait Body: Sized {
    /// Takes what it needs from `fields`; `None` when any of it was refused.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// The fields of a JSON object, and what was wrong with those read so far. Fields that nothing
/// reads are ignored.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    /// What some values are read by.
    pub context: Context,
    errors: Vec<FieldError>,
}

/// What the meaning of some texts depends on.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The region that phone numbers without a country code belong to.
    pub region: Region,
    /// The currency that amounts are in.
    pub currency: Currency,
    /// The present, which dates are compared with.
    pub now: Timestamp,
}

/// What a request that merges says of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit<T> {
    /// It is absent: leave the value as it is.
    Keep,
    /// It is null: there is to be no value.
    Clear,
    /// This is the new value.
    Set(T),
}

impl<T> Edit<T> {
    /// The value after the edit.
    pub fn apply(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

const REQUIRED: Invalid = Invalid { code: "required", detail: "This field is required." };
const NOT_A_STRING: Invalid = Invalid { code: "wrong_type", detail: "This must be a string." };
const NOT_AN_INTEGER: Invalid =
    Invalid { code: "wrong_type", detail: "This must be a whole number." };
const NOT_AN_ARRAY: Invalid = Invalid { code: "wrong_type", detail: "This must be an array." };
const NOT_AN_OBJECT: Invalid = Invalid { code: "wrong_type", detail: "This must be an object." };
const WRONG_LENGTH: Invalid =
    Invalid { code: "wrong_length", detail: "This has too few or too many elements." };
const NOT_A_BOOLEAN: Invalid =
    Invalid { code: "wrong_type", detail: "This must be true or false." };

impl Fields {
    /// The fields of `object`.
    pub fn new(object: Map<String, Value>, context: Context) -> Self {
        Self { object, context, errors: Vec::new() }
    }

    /// Reads a whole body, or says what was wrong with each field.
    pub fn parse<T: Body>(mut self) -> Result<T, Vec<FieldError>> {
        match T::read(&mut self) {
            Some(body) if self.errors.is_empty() => Ok(body),
            _ => Err(self.errors),
        }
    }

    /// A string that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        match self.optional(name, parse)? {
            Some(value) => Some(value),
            None => self.refuse(name, REQUIRED),
        }
    }

    /// A boolean that must be there.
    pub fn required_flag(&mut self, name: &'static str) -> Option<bool> {
        match self.has(name) {
            true => self.flag(name),
            false => self.refuse(name, REQUIRED),
        }
    }

    /// A string that may be absent or null. The outer `None` says that it was refused.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        let parsed = match self.object.get(name) {
            None | Some(Value::Null) => return Some(None),
            Some(Value::String(text)) => parse(text),
            Some(_) => Err(NOT_A_STRING),
        };
        match parsed {
            Ok(value) => Some(Some(value)),
            Err(invalid) => self.refuse(name, invalid),
        }
    }

    /// A whole number that may be absent or null.
    pub fn optional_integer<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(i64) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        let parsed = match self.object.get(name) {
            None | Some(Value::Null) => return Some(None),
            Some(Value::Number(number)) => number.as_i64().ok_or(NOT_AN_INTEGER).and_then(parse),
            Some(_) => Err(NOT_AN_INTEGER),
        };
        match parsed {
            Ok(value) => Some(Some(value)),
            Err(invalid) => self.refuse(name, invalid),
        }
    }

    /// A whole number that must be there.
    pub fn required_integer<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(i64) -> Result<T, Invalid>,
    ) -> Option<T> {
        match self.optional_integer(name, parse)? {
            Some(value) => Some(value),
            None => self.refuse(name, REQUIRED),
        }
    }

    /// An object that must be there, read as fields of its own.
    pub fn required_object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        match self.optional_object(name, read)? {
            Some(value) => Some(value),
            None => self.refuse(name, REQUIRED),
        }
    }

    /// An object that may be absent or null, read as fields of its own, which are named after it:
    /// `documents.front`. The outer `None` says that it was refused.
    pub fn optional_object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        let object = match self.object.remove(name) {
            None | Some(Value::Null) => return Some(None),
            Some(Value::Object(object)) => object,
            Some(_) => return self.refuse(name, NOT_AN_OBJECT),
        };
        let mut within = Self::new(object, self.context);
        let value = read(&mut within).filter(|_| within.errors.is_empty());
        for error in within.errors {
            let field = format!("{name}.{}", error.field).into();
            self.errors.push(FieldError { field, ..error });
        }
        value.map(Some)
    }

    /// An object that a merging request may set, clear or leave out.
    pub fn edit_object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Edit<T>> {
        if !self.object.contains_key(name) {
            return Some(Edit::Keep);
        }
        let value = self.optional_object(name, read)?;
        Some(value.map_or(Edit::Clear, Edit::Set))
    }

    /// A string that a merging request may set, clear or leave out.
    pub fn edit<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Edit<T>> {
        if !self.object.contains_key(name) {
            return Some(Edit::Keep);
        }
        let value = self.optional(name, parse)?;
        Some(value.map_or(Edit::Clear, Edit::Set))
    }

    /// A boolean that may be absent or null. The outer `None` says that it was refused.
    pub fn optional_flag(&mut self, name: &'static str) -> Option<Option<bool>> {
        match self.has(name) {
            true => self.flag(name).map(Some),
            false => Some(None),
        }
    }

    /// A boolean that is false when it is absent or null.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.object.get(name) {
            None | Some(Value::Null) => Some(false),
            Some(Value::Bool(value)) => Some(*value),
            Some(_) => self.refuse(name, NOT_A_BOOLEAN),
        }
    }

    /// The objects of an array that must be there and hold from 1 to `max` of them, each as
    /// fields of its own.
    pub fn objects(&mut self, name: &'static str, max: usize) -> Option<Vec<Self>> {
        let elements = match self.object.remove(name) {
            None | Some(Value::Null) => return self.refuse(name, REQUIRED),
            Some(Value::Array(elements)) => elements,
            Some(_) => return self.refuse(name, NOT_AN_ARRAY),
        };
        if elements.is_empty() || elements.len() > max {
            return self.refuse(name, WRONG_LENGTH);
        }
        let mut objects = Vec::with_capacity(elements.len());
        for (number, element) in elements.into_iter().enumerate() {
            match element {
                Value::Object(object) => objects.push(Self::new(object, self.context)),
                _ => self.refuse_at(format!("{name}[{number}]"), NOT_AN_OBJECT),
            }
        }
        self.errors.is_empty().then_some(objects)
    }

    /// Takes over what was refused in the `number`th of the objects named `name`.
    pub fn refuse_within(&mut self, name: &str, number: usize, within: Self) {
        for error in within.errors {
            let field = format!("{name}[{number}].{}", error.field).into();
            self.errors.push(FieldError { field, ..error });
        }
    }

    fn refuse_at(&mut self, field: String, invalid: Invalid) {
        let Invalid { code, detail } = invalid;
        self.errors.push(FieldError { field: field.into(), code, detail: detail.into() });
    }

    /// Whether the field is there and not null.
    pub fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Notes that a field was refused.
    pub fn refuse<T>(&mut self, name: &'static str, invalid: Invalid) -> Option<T> {
        self.errors.push(FieldError {
            field: Cow::Borrowed(name),
            code: invalid.code,
            detail: invalid.detail.into(),
        });
        None
    }

    /// Notes that a required field is absent.
    pub fn refuse_missing<T>(&mut self, name: &'static str) -> Option<T> {
        self.refuse(name, REQUIRED)
    }
}

/// One of the words that `T` is written as; `invalid` says what else is wrong.
pub fn one_of<T: DeserializeOwned>(text: &str, invalid: Invalid) -> Result<T, Invalid> {
    let word: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(word).map_err(|_| invalid)
}

/// A time, RFC 3339.
///
/// # Errors
/// `invalid_time`.
pub fn time(text: &str) -> Result<Timestamp, Invalid> {
    text.parse()
        .map_err(|_| Invalid { code: "invalid_time", detail: "This must be a time, RFC 3339." })
}

/// Parses nothing: the text as it is, from 1 to `MAX` characters.
pub fn text<const MAX: usize>(text: &str) -> Result<String, Invalid> {
    match text.chars().count() {
        0 => Err(Invalid { code: "too_short", detail: "This must not be empty." }),
        length if length > MAX => Err(Invalid { code: "too_long", detail: "This is too long." }),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct Sample;

    impl Body for Sample {
        fn read(fields: &mut Fields) -> Option<Self> {
            let name = fields.required("name", text::<5>);
            let nick = fields.optional("nick", text::<5>);
            let all = fields.flag("all");
            name?;
            nick?;
            all?;
            Some(Self)
        }
    }

    fn context() -> Context {
        Context {
            region: "NP".parse().unwrap(),
            currency: "NPR".parse().unwrap(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn errors(value: Value) -> Vec<(String, &'static str)> {
        let Value::Object(object) = value else { panic!("an object") };
        let fields = Fields::new(object, context());
        let errors = fields.parse::<Sample>().err().unwrap_or_default();
        errors.into_iter().map(|error| (error.field.into_owned(), error.code)).collect()
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let found = errors(json!({"nick": 7, "all": "yes", "other": []}));
        let expected = [("name", "required"), ("nick", "wrong_type"), ("all", "wrong_type")];
        assert_eq!(found, expected.map(|(field, code)| (field.to_owned(), code)));
    }

    #[derive(Debug)]
    struct Nested;

    impl Body for Nested {
        fn read(fields: &mut Fields) -> Option<Self> {
            let outer = fields.required_object("outer", |outer| {
                let size = outer.required_integer("size", Ok);
                let inner =
                    outer.optional_object("inner", |inner| inner.required("name", text::<5>));
                size.zip(inner)
            });
            outer.map(|_| Self)
        }
    }

    #[test]
    fn fields_of_an_object_are_named_after_it() {
        let errors = |value: Value| {
            let Value::Object(object) = value else { panic!("an object") };
            let found = Fields::new(object, context()).parse::<Nested>().err().unwrap_or_default();
            found.into_iter().map(|error| format!("{} {}", error.field, error.code)).collect()
        };
        let all: [(Value, &[&str]); 6] = [
            (json!({"outer": {"size": 1, "inner": {"name": "a"}}}), &[]),
            (json!({"outer": {"size": 1, "inner": null}}), &[]),
            (json!({"outer": null}), &["outer required"]),
            (json!({"outer": [1]}), &["outer wrong_type"]),
            (json!({"outer": {"inner": 7}}), &["outer.size required", "outer.inner wrong_type"]),
            (
                json!({"outer": {"size": 1.5, "inner": {"name": ""}}}),
                &["outer.size wrong_type", "outer.inner.name too_short"],
            ),
        ];
        for (value, expected) in all {
            let found: Vec<String> = errors(value);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_edit_keeps_clears_or_sets() {
        assert_eq!(Edit::Keep.apply(Some(1)), Some(1));
        assert_eq!(Edit::Clear.apply(Some(1)), None);
        assert_eq!(Edit::Set(2).apply(Some(1)), Some(2));
    }

    #[test]
    fn null_is_absent() {
        assert!(errors(json!({"name": "a", "nick": null, "all": null})).is_empty());
        assert_eq!(errors(json!({"name": null})), [("name".to_owned(), "required")]);
    }
}
