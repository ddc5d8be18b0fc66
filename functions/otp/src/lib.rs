//! The `otp` function: codes that prove who holds a phone number or an e-mail address.
//!
//! `request` and `verify` are the two operations: count, decide, then send or compare.

mod app;
mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod request;
mod routes;
mod verify;

pub use routes::router;
