//! The purpose of a one-time code.

use serde::{Deserialize, Serialize};

use crate::value::Invalid;

/// The purpose of a one-time code, and of the verification token that it is exchanged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Purpose {
    /// Signing in.
    Login,
    /// Registering an account.
    Register,
    /// Setting a new password without the old one.
    ResetPassword,
    /// Adding or changing a phone number or an e-mail address.
    ChangeIdentifier,
}

impl Purpose {
    /// All purposes.
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

    /// Parses its name.
    ///
    /// # Errors
    /// `invalid_purpose` for anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or(Invalid {
            code: "invalid_purpose",
            detail: "This must be LOGIN, REGISTER, RESET_PASSWORD or CHANGE_IDENTIFIER.",
        })
    }

    /// Whether a code is sent only if there is an account.
    pub fn needs_account(self) -> bool {
        matches!(self, Self::Login | Self::ResetPassword)
    }
}
