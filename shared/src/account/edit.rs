//! Changes that staff make to an account.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    account::{Account, key, username_claim_key},
    dynamodb::{Change, Item, Transaction, n, s},
};

/// Updates the username, status, staff right, verified flags and epoch from `before` to `after`,
/// and `is_profile_complete` if it is given. The caller changes the claims and the sessions.
///
/// Conditions: these values (except `is_profile_complete`), the identifiers and the number of
/// sign-ins are still those of `before`. The sessions that were listed together with `before` are
/// therefore complete.
pub fn edit<L>(
    transaction: &mut Transaction<L>,
    label: L,
    before: &Account,
    after: &Account,
    is_profile_complete: Option<bool>,
) {
    let set_complete =
        if is_profile_complete.is_some() { ", is_profile_complete = :complete" } else { "" };
    let update = format!(
        "SET username = :new_username, username_key = :username_key, #status = :new_status, \
         is_staff = :new_staff, email_verified = :new_email_verified, \
         phone_verified = :new_phone_verified, epoch = :new_epoch{set_complete}"
    );
    let mut condition = "epoch = :epoch AND sign_ins = :sign_ins AND username = :username \
                         AND #status = :status AND is_staff = :staff \
                         AND email_verified = :email_verified \
                         AND phone_verified = :phone_verified"
        .to_owned();
    let identifiers = [
        ("email", before.email.as_ref().map(|email| email.as_str())),
        ("phone_number", before.phone_number.as_ref().map(|phone| phone.as_str())),
    ];
    for (name, value) in identifiers {
        condition.push_str(&match value {
            Some(_) => format!(" AND {name} = :{name}"),
            None => format!(" AND attribute_not_exists({name})"),
        });
    }
    let flag = AttributeValue::Bool;
    // `status` is a reserved word.
    let mut change = Change::new(key(before.user_id), update)
        .only_if(condition)
        .name("#status", "status")
        .with(":username", s(before.username.as_str()))
        .with(":new_username", s(after.username.as_str()))
        .with(":username_key", s(after.username.key()))
        .with(":status", s(before.status.as_str()))
        .with(":new_status", s(after.status.as_str()))
        .with(":staff", flag(before.is_staff))
        .with(":new_staff", flag(after.is_staff))
        .with(":email_verified", flag(before.email_verified))
        .with(":new_email_verified", flag(after.email_verified))
        .with(":phone_verified", flag(before.phone_verified))
        .with(":new_phone_verified", flag(after.phone_verified))
        .with(":epoch", n(before.epoch))
        .with(":new_epoch", n(after.epoch))
        .with(":sign_ins", n(before.sign_ins));
    for (name, value) in identifiers {
        if let Some(value) = value {
            change = change.with(&format!(":{name}"), s(value));
        }
    }
    if let Some(is_complete) = is_profile_complete {
        change = change.with(":complete", flag(is_complete));
    }
    transaction.change(label, change);
}

/// Raises the epoch of an account, so that a sign-in that runs at the same time fails.
///
/// Conditions: since the account was read there was no sign-in and its sessions were not ended.
pub fn raise_epoch<L>(transaction: &mut Transaction<L>, label: L, before: &Account) {
    let change = Change::new(key(before.user_id), "SET epoch = :next")
        .only_if("epoch = :epoch AND sign_ins = :sign_ins")
        .with(":epoch", n(before.epoch))
        .with(":next", n(before.epoch + 1))
        .with(":sign_ins", n(before.sign_ins));
    transaction.change(label, change);
}

/// Releases the claim of the account's username.
pub fn release_username<L>(transaction: &mut Transaction<L>, label: L, account: &Account) {
    let values = Item::from([(":user".to_owned(), s(account.user_id.to_string()))]);
    let key = username_claim_key(&account.username);
    transaction.delete(label, key, Some("user_id = :user"), values);
}
