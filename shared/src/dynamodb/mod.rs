//! A small toolkit over the DynamoDB client: keys, reads, queries, conditional writes and
//! transactions. It knows no domain.
//!
//! Every item has the attributes `item_type` and `schema_version`. Times in items are whole seconds
//! since 1970, because TTL and conditions compare numbers. TTL only cleans up: expired items are
//! recognized when they are read.

mod attribute;
mod batch;
mod encoding;
mod error;
pub(crate) mod merged_query;
pub(crate) mod query;
mod read;
mod store;
pub(crate) mod transaction;
mod write;

pub use attribute::{Item, n, s, time};
pub(crate) use attribute::{from_item, item};
pub(crate) use encoding::{digest, seconds};
pub use merged_query::TimeRange;
pub use read::{Key, KeySet};
pub use store::{Store, Table};
pub use transaction::{Refusal, Transaction};
pub use write::{Change, WriteOutcome};
