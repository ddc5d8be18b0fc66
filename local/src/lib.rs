//! The API on one machine: the seven functions behind a gateway, with DynamoDB, S3, SNS and SES
//! in the same process. For development and tests only; nothing of it is deployed.
//!
//! - [`stack`] starts and ends it all.
//! - `gateway` is API Gateway: requests become payload 2.0 events, the functions' own
//!   `lambda_http` reads them, and their answers become responses.
//! - `service` are the AWS services. DynamoDB and S3 are embedded, SNS and SES are stand-ins that
//!   record messages.
//! - `aws` is the road between: the product's SDK clients over its own HTTP client, metered, and
//!   with faults on demand.
//! - `control` is `/_local/`: messages, clock, costs, metrics, faults, reset, and Lambda's Invoke
//!   API.
//!
//! The product does not know that it runs here: only endpoints, credentials, the HTTP client and
//! the clock differ.

mod aws;
pub mod banner;
pub mod clock;
mod control;
mod data;
mod gateway;
mod listener;
mod metrics;
pub mod options;
pub mod outbox;
pub mod permission;
mod problem;
mod random;
mod service;
pub mod settings;
pub mod stack;
mod staff;
mod sync;
pub mod tables;

pub use aws::Endpoints;
pub use options::Options;
pub use stack::{Stack, StartError};
