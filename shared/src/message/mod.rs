//! Sending SMS and e-mail.

#[cfg(any(feature = "sms", feature = "mail"))]
pub mod delivery;
#[cfg(feature = "mail")]
pub mod email;
#[cfg(feature = "sms")]
pub mod sms;
