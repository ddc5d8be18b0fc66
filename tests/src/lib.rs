//! The project's tests that stand outside its crates: end to end, contracts, models.

pub mod events;
pub mod openapi;

use shared::http::operation::Operation;

/// An id that is nobody's and of nothing.
pub const NOBODY: &str = "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11";

/// A path of an operation, with this where something is to be named.
pub fn path_of(operation: &Operation, named: &str) -> String {
    let segment = |segment: &'static str| if segment.starts_with('{') { named } else { segment };
    operation.path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
