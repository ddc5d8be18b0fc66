//! Attribute values, and items made of them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use crate::http::problem::Problem;

/// An item: its attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// A string attribute.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub fn n(number: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// A time as a number attribute, in whole seconds.
pub fn time(at: Timestamp) -> AttributeValue {
    n(at.as_second())
}

/// The item of `value`, with its type and schema version.
pub(crate) fn item<T: Serialize>(item_type: &str, value: &T) -> Result<Item, Problem> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(Problem::internal)?;
    item.insert("item_type".to_owned(), s(item_type));
    item.insert("schema_version".to_owned(), n(1));
    Ok(item)
}

/// The value of an item. The error leaves out the cause, which could quote personal data.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Problem> {
    let name = std::any::type_name::<T>();
    serde_dynamo::from_item(item)
        .map_err(|_| Problem::internal(format!("an item could not be read as {name}")))
}

/// The map, or `None` if it is empty: DynamoDB refuses an empty map in a request.
pub(super) fn non_empty<V>(map: HashMap<String, V>) -> Option<HashMap<String, V>> {
    Some(map).filter(|map| !map.is_empty())
}
