//! The `admin` function: what staff do, and the sweep that EventBridge asks for.
//!
//! `list`, `detail`, `create`, `update` and `session` are about users, `wallet` about their
//! balances, `kyc` about who they are, `audit` about what was done. `change` is a rule without I/O.

mod app;
mod audit;
mod change;
mod create;
mod deletion;
mod detail;
mod kyc;
mod list;
#[cfg(feature = "openapi")]
pub mod openapi;
mod routes;
mod session;
mod sweep;
mod update;
mod wallet;

pub use routes::router;
pub use sweep::Sweeper;
