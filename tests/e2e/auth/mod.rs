//! `/auth`: registration, sign-in, sessions, credentials, and the end of an account.

mod access_tokens;
mod credential_budgets;
mod credential_faults;
mod credentials;
mod deletion;
mod deletion_faults;
mod deletion_races;
mod devices;
mod export;
mod failed_attempts;
pub mod identifier;
mod identifier_replacement;
mod login;
mod login_limits;
mod logout;
mod me;
mod new_passwords;
mod referral;
mod refresh;
mod refused_sign_in_audit;
mod register;
mod register_fields;
mod sessions;
mod sign_up_journey;
mod stale_reads;
mod well_known;
