//! The items of the `users` table: accounts, and the claims that make identifiers, usernames and
//! referral codes unique.
//!
//! A claim is an item whose key is the claimed name. The transaction that needs the name creates
//! the claim, on the condition that there is none yet. Only verified identifiers have claims.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account::{Account, PasswordHash},
    dynamodb::{Change, Item, Key, Table, Transaction, item, n, s, time},
    http::problem::Problem,
    kyc::KycStatus,
    value::{Identifier, ReferralCode, SessionId, UserId, Username, identifier::Kind},
};

/// The owner of a claimed name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claim {
    /// The account.
    pub user_id: UserId,
}

/// The number of partitions of the index that lists the accounts.
pub const LIST_SHARDS: u8 = 4;

/// How many recent sessions the account lists at most. One transaction must be able to delete them
/// all.
const MAX_RECENT_SESSIONS: usize = 40;

/// The attributes that must not change between reading an account and deleting it. A sign-in
/// changes `sign_ins`. Ending all sessions changes `epoch`. The others say which names the account
/// owns, and whether it may be deleted.
const UNCHANGED_UNTIL_DELETED: [&str; 8] = [
    "epoch",
    "sign_ins",
    "username",
    "phone_number",
    "phone_verified",
    "email",
    "email_verified",
    "is_staff",
];

/// The key of an account.
pub fn key(user_id: UserId) -> Key<Account> {
    Key::new(Table::Users, &[("pk", &format!("USER#{user_id}"))])
}

/// The key of the claim of a verified identifier.
pub fn identifier_claim_key(identifier: &Identifier) -> Key<Claim> {
    claim(&match identifier {
        Identifier::Phone(phone) => format!("PHONE#{}", phone.as_str()),
        Identifier::Email(email) => format!("EMAIL#{}", email.as_str()),
    })
}

/// The key of the claim of a username.
pub fn username_claim_key(username: &Username) -> Key<Claim> {
    claim(&format!("USERNAME#{}", username.key()))
}

/// The key of the claim of a referral code.
pub fn referral_claim_key(code: &ReferralCode) -> Key<Claim> {
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
pub fn claim_name<L>(
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

/// Releases the claim of an identifier of the account.
pub fn release_identifier<L>(
    transaction: &mut Transaction<L>,
    label: L,
    identifier: &Identifier,
    user_id: UserId,
) {
    let values = Item::from([(":user".to_owned(), s(user_id.to_string()))]);
    let key = identifier_claim_key(identifier);
    transaction.delete(label, key, Some("user_id = :user"), values);
}

/// The condition that the account has the identifier `:presented`, verified. `:true` must be
/// `true`.
pub(super) fn has_verified_condition(presented: &Identifier) -> &'static str {
    match presented.kind() {
        Kind::Phone => "phone_number = :presented AND phone_verified = :true",
        Kind::Email => "email = :presented AND email_verified = :true",
    }
}

/// Records a sign-in: the session that begins, and the sessions that end for it.
///
/// Conditions: the account is active, the presented identifier is still its own, and since the
/// account was read there was no other sign-in and its sessions were not ended. `upgraded` replaces
/// a password hash with outdated parameters.
pub fn record_sign_in<L>(
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
    let has_verified = has_verified_condition(presented);
    // `status` is a reserved word.
    let mut change = Change::new(key(account.user_id), update)
        .only_if(format!(
            "#status = :active AND epoch = :epoch AND sign_ins = :sign_ins AND {has_verified}"
        ))
        .name("#status", "status")
        .with(":presented", s(presented.as_str()))
        .with(":true", AttributeValue::Bool(true))
        .with(":now", time(now))
        .with(":active", s("ACTIVE"))
        .with(":epoch", n(account.epoch))
        .with(":recent", AttributeValue::L(recent))
        .with(":sign_ins", n(account.sign_ins))
        .with(":next", n(account.sign_ins + 1));
    if let Some(PasswordHash(hash)) = upgraded {
        change = change.with(":hash", s(hash.as_str()));
    }
    transaction.change(label, change);
}

/// Deletes an account and releases every name that it owns, if it has not changed since it was
/// read: no sign-in, no end of its sessions, the same names and rights.
pub fn delete<L: Copy>(
    transaction: &mut Transaction<L>,
    label: L,
    account: &Account,
) -> Result<(), Problem> {
    let before = item("account", account)?;
    let mut conditions = Vec::new();
    let mut values = Item::new();
    for name in UNCHANGED_UNTIL_DELETED {
        match before.get(name) {
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
    let verified = verified.iter().flatten().map(identifier_claim_key);
    let names = [username_claim_key(&account.username), referral_claim_key(&account.referral_code)];
    for claim in verified.chain(names) {
        let values = Item::from([(":user".to_owned(), s(account.user_id.to_string()))]);
        let is_own = "attribute_not_exists(pk) OR user_id = :user";
        transaction.delete(label, claim, Some(is_own), values);
    }
    Ok(())
}

/// Requires that the account exists and is active.
pub fn must_be_active<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    let values = Item::from([(":active".to_owned(), s("ACTIVE"))]);
    // `status` is a reserved word.
    let names = [("#status", "status")];
    transaction.check(label, key(user_id), "#status = :active", &names, values);
}

/// Requires that the account exists.
pub fn must_exist<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    transaction.check(label, key(user_id), "attribute_exists(pk)", &[], Item::new());
}

/// Requires that the account is active and belongs to staff. If two members of staff remove each
/// other's rights at the same time, only one of them succeeds.
pub fn must_be_staff<L>(transaction: &mut Transaction<L>, label: L, user_id: UserId) {
    let values = Item::from([
        (":active".to_owned(), s("ACTIVE")),
        (":true".to_owned(), AttributeValue::Bool(true)),
    ]);
    // `status` is a reserved word.
    let names = [("#status", "status")];
    let condition = "#status = :active AND is_staff = :true";
    transaction.check(label, key(user_id), condition, &names, values);
}

/// Sets the KYC status that the list of accounts shows. Requires that the account exists.
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

/// Sets whether the list of accounts shows the profile as complete. Requires that the account
/// exists.
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
