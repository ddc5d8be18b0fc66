//! `GET /auth/account/export`: everything that is held about a person, for them.
//!
//! Left out are what only proves something (digests, hashes, counters of sessions), what is kept
//! under keyed digests and so is not theirs by name, and who among the staff did something.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    account::{self, Account, AccountStatus},
    audit::{self, Action, Record},
    http::{ClientIp, problem::Problem},
    kyc::{
        self, KycStatus, Submission,
        document::{ContentType, DocumentType, Side},
    },
    profile::{self, Profile},
    session::{
        self, Session,
        access_token::Claims,
        authentication,
        device::{self, Device},
    },
    usage::{self, History, Period, Station, Totals},
    user::view::{EntryView, Money, Points, ProfileView},
    value::{Amount, AuditId, Currency, SessionId},
    wallet::{self, Balance, Entry},
};

use crate::{app::App, device::DeviceView};

/// Rows of one kind that an export has at most, but for the audit trail: an answer of a function may
/// be 6 MB long.
const MAX_ROWS: usize = 2_000;
const MAX_AUDIT_ROWS: usize = 1_000;
/// How long a file can be fetched, seconds: S3 knows no sessions, so a link ends shortly after one.
const VIEW_SECONDS: i64 = 60;

/// What was read.
pub(crate) struct ExportData {
    at: Timestamp,
    account: Account,
    profile: Option<Profile>,
    kyc: Option<Submission>,
    files: Vec<FileHeld>,
    balance: Balance,
    totals: Totals,
    sessions: Vec<Session>,
    devices: Vec<Device>,
    entries: (Vec<Entry>, bool),
    history: History,
    audit: (Vec<audit::Entry>, bool),
}

/// Reads everything: first, with the session, the single items; then, where the sign-in is fresh,
/// the lists. That it is exported is on record before anything is shown.
pub(crate) async fn read(
    app: &App,
    claims: &Claims,
    source: ClientIp,
    now: Timestamp,
) -> Result<ExportData, Problem> {
    let id = claims.user_id;
    let reads = (
        (account::key(id).consistent(), profile::key(id).consistent()),
        kyc::key(id).consistent(),
        (wallet::balance_key(id).consistent(), usage::totals_key(id).consistent()),
    );
    let (_, ((account, profile), kyc, (balance, totals))) =
        app.authenticator.authenticate(claims, reads).await?;
    authentication::require_recent_sign_in(claims, now)?;
    let account = account.ok_or_else(authentication::session_ended)?;
    let balance = balance.ok_or_else(authentication::session_ended)?;
    let record = Record::own(id, Action::AccountExported, source);
    let (recorded, sessions, devices, entries, history, audit) = tokio::join!(
        audit::write(&app.store, &record, now),
        session::list(&app.store, id, true),
        device::list(&app.store, id, true),
        wallet::newest_entries(&app.store, id, MAX_ROWS),
        usage::history(&app.store, id, MAX_ROWS),
        audit::newest(&app.store, id, MAX_AUDIT_ROWS + 1),
    );
    let (recorded, mut audit) = (recorded?, audit?);
    // The entry of this export is written meanwhile: it is in the next one, whichever came first.
    audit.0.retain(|entry| entry.entry_id != recorded);
    if audit.0.len() > MAX_AUDIT_ROWS {
        audit.0.truncate(MAX_AUDIT_ROWS);
        audit.1 = false;
    }
    Ok(ExportData {
        at: now,
        account,
        profile,
        files: files(app, kyc.as_ref(), now).await?,
        kyc,
        balance,
        totals: totals.unwrap_or_default(),
        sessions: sessions?,
        devices: devices?,
        entries: entries?,
        history: history?,
        audit,
    })
}

/// What was handed in, to be fetched for a while.
async fn files(
    app: &App,
    kyc: Option<&Submission>,
    now: Timestamp,
) -> Result<Vec<FileHeld>, Problem> {
    let mut files = Vec::new();
    let submitted = kyc.filter(|submission| submission.submitted_at.is_some());
    for document in submitted.iter().flat_map(|submission| &submission.documents) {
        let view = app.documents.presign_view(document, VIEW_SECONDS, now).await?;
        files.push(FileHeld {
            side: document.side,
            content_type: document.expected.content_type,
            size: document.expected.size,
            url: view.url,
            expires_at: view.expires_at,
        });
    }
    Ok(files)
}

/// A list that may have been cut off.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Rows<T> {
    /// The newest first.
    results: Vec<T>,
    /// Whether these are all that there are.
    is_complete: bool,
}

impl<T> Rows<T> {
    fn of<R>((rows, is_complete): &(Vec<R>, bool), view: impl FnMut(&R) -> T) -> Self {
        Self { results: rows.iter().map(view).collect(), is_complete: *is_complete }
    }
}

/// Everything that is held about a person.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AccountExport))]
pub(crate) struct Export<'a> {
    exported_at: Timestamp,
    account: AccountHeld<'a>,
    profile: Option<ProfileView<'a>>,
    kyc: Option<KycHeld<'a>>,
    devices: Vec<DeviceView>,
    sessions: Vec<SessionHeld<'a>>,
    wallet: WalletHeld,
    usage: UsageHeld,
    /// What was done to the account, for a year.
    audit: Rows<AuditHeld>,
}

/// The account.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedAccount))]
struct AccountHeld<'a> {
    id: shared::value::UserId,
    username: &'a shared::value::Username,
    email: Option<&'a shared::value::Email>,
    email_verified: bool,
    phone_number: Option<&'a shared::value::PhoneNumber>,
    phone_verified: bool,
    /// An identifier that was replaced and is still to be told of it.
    replaced_identifier: Option<&'a str>,
    referral_code: &'a str,
    status: AccountStatus,
    is_staff: bool,
    /// Whether there is a password; only a hash of it is kept.
    has_password: bool,
    date_joined: Timestamp,
    last_login: Option<Timestamp>,
}

/// The check of the person's identity.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedKyc))]
struct KycHeld<'a> {
    document_type: DocumentType,
    /// In the clear.
    document_number: &'a str,
    status: KycStatus,
    submitted_at: Option<Timestamp>,
    verified_at: Option<Timestamp>,
    rejection_reason: Option<&'a str>,
    /// None before they are handed in.
    documents: &'a [FileHeld],
}

/// A file of a document.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedFile))]
struct FileHeld {
    side: Side,
    content_type: ContentType,
    /// Bytes.
    size: u64,
    /// Who has it may fetch the file, until it expires.
    url: String,
    expires_at: Timestamp,
}

/// A session, whether it lives or has run out.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedSession))]
struct SessionHeld<'a> {
    id: SessionId,
    device_name: Option<&'a str>,
    created_at: Timestamp,
    last_used: Timestamp,
    /// When a credential was last presented in it.
    auth_time: Timestamp,
    expires_at: Timestamp,
}

/// Balances and their entries.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedWallet))]
struct WalletHeld {
    #[serde(flatten)]
    money: Money,
    points: Points,
    last_updated: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = Rows<shared::openapi::entry::Entry>))]
    entries: Rows<EntryView>,
}

/// What was counted.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedUsage))]
struct UsageHeld {
    total_rentals: i64,
    #[cfg_attr(feature = "openapi", schema(pattern = r"^[0-9]+(\.[0-9]+)?$", example = "1250.00"))]
    total_spent: String,
    total_points_earned: i64,
    total_referrals: i64,
    timely_returns: i64,
    late_returns: i64,
    favorite_stations_count: i64,
    last_rental_date: Option<Timestamp>,
    days: Rows<PeriodHeld>,
    months: Rows<PeriodHeld>,
    stations: Rows<StationHeld>,
}

/// What was counted in a day or a month.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedPeriod))]
struct PeriodHeld {
    /// `2026-01-31`, or `2026-01`.
    period: String,
    rentals: i64,
    #[cfg_attr(feature = "openapi", schema(pattern = r"^[0-9]+(\.[0-9]+)?$", example = "25.00"))]
    spent: String,
    points_earned: i64,
}

/// What was last said of a station.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedStation))]
struct StationHeld {
    station_id: String,
    is_favorite: bool,
    said_at: Option<Timestamp>,
}

/// An entry of the audit trail.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ExportedAuditEntry))]
struct AuditHeld {
    id: AuditId,
    action: Action,
    /// Whether staff did it.
    by_staff: bool,
    /// From which network, without what tells one subscriber from another. None where staff did it.
    source: Option<String>,
    details: BTreeMap<String, String>,
    at: Timestamp,
}

impl ExportData {
    /// What is answered, in a deployment of that currency.
    pub(crate) fn view(&self, currency: Currency) -> Export<'_> {
        let entry = |entry: &Entry| EntryView::of(entry.clone(), currency);
        Export {
            exported_at: self.at,
            account: (&self.account).into(),
            profile: self.profile.as_ref().map(ProfileView::from),
            kyc: self.kyc.as_ref().map(|submission| KycHeld::of(submission, &self.files)),
            devices: self.devices.iter().cloned().map(DeviceView::from).collect(),
            sessions: self.sessions.iter().map(SessionHeld::from).collect(),
            wallet: WalletHeld {
                money: Money::of(&self.balance, currency),
                points: (&self.balance).into(),
                last_updated: self.balance.updated_at,
                entries: Rows::of(&self.entries, entry),
            },
            usage: usage(&self.totals, &self.history, currency),
            audit: Rows::of(&self.audit, |entry| entry.into()),
        }
    }
}

impl<'a> From<&'a Account> for AccountHeld<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            id: account.user_id,
            username: &account.username,
            email: account.email.as_ref(),
            email_verified: account.email_verified,
            phone_number: account.phone_number.as_ref(),
            phone_verified: account.phone_verified,
            replaced_identifier: account.pending_notice.as_ref().map(|untold| untold.as_str()),
            referral_code: account.referral_code.as_str(),
            status: account.status,
            is_staff: account.is_staff,
            has_password: account.password_hash.is_some(),
            date_joined: account.joined_at,
            last_login: account.last_login_at,
        }
    }
}

impl<'a> KycHeld<'a> {
    fn of(submission: &'a Submission, documents: &'a [FileHeld]) -> Self {
        Self {
            document_type: submission.document_type,
            document_number: submission.document_number.as_str(),
            status: submission.status,
            submitted_at: submission.submitted_at,
            verified_at: submission.verified_at,
            rejection_reason: submission.rejection_reason.as_deref(),
            documents,
        }
    }
}

impl<'a> From<&'a Session> for SessionHeld<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            id: session.session_id,
            device_name: session.device.as_ref().and_then(|device| device.device_name.as_deref()),
            created_at: session.created_at,
            last_used: session.last_used_at,
            auth_time: session.auth_time,
            expires_at: session.expires_at,
        }
    }
}

impl From<&audit::Entry> for AuditHeld {
    fn from(entry: &audit::Entry) -> Self {
        Self {
            id: entry.entry_id,
            action: entry.action,
            by_staff: entry.actor.is_some(),
            source: entry.actor.is_none().then(|| entry.source.clone()),
            details: entry.details.clone(),
            at: entry.at,
        }
    }
}

fn usage(totals: &Totals, history: &History, currency: Currency) -> UsageHeld {
    let money = |minor: i64| {
        let shown = minor.clamp(0, Amount::MAX_MINOR);
        Amount::from_minor(shown).unwrap_or_default().format(currency)
    };
    let period = |(period, counted): &(String, Period)| PeriodHeld {
        period: period.clone(),
        rentals: counted.rentals,
        spent: money(counted.spent_minor),
        points_earned: counted.points_earned,
    };
    let station = |(station_id, said): &(String, Station)| StationHeld {
        station_id: station_id.clone(),
        is_favorite: said.is_favorite,
        said_at: Timestamp::from_microsecond(said.said_at_us).ok(),
    };
    UsageHeld {
        total_rentals: totals.rentals,
        total_spent: money(totals.spent_minor),
        total_points_earned: totals.points_earned,
        total_referrals: totals.total_referrals,
        timely_returns: totals.timely_returns,
        late_returns: totals.late_returns,
        favorite_stations_count: totals.favorite_stations_count,
        last_rental_date: totals.last_rental_at,
        days: Rows::of(&history.days, period),
        months: Rows::of(&history.months, period),
        stations: Rows::of(&history.stations, station),
    }
}
