//! The operations as the OpenAPI document shows them.

mod deletion;

use shared::openapi::OperationDoc;

/// The operations of this function.
pub fn operations() -> Vec<OperationDoc> {
    vec![deletion::delete_user()]
}
