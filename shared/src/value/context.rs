//! What the meaning of some texts depends on.

use jiff::Timestamp;

use crate::value::{Currency, Region, ReservedUsernames};

/// What the meaning of some texts depends on.
#[derive(Debug, Clone)]
pub struct Context {
    /// The region that phone numbers without a country code belong to.
    pub region: Region,
    /// The currency that amounts are in.
    pub currency: Currency,
    /// The present, which dates are compared with.
    pub now: Timestamp,
    /// Usernames that nobody may choose.
    pub reserved_usernames: ReservedUsernames,
}
