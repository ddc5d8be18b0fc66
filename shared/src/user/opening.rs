//! Opening an account, for registration and for staff: the account, its claims, a profile, and a
//! wallet with the first points.

use jiff::{Timestamp, civil::Date};

use crate::{
    account::{self, Account},
    crypto::secret,
    dynamodb::Transaction,
    http::problem::Problem,
    profile::{self, Profile},
    runtime::clock::whole_second,
    usage,
    value::{Identifier, Points},
    wallet::{self, Balance, Entry},
};

const SIGN_UP_POINTS: i64 = 50;
const INVITEE_POINTS: i64 = 50;

/// The labels of the writes, chosen by the caller.
#[derive(Debug, Clone, Copy)]
pub struct Labels<L> {
    /// The claim of the username.
    pub username: L,
    /// The claim of the verified identifier.
    pub identifier: L,
    /// The claim of the referral code.
    pub referral_code: L,
    /// All other writes. They are refused only if the account's id exists already.
    pub other: L,
}

/// The profile and the wallet of a new account.
#[derive(Debug, Clone)]
pub struct OpenedAccount {
    /// The profile.
    pub profile: Profile,
    /// The wallet.
    pub balance: Balance,
}

/// Adds an account with the verified `identifier`, and all that belongs to it. An invited user gets
/// more points. The points count on `day`, the day of `now` in the deployment.
pub fn open<L: Copy>(
    transaction: &mut Transaction<L>,
    labels: Labels<L>,
    account: &Account,
    identifier: &Identifier,
    is_invited: bool,
    now: Timestamp,
    day: Date,
) -> Result<OpenedAccount, Problem> {
    let (id, other) = (account.user_id, labels.other);
    account::create(transaction, other, account)?;
    let claims = [
        (labels.username, account::username_claim_key(&account.username)),
        (labels.identifier, account::identifier_claim_key(identifier)),
        (labels.referral_code, account::referral_claim_key(&account.referral_code)),
    ];
    for (label, claim) in claims {
        account::claim_name(transaction, label, claim, id)?;
    }
    let profile = Profile::empty(id, whole_second(now));
    profile::create(transaction, other, &profile)?;
    let mut balance = Balance::empty(id, now);
    let mut entries = vec![credit(&mut balance, SIGN_UP_POINTS, "sign_up", "Welcome", now)?];
    if is_invited {
        let reason = "Invited by a friend";
        entries.push(credit(&mut balance, INVITEE_POINTS, "referral", reason, now)?);
    }
    wallet::open(transaction, other, &balance, &entries)?;
    usage::count_points(transaction, other, id, points(balance.points_credited)?, false, day);
    Ok(OpenedAccount { profile, balance })
}

/// Credits points that the service itself grants.
pub fn credit(
    balance: &mut Balance,
    amount: i64,
    reference: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Entry, Problem> {
    let entry_id = balance.next_entry_id(now, secret::random());
    let entry = balance.credit_points(entry_id, points(amount)?, reference, reason, now);
    entry.ok_or_else(|| Problem::internal("the wallet cannot hold more points"))
}

/// A number of points.
pub fn points(points: i64) -> Result<Points, Problem> {
    Points::new(points).ok_or_else(|| Problem::internal("points out of range"))
}
