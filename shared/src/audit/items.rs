//! The `audit` table: who did what to whom, for a year. Only ever appended to.
//!
//! An entry holds ids, words and a truncated address: nothing secret, nothing personal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret,
    dynamodb::{Store, Table, Transaction, from_item, item, seconds},
    http::{Source, problem::Problem},
    otp::after,
    value::{AuditId, UserId},
};

const KEEP_SECONDS: i64 = 365 * 24 * 60 * 60;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditAction))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An account was made.
    Registered,
    /// Somebody signed in.
    SignedIn,
    /// A right credential was refused by policy: `reason` says which.
    SignInRefused,
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
    /// Somebody asked for everything that is held about them.
    AccountExported,
    /// An account was deleted, by its holder or by staff.
    AccountDeleted,
    /// Somebody who is not staff asked for what only staff may.
    StaffRefused,
    /// A member of staff asked to do to themselves what only another may.
    OwnAccountRefused,
    /// Staff made an account.
    UserCreated,
    /// Staff changed an account.
    UserUpdated,
    /// Staff ended a user's sessions.
    SessionsEnded,
    /// Staff looked at identity documents.
    DocumentsViewed,
    /// Staff judged an identity.
    KycReviewed,
    /// Staff freed the number of a rejected document.
    DocumentNumberFreed,
    /// Staff corrected a balance.
    WalletAdjusted,
}

/// What is to be noted.
#[derive(Debug, Clone)]
pub struct Record {
    subject: UserId,
    actor: Option<UserId>,
    action: Action,
    source: Source,
    details: BTreeMap<&'static str, String>,
}

impl Record {
    /// What somebody did to their own account. It names no actor, and so costs no place in the
    /// index by actor.
    pub fn own(subject: UserId, action: Action, source: Source) -> Self {
        Self { subject, actor: None, action, source, details: BTreeMap::new() }
    }

    /// What `actor` did to another's account.
    pub fn by(actor: UserId, subject: UserId, action: Action, source: Source) -> Self {
        let actor = Some(actor).filter(|actor| *actor != subject);
        Self { actor, ..Self::own(subject, action, source) }
    }

    /// Who did it, where it was not the subject.
    pub fn actor(&self) -> Option<UserId> {
        self.actor
    }

    /// More about it: a word, an id, a masked value. Nothing secret, nothing personal.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.insert(name, value.into());
        self
    }
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose account it is about.
    pub subject: UserId,
    /// Its id, which orders entries.
    pub entry_id: AuditId,
    /// What was done.
    pub action: Action,
    /// Who did it, where it was not the subject.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<UserId>,
    /// From which network.
    pub source: String,
    /// More about it, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub details: BTreeMap<String, String>,
    /// When.
    #[serde(with = "seconds::required")]
    pub at: Timestamp,
    /// When it may be forgotten. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

/// Adds an entry; answers its id.
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

/// Adds an entry about what changed nothing else: a refusal, a look. Answers its id.
pub async fn put(store: &Store, record: &Record, now: Timestamp) -> Result<AuditId, Problem> {
    let mut alone = Transaction::default();
    let entry_id = add(&mut alone, (), record, now)?;
    // A new id is taken by nobody.
    store.commit(alone).await.map(|_| entry_id)
}

/// Adds an entry about what somebody did to their own account.
pub fn append<L>(
    transaction: &mut Transaction<L>,
    label: L,
    subject: UserId,
    action: Action,
    source: Source,
    now: Timestamp,
) -> Result<(), Problem> {
    add(transaction, label, &Record::own(subject, action, source), now).map(drop)
}

/// The newest entries about a user, at most `limit`, and whether these are all.
pub async fn newest(
    store: &Store,
    subject: UserId,
    limit: usize,
) -> Result<(Vec<Entry>, bool), Problem> {
    let subject = subject.to_string();
    let found =
        store.newest_rows(Table::Audit, ("subject", &subject), ("entry_id", ""), limit).await?;
    let entries = found.0.into_iter().map(from_item).collect::<Result<_, _>>()?;
    Ok((entries, found.1))
}
