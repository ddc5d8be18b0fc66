//! The wallet: balances, the ledger, and posting an entry.

mod balance;
mod items;
pub mod ledger;
pub mod posting;

pub use balance::*;
pub use items::*;
