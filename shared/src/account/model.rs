//! The account itself. Pure.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    dynamodb::seconds,
    value::{
        Email, Identifier, PhoneNumber, ReferralCode, SessionId, UserId, Username, identifier::Kind,
    },
};

/// How long the account lists a new session.
const RECENT_SECONDS: i64 = 60;

/// Whether an account may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum AccountStatus {
    /// It may sign in.
    Active,
    /// Staff deactivated it.
    Inactive,
    /// Staff banned it.
    Banned,
}

impl AccountStatus {
    /// Its name in requests, responses and items.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Banned => "BANNED",
        }
    }
}

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub user_id: UserId,
    /// The username as it was typed.
    pub username: Username,
    /// The argon2id PHC string. `None` if the user signs in with codes only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub password_hash: Option<PasswordHash>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<Email>,
    /// Whether the user has proved that the address is theirs. A verified address has a claim.
    pub email_verified: bool,
    /// The phone number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone_number: Option<PhoneNumber>,
    /// Whether the user has proved that the number is theirs. A verified number has a claim.
    pub phone_verified: bool,
    /// The code that the user gives to the people they invite.
    pub referral_code: ReferralCode,
    /// Whether it may sign in.
    pub status: AccountStatus,
    /// A counter that is raised whenever all sessions are ended. A sign-in that began before fails.
    pub epoch: u32,
    /// How many sign-ins there were. Of two sign-ins at the same time, only one can be the next.
    pub sign_ins: u32,
    /// The sessions that began in the last minute. A list of sessions may not contain them yet, if
    /// it is read at the same time as the account, or not consistently.
    #[serde(default)]
    pub recent_sessions: Vec<SessionId>,
    /// Whether its sessions are staff sessions.
    pub is_staff: bool,
    /// When it was created.
    #[serde(with = "seconds::required")]
    pub joined_at: Timestamp,
    /// A replaced identifier that has not been notified of the replacement yet.
    #[serde(rename = "untold", skip_serializing_if = "Option::is_none", default)]
    pub pending_notice: Option<Identifier>,
    /// When the user last signed in.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub last_login_at: Option<Timestamp>,
}

impl Account {
    /// The sessions that began in the minute before `now`.
    pub fn recent_sessions(&self, now: Timestamp) -> impl Iterator<Item = SessionId> + '_ {
        let since = now.as_second() - RECENT_SECONDS;
        let ids = self.recent_sessions.iter().copied();
        ids.filter(move |id| id.created_at().as_second() >= since)
    }

    /// The verified identifier of this kind, if there is one.
    pub fn verified_of_kind(&self, kind: Kind) -> Option<Identifier> {
        match kind {
            Kind::Phone => {
                self.phone_number.clone().filter(|_| self.phone_verified).map(Identifier::Phone)
            }
            Kind::Email => {
                self.email.clone().filter(|_| self.email_verified).map(Identifier::Email)
            }
        }
    }

    /// Whether the account has this identifier, and it is verified.
    pub fn has_verified(&self, identifier: &Identifier) -> bool {
        self.verified_of_kind(identifier.kind()).as_ref() == Some(identifier)
    }
}

/// The PHC string of a password. It is less secret than the password, but `Debug` does not print it
/// either.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}
