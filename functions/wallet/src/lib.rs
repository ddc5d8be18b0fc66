//! The `wallet` function: balances, the ledger, and the entries that other backends post.

mod app;
mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod routes;

pub use routes::router;
