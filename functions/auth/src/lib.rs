//! The `auth` function: accounts, sessions and tokens. It also answers what no route matches.
//!
//! `body` reads requests, `handlers` are the operations at the edge, `register`, `login`, `session`,
//! `credential`, `identifier`, `device`, `account` and `export` carry them out.

mod account;
mod app;
mod body;
mod credential;
mod device;
mod export;
mod handlers;
mod identifier;
mod login;
#[cfg(feature = "openapi")]
pub mod openapi;
mod refused;
mod register;
mod routes;
mod session;
mod sign_in;
mod tokens;

pub use routes::router;
