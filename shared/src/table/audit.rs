//! The `audit` table: who did what to whom, for a year. Only ever appended to.
//!
//! An entry holds ids, words and a truncated address: nothing secret, nothing personal.

use jiff::Timestamp;
use serde::Serialize;

use super::{Table, Transaction, item, seconds};
use crate::{
    http::Source,
    id::{AuditId, UserId},
    otp::after,
    problem::Problem,
    secret,
};

const KEEP_SECONDS: i64 = 365 * 24 * 60 * 60;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An account was made.
    Registered,
    /// Somebody signed in.
    SignedIn,
    /// Somebody presented a credential again within a session.
    Reauthenticated,
    /// Somebody added or changed a phone number or an e-mail address.
    IdentifierChanged,
    /// Somebody set a new password, knowing the old.
    PasswordChanged,
    /// Somebody set a new password, proving an identifier.
    PasswordReset,
    /// A refresh token came back that had been succeeded; the session was ended.
    RefreshTokenReused,
}

/// Adds an entry about `subject`, done by themselves: it names no actor, and so costs no place in
/// the index by actor.
pub fn append<L>(
    transaction: &mut Transaction<L>,
    label: L,
    subject: UserId,
    action: Action,
    source: Source,
    now: Timestamp,
) -> Result<(), Problem> {
    #[derive(Serialize)]
    struct Entry {
        subject: UserId,
        entry_id: AuditId,
        action: Action,
        source: String,
        #[serde(with = "seconds::required")]
        at: Timestamp,
        #[serde(with = "seconds::required")]
        expires_at: Timestamp,
    }
    let entry = Entry {
        subject,
        entry_id: AuditId::new(now, secret::random()),
        action,
        source: source.truncated(),
        at: now,
        expires_at: after(now, KEEP_SECONDS),
    };
    transaction.create(label, Table::Audit, "entry_id", item("audit", &entry)?);
    Ok(())
}
