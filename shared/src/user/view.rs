//! The representation of a user in responses, the same in every operation. Pure.

use jiff::{Timestamp, civil::Date};
use serde::Serialize;

use crate::{
    account::{Account, AccountStatus},
    kyc::Submission,
    profile::Profile,
    value::{Amount, Currency, Email, EntryId, KycStatus, PhoneNumber, UserId, Username},
    wallet::{Asset, Balance, Direction, Entry},
};

/// A user, as shown to the user.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User<'a> {
    id: UserId,
    username: &'a Username,
    email: Option<&'a Email>,
    phone_number: Option<&'a PhoneNumber>,
    profile_picture: Option<&'a str>,
    referral_code: &'a str,
    status: AccountStatus,
    email_verified: bool,
    phone_verified: bool,
    date_joined: Timestamp,
    last_login: Option<Timestamp>,
    profile: ProfileView<'a>,
    kyc: KycView<'a>,
    points: Points,
    wallet_balance: Money,
    masked_phone: Option<String>,
    masked_email: Option<String>,
}

/// A profile.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Profile))]
pub struct ProfileView<'a> {
    id: UserId,
    full_name: Option<&'a str>,
    date_of_birth: Option<Date>,
    address: Option<&'a str>,
    avatar_url: Option<&'a str>,
    is_profile_complete: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl std::fmt::Debug for ProfileView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileView").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The state of the identity check.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KycStanding))]
pub struct KycView<'a> {
    status: KycStatus,
    submitted_at: Option<Timestamp>,
    verified_at: Option<Timestamp>,
    rejection_reason: Option<&'a str>,
}

/// The points that can be spent, and all points that were ever credited.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Points {
    current_points: i64,
    total_points: i64,
}

/// A decimal string with the number of decimal places that the currency has.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = WalletBalance))]
pub struct Money {
    #[cfg_attr(feature = "openapi", schema(pattern = r"^[0-9]+(\.[0-9]+)?$", example = "1250.00"))]
    balance: String,
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Z]{3}$", example = "NPR"))]
    currency: &'static str,
}

impl<'a> From<&'a Profile> for ProfileView<'a> {
    fn from(profile: &'a Profile) -> Self {
        Self {
            id: profile.user_id,
            full_name: profile.full_name.as_deref(),
            date_of_birth: profile.date_of_birth,
            address: profile.address.as_deref(),
            avatar_url: profile.avatar_url.as_deref(),
            is_profile_complete: profile.is_complete(),
            created_at: profile.created_at,
            updated_at: profile.updated_at,
        }
    }
}

impl<'a> From<Option<&'a Submission>> for KycView<'a> {
    fn from(submission: Option<&'a Submission>) -> Self {
        Self {
            status: submission.map_or(KycStatus::NotSubmitted, |submission| submission.status),
            submitted_at: submission.and_then(|submission| submission.submitted_at),
            verified_at: submission.and_then(|submission| submission.verified_at),
            rejection_reason: submission
                .and_then(|submission| submission.rejection_reason.as_deref()),
        }
    }
}

impl From<&Balance> for Points {
    fn from(balance: &Balance) -> Self {
        Self { current_points: balance.points, total_points: balance.points_credited }
    }
}

impl Money {
    /// The money in a wallet.
    pub fn of(balance: &Balance, currency: Currency) -> Self {
        let amount = Amount::from_minor(balance.balance_minor).unwrap_or_default();
        Self { balance: amount.format(currency), currency: currency.code() }
    }
}

/// A ledger entry. Quantities of money are decimal strings, quantities of points are integers.
#[derive(Debug, Serialize)]
pub struct EntryView {
    id: EntryId,
    direction: Direction,
    #[serde(flatten)]
    quantity: QuantityView,
    balance_before: Units,
    balance_after: Units,
    reference: String,
    reason: String,
    created_at: Timestamp,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum QuantityView {
    Money { amount: Units, currency: &'static str },
    Points { points: Units },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Units {
    Money(String),
    Points(i64),
}

impl EntryView {
    /// The representation of `entry` with the deployment's currency.
    pub fn of(entry: Entry, currency: Currency) -> Self {
        let units = |units: i64| match entry.asset {
            Asset::Money => {
                Units::Money(Amount::from_minor(units).unwrap_or_default().format(currency))
            }
            Asset::Points => Units::Points(units),
        };
        Self {
            id: entry.entry_id,
            direction: entry.direction,
            quantity: match entry.asset {
                Asset::Money => {
                    QuantityView::Money { amount: units(entry.quantity), currency: currency.code() }
                }
                Asset::Points => QuantityView::Points { points: units(entry.quantity) },
            },
            balance_before: units(entry.balance_before),
            balance_after: units(entry.balance_after),
            reference: entry.reference,
            reason: entry.reason,
            created_at: entry.created_at,
        }
    }
}

/// Creates the representation of a user.
pub fn user<'a>(
    account: &'a Account,
    profile: &'a Profile,
    submission: Option<&'a Submission>,
    balance: &Balance,
    currency: Currency,
) -> User<'a> {
    User {
        id: account.user_id,
        username: &account.username,
        email: account.email.as_ref(),
        phone_number: account.phone_number.as_ref(),
        profile_picture: profile.avatar_url.as_deref(),
        referral_code: account.referral_code.as_str(),
        status: account.status,
        email_verified: account.email_verified,
        phone_verified: account.phone_verified,
        date_joined: account.joined_at,
        last_login: account.last_login_at,
        profile: profile.into(),
        kyc: submission.into(),
        points: balance.into(),
        wallet_balance: Money::of(balance, currency),
        masked_phone: account.phone_number.as_ref().map(PhoneNumber::masked),
        masked_email: account.email.as_ref().map(Email::masked),
    }
}
