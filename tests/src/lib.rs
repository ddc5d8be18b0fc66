//! The project's tests that stand outside its crates: end to end, contracts, models.

pub mod events;
pub mod openapi;
