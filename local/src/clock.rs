//! The product's time: the wall clock and an offset that only a developer moves.
//!
//! Signatures of requests to AWS stay on the wall clock, which both ends share. Presigned requests are
//! signed by the product's clock, and expire by it (see `service/s3.rs`).

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use shared::runtime::clock::Clock;

use crate::sync::lock;

/// Why the clock did not move.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// More than a hundred years ahead of the wall.
    #[error("the clock may be at most 100 years ahead")]
    TooFar,
    /// The offset could not be kept.
    #[error("the clock's offset could not be written")]
    Write(#[source] io::Error),
}

/// A clock that can be moved forward.
#[derive(Debug)]
pub struct MovableClock {
    wall: Clock,
    offset_seconds: AtomicI64,
    /// Where the offset outlives the process; the lock orders writers.
    file: Mutex<Option<PathBuf>>,
}

impl MovableClock {
    const MAX_OFFSET_SECONDS: i64 = 100 * 365 * 86_400;

    /// A clock on the wall's time. With a `file`, it starts at the offset kept there.
    pub fn new(file: Option<PathBuf>) -> Self {
        let kept = file.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let offset = kept.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Self {
            wall: Clock::system(),
            offset_seconds: AtomicI64::new(offset.clamp(0, Self::MAX_OFFSET_SECONDS)),
            file: Mutex::new(file),
        }
    }

    /// The present moment on this clock.
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_secs(self.offset_seconds.load(Ordering::SeqCst));
        let wall = self.wall.now();
        wall.checked_add(offset).unwrap_or(wall)
    }

    /// The present moment on the wall.
    pub(crate) fn wall_now(&self) -> Timestamp {
        self.wall.now()
    }

    /// Moves the clock forward and answers the new time.
    pub fn advance(&self, seconds: u32) -> Result<Timestamp, ClockError> {
        let file = lock(&self.file);
        let offset = self.offset_seconds.load(Ordering::SeqCst) + i64::from(seconds);
        if offset > Self::MAX_OFFSET_SECONDS {
            return Err(ClockError::TooFar);
        }
        Self::keep(file.as_ref(), offset)?;
        self.offset_seconds.store(offset, Ordering::SeqCst);
        drop(file);
        Ok(self.now())
    }

    /// Goes back to the wall's time.
    pub fn reset(&self) -> Result<(), ClockError> {
        let file = lock(&self.file);
        Self::keep(file.as_ref(), 0)?;
        self.offset_seconds.store(0, Ordering::SeqCst);
        Ok(())
    }

    /// Written beside and renamed over, so that a crash leaves the old offset or the new one.
    fn keep(file: Option<&PathBuf>, offset: i64) -> Result<(), ClockError> {
        let Some(path) = file else { return Ok(()) };
        let beside = path.with_extension("new");
        fs::write(&beside, offset.to_string())
            .and_then(|()| fs::rename(&beside, path))
            .map_err(ClockError::Write)
    }

    /// The same clock as the product reads it.
    pub fn for_product(self: &Arc<Self>) -> Clock {
        let clock = Arc::clone(self);
        Clock::from_fn(move || clock.now())
    }
}

/// DynamoDB's clock, which decides what the TTL sweep takes.
impl dynoxide::storage_backend::Clock for MovableClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(self.now().as_second()).unwrap_or(0)
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.now().as_duration().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_forward_only_and_stays_there_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("clock");
        let clock = MovableClock::new(Some(file.clone()));
        let before = clock.now();
        let after = clock.advance(3_600).unwrap();
        assert!(after.as_second() - before.as_second() >= 3_600);
        let reopened = MovableClock::new(Some(file.clone()));
        assert!(reopened.now() >= after);
        reopened.reset().unwrap();
        assert!(MovableClock::new(Some(file)).now() < after);
    }

    #[test]
    fn has_a_limit() {
        let clock = MovableClock::new(None);
        clock.advance(u32::MAX / 2).unwrap();
        assert!(matches!(clock.advance(u32::MAX), Err(ClockError::TooFar)));
    }
}
