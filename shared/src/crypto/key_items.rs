//! The `keys` table: signing and MAC keys, one per use and slot.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    crypto::secret::{KeyBytes, base64url, from_base64url},
    dynamodb::{Item, Store, Table, Transaction, from_item, item, seconds},
    http::problem::Problem,
};

pub use crate::crypto::slot::Slot;

/// What a row of keys is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// Public halves of the signing keys.
    Public,
    /// Seeds of the signing keys. Only `auth` may read these.
    Private,
    /// MAC keys of one use.
    Mac(&'static str),
}

impl Row {
    fn pk(self) -> String {
        match self {
            Self::Public => "PUBLIC".to_owned(),
            Self::Private => "PRIVATE".to_owned(),
            Self::Mac(usage) => format!("MAC#{usage}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct KeyItem {
    pk: String,
    /// Ten digits, so that slots sort.
    slot: String,
    /// Base64url.
    key: Zeroizing<String>,
    #[serde(with = "seconds::required")]
    created_at: Timestamp,
}

fn key_item(row: Row, slot: Slot, key: &KeyBytes, now: Timestamp) -> Result<Item, Problem> {
    item(
        "key",
        &KeyItem {
            pk: row.pk(),
            slot: format!("{slot:010}"),
            key: Zeroizing::new(base64url(&**key)),
            created_at: now,
        },
    )
}

/// All keys of a row, read consistently.
pub(crate) async fn list(store: &Store, row: Row) -> Result<Vec<(Slot, KeyBytes)>, Problem> {
    let items = store.query_all(Table::Keys, ("pk", &row.pk()), true).await?;
    let keys = items.into_iter().map(|item| {
        let item: KeyItem = from_item(item)?;
        let bytes = Zeroizing::new(from_base64url(&item.key).unwrap_or_default());
        let mut key = KeyBytes::default();
        if bytes.len() != key.len() {
            return Err(Problem::internal("a key is not 32 bytes"));
        }
        key.copy_from_slice(&bytes);
        Ok((item.slot.parse().map_err(Problem::internal)?, key))
    });
    keys.collect()
}

/// Writes keys of one slot, all or none. Keys that are there already stay: whoever comes first
/// has made the slot's key, and the caller reads it back.
pub(crate) async fn create(
    store: &Store,
    slot: Slot,
    keys: &[(Row, KeyBytes)],
    now: Timestamp,
) -> Result<(), Problem> {
    let mut transaction = Transaction::default();
    for (row, key) in keys {
        transaction.create((), Table::Keys, "pk", key_item(*row, slot, key, now)?);
    }
    store.commit(transaction).await.map(drop)
}
