//! What the seven functions share.
//!
//! From the edge inwards: [`lambda`] runs a function, [`http`] is what every answer has in common,
//! [`fields`] reads bodies into parsed types, [`gate`] turns a token into a [`gate::Principal`],
//! [`table`] is the only way to DynamoDB, and [`problem`] is every failure's answer.
//!
//! What holds here, and is tested: value types and rules know nothing of AWS; only [`config`]
//! reads the environment; the time comes from a [`clock::Clock`] that is handed in; nothing knows
//! a sibling crate, or whether it runs on a laptop.

pub mod aws;
pub mod canonical;
pub mod clock;
pub mod config;
pub mod cursor;
#[cfg(feature = "documents")]
pub mod deletion;
#[cfg(any(feature = "sms", feature = "mail"))]
pub mod delivery;
pub mod document;
#[cfg(feature = "documents")]
pub mod documents;
pub mod email;
pub mod etag;
pub mod fields;
pub mod gate;
pub mod http;
pub mod id;
pub mod identifier;
pub mod index;
mod jwt;
pub mod keyring;
pub mod lambda;
pub mod ledger;
pub mod log;
pub mod login;
#[cfg(feature = "mail")]
pub mod mail;
pub mod metrics;
pub mod money;
#[cfg(all(feature = "sms", feature = "mail"))]
pub mod notify;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod operation;
pub mod otp;
#[cfg(feature = "password")]
pub mod password;
pub mod phone;
pub mod problem;
pub mod profile;
pub mod purpose;
pub mod referral;
pub mod refresh;
pub mod rfc3339;
pub mod secret;
#[cfg(feature = "sms")]
pub mod sms;
pub mod table;
pub mod text;
pub mod token;
pub mod username;
pub mod value;
pub mod view;
