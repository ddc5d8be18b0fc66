//! `/admin`: operations for staff.

mod audit;
mod kyc_review;
mod rights;
mod sessions;
mod user_list;
mod user_search;
mod user_update;
mod users;
mod wallet_adjustments;
