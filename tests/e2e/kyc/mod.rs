//! `/users/kyc`: identity documents.

mod document_numbers;
mod document_views;
mod faults;
mod late_files;
mod limits;
mod review_and_cleanup;
mod submission;
mod upload;
