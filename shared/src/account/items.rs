//! The `users` table: accounts, and the claims that make identifiers, usernames and referral
//! codes unique.
//!
//! A claim is an item of its own whose key is the claimed name, put where none is, in the
//! transaction that needs it. Only a verified identifier has a claim.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    dynamodb::{Change, Item, Key, Table, Transaction, item, n, s, seconds, time},
    http::problem::Problem,
    kyc::KycStatus,
    value::{
        Email, Identifier, PhoneNumber, ReferralCode, SessionId, UserId, Username, identifier::Kind,
    },
};

/// Whether an account may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum AccountStatus {
    /// It may.
    Active,
    /// It was switched off by staff.
    Inactive,
    /// It was banned by staff.
    Banned,
}

impl AccountStatus {
    /// Its name in requests, answers and items.
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
    /// The name as it was typed.
    pub username: Username,
    /// The argon2id PHC string; none where the person signs in by code only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub password_hash: Option<PasswordHash>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<Email>,
    /// Whether the address is the person's own, and claimed.
    pub email_verified: bool,
    /// The phone number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone_number: Option<PhoneNumber>,
    /// Whether the number is the person's own, and claimed.
    pub phone_verified: bool,
    /// What the person gives to those they invite.
    pub referral_code: ReferralCode,
    /// Whether it may sign in.
    pub status: AccountStatus,
    /// Raised by everything that ends all sessions; a sign-in that began before loses.
    pub epoch: u32,
    /// How often somebody signed in. Two sign-ins at once cannot both be the next.
    pub sign_ins: u32,
    /// The sessions that began in the last minute: those that a list of sessions, read beside the
    /// account or not consistently, may not show yet.
    #[serde(default)]
    pub recent_sessions: Vec<SessionId>,
    /// Whether its sessions are staff sessions.
    pub is_staff: bool,
    /// When it was made.
    #[serde(with = "seconds::required")]
    pub joined_at: Timestamp,
    /// An identifier that another has replaced, and that was not told yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub untold: Option<Identifier>,
    /// When somebody last signed in.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub last_login_at: Option<Timestamp>,
}

/// A password's PHC string. It is no secret like the password, and is not printed either.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Who holds a claimed name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// The account.
    pub user_id: UserId,
}

/// The staff list's index is spread over this many partitions.
pub const LIST_SHARDS: u8 = 4;

/// Where an account is.
pub fn key(user_id: UserId) -> Key<Account> {
    Key::new(Table::Users, &[("pk", &format!("USER#{user_id}"))])
}

/// Where the claim of a verified identifier is.
pub fn identifier_claim(identifier: &Identifier) -> Key<Claim> {
    claim(&match identifier {
        Identifier::Phone(phone) => format!("PHONE#{}", phone.as_str()),
        Identifier::Email(email) => format!("EMAIL#{}", email.as_str()),
    })
}

/// Where the claim of a username is.
pub fn username_claim(username: &Username) -> Key<Claim> {
    claim(&format!("USERNAME#{}", username.key()))
}

/// Where the claim of a referral code is.
pub fn referral_claim(code: &ReferralCode) -> Key<Claim> {
    claim(&format!("REFERRAL#{}", code.as_str()))
}

fn claim(pk: &str) -> Key<Claim> {
    Key::new(Table::Users, &[("pk", pk)])
}

/// Adds a new account.
pub fn create<L>(
    transaction: &mut Transaction<L>,
    label: L,
    account: &Account,
) -> Result<(), Problem> {
    let mut new = item("account", account)?;
    new.extend(key(account.user_id).key);
    let shard = account.user_id.as_bytes()[15] % LIST_SHARDS;
    new.insert("joined_shard".to_owned(), s(shard.to_string()));
    new.insert("kyc_status".to_owned(), s(KycStatus::NotSubmitted.as_str()));
    new.insert("username_key".to_owned(), s(account.username.key()));
    new.insert("is_profile_complete".to_owned(), AttributeValue::Bool(false));
    transaction.create(label, Table::Users, "pk", new);
    Ok(())
}

/// Claims a name for an account.
pub fn claim_for<L>(
    transaction: &mut Transaction<L>,
    label: L,
    claim: Key<Claim>,
    user_id: UserId,
) -> Result<(), Problem> {
    let mut new = item("claim", &Claim { user_id })?;
    new.extend(claim.key);
    transaction.create(label, Table::Users, "pk", new);
    Ok(())
}

/// Notes a sign-in, if the account is still active, the identifier that was presented is still its
/// own, and nobody has signed in and nothing has ended its sessions since it was read: the session
/// that begins, and those that end for it. `upgraded` replaces a password hash whose parameters are
/// out of date.
pub fn sign_in<L>(
    transaction: &mut Transaction<L>,
    label: L,
    account: &Account,
    presented: &Identifier,
    (session_id, ended): (SessionId, &[SessionId]),
    upgraded: Option<&PasswordHash>,
    now: Timestamp,
) {
    let set_hash = if upgraded.is_some() { ", password_hash = :hash" } else { "" };
    let update =
        format!("SET last_login_at = :now, sign_ins = :next, recent_sessions = :recent{set_hash}");
    let recent = account.recent_sessions(now).filter(|id| !ended.contains(id));
    let mut recent: Vec<_> = recent.chain([session_id]).map(|id| s(id.to_string())).collect();
    recent.drain(..recent.len().saturating_sub(MAX_RECENT_SESSIONS));
    let is_own = super::credential::is_own(presented);
    // `status` is a reserved word.
    let mut change = Change::new(key(account.user_id), update)
        .only_if(format!("#status = :active AND epoch = :epoch AND sign_ins = :seen AND {is_own}"))
        .name("#status", "status")
        .with(":presented", s(presented.as_str()))
        .with(":true", AttributeValue::Bool(true))
        .with(":now", time(now))
        .with(":active", s("ACTIVE"))
        .with(":epoch", n(account.epoch))
        .with(":recent", AttributeValue::L(recent))
        .with(":seen", n(account.sign_ins))
        .with(":next", n(account.sign_ins + 1));
    if let Some(PasswordHash(hash)) = upgraded {
        change = change.with(":hash", s(hash.as_str()));
    }
    transaction.change(label, change);
}

const RECENT_SECONDS: i64 = 60;
/// So many at most are named by the account: who ends them all does so in one transaction.
const MAX_RECENT_SESSIONS: usize = 40;

impl Account {
    /// The sessions that began in the minute before `now`.
    pub fn recent_sessions(&self, now: Timestamp) -> impl Iterator<Item = SessionId> + '_ {
        let since = now.as_second() - RECENT_SECONDS;
        let ids = self.recent_sessions.iter().copied();
        ids.filter(move |id| id.created_at().as_second() >= since)
    }

    /// The verified identifier of that kind, if there is one.
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
}

/// Frees an identifier that was the account's.
pub fn release_claim<L>(
    transaction: &mut Transaction<L>,
    label: L,
    identifier: &Identifier,
    user_id: UserId,
) {
    let values = Item::from([(":user".to_owned(), s(user_id.to_string()))]);
    let key = identifier_claim(identifier);
    transaction.delete(label, key, Some("user_id = :user"), values);
}

/// Deletes an account and frees every name that is its own, if it is still as it was read: nobody
/// has signed in since, nothing has ended its sessions, and it has the same names and rights.
pub fn delete<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    account: &Account,
) -> Result<(), Problem> {
    let seen = item("account", account)?;
    let mut conditions = Vec::new();
    let mut values = Item::new();
    for name in UNCHANGED {
        match seen.get(name) {
            Some(value) => {
                conditions.push(format!("{name} = :{name}"));
                values.insert(format!(":{name}"), value.clone());
            }
            None => conditions.push(format!("attribute_not_exists({name})")),
        }
    }
    let condition = conditions.join(" AND ");
    transaction.delete(label, key(account.user_id), Some(&condition), values);
    let verified = [Kind::Phone, Kind::Email].map(|kind| account.verified_of_kind(kind));
    let verified = verified.iter().flatten().map(identifier_claim);
    let names = [username_claim(&account.username), referral_claim(&account.referral_code)];
    for claim in verified.chain(names) {
        let values = Item::from([(":user".to_owned(), s(account.user_id.to_string()))]);
        let is_ours = "attribute_not_exists(pk) OR user_id = :user";
        transaction.delete(label, claim, Some(is_ours), values);
    }
    Ok(())
}

/// What a deletion rests on. A sign-in changes `sign_ins`; what ends all sessions, the epoch; the
/// others say which names are the account's, and whether staff may delete it themselves.
const UNCHANGED: [&str; 8] = [
    "epoch",
    "sign_ins",
    "username",
    "phone_number",
    "phone_verified",
    "email",
    "email_verified",
    "is_staff",
];

/// Lets a transaction through only while the account lives and is active.
pub fn must_be_active<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    let values = Item::from([(":active".to_owned(), s("ACTIVE"))]);
    // `status` is a reserved word.
    let names = [("#status", "status")];
    transaction.check(label, key(user_id), "#status = :active", &names, values);
}

/// Lets a transaction through only while there is such an account.
pub fn must_exist<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    transaction.check(label, key(user_id), "attribute_exists(pk)", &[], Item::new());
}

/// Lets a transaction through only while the account is an active one of staff: of two members of
/// staff who take each other's right, one keeps it.
pub fn must_be_staff<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    let values = Item::from([
        (":active".to_owned(), s("ACTIVE")),
        (":true".to_owned(), AttributeValue::Bool(true)),
    ]);
    let names = [("#status", "status")];
    let condition = "#status = :active AND is_staff = :true";
    transaction.check(label, key(user_id), condition, &names, values);
}

/// Notes where the check of the person's identity stands, in the row of the staff's list. Lets a
/// transaction through only while there is such an account.
pub fn set_kyc_status<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    status: KycStatus,
) {
    let change = Change::new(key(user_id), "SET kyc_status = :kyc_status")
        .only_if("attribute_exists(pk)")
        .with(":kyc_status", s(status.as_str()));
    transaction.change(label, change);
}

/// Notes whether the profile is complete, in the row of the staff's list.
pub fn set_profile_complete<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    is_complete: bool,
) {
    let change = Change::new(key(user_id), "SET is_profile_complete = :complete")
        .only_if("attribute_exists(pk)")
        .with(":complete", AttributeValue::Bool(is_complete));
    transaction.change(label, change);
}
