//! The `audit` table: who did what to which account. Entries are never changed; the TTL deletes
//! them after a year.
//!
//! An entry holds ids, fixed words and a truncated IP address: no secrets and no personal data.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret,
    dynamodb::{Store, Table, Transaction, from_item, item, seconds},
    http::{ClientIp, problem::Problem},
    runtime::clock::after,
    value::{AuditId, UserId},
};

const KEEP_SECONDS: i64 = 365 * 24 * 60 * 60;

/// The action that an audit entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditAction))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A user registered.
    Registered,
    /// A user signed in.
    SignedIn,
    /// A sign-in with a correct credential was refused; `reason` says why.
    SignInRefused,
    /// A user presented a credential again in a session.
    Reauthenticated,
    /// A user added or replaced a phone number or an e-mail address.
    IdentifierChanged,
    /// A user changed the password with the old password.
    PasswordChanged,
    /// A user set a new password with a verified identifier.
    PasswordReset,
    /// A refresh token was used a second time, and the session was ended.
    RefreshTokenReused,
    /// A user asked for everything that is held about them.
    AccountExported,
    /// An account was deleted, by its owner or by staff.
    AccountDeleted,
    /// A user who is not staff called an operation for staff.
    StaffRefused,
    /// A staff member tried to change their own account where only another staff member may.
    OwnAccountRefused,
    /// Staff created an account.
    UserCreated,
    /// Staff changed an account.
    UserUpdated,
    /// Staff ended a user's sessions.
    SessionsEnded,
    /// Staff viewed identity documents.
    DocumentsViewed,
    /// Staff approved or rejected an identity.
    KycReviewed,
    /// Staff released the number of a rejected document.
    DocumentNumberFreed,
    /// Staff adjusted a balance.
    WalletAdjusted,
}

/// An entry that is to be added.
#[derive(Debug, Clone)]
pub struct Record {
    subject: UserId,
    actor: Option<UserId>,
    action: Action,
    source: ClientIp,
    details: BTreeMap<&'static str, String>,
}

impl Record {
    /// A record of what a user did to their own account. It has no actor, so it is not in the index
    /// by actor.
    pub fn own(subject: UserId, action: Action, source: ClientIp) -> Self {
        Self { subject, actor: None, action, source, details: BTreeMap::new() }
    }

    /// A record of what `actor` did to the account of `subject`.
    pub fn by(actor: UserId, subject: UserId, action: Action, source: ClientIp) -> Self {
        let actor = Some(actor).filter(|actor| *actor != subject);
        Self { actor, ..Self::own(subject, action, source) }
    }

    /// The actor, if it is not the subject.
    pub fn actor(&self) -> Option<UserId> {
        self.actor
    }

    /// Adds a detail: a word, an id or a masked value. No secrets and no personal data.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.insert(name, value.into());
        self
    }
}

/// An audit entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The account that the action concerns.
    pub subject: UserId,
    /// The entry's id. Ids sort by time.
    pub entry_id: AuditId,
    /// The action.
    pub action: Action,
    /// The user who acted, if it is not the subject.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<UserId>,
    /// The network of the caller's IP address.
    pub source: String,
    /// Details by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub details: BTreeMap<String, String>,
    /// The time of the action.
    #[serde(with = "seconds::required")]
    pub at: Timestamp,
    /// When the entry may be deleted. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

/// Adds an entry to a transaction and returns its id.
pub fn add<L>(
    transaction: &mut Transaction<L>,
    label: L,
    record: &Record,
    now: Timestamp,
) -> Result<AuditId, Problem> {
    let details = record.details.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let entry = Entry {
        subject: record.subject,
        entry_id: AuditId::new(now, secret::random()),
        action: record.action,
        actor: record.actor,
        source: record.source.truncated(),
        details: details.collect(),
        at: now,
        expires_at: after(now, KEEP_SECONDS),
    };
    transaction.create(label, Table::Audit, "entry_id", item("audit", &entry)?);
    Ok(entry.entry_id)
}

/// Writes an entry on its own, for an action that changed nothing else. Returns its id.
pub async fn write(store: &Store, record: &Record, now: Timestamp) -> Result<AuditId, Problem> {
    let mut transaction = Transaction::default();
    let entry_id = add(&mut transaction, (), record, now)?;
    // Its only condition is that the id is new, which is true.
    store.commit(transaction).await.map(|_| entry_id)
}

/// Adds an entry about what a user did to their own account to a transaction.
pub fn add_own<L>(
    transaction: &mut Transaction<L>,
    label: L,
    subject: UserId,
    action: Action,
    source: ClientIp,
    now: Timestamp,
) -> Result<(), Problem> {
    add(transaction, label, &Record::own(subject, action, source), now).map(drop)
}

/// The newest entries about a user, at most `limit`, and whether there are no more.
pub async fn newest(
    store: &Store,
    subject: UserId,
    limit: usize,
) -> Result<(Vec<Entry>, bool), Problem> {
    let subject = subject.to_string();
    let partition = ("subject", subject.as_str());
    let (items, is_complete) =
        store.query_newest(Table::Audit, partition, ("entry_id", ""), limit).await?;
    let entries = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
    Ok((entries, is_complete))
}
