//! End-to-end tests: black box, over HTTP.
//!
//! Every test starts its own stack on free ports, in this process. If `BASE_URL` is set, the tests
//! use that stack instead. A test that needs more than that stack offers (the clock, faults, the
//! tables, other settings, or sent codes) prints `skipped: <name>` and passes.
//!
//! One folder for each subject; `cross` has the rules that hold for all operations. A test's name
//! says condition and outcome. `asvs_…`, `rfc_…` and `api…` name the requirement that it checks
//! (OWASP ASVS, an RFC, the OWASP API Security Top 10).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod harness;

mod admin;
mod analytics;
mod auth;
mod cross;
mod kyc;
mod otp;
mod profile;
mod wallet;
