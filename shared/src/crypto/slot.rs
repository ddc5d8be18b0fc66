//! The period of a key.

/// The number of a 30-day period since 1970. Keys that never rotate have the slot 0.
pub type Slot = u32;
