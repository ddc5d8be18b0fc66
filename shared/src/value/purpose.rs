//! What a one-time code is for.

use serde::{Deserialize, Serialize};

use crate::value::Invalid;

/// What a one-time code, and the verification token that it is exchanged for, may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Purpose {
    /// Signing in.
    Login,
    /// Making an account.
    Register,
    /// Setting a new password without the old one.
    ResetPassword,
    /// Adding or changing a phone number or an e-mail address.
    ChangeIdentifier,
}

impl Purpose {
    /// All four.
    pub const ALL: [Self; 4] =
        [Self::Login, Self::Register, Self::ResetPassword, Self::ChangeIdentifier];

    /// Its name in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Register => "REGISTER",
            Self::ResetPassword => "RESET_PASSWORD",
            Self::ChangeIdentifier => "CHANGE_IDENTIFIER",
        }
    }

    /// Reads its name.
    ///
    /// # Errors
    /// `invalid_purpose` for anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or(Invalid {
            code: "invalid_purpose",
            detail: "This must be LOGIN, REGISTER, RESET_PASSWORD or CHANGE_IDENTIFIER.",
        })
    }

    /// Whether a code is sent only to those who have an account.
    pub fn needs_account(self) -> bool {
        matches!(self, Self::Login | Self::ResetPassword)
    }
}
