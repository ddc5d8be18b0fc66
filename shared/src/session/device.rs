//! The `devices` table: where a user's push messages go, and who holds each push token.
//!
//! A token belongs to one user: its claim is an item of its own, under the token's digest. A
//! device belongs to the session that registered it last. The session's item says so too, but as
//! a hint only: what decides is the device's own item.

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    crypto::secret::Digest,
    dynamodb::{Item, Key, Store, Table, Transaction, from_item, item, s, seconds},
    http::problem::Problem,
    session::{self, Session},
    value::{DeviceId, SessionId, UserId},
};

/// How many devices a user has at most; the least recently used gives way.
pub const MAX_PER_USER: usize = 20;

/// What kind of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum DeviceType {
    Android,
    Ios,
    Web,
}

/// A registered device.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Whose it is.
    pub user_id: UserId,
    /// Its name in the user's own namespace; it can be guessed.
    pub device_id: String,
    /// Its id.
    pub id: DeviceId,
    /// Where push messages go.
    pub fcm_token: String,
    /// What kind it is.
    pub device_type: DeviceType,
    /// What the person calls it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device_name: Option<String>,
    /// The app's version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub app_version: Option<String>,
    /// The operating system's version.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub os_version: Option<String>,
    /// Whether it wants push messages.
    pub is_active: bool,
    /// When it was last registered.
    #[serde(with = "seconds::required")]
    pub last_used_at: Timestamp,
    /// The session that registered it.
    pub session_id: SessionId,
    /// When that session ends at the latest. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What stands for a push token.
pub fn token_digest(fcm_token: &str) -> Digest {
    Digest::sha256(&[b"fcm token", fcm_token.as_bytes()])
}

/// Who holds a push token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenClaim {
    /// The user.
    pub owner_id: UserId,
    /// The user's device.
    pub owner_device: String,
    /// When the device goes, and this with it. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

/// Where a device is.
pub fn key(user_id: UserId, device_id: &str) -> Key<Device> {
    Key::new(Table::Devices, &[("user_id", &user_id.to_string()), ("device_id", device_id)])
}

/// Where the claim of a push token is.
pub fn claim_key(fcm_token: &Digest) -> Key<TokenClaim> {
    let partition = format!("TOKEN#{}", fcm_token.text());
    Key::new(Table::Devices, &[("user_id", &partition), ("device_id", "CLAIM")])
}

/// All devices of a user, those whose session is over among them.
pub async fn list(
    store: &Store,
    user_id: UserId,
    consistent: bool,
) -> Result<Vec<Device>, Problem> {
    let user_id = user_id.to_string();
    let items = store.query(Table::Devices, ("user_id", &user_id), consistent).await?;
    items.into_iter().map(from_item).collect()
}

/// What stands before a registration.
#[derive(Debug)]
pub struct Seen {
    /// The session that registers.
    pub session: Session,
    /// The user's devices.
    pub devices: Vec<Device>,
    /// Who holds the token.
    pub claim: Option<TokenClaim>,
}

/// Writes a registration and all that gives way to it: the device that had the token elsewhere,
/// the device that the session had before, the token that the device had before, and the least
/// recently used where there are too many. `false` when something changed since it was seen.
pub async fn register(store: &Store, device: &Device, seen: &Seen) -> Result<bool, Problem> {
    let mut all = Transaction::default();
    let digest = token_digest(&device.fcm_token);
    let before = seen.devices.iter().find(|other| other.device_id == device.device_id);
    put_device(&mut all, device, before)?;
    put_claim(&mut all, device, &digest, seen.claim.as_ref())?;
    session::link_device(&mut all, (), &seen.session, device, &digest);
    let giving_way = giving_way(device, seen);
    giving_way.iter().for_each(|other| drop_device(&mut all, other));
    for other in before.into_iter().chain(giving_way) {
        // The claim of one that has run out may have gone before it, or be another user's by now.
        let has_claim = other.expires_at > device.last_used_at;
        if has_claim && other.fcm_token != device.fcm_token {
            drop_claim(&mut all, other);
        }
    }
    // A claim that has run out is nobody's, and names a device that may have another token by now.
    let claim = seen.claim.as_ref().filter(|claim| claim.expires_at > device.last_used_at);
    if let Some(elsewhere) = claim.filter(|claim| !is_known(claim, device, seen)) {
        // It is not read, or was not there yet when the list was: it goes if it still has the token.
        let values = Item::from([(":token".to_owned(), s(&*device.fcm_token))]);
        let condition = "attribute_not_exists(fcm_token) OR fcm_token = :token";
        all.delete((), key(elsewhere.owner_id, &elsewhere.owner_device), Some(condition), values);
    }
    Ok(store.commit(all).await?.is_ok())
}

/// Whether what holds the token is `device` itself, or among the user's devices that were seen.
fn is_known(claim: &TokenClaim, device: &Device, seen: &Seen) -> bool {
    let others = seen.devices.iter().map(|other| &other.device_id);
    let mut known = others.chain([&device.device_id]);
    claim.owner_id == device.user_id && known.any(|device_id| *device_id == claim.owner_device)
}

/// The user's own devices that give way to `device`.
fn giving_way<'a>(device: &Device, seen: &'a Seen) -> Vec<&'a Device> {
    let mut others: Vec<_> =
        seen.devices.iter().filter(|other| other.device_id != device.device_id).collect();
    let goes = |other: &&Device| {
        other.session_id == device.session_id || other.fcm_token == device.fcm_token
    };
    let mut going: Vec<_> = others.iter().copied().filter(goes).collect();
    others.retain(|other| !goes(other));
    others.sort_by_key(|other| (other.last_used_at, other.id));
    let too_many = (others.len() + 1).saturating_sub(MAX_PER_USER);
    going.extend(others.into_iter().take(too_many));
    going
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
            let (condition, values) = still_of(&before.owner_id, &before.owner_device);
            all.put_if((), Table::Devices, new, condition, values);
        }
    }
    Ok(())
}

fn still_of(owner: &UserId, device_id: &str) -> (&'static str, Item) {
    let values = Item::from([
        (":owner".to_owned(), s(owner.to_string())),
        (":device".to_owned(), s(device_id)),
    ]);
    ("owner_id = :owner AND owner_device = :device", values)
}

fn drop_device(all: &mut Transaction<()>, device: &Device) {
    let values = Item::from([(":session".to_owned(), s(device.session_id.to_string()))]);
    let key = key(device.user_id, &device.device_id);
    all.delete((), key, Some("session_id = :session"), values);
}

fn drop_claim(all: &mut Transaction<()>, device: &Device) {
    let (condition, values) = still_of(&device.user_id, &device.device_id);
    all.delete((), claim_key(&token_digest(&device.fcm_token)), Some(condition), values);
}

/// Deletes a device and frees its token, in a transaction that is refused when the device has moved
/// on to another session, or its token to another device.
pub fn remove<L: Copy>(
    all: &mut Transaction<L>,
    label: L,
    (user_id, session_id): (UserId, SessionId),
    (device_id, token): (&str, &Digest),
) {
    let values = Item::from([(":session".to_owned(), s(session_id.to_string()))]);
    let condition = "attribute_not_exists(session_id) OR session_id = :session";
    all.delete(label, key(user_id, device_id), Some(condition), values);
    let (condition, values) = still_of(&user_id, device_id);
    let condition = format!("attribute_not_exists(owner_id) OR {condition}");
    all.delete(label, claim_key(token), Some(&condition), values);
}

/// Deletes a device and frees its token, if it still belongs to that session. One that has moved
/// on stays as it is.
pub async fn release(
    store: &Store,
    of: (UserId, SessionId),
    device: (&str, &Digest),
) -> Result<(), Problem> {
    let mut all = Transaction::default();
    remove(&mut all, (), of, device);
    store.commit(all).await.map(drop)
}

/// Deletes every device of a user and frees their tokens: a token first, so that a device that is
/// still there names what is left to do. One that another user has taken over stays theirs.
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
