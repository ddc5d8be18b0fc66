//! One parsed type for each kind of value. A value that exists is valid.

mod context;
pub mod email;
pub mod id;
pub mod identifier;
mod invalid;
mod kyc_status;
pub mod money;
pub mod phone;
pub mod purpose;
pub mod referral_code;
pub mod rfc3339;
pub mod text;
pub mod username;

pub use context::Context;
pub use email::Email;
pub use id::{AuditId, DeviceId, EntryId, SessionId, SubmissionId, UploadId, UserId};
pub use identifier::Identifier;
pub use invalid::Invalid;
pub use kyc_status::KycStatus;
pub use money::{Amount, Currency, Points};
pub use phone::{PhoneNumber, Region};
pub use purpose::Purpose;
pub use referral_code::ReferralCode;
pub use username::{ReservedUsernames, Username, WantedUsername};
