//! A session and the device that was registered in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::{secret::Digest, slot::Slot},
    dynamodb::{digest, seconds},
    session::rotation::{self, SessionState},
    value::{SessionId, UserId},
};

/// The most sessions of a user. A sign-in beyond this limit ends the oldest session.
pub const MAX_PER_USER: usize = 20;

/// A session. Its item is deleted when the session ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The user.
    pub user_id: UserId,
    /// The session's id. Ids sort by the time of creation.
    pub session_id: SessionId,
    /// The number of refreshes. The current refresh token has the same number.
    pub counter: u64,
    /// Digest of the `Idempotency-Key` of the last refresh, if it had one.
    #[serde(with = "digest::optional", skip_serializing_if = "Option::is_none", default)]
    pub last_key: Option<Digest>,
    /// The slot of the MAC key of its refresh tokens.
    pub mac_slot: Slot,
    /// Whether the user was staff at the sign-in.
    pub is_staff: bool,
    /// The device that was registered in it.
    #[serde(flatten)]
    pub device: Option<SessionDevice>,
    /// When it was created.
    #[serde(with = "seconds::required")]
    pub created_at: Timestamp,
    /// When it was created or last refreshed.
    #[serde(with = "seconds::required")]
    pub last_used_at: Timestamp,
    /// When a credential was last presented in it.
    #[serde(with = "seconds::required")]
    pub auth_time: Timestamp,
    /// When it ends unless it is refreshed. After a refresh this may be later than `absolute_end`;
    /// the session ends at the earlier of both. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
    /// When it ends even if it is refreshed.
    #[serde(with = "seconds::required")]
    pub absolute_end: Timestamp,
}

/// The device that was registered in a session. It is a hint: the device's own item decides, see
/// [`crate::session::device`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionDevice {
    /// The device's id, which the app chooses. It is unique for the user only.
    pub device_id: String,
    /// The user's name for the device.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device_name: Option<String>,
    /// Digest of its push token.
    #[serde(with = "digest")]
    pub device_token: Digest,
}

impl Session {
    /// A new session that starts now.
    pub fn new(
        user_id: UserId,
        session_id: SessionId,
        mac_slot: Slot,
        is_staff: bool,
        now: Timestamp,
    ) -> Self {
        let absolute_end = rotation::absolute_end(now);
        Self {
            user_id,
            session_id,
            counter: 0,
            last_key: None,
            mac_slot,
            is_staff,
            device: None,
            created_at: now,
            last_used_at: now,
            auth_time: now,
            expires_at: rotation::idle_end(now, absolute_end),
            absolute_end,
        }
    }

    /// Whether it has not ended at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.absolute_end
    }

    pub(super) fn state(&self) -> SessionState {
        SessionState {
            counter: self.counter,
            last_key: self.last_key,
            idle_end: self.expires_at,
            absolute_end: self.absolute_end,
        }
    }
}
