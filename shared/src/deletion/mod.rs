//! The deletion of an account: one transaction, then a cleanup that can be repeated.

mod delete;
pub mod work;

pub use delete::*;
