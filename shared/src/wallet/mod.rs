//! The wallet: balances, the ledger, and posting an entry.

mod items;
pub mod ledger;
pub mod posting;

pub use items::*;
