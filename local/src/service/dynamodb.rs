//! DynamoDB: dynoxide, in memory or on SQLite.

use std::{path::Path, sync::Arc, time::Duration};

use dynoxide::{Database, DynoxideError};

use crate::clock::MovableClock;

/// How often expired items go. AWS takes up to a few days.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// In memory on the movable clock, or in `file`, whose TTL sweep is on the wall clock.
pub(crate) fn open(
    file: Option<&Path>,
    clock: Arc<MovableClock>,
) -> Result<Database, DynoxideError> {
    match file {
        Some(file) => Database::new(&file.to_string_lossy()),
        None => Database::memory_with_clock(clock),
    }
}

/// Takes expired items away now and then, for ever.
pub(crate) async fn sweep(database: Database) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    interval.tick().await;
    loop {
        interval.tick().await;
        let database = database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "the TTL sweep failed");
        }
    }
}
