//! `GET /admin/users/{user_id}`, and what every operation on a user answers.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    account::{self, Account},
    http::{ClientIp, Json, PathParameter, problem::Problem},
    kyc::{self, Submission},
    profile::{self, Profile},
    session::{
        self, Session,
        access_token::Claims,
        authentication::Staff,
        device::{self, Device, DeviceType},
    },
    user::view::{self, User},
    value::{Currency, DeviceId, SessionId, UserId},
    wallet::{self, Balance},
};

use crate::{app::App, app::user_not_found};

/// All that staff see of a user.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) profile: Profile,
    pub(crate) submission: Option<Submission>,
    pub(crate) balance: Balance,
    /// Those that have run out among them.
    pub(crate) sessions: Vec<Session>,
    /// Those whose session is over among them.
    pub(crate) devices: Vec<Device>,
}

/// A device of a user. Where its push messages go is not for people to see.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UserDevice))]
struct DeviceView<'a> {
    id: DeviceId,
    device_id: &'a str,
    device_type: DeviceType,
    device_name: Option<&'a str>,
    app_version: Option<&'a str>,
    os_version: Option<&'a str>,
    is_active: bool,
    last_used: Timestamp,
}

/// A session of a user.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UserSession))]
struct SessionView<'a> {
    id: SessionId,
    device_name: Option<&'a str>,
    created_at: Timestamp,
    /// When it was begun or last refreshed.
    last_used: Timestamp,
    /// Whether it is a staff session: it began after the account became one of staff.
    is_staff: bool,
}

/// A user, as staff see them.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UserDetail))]
pub(crate) struct Detail<'a> {
    #[serde(flatten)]
    user: User<'a>,
    is_staff: bool,
    /// Last used first.
    devices: Vec<DeviceView<'a>>,
    /// Newest first.
    sessions: Vec<SessionView<'a>>,
}

/// `GET /admin/users/{user_id}`: right after a registration what is missing is read once more,
/// consistently.
pub(crate) async fn show(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    PathParameter(user_id): PathParameter,
) -> Result<Response, Problem> {
    let user_id = app.subject(&claims, source, &user_id).await?;
    let mut found = None;
    for consistent in [false, true] {
        if found.is_none() {
            found = read(&app, &claims, source, user_id, consistent).await?.1;
        }
    }
    Ok(found.ok_or_else(user_not_found)?.answer(app.config.currency, app.clock.now()))
}

/// The member of staff who asks, and the user, in one round trip. `None` when there is no such
/// user, or, where it is not read consistently, not all of them yet.
pub(crate) async fn read(
    app: &App,
    claims: &Claims,
    source: ClientIp,
    user_id: UserId,
    consistent: bool,
) -> Result<(Staff, Option<Person>), Problem> {
    let reads = (
        account::key(user_id).consistent_if(consistent),
        profile::key(user_id).consistent_if(consistent),
        kyc::key(user_id).consistent_if(consistent),
        wallet::balance_key(user_id).consistent_if(consistent),
    );
    let (entered, sessions, devices) = tokio::join!(
        app.authenticator.authenticate_staff(claims, source, reads),
        session::list(&app.store, user_id, consistent),
        device::list(&app.store, user_id, consistent),
    );
    let (staff, found) = entered?;
    let (sessions, devices) = (sessions?, devices?);
    let person = match found {
        (Some(account), Some(profile), submission, Some(balance)) => {
            Some(Person { account, profile, submission, balance, sessions, devices })
        }
        (Some(_), ..) if consistent => {
            return Err(Problem::unavailable(
                "an account was there without all that belongs to it",
            ));
        }
        _ => None,
    };
    Ok((staff, person))
}

impl Person {
    /// The user, as staff see them at `now`.
    pub(crate) fn answer(&self, currency: Currency, now: Timestamp) -> Response {
        Json(self.view(currency, now)).into_response()
    }

    fn view(&self, currency: Currency, now: Timestamp) -> Detail<'_> {
        let Self { account, profile, submission, balance, .. } = self;
        let mut sessions: Vec<_> =
            self.sessions.iter().filter(|session| session.is_live(now)).collect();
        let mut devices: Vec<_> = self
            .devices
            .iter()
            .filter(|device| sessions.iter().any(|alive| alive.session_id == device.session_id))
            .collect();
        sessions.reverse();
        devices.sort_by_key(|device| std::cmp::Reverse((device.last_used_at, device.id)));
        Detail {
            user: view::user(account, profile, submission.as_ref(), balance, currency),
            is_staff: account.is_staff,
            devices: devices.into_iter().map(DeviceView::from).collect(),
            sessions: sessions.into_iter().map(SessionView::from).collect(),
        }
    }
}

impl<'a> From<&'a Device> for DeviceView<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            id: device.id,
            device_id: &device.device_id,
            device_type: device.device_type,
            device_name: device.device_name.as_deref(),
            app_version: device.app_version.as_deref(),
            os_version: device.os_version.as_deref(),
            is_active: device.is_active,
            last_used: device.last_used_at,
        }
    }
}

impl<'a> From<&'a Session> for SessionView<'a> {
    fn from(session: &'a Session) -> Self {
        let device = session.device.as_ref();
        Self {
            id: session.session_id,
            device_name: device.and_then(|device| device.device_name.as_deref()),
            created_at: session.created_at,
            last_used: session.last_used_at,
            is_staff: session.is_staff,
        }
    }
}
