//! The API as a client sees it: black box over HTTP.
//!
//! Every test starts a stack of its own on free ports, in this process. With `BASE_URL` set they
//! speak to that stack instead, and those that need more than HTTP (the clock, faults, the tables,
//! another configuration, or codes that nobody can read back there) say `skipped: <name>`.
//!
//! Tests are named after the rule that they hold; `asvs_…` are those of the security list.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod harness;

mod admin_adjustments;
mod admin_audit;
mod admin_kyc;
mod admin_list;
mod admin_rights;
mod admin_search;
mod admin_sessions;
mod admin_update;
mod admin_users;
mod attempts;
mod budgets;
mod callers;
mod credential_budgets;
mod credential_faults;
mod credentials;
mod deletion;
mod deletion_faults;
mod deletion_races;
mod device;
mod enumeration;
mod events;
mod export;
mod faults;
mod fuzz;
mod headers;
mod hostile;
mod identifier;
mod journey;
mod kyc;
mod kyc_faults;
mod kyc_late;
mod kyc_limits;
mod kyc_numbers;
mod kyc_review;
mod kyc_upload;
mod kyc_views;
mod life;
mod login;
mod login_limits;
mod logout;
mod logs;
mod me;
mod metrics;
mod old_readings;
mod otp_ceiling;
mod otp_delivery;
mod otp_idempotency;
mod otp_limits;
mod otp_request;
mod otp_verify;
mod passwords;
mod paths;
mod profile;
mod referral;
mod refresh;
mod refused;
mod register;
mod register_fields;
mod replaced;
mod sessions;
mod sweep;
mod text;
mod tokens;
mod usage_events;
mod usage_stats;
mod wallet;
mod wallet_entries;
mod well_known;
