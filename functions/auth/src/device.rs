//! Devices, and the list of sessions that shows their names.

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    crypto::secret,
    http::{
        fields::{Body, Fields, text},
        problem::{Code, Problem},
    },
    runtime::clock::whole_second,
    session::{
        self, Session,
        access_token::Claims,
        authentication,
        device::{self, Device, DeviceSnapshot, DeviceType},
    },
    value::{DeviceId, Invalid, SessionId},
};

use crate::app::App;

/// How often a registration is made anew when something came between.
const ATTEMPTS: usize = 4;
const MAX_DEVICE_ID_CHARS: usize = 200;
/// FCM says no more than that tokens may be long; those seen are under 300 bytes.
const MAX_TOKEN_CHARS: usize = 1_024;
const MAX_NAME_CHARS: usize = 100;

/// `POST /auth/device`.
pub(crate) struct DeviceBody {
    device_id: String,
    fcm_token: String,
    device_type: DeviceType,
    device_name: Option<String>,
    app_version: Option<String>,
    os_version: Option<String>,
    is_active: bool,
}

impl Body for DeviceBody {
    fn read(fields: &mut Fields) -> Option<Self> {
        let device_id = fields.required("device_id", device_id);
        let fcm_token = fields.required("fcm_token", text::<MAX_TOKEN_CHARS>);
        let device_type = fields.required("device_type", |text| match text {
            "ANDROID" => Ok(DeviceType::Android),
            "IOS" => Ok(DeviceType::Ios),
            "WEB" => Ok(DeviceType::Web),
            _ => Err(Invalid {
                code: "invalid_device_type",
                detail: "This must be ANDROID, IOS or WEB.",
            }),
        });
        let device_name = fields.optional("device_name", text::<MAX_NAME_CHARS>);
        let app_version = fields.optional("app_version", text::<MAX_NAME_CHARS>);
        let os_version = fields.optional("os_version", text::<MAX_NAME_CHARS>);
        let is_active = match fields.has("is_active") {
            true => fields.flag("is_active"),
            false => Some(true),
        };
        Some(Self {
            device_id: device_id?,
            fcm_token: fcm_token?,
            device_type: device_type?,
            device_name: device_name?,
            app_version: app_version?,
            os_version: os_version?,
            is_active: is_active?,
        })
    }
}

/// A name that a path can carry, however clients and proxies on the way write and normalise it.
/// Bytes of a path that are no UTF-8 arrive as U+FFFD, so that character would stand for many names.
fn device_id(given: &str) -> Result<String, Invalid> {
    let id = text::<MAX_DEVICE_ID_CHARS>(given)?;
    let fits = !id.contains(['/', '\\', '?', '#', '%', char::REPLACEMENT_CHARACTER])
        && id != "."
        && id != "..";
    let detail = "This must have no / \\ ? # % or U+FFFD and be neither . nor ..";
    fits.then_some(id).ok_or(Invalid { code: "invalid_device_id", detail })
}

/// A device as it is answered.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Device))]
pub(crate) struct DeviceView {
    id: DeviceId,
    device_id: String,
    fcm_token: String,
    device_type: DeviceType,
    device_name: Option<String>,
    app_version: Option<String>,
    os_version: Option<String>,
    is_active: bool,
    last_used: Timestamp,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        Self {
            id: device.id,
            device_id: device.device_id,
            fcm_token: device.fcm_token,
            device_type: device.device_type,
            device_name: device.device_name,
            app_version: device.app_version,
            os_version: device.os_version,
            is_active: device.is_active,
            last_used: device.last_used_at,
        }
    }
}

/// Registers a device, or registers it anew.
pub(crate) async fn register(
    app: &App,
    claims: &Claims,
    body: &DeviceBody,
    now: Timestamp,
) -> Result<Device, Problem> {
    for attempt in 0..ATTEMPTS {
        let seen = look(app, claims, body, attempt > 0).await?;
        let device = device(body, &seen, now);
        if device::register(&app.store, &device, &seen).await? {
            return Ok(device);
        }
    }
    Err(Problem::unavailable("a device changed too often"))
}

async fn look(
    app: &App,
    claims: &Claims,
    body: &DeviceBody,
    consistent: bool,
) -> Result<DeviceSnapshot, Problem> {
    let token = device::token_digest(&body.fcm_token);
    let claim = device::claim_key(&token).consistent_if(consistent);
    let devices = device::list(&app.store, claims.user_id, consistent);
    let (entered, devices) = tokio::join!(app.authenticator.authenticate(claims, claim), devices);
    let (principal, claim) = entered?;
    Ok(DeviceSnapshot { session: principal.session().clone(), devices: devices?, claim })
}

fn device(body: &DeviceBody, seen: &DeviceSnapshot, now: Timestamp) -> Device {
    let before = seen.devices.iter().find(|device| device.device_id == body.device_id);
    Device {
        user_id: seen.session.user_id,
        device_id: body.device_id.clone(),
        id: before.map_or_else(|| DeviceId::new(now, secret::random()), |device| device.id),
        fcm_token: body.fcm_token.clone(),
        device_type: body.device_type,
        device_name: body.device_name.clone(),
        app_version: body.app_version.clone(),
        os_version: body.os_version.clone(),
        is_active: body.is_active,
        last_used_at: whole_second(now),
        session_id: seen.session.session_id,
        expires_at: seen.session.absolute_end,
    }
}

/// The caller's living sessions, newest first.
pub(crate) async fn sessions(
    app: &App,
    claims: &Claims,
    now: Timestamp,
) -> Result<Vec<Session>, Problem> {
    let mut sessions = session::list(&app.store, claims.user_id, true).await?;
    sessions.retain(|session| session.is_live(now));
    if !sessions.iter().any(|session| session.session_id == claims.session_id) {
        return Err(authentication::session_ended());
    }
    sessions.reverse();
    Ok(sessions)
}

/// The caller's devices whose session lives, last used first.
pub(crate) async fn devices(
    app: &App,
    claims: &Claims,
    now: Timestamp,
) -> Result<Vec<Device>, Problem> {
    let devices = device::list(&app.store, claims.user_id, false);
    let (sessions, devices) = tokio::join!(sessions(app, claims, now), devices);
    let (sessions, mut devices) = (sessions?, devices?);
    devices.retain(|device| sessions.iter().any(|session| session.session_id == device.session_id));
    devices.sort_by_key(|device| std::cmp::Reverse((device.last_used_at, device.id)));
    Ok(devices)
}

/// Ends the registration of one of the caller's devices.
pub(crate) async fn unregister(app: &App, claims: &Claims, device_id: &str) -> Result<(), Problem> {
    // Names are stored in NFC. Nothing else of the path's name is changed, or it would be another.
    let device_id = shared::value::text::nfc(device_id);
    let key = device::key(claims.user_id, &device_id).consistent();
    let (_, device) = app.authenticator.authenticate(claims, key).await?;
    let device = device.ok_or_else(not_found)?;
    let token = device::token_digest(&device.fcm_token);
    let Device { user_id, session_id, device_id, .. } = &device;
    device::release(&app.store, *user_id, *session_id, device_id, &token).await
}

/// Ends one of the caller's sessions.
pub(crate) async fn end_session(
    app: &App,
    claims: &Claims,
    session_id: SessionId,
    now: Timestamp,
) -> Result<(), Problem> {
    if session_id != claims.session_id {
        app.authenticator.authenticate(claims, ()).await?;
    }
    match session::end_if_live(&app.store, claims.user_id, session_id, now).await? {
        true => Ok(()),
        false if session_id == claims.session_id => Err(authentication::session_ended()),
        false => Err(not_found()),
    }
}

/// 404.
pub(crate) fn not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such thing of yours.")
}
