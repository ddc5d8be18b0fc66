//! `/auth/otp`: one-time codes, their delivery and their limits.

mod delivery;
mod idempotency;
mod limits;
mod request;
mod sms_cap;
mod verify;
