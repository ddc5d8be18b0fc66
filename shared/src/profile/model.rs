//! The profile itself. Pure.

use std::fmt;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{dynamodb::seconds, value::UserId};

/// What a user says about themselves.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The user.
    pub user_id: UserId,
    /// The full name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub full_name: Option<String>,
    /// The date of birth.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub date_of_birth: Option<Date>,
    /// The postal address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    /// The https URL of a picture.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub avatar_url: Option<String>,
    /// A counter that every change raises.
    pub revision: u64,
    /// When it was created.
    #[serde(with = "seconds::required")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "seconds::required")]
    pub updated_at: Timestamp,
}

impl Profile {
    /// A new profile with no fields set.
    pub fn empty(user_id: UserId, now: Timestamp) -> Self {
        Self {
            user_id,
            full_name: None,
            date_of_birth: None,
            address: None,
            avatar_url: None,
            revision: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether name, date of birth and address are set.
    pub fn is_complete(&self) -> bool {
        self.full_name.is_some() && self.date_of_birth.is_some() && self.address.is_some()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}
