//! What a person signs in with: their identifiers and the password.
//!
//! A claim says which account an identifier belongs to. It is read before the account is written,
//! and may be a moment old, so what an identifier allows is held by the account's own item.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    account::{Account, PasswordHash, key},
    dynamodb::{Change, Item, Outcome, Store, Transaction, n, s},
    http::problem::Problem,
    value::{Identifier, UserId, identifier::Kind},
};

/// The condition that `:presented` is the account's identifier of its kind, and verified: `:true`.
pub(super) fn is_own(presented: &Identifier) -> &'static str {
    match presented.kind() {
        Kind::Phone => "phone_number = :presented AND phone_verified = :true",
        Kind::Email => "email = :presented AND email_verified = :true",
    }
}

impl Account {
    /// Whether the identifier is the account's own, and verified.
    pub fn has_verified(&self, identifier: &Identifier) -> bool {
        self.verified_of_kind(identifier.kind()).as_ref() == Some(identifier)
    }
}

/// Lets a transaction through only while the identifier is the account's own, and verified.
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
    transaction.check(label, key(user_id), is_own(presented), &[], values);
}

/// Sets the verified identifier of its kind, if the account is still active and what it has of that
/// kind, and whether that is verified, is what was read, and no other is still to be told. A verified
/// one that it takes the place of is noted as untold. The claims are the caller's to change.
pub fn set_identifier<L>(
    transaction: &mut Transaction<L>,
    label: L,
    account: &Account,
    identifier: &Identifier,
) {
    let (name, verified, before, was_verified) = match identifier.kind() {
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
    let set_untold = if was_verified { ", untold = :before, tellings = :one" } else { "" };
    let update = format!("SET {name} = :new, {verified} = :true{set_untold}");
    let mut change = Change::new(key(account.user_id), update)
        .only_if(format!(
            "#status = :active AND {unchanged} AND {verified} = :verified \
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

/// How often a replaced identifier is told at most.
const MAX_TELLINGS: u8 = 4;

/// Counts one more telling of an identifier that is noted as untold: whether it may be told.
pub async fn take_telling(
    store: &Store,
    user_id: UserId,
    untold: &Identifier,
) -> Result<bool, Problem> {
    let change = Change::new(key(user_id), "SET tellings = tellings + :one")
        .only_if("untold = :untold AND tellings < :max")
        .with(":untold", s(untold.as_str()))
        .with(":one", n(1))
        .with(":max", n(MAX_TELLINGS));
    Ok(matches!(store.update(change).await?, Outcome::Done(_)))
}

/// Forgets that an identifier is untold.
pub async fn set_told(store: &Store, user_id: UserId, told: &Identifier) -> Result<(), Problem> {
    let change = Change::new(key(user_id), "REMOVE untold, tellings")
        .only_if("untold = :untold")
        .with(":untold", s(told.as_str()));
    store.update(change).await.map(drop)
}

/// Sets a password, if the account is still active, nobody has signed in and nothing has ended its
/// sessions since it was read, and the identifier that was presented for it, if one was, is still
/// its own. Raises the epoch: a sign-in that is under way loses. The sessions that were listed
/// beside the account are all that there are; they are the caller's to end.
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
        condition.push_str(is_own(presented));
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
