//! Tests that span crates: end-to-end, contract and model tests. This library has their helpers.

pub mod events;
pub mod openapi;

use shared::http::operation::Operation;

/// A valid id that belongs to no user and no resource.
pub const UNKNOWN_ID: &str = "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11";

/// The path of an operation with this value for its path parameters.
pub fn path_of(operation: &Operation, named: &str) -> String {
    let segment = |segment: &'static str| if segment.starts_with('{') { named } else { segment };
    operation.path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
