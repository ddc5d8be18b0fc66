//! The project's tests that stand outside its crates: end to end, contracts, models.

pub mod events;
pub mod openapi;

use shared::operation::Operation;

/// A path of an operation, with the id of nobody and nothing where one is asked for.
pub fn path_of(operation: &Operation) -> String {
    let segment = |segment: &str| match segment.starts_with('{') {
        true => "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11".to_owned(),
        false => segment.to_owned(),
    };
    operation.path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
