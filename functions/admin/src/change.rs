//! What a change that staff ask for makes of a user. Pure.

use shared::{
    account::{Account, AccountStatus},
    audit::Record,
    http::{
        fields::{Body, Fields},
        problem::{FieldError, Problem},
    },
    profile::{self, Profile},
    value::{Identifier, Invalid, WantedUsername, identifier::Kind},
};

use crate::list;

/// What is to become of a user.
#[derive(Clone)]
pub(crate) struct Edits {
    username: Option<WantedUsername>,
    status: Option<AccountStatus>,
    is_staff: Option<bool>,
    email_verified: Option<bool>,
    phone_verified: Option<bool>,
    profile: profile::Edits,
}

impl Body for Edits {
    fn read(fields: &mut Fields) -> Option<Self> {
        let context = fields.context.clone();
        let username = fields.optional("username", |text| WantedUsername::parse(text, &context));
        let status = fields.optional("status", list::status);
        let is_staff = fields.optional_flag("is_staff");
        let email_verified = fields.optional_flag("email_verified");
        let phone_verified = fields.optional_flag("phone_verified");
        let profile = profile::Edits::read(fields);
        Some(Self {
            username: username?,
            status: status?,
            is_staff: is_staff?,
            email_verified: email_verified?,
            phone_verified: phone_verified?,
            profile: profile?,
        })
    }
}

/// A user after a change.
#[derive(Debug, Clone)]
pub(crate) struct After {
    pub(crate) account: Account,
    pub(crate) profile: Profile,
}

impl Edits {
    /// What they make of a user.
    ///
    /// # Errors
    /// 400 for an identifier that is to be verified and is not there, and for another username that
    /// the account may not choose. The one that it has stays valid.
    pub(crate) fn apply(self, account: &Account, profile: &Profile) -> Result<After, Problem> {
        let before = account.clone();
        let account = Account {
            username: match &self.username {
                Some(wanted) => wanted.name().clone(),
                None => before.username.clone(),
            },
            status: self.status.unwrap_or(before.status),
            is_staff: self.is_staff.unwrap_or(before.is_staff),
            email_verified: self.email_verified.unwrap_or(before.email_verified),
            phone_verified: self.phone_verified.unwrap_or(before.phone_verified),
            ..before.clone()
        };
        const NONE: Invalid = Invalid { code: "no_identifier", detail: "There is none to verify." };
        let mut errors = Vec::new();
        if account.email_verified && account.email.is_none() {
            errors.push(FieldError::new("email_verified", NONE));
        }
        if account.phone_verified && account.phone_number.is_none() {
            errors.push(FieldError::new("phone_verified", NONE));
        }
        if let Some(wanted) = self.username.filter(|new| new.name().key() != before.username.key())
        {
            let own = [Kind::Phone, Kind::Email];
            let own = own.into_iter().filter_map(|kind| account.verified_of_kind(kind));
            if let Err(invalid) = wanted.check(Some(own)) {
                errors.push(FieldError::new("username", invalid));
            }
        }
        if !errors.is_empty() {
            return Err(Problem::validation(errors));
        }
        Ok(After { account, profile: self.profile.merge_into(profile.clone()) })
    }
}

/// What a change does, beside setting fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effects {
    /// The account's own fields change.
    pub(crate) account: bool,
    /// The profile changes.
    pub(crate) profile: bool,
    /// The username becomes another one, not only by its case.
    pub(crate) renames: bool,
    /// Identifiers to claim.
    pub(crate) claims: Vec<Identifier>,
    /// Identifiers to free.
    pub(crate) releases: Vec<Identifier>,
    /// Whether it may sign in, and with what, or is staff, changes: that is for another to do, who is
    /// staff still.
    pub(crate) is_for_another: bool,
    /// A right is taken away: every session ends.
    pub(crate) ends_sessions: bool,
}

impl Effects {
    /// What lies between two states of a user.
    pub(crate) fn of(before: &Account, profile: &Profile, after: &After) -> Self {
        let account = &after.account;
        let username = before.username != account.username;
        let right = before.status != account.status || before.is_staff != account.is_staff;
        let is_shut = before.status != account.status && account.status != AccountStatus::Active;
        let ends_sessions = is_shut || (before.is_staff && !account.is_staff);
        let (mut claims, mut releases) = (Vec::new(), Vec::new());
        for kind in [Kind::Phone, Kind::Email] {
            match (before.verified_of_kind(kind), account.verified_of_kind(kind)) {
                (None, Some(identifier)) => claims.push(identifier),
                (Some(identifier), None) => releases.push(identifier),
                _ => {}
            }
        }
        let is_for_another = right || !claims.is_empty() || !releases.is_empty();
        Self {
            account: username || is_for_another,
            profile: *profile != after.profile,
            renames: before.username.key() != account.username.key(),
            claims,
            releases,
            is_for_another,
            ends_sessions,
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_none(&self) -> bool {
        !self.account && !self.profile
    }
}

/// Notes what changed: what is personal is masked, or only named.
pub(crate) fn describe(
    mut record: Record,
    before: &Account,
    profile: &Profile,
    after: &After,
) -> Record {
    let account = &after.account;
    if before.username != account.username {
        record = record.with("username", account.username.masked());
    }
    if before.status != account.status {
        record = record.with("status", account.status.as_str());
    }
    let flags = [
        ("is_staff", before.is_staff, account.is_staff),
        ("email_verified", before.email_verified, account.email_verified),
        ("phone_verified", before.phone_verified, account.phone_verified),
    ];
    for (name, before, after) in flags {
        if before != after {
            record = record.with(name, after.to_string());
        }
    }
    let now = &after.profile;
    let fields = [
        ("full_name", profile.full_name != now.full_name, now.full_name.is_some()),
        ("date_of_birth", profile.date_of_birth != now.date_of_birth, now.date_of_birth.is_some()),
        ("address", profile.address != now.address, now.address.is_some()),
        ("avatar_url", profile.avatar_url != now.avatar_url, now.avatar_url.is_some()),
    ];
    for (name, changed, is_set) in fields {
        if changed {
            record = record.with(name, if is_set { "set" } else { "cleared" });
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use shared::value::{ReferralCode, UserId, Username};

    use super::*;

    fn account() -> Account {
        let user_id = UserId::new(Timestamp::UNIX_EPOCH, [1; 10]);
        serde_json::from_value(json!({
            "user_id": user_id, "username": "Sita", "email_verified": true,
            "email": "sita@example.com", "phone_verified": false,
            "referral_code": ReferralCode::from_random([0; 5]), "status": "ACTIVE",
            "epoch": 3, "sign_ins": 1, "is_staff": false, "joined_at": 0,
        }))
        .unwrap()
    }

    fn effects(before: &Account, change: impl FnOnce(&mut Account)) -> Effects {
        let profile = Profile::empty(before.user_id, Timestamp::UNIX_EPOCH);
        let mut account = before.clone();
        change(&mut account);
        let after = After { account, profile: profile.clone() };
        Effects::of(before, &profile, &after)
    }

    #[test]
    fn nothing_changed_is_nothing_to_do() {
        assert!(effects(&account(), |_| {}).is_none());
    }

    #[test]
    fn a_username_is_claimed_only_when_more_than_its_case_changes() {
        let renamed = effects(&account(), |account| {
            account.username = Username::parse("SITA").unwrap();
        });
        assert!(renamed.account && !renamed.renames);
        let renamed = effects(&account(), |account| {
            account.username = Username::parse("gita").unwrap();
        });
        assert!(renamed.account && renamed.renames && !renamed.is_for_another);
    }

    #[test]
    fn a_right_that_is_taken_ends_sessions_and_one_that_is_given_does_not() {
        let banned = effects(&account(), |account| account.status = AccountStatus::Banned);
        assert!(banned.ends_sessions && banned.is_for_another);
        let promoted = effects(&account(), |account| account.is_staff = true);
        assert!(!promoted.ends_sessions && promoted.is_for_another);
        let staff = Account { is_staff: true, ..account() };
        let demoted = effects(&staff, |account| account.is_staff = false);
        assert!(demoted.ends_sessions && demoted.is_for_another);
        let banned = effects(&staff, |account| account.status = AccountStatus::Inactive);
        assert!(banned.ends_sessions);
        let banned = Account { status: AccountStatus::Banned, ..staff };
        let freed = effects(&banned, |account| account.status = AccountStatus::Active);
        assert!(!freed.ends_sessions && freed.is_for_another);
    }

    #[test]
    fn a_verified_flag_claims_or_frees() {
        let released = effects(&account(), |account| account.email_verified = false);
        assert_eq!((released.releases.len(), released.claims.len()), (1, 0));
        let unverified = Account { email_verified: false, ..account() };
        let claimed = effects(&unverified, |account| account.email_verified = true);
        assert_eq!((claimed.releases.len(), claimed.claims.len()), (0, 1));
        assert!(released.is_for_another && claimed.is_for_another);
    }
}
