//! Balances and ledger entries. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    dynamodb::seconds,
    runtime::clock::whole_second,
    value::{EntryId, Points, UserId},
};

/// The balances of a user's wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// The user.
    pub user_id: UserId,
    /// Money, in minor units of the deployment's currency.
    pub balance_minor: i64,
    /// Points that can be spent.
    pub points: i64,
    /// All points that were ever credited.
    pub points_credited: i64,
    /// Incremented by every change.
    pub revision: u64,
    /// The number of this user's referrals that were rewarded.
    pub referrals_paid: u32,
    /// The newest entry. The id of the next entry sorts after it, even if the clock is behind.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_entry_id: Option<EntryId>,
    /// When it was last changed.
    #[serde(with = "seconds::required")]
    pub updated_at: Timestamp,
    /// When its account was deleted. A closed wallet accepts no entries.
    #[serde(with = "seconds::optional", skip_serializing_if = "Option::is_none", default)]
    pub closed_at: Option<Timestamp>,
}

/// What an entry credits or debits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Asset {
    /// The deployment's currency.
    Money,
    /// Points.
    Points,
}

impl Asset {
    /// Its name in requests, responses and items.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Money => "MONEY",
            Self::Points => "POINTS",
        }
    }
}

/// The direction of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum Direction {
    /// To the user.
    Credit,
    /// From the user.
    Debit,
}

impl Direction {
    /// Its name in requests, responses and items.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credit => "CREDIT",
            Self::Debit => "DEBIT",
        }
    }
}

/// A ledger entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The entry's id. Ids sort in the order in which the balance changed.
    pub entry_id: EntryId,
    /// The asset that it changes.
    pub asset: Asset,
    /// Credit or debit.
    pub direction: Direction,
    /// The amount: minor units of money, or points.
    pub quantity: i64,
    /// The balance of the asset before the entry.
    pub balance_before: i64,
    /// The balance of the asset after the entry.
    pub balance_after: i64,
    /// The reference for programs. No personal data.
    pub reference: String,
    /// The reason for people. No personal data.
    pub reason: String,
    /// Who created it.
    pub actor: String,
    /// When it was created.
    #[serde(with = "seconds::required")]
    pub created_at: Timestamp,
}

impl Balance {
    /// The balance of an empty wallet.
    pub fn empty(user_id: UserId, now: Timestamp) -> Self {
        Self {
            user_id,
            balance_minor: 0,
            points: 0,
            points_credited: 0,
            revision: 0,
            referrals_paid: 0,
            last_entry_id: None,
            updated_at: now,
            closed_at: None,
        }
    }

    /// Whether it accepts entries: its account was not deleted.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// The id of a new entry at `now`. It sorts after all existing ids, so that ids sort in the
    /// order in which the balance changed. `random` must be new output of a CSPRNG.
    pub fn next_entry_id(&self, now: Timestamp, random: [u8; 10]) -> EntryId {
        let tick = SignedDuration::from_millis(1);
        let after = self.last_entry_id.map(|id| id.created_at().saturating_add(tick));
        let after = after.and_then(Result::ok).unwrap_or(Timestamp::MIN);
        EntryId::new(now.max(after), random)
    }

    /// The entry that debits all the money, if there is any.
    pub fn forfeit(&self, entry_id: EntryId, actor: String, now: Timestamp) -> Option<Entry> {
        (self.balance_minor > 0).then(|| Entry {
            entry_id,
            asset: Asset::Money,
            direction: Direction::Debit,
            quantity: self.balance_minor,
            balance_before: self.balance_minor,
            balance_after: 0,
            reference: "account_deletion".to_owned(),
            reason: "The account was deleted".to_owned(),
            actor,
            created_at: whole_second(now),
        })
    }

    /// Credits points to this balance, and returns the entry. `None` if the balance would exceed
    /// its maximum.
    pub fn credit_points(
        &mut self,
        entry_id: EntryId,
        points: Points,
        reference: &str,
        reason: &str,
        now: Timestamp,
    ) -> Option<Entry> {
        let balance_before = self.points;
        self.points = Points::new(self.points)?.checked_add(points)?.get();
        self.points_credited = self.points_credited.checked_add(points.get())?;
        self.last_entry_id = Some(entry_id);
        self.updated_at = now;
        Some(Entry {
            entry_id,
            asset: Asset::Points,
            direction: Direction::Credit,
            quantity: points.get(),
            balance_before,
            balance_after: self.points,
            reference: reference.to_owned(),
            reason: reason.to_owned(),
            actor: "system".to_owned(),
            created_at: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_an_entry_sorts_after_existing_ids_even_if_the_clock_is_behind() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let user_id = UserId::new(at(0), [0; 10]);
        let last = EntryId::new(at(1_800_000_000_000), [0xff; 10]);
        let empty = Balance::empty(user_id, at(0));
        let balance = Balance { last_entry_id: Some(last), ..empty.clone() };
        for behind in [0, 1, 60_000] {
            assert!(balance.next_entry_id(at(1_800_000_000_000 - behind), [0; 10]) > last);
        }
        let later = at(1_800_000_000_007);
        assert_eq!(balance.next_entry_id(later, [0; 10]).created_at(), later);
        assert_eq!(empty.next_entry_id(later, [0; 10]).created_at(), later);
    }
}
