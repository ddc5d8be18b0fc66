//! Identity documents: submissions, files, reviews, and the work of the cleanup job.

#[cfg(feature = "documents")]
pub mod bucket;
pub mod cleanup;
mod deletion;
pub mod document;
mod items;
pub mod number_claim;
pub mod queue;
pub mod review;
mod submission;
pub mod submit;

pub use crate::value::KycStatus;
pub use deletion::*;
pub use items::*;
pub use submission::*;
