//! Signing in: passwords, and the limits on attempts.

pub mod attempts;
#[cfg(feature = "password")]
pub mod password;
pub mod throttle;
