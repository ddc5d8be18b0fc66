//! The `devices` table: the devices that receive a user's push messages, and the owner of each push
//! token.
//!
//! A push token belongs to one user: its claim is an item under the token's digest. A device
//! belongs to the session that registered it last. The session's item names the device too, but
//! only as a hint: the device's own item decides.

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret::Digest,
    dynamodb::{Change, Item, Key, Store, Table, Transaction, from_item, item, s, seconds},
    http::problem::Problem,
    session::{self, Session},
    value::{DeviceId, SessionId, UserId},
};

/// The most devices of a user. A registration beyond this limit deletes the least recently used
/// one.
pub const MAX_PER_USER: usize = 20;

/// The kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names are clear")]
pub enum DeviceType {
    Android,
    Ios,
    Web,
}

/// A registered device.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// The user.
    pub user_id: UserId,
    /// The id that the app chose. It is unique for the user only, and can be guessed.
    pub device_id: String,
    /// The id that was generated for it.
    pub id: DeviceId,
    /// The push token: the address of push messages.
    pub fcm_token: String,
    /// The kind of device.
    pub device_type: DeviceType,
    /// The user's name for the device.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device_name: Option<String>,
    /// The app's version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub app_version: Option<String>,
    /// The operating system's version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub os_version: Option<String>,
    /// Whether it is to receive push messages.
    pub is_active: bool,
    /// When it was last registered.
    #[serde(with = "seconds::required")]
    pub last_used_at: Timestamp,
    /// The session that registered it.
    pub session_id: SessionId,
    /// The latest end of that session. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The digest of a push token.
pub fn token_digest(fcm_token: &str) -> Digest {
    Digest::sha256(&[b"fcm token", fcm_token.as_bytes()])
}

/// The owner of a push token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenClaim {
    /// The user.
    pub owner_id: UserId,
    /// The user's device.
    pub owner_device: String,
    /// When the device expires, and the claim with it. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

/// The key of a device.
pub fn key(user_id: UserId, device_id: &str) -> Key<Device> {
    Key::new(Table::Devices, &[("user_id", &user_id.to_string()), ("device_id", device_id)])
}

/// The key of the claim of a push token.
pub fn claim_key(fcm_token: &Digest) -> Key<TokenClaim> {
    let partition = format!("TOKEN#{}", fcm_token.text());
    Key::new(Table::Devices, &[("user_id", &partition), ("device_id", "CLAIM")])
}

/// All devices of a user, also those whose session has ended.
pub async fn list(
    store: &Store,
    user_id: UserId,
    consistent: bool,
) -> Result<Vec<Device>, Problem> {
    let user_id = user_id.to_string();
    let items = store.query_all(Table::Devices, ("user_id", &user_id), consistent).await?;
    items.into_iter().map(from_item).collect()
}

/// The state that was read before a registration.
#[derive(Debug)]
pub struct DeviceSnapshot {
    /// The session that registers the device.
    pub session: Session,
    /// The user's devices.
    pub devices: Vec<Device>,
    /// The claim of the push token.
    pub claim: Option<TokenClaim>,
}

/// Registers a device. Also deletes all that the registration replaces: another device with the
/// same token, the previous device of the session, the claim of the device's previous token, and
/// the least recently used device beyond [`MAX_PER_USER`]. Returns `false` if something has changed
/// since `snapshot` was read.
pub async fn register(
    store: &Store,
    device: &Device,
    snapshot: &DeviceSnapshot,
) -> Result<bool, Problem> {
    let mut all = Transaction::default();
    let digest = token_digest(&device.fcm_token);
    let before = snapshot.devices.iter().find(|other| other.device_id == device.device_id);
    put_device(&mut all, device, before)?;
    put_claim(&mut all, device, &digest, snapshot.claim.as_ref())?;
    link_device(&mut all, &snapshot.session, device, &digest);
    let replaced = replaced_devices(device, snapshot);
    replaced.iter().for_each(|other| delete_device(&mut all, other));
    for other in before.into_iter().chain(replaced) {
        // The claim of an expired device may be deleted already, or belong to another user.
        let has_claim = other.expires_at > device.last_used_at;
        if has_claim && other.fcm_token != device.fcm_token {
            delete_claim(&mut all, other);
        }
    }
    // An expired claim has no owner any more: the device that it names may have another token.
    let claim = snapshot.claim.as_ref().filter(|claim| claim.expires_at > device.last_used_at);
    if let Some(claim) = claim.filter(|claim| !is_owner_known(claim, device, snapshot)) {
        // The device with the token is not in the list: it is another user's, or was registered
        // after the list was read. Its item is not known, so it is deleted only if it has the
        // token.
        let values = Item::from([(":token".to_owned(), s(&*device.fcm_token))]);
        let condition = "attribute_not_exists(fcm_token) OR fcm_token = :token";
        all.delete((), key(claim.owner_id, &claim.owner_device), Some(condition), values);
    }
    Ok(store.commit(all).await?.is_ok())
}

/// Whether the owner of the token is `device` itself or one of the user's devices in `snapshot`.
fn is_owner_known(claim: &TokenClaim, device: &Device, snapshot: &DeviceSnapshot) -> bool {
    let others = snapshot.devices.iter().map(|other| &other.device_id);
    let mut known = others.chain([&device.device_id]);
    claim.owner_id == device.user_id && known.any(|device_id| *device_id == claim.owner_device)
}

/// The user's devices that `device` replaces.
fn replaced_devices<'a>(device: &Device, snapshot: &'a DeviceSnapshot) -> Vec<&'a Device> {
    let mut others: Vec<_> =
        snapshot.devices.iter().filter(|other| other.device_id != device.device_id).collect();
    let is_replaced = |other: &&Device| {
        other.session_id == device.session_id || other.fcm_token == device.fcm_token
    };
    let mut replaced: Vec<_> = others.iter().copied().filter(is_replaced).collect();
    others.retain(|other| !is_replaced(other));
    others.sort_by_key(|other| (other.last_used_at, other.id));
    let too_many = (others.len() + 1).saturating_sub(MAX_PER_USER);
    replaced.extend(others.into_iter().take(too_many));
    replaced
}

/// Stores in the session which device it registered. The session must still exist, with the device
/// that was read: of two concurrent registrations in one session, the second is refused.
fn link_device(all: &mut Transaction<()>, session: &Session, device: &Device, token: &Digest) {
    let name = match device.device_name {
        Some(_) => ", device_name = :name",
        None => " REMOVE device_name",
    };
    let update = format!("SET device_id = :device, device_token = :token{name}");
    let unchanged = match session.device {
        Some(_) => "device_id = :before",
        None => "attribute_not_exists(device_id)",
    };
    let mut change = Change::new(session::key(session.user_id, session.session_id), update)
        .only_if(format!("attribute_exists(session_id) AND {unchanged}"))
        .with(":device", s(&*device.device_id))
        .with(":token", s(token.text()));
    if let Some(before) = &session.device {
        change = change.with(":before", s(&*before.device_id));
    }
    if let Some(name) = &device.device_name {
        change = change.with(":name", s(&**name));
    }
    all.change((), change);
}

fn put_device(
    all: &mut Transaction<()>,
    device: &Device,
    before: Option<&Device>,
) -> Result<(), Problem> {
    let new = item("device", device)?;
    match before {
        None => all.create((), Table::Devices, "device_id", new),
        Some(before) => {
            let values = Item::from([
                (":token".to_owned(), s(&*before.fcm_token)),
                (":session".to_owned(), s(before.session_id.to_string())),
            ]);
            let condition = "fcm_token = :token AND session_id = :session";
            all.put_if((), Table::Devices, new, condition, values);
        }
    }
    Ok(())
}

fn put_claim(
    all: &mut Transaction<()>,
    device: &Device,
    token: &Digest,
    before: Option<&TokenClaim>,
) -> Result<(), Problem> {
    let claim = TokenClaim {
        owner_id: device.user_id,
        owner_device: device.device_id.clone(),
        expires_at: device.expires_at,
    };
    let mut new = item("token_claim", &claim)?;
    new.extend(claim_key(token).key);
    match before {
        None => all.create((), Table::Devices, "device_id", new),
        Some(before) => {
            let (condition, values) = owned_by(&before.owner_id, &before.owner_device);
            all.put_if((), Table::Devices, new, condition, values);
        }
    }
    Ok(())
}

fn owned_by(owner: &UserId, device_id: &str) -> (&'static str, Item) {
    let values = Item::from([
        (":owner".to_owned(), s(owner.to_string())),
        (":device".to_owned(), s(device_id)),
    ]);
    ("owner_id = :owner AND owner_device = :device", values)
}

fn delete_device(all: &mut Transaction<()>, device: &Device) {
    let values = Item::from([(":session".to_owned(), s(device.session_id.to_string()))]);
    let key = key(device.user_id, &device.device_id);
    all.delete((), key, Some("session_id = :session"), values);
}

fn delete_claim(all: &mut Transaction<()>, device: &Device) {
    let (condition, values) = owned_by(&device.user_id, &device.device_id);
    all.delete((), claim_key(&token_digest(&device.fcm_token)), Some(condition), values);
}

/// Deletes a device and the claim of its token. The transaction is refused if another session has
/// registered the device since, or another device the token.
pub fn remove<L: Copy>(
    all: &mut Transaction<L>,
    label: L,
    user_id: UserId,
    session_id: SessionId,
    device_id: &str,
    token: &Digest,
) {
    let values = Item::from([(":session".to_owned(), s(session_id.to_string()))]);
    let condition = "attribute_not_exists(session_id) OR session_id = :session";
    all.delete(label, key(user_id, device_id), Some(condition), values);
    let (condition, values) = owned_by(&user_id, device_id);
    let condition = format!("attribute_not_exists(owner_id) OR {condition}");
    all.delete(label, claim_key(token), Some(&condition), values);
}

/// Deletes a device and the claim of its token, if the device still belongs to this session.
pub async fn release(
    store: &Store,
    user_id: UserId,
    session_id: SessionId,
    device_id: &str,
    token: &Digest,
) -> Result<(), Problem> {
    let mut all = Transaction::default();
    remove(&mut all, (), user_id, session_id, device_id, token);
    store.commit(all).await.map(drop)
}

/// Deletes all devices of a user and the claims of their tokens. The claims are deleted first:
/// after a failure the remaining devices show which claims are left. The claim of another user
/// stays.
pub async fn delete_all(store: &Store, user_id: UserId) -> Result<(), Problem> {
    let devices = list(store, user_id, true).await?;
    let claims = devices.iter().map(|device| async {
        let values = Item::from([(":owner".to_owned(), s(user_id.to_string()))]);
        let claim = claim_key(&token_digest(&device.fcm_token));
        store.delete(claim, "owner_id = :owner", values).await.map(drop)
    });
    join_all(claims).await.into_iter().collect::<Result<(), _>>()?;
    let keys: Vec<_> = devices.iter().map(|device| key(user_id, &device.device_id).key).collect();
    store.delete_keys(Table::Devices, &keys).await
}
