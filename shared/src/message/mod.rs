//! Sending SMS and e-mail.

#[cfg(any(feature = "sms", feature = "mail"))]
pub mod delivery;
#[cfg(feature = "mail")]
pub mod email;
#[cfg(all(feature = "sms", feature = "mail"))]
pub mod notify;
#[cfg(feature = "sms")]
pub mod sms;
