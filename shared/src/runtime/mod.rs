//! Everything a function needs to start and run: settings, AWS clients, clock, log, metrics.

pub mod aws;
pub mod clock;
pub mod config;
pub mod lambda;
pub mod log;
pub mod metrics;
