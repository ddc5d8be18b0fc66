//! The `analytics` function: what a user did, counted from the events of other backends.

mod app;
mod count;
mod events;
mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod routes;
mod series;
mod tally;

pub use routes::router;
