//! Rules that hold for several functions or for all operations.

mod account_enumeration;
mod account_lifecycle;
mod authorization;
mod budgets;
mod cleanup_job;
mod events;
mod faults;
mod fuzz;
mod headers;
mod logs;
mod malformed_requests;
mod metrics;
mod path_variants;
mod text_and_queries;
