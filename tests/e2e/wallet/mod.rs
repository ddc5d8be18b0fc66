//! `/users/wallet` and `/internal/wallet`.

mod balance_and_transactions;
mod entries;
