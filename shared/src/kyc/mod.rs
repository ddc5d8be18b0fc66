//! Identity documents: submission, files, review, and the cleanup job.

#[cfg(feature = "documents")]
pub mod bucket;
pub mod cleanup;
pub mod document;
pub mod number_claim;
pub mod queue;
pub mod review;
mod submission;
pub mod submit;

pub use submission::*;
