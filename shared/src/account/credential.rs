//! Writes of an account's identifiers and password.
//!
//! A claim says which account an identifier belongs to. It is read before the account is written,
//! so it may be out of date by then. Conditions on an identifier therefore check the account
//! itself.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    account::{Account, PasswordHash, items::has_verified_condition, key},
    dynamodb::{Change, Item, Store, Transaction, WriteOutcome, n, s},
    http::problem::Problem,
    value::{Identifier, UserId, identifier::Kind},
};

/// Requires that the account has the identifier, verified.
pub fn must_have_verified<L>(
    transaction: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    presented: &Identifier,
) {
    let values = Item::from([
        (":presented".to_owned(), s(presented.as_str())),
        (":true".to_owned(), AttributeValue::Bool(true)),
    ]);
    transaction.check(label, key(user_id), has_verified_condition(presented), &[], values);
}

/// Sets the identifier of its kind, verified. The caller changes the claims.
///
/// Conditions: the account is active, its identifier of this kind and the verified flag are as they
/// were read, and no replaced identifier has a pending notice. If the old identifier was verified,
/// the update adds a pending notice for it.
pub fn set_identifier<L>(
    transaction: &mut Transaction<L>,
    label: L,
    account: &Account,
    identifier: &Identifier,
) {
    let (name, verified_name, before, was_verified) = match identifier.kind() {
        Kind::Phone => {
            let before = account.phone_number.as_ref().map(|phone| phone.as_str());
            ("phone_number", "phone_verified", before, account.phone_verified)
        }
        Kind::Email => {
            let before = account.email.as_ref().map(|email| email.as_str());
            ("email", "email_verified", before, account.email_verified)
        }
    };
    let unchanged = match before {
        Some(_) => format!("{name} = :before"),
        None => format!("attribute_not_exists({name})"),
    };
    let set_notice = if was_verified { ", untold = :before, tellings = :one" } else { "" };
    let update = format!("SET {name} = :new, {verified_name} = :true{set_notice}");
    let mut change = Change::new(key(account.user_id), update)
        .only_if(format!(
            "#status = :active AND {unchanged} AND {verified_name} = :verified \
             AND attribute_not_exists(untold)"
        ))
        .name("#status", "status")
        .with(":active", s("ACTIVE"))
        .with(":verified", AttributeValue::Bool(was_verified))
        .with(":new", s(identifier.as_str()))
        .with(":true", AttributeValue::Bool(true));
    if let Some(before) = before {
        change = change.with(":before", s(before));
    }
    if was_verified {
        change = change.with(":one", n(1));
    }
    transaction.change(label, change);
}

/// How often a notice to a replaced identifier is sent at most.
const MAX_NOTICE_ATTEMPTS: u8 = 4;

/// Counts one more attempt to send a pending notice. Returns whether the notice may be sent.
pub async fn take_notice_attempt(
    store: &Store,
    user_id: UserId,
    identifier: &Identifier,
) -> Result<bool, Problem> {
    let change = Change::new(key(user_id), "SET tellings = tellings + :one")
        .only_if("untold = :untold AND tellings < :max")
        .with(":untold", s(identifier.as_str()))
        .with(":one", n(1))
        .with(":max", n(MAX_NOTICE_ATTEMPTS));
    Ok(matches!(store.update(change).await?, WriteOutcome::Applied(_)))
}

/// Removes the pending notice of an identifier.
pub async fn remove_pending_notice(
    store: &Store,
    user_id: UserId,
    identifier: &Identifier,
) -> Result<(), Problem> {
    let change = Change::new(key(user_id), "REMOVE untold, tellings")
        .only_if("untold = :untold")
        .with(":untold", s(identifier.as_str()));
    store.update(change).await.map(drop)
}

/// Sets a password and raises the epoch, so that a sign-in that runs at the same time fails. The
/// caller ends the sessions.
///
/// Conditions: the account is active, it still has the presented identifier, if there is one, and
/// since the account was read there was no sign-in and its sessions were not ended. The sessions
/// that were listed together with the account are therefore complete.
pub fn set_password<L>(
    transaction: &mut Transaction<L>,
    label: L,
    account: &Account,
    PasswordHash(hash): &PasswordHash,
    presented: Option<&Identifier>,
) {
    let mut condition = "#status = :active AND epoch = :epoch AND sign_ins = :sign_ins".to_owned();
    if let Some(presented) = presented {
        condition.push_str(" AND ");
        condition.push_str(has_verified_condition(presented));
    }
    let mut change = Change::new(key(account.user_id), "SET password_hash = :hash, epoch = :next")
        .only_if(condition)
        .name("#status", "status")
        .with(":hash", s(hash.as_str()))
        .with(":active", s("ACTIVE"))
        .with(":epoch", n(account.epoch))
        .with(":next", n(account.epoch + 1))
        .with(":sign_ins", n(account.sign_ins));
    if let Some(presented) = presented {
        change = change
            .with(":presented", s(presented.as_str()))
            .with(":true", AttributeValue::Bool(true));
    }
    transaction.change(label, change);
}
