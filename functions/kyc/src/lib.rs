//! The `kyc` function: what a person submits to prove who they are.

mod app;
mod body;
mod count;
mod file;
mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod pdf;
mod routes;
mod rules;
mod submission;

pub use routes::router;
