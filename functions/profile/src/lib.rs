//! The `profile` function: what a person says of themselves.

mod app;
mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod routes;

pub use routes::router;
