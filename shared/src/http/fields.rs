//! Request bodies, read field by field so that every bad field is named at once.

use std::{borrow::Cow, collections::BTreeSet};

use serde::de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer};
use serde_json::{Map, Number, Value};

use crate::{
    http::problem::FieldError,
    value::{Context, Invalid, text},
};

/// A request body: a JSON object whose fields are parsed one by one.
pub trait Body: Sized {
    /// Takes what it needs from `fields`; `None` when any of it was refused.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// The query of a list.
pub trait List: Body {
    /// The names of its parameters. Names are case-sensitive.
    const PARAMETERS: &'static [&'static str];
}

/// The fields of a JSON object, and what was wrong with those read so far. Fields that nothing
/// reads are ignored.
#[derive(Debug)]
pub struct Fields {
    object: Map<String, Value>,
    /// What some values are read by.
    pub context: Context,
    errors: Vec<FieldError>,
    /// Whether they are a query's parameters.
    is_query: bool,
    /// The names of query parameters without a value.
    empty_parameters: Vec<String>,
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
const TOO_LARGE: Invalid = Invalid { code: "too_large", detail: "This is too large." };
const TOO_SMALL: Invalid = Invalid { code: "too_small", detail: "This is too small." };
const REPEATED: Invalid =
    Invalid { code: "repeated", detail: "This parameter may be given only once." };
const UNKNOWN: Invalid =
    Invalid { code: "unknown_parameter", detail: "This operation has no such parameter." };

/// The largest integer up to which a double has every integer (RFC 8259, 6).
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
/// Unknown parameters that a problem names, and characters of each name.
const MAX_UNKNOWN: usize = 10;
const MAX_NAME_CHARS: usize = 50;

impl Fields {
    /// The fields of `object`.
    pub fn new(object: Map<String, Value>, context: Context) -> Self {
        Self { object, context, errors: Vec::new(), is_query: false, empty_parameters: Vec::new() }
    }

    /// The parameters of a query string. An empty one counts as absent. One that is given twice is an
    /// array, which no parameter is.
    pub fn from_query(query: &str, context: Context) -> Self {
        let mut object = Map::new();
        let mut empty_parameters = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if text::trim(&value).is_empty() {
                empty_parameters.push(name.into_owned());
                continue;
            }
            let value = Value::String(value.into_owned());
            let value = match object.remove(&*name) {
                None => value,
                Some(_) => Value::Array(Vec::new()),
            };
            object.insert(name.into_owned(), value);
        }
        Self { is_query: true, empty_parameters, ..Self::new(object, context) }
    }

    /// A refusal of each parameter that is not one of `known`, an empty one too.
    pub fn unknown_parameters(&self, known: &[&str]) -> Vec<FieldError> {
        let names: BTreeSet<_> = self.object.keys().chain(&self.empty_parameters).collect();
        let unknown = names.into_iter().filter(|name| !known.contains(&name.as_str()));
        let error = |name: &String| FieldError {
            field: name.chars().take(MAX_NAME_CHARS).collect::<String>().into(),
            code: UNKNOWN.code,
            detail: UNKNOWN.detail.into(),
        };
        unknown.take(MAX_UNKNOWN).map(error).collect()
    }

    /// Reads a whole body, or says what was wrong with each field.
    pub fn parse<T: Body>(mut self) -> Result<T, Vec<FieldError>> {
        match T::read(&mut self) {
            Some(body) if self.errors.is_empty() => Ok(body),
            _ => Err(self.errors),
        }
    }

    /// A string that must be there, read without white space at its ends.
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

    /// A password that must be there: a string that is read exactly as it came.
    pub fn required_password<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        match self.optional_password(name, parse)? {
            Some(value) => Some(value),
            None => self.refuse(name, REQUIRED),
        }
    }

    /// A string that may be absent or null, read without white space at its ends. The outer `None`
    /// says that it was refused.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        self.optional_password(name, |given| parse(text::trim(given)))
    }

    /// A password that may be absent or null: a string that is read exactly as it came. The outer
    /// `None` says that it was refused.
    pub fn optional_password<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        let parsed = match self.object.get(name) {
            None | Some(Value::Null) => return Some(None),
            Some(Value::String(text)) => parse(text),
            Some(Value::Array(_)) if self.is_query => Err(REPEATED),
            Some(_) => Err(NOT_A_STRING),
        };
        match parsed {
            Ok(value) => Some(Some(value)),
            Err(invalid) => self.refuse(name, invalid),
        }
    }

    /// A whole number that may be absent or null. `1000.0` is one, as in JSON Schema. `parse` is
    /// given the nearest `i64` of a number that is out of range, and names the bound.
    pub fn optional_integer<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(i64) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        let parsed = match self.object.get(name) {
            None | Some(Value::Null) => return Some(None),
            Some(Value::Number(number)) => integer(number, parse),
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
        let mut within = Self::new(object, self.context.clone());
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
    /// fields of its own, with its index. Other elements are refused.
    pub fn objects(&mut self, name: &'static str, max: usize) -> Option<Vec<(usize, Self)>> {
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
                Value::Object(object) => {
                    objects.push((number, Self::new(object, self.context.clone())));
                }
                _ => self.refuse_at(format!("{name}[{number}]"), NOT_AN_OBJECT),
            }
        }
        Some(objects)
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

/// A text of one line, from 1 to `MAX` characters.
///
/// # Errors
/// As [`text::line`].
pub fn text<const MAX: usize>(given: &str) -> Result<String, Invalid> {
    text::line(given, 1..=MAX)
}

/// Reads a number of JSON as an integer, without a loss of precision.
fn integer<T>(
    number: &Number,
    parse: impl FnOnce(i64) -> Result<T, Invalid>,
) -> Result<T, Invalid> {
    if let Some(exact) = number.as_i64() {
        return parse(exact);
    }
    let double = number.as_f64().filter(|double| double.fract() == 0.0).ok_or(NOT_AN_INTEGER)?;
    #[allow(clippy::cast_possible_truncation, reason = "a cast takes the nearest integer")]
    let nearest = double as i64;
    match nearest {
        _ if nearest.unsigned_abs() <= MAX_SAFE_INTEGER => parse(nearest),
        _ if nearest > 0 => parse(i64::MAX).and(Err(TOO_LARGE)),
        _ => parse(i64::MIN).and(Err(TOO_SMALL)),
    }
}

#[cfg(test)]
mod tests;
