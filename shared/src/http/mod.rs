//! The edge: what all operations have in common between an HTTP request and its response.

pub mod cursor;
pub mod etag;
mod extract;
pub mod fields;
pub mod operation;
pub mod problem;

pub use extract::*;
