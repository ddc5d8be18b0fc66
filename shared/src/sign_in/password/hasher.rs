//! Hashing and comparing passwords: the only place that runs argon2.
//!
//! A hash needs 19 MiB and all of a CPU. A process therefore runs at most one per CPU at a time, and
//! further ones wait. Each slot keeps its memory for the next hash. Allocated anew for each hash, it
//! would pile up: glibc before 2.38, Lambda's among them, does not reuse freed blocks that are
//! aligned as argon2's are, and keeps them in an arena of each thread.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        self,
        phc::{self, Output, PasswordHash as Phc, Salt},
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroize;

use crate::{
    account::PasswordHash,
    sign_in::password::{Accepted, Password},
};

/// OWASP's second choice of equal strength: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Slots of a process with many CPUs: more than the 6 of the largest Lambda function, and a limit
/// to the memory on a developer's machine.
const MAX_SLOTS: usize = 8;

/// A hash of 32 random bytes that nobody knows, with the current parameters.
const UNKNOWN: &str = "$argon2id$v=19$m=19456,t=2,p=1$PUi6fwfRHa3onWDwDF1WrA\
                       $HEWBzZk92Or3KVFZ+gaRkmhcSnAaxrVTW4gTIF8xDBM";

/// What a presented password is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The right one.
    Right,
    /// The right one, under parameters that are out of date: hash it again.
    Outdated,
    /// Another one.
    Wrong,
}

/// Why a password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// argon2 refused its input.
    #[error("argon2 failed")]
    Argon2(#[from] argon2::Error),
    /// The parameters cannot be written in a PHC string.
    #[error("the parameters cannot be encoded")]
    Params(#[from] password_hash::Error),
    /// The salt or the hash cannot be written in a PHC string.
    #[error("the hash cannot be encoded")]
    Encode(#[from] phc::Error),
    /// The runtime is shutting down, or the work panicked.
    #[error("the hashing task did not finish")]
    Task(#[from] tokio::task::JoinError),
    /// The slots are closed, which they never are.
    #[error("the hashing slots are closed")]
    Closed(#[from] tokio::sync::AcquireError),
}

/// A fixed number of hashing slots. Clones share them.
#[derive(Clone)]
pub struct Hasher(Arc<Slots>);

struct Slots {
    free: Arc<Semaphore>,
    /// The memory of free slots that have been used before.
    kept: Mutex<Vec<Vec<Block>>>,
    allocations: AtomicUsize,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("free", &self.0.free.available_permits()).finish()
    }
}

impl Hasher {
    /// Slots of its own.
    pub fn new(slots: NonZeroUsize) -> Self {
        let slots = slots.get().min(MAX_SLOTS);
        Self(Arc::new(Slots {
            free: Arc::new(Semaphore::new(slots)),
            kept: Mutex::new(Vec::with_capacity(slots)),
            allocations: AtomicUsize::new(0),
        }))
    }

    /// The slots of the process, one for each CPU: its CPUs and memory are what they share.
    pub fn of_process() -> Self {
        static SLOTS: LazyLock<Hasher> = LazyLock::new(|| {
            Hasher::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
        });
        SLOTS.clone()
    }

    /// Hashes a new password with 128 bits of fresh salt, on a thread that serves no requests.
    ///
    /// # Errors
    /// When argon2 fails or the runtime shuts down.
    pub async fn hash_new(
        &self,
        Accepted(password): Accepted,
        salt: [u8; 16],
    ) -> Result<PasswordHash, HashError> {
        self.hash(password, salt).await
    }

    /// Hashes a password that was right, where the stored hash is [`Match::Outdated`]. It may have
    /// been chosen under other rules, and stays.
    ///
    /// # Errors
    /// When argon2 fails or the runtime shuts down.
    pub async fn hash(
        &self,
        password: Password,
        salt: [u8; 16],
    ) -> Result<PasswordHash, HashError> {
        self.run(move |slot| slot.hash(&password, salt)).await?
    }

    /// Compares a password with a stored hash, or with none: that takes as long and is wrong.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub async fn compare(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<Match, HashError> {
        self.run(move |slot| slot.compare(&password, stored.as_ref())).await
    }

    /// Runs `work` in the next free slot. Once it has begun it keeps the slot to its end, even if
    /// the caller no longer waits.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Slot) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let permit = Arc::clone(&self.0.free).acquire_owned().await?;
        let slots = Arc::clone(&self.0);
        let ran = tokio::task::spawn_blocking(move || work(&mut Slot::take(slots, permit)));
        Ok(ran.await?)
    }
}

impl Slots {
    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot in use. Dropped, it wipes its memory and gives both back.
struct Slot {
    slots: Arc<Slots>,
    memory: Vec<Block>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    fn take(slots: Arc<Slots>, permit: OwnedSemaphorePermit) -> Self {
        let kept = slots.kept().pop();
        let memory = kept.unwrap_or_else(|| {
            slots.allocations.fetch_add(1, Ordering::Relaxed);
            vec![Block::new(); current().block_count()]
        });
        Self { slots, memory, _permit: permit }
    }

    fn hash(&mut self, password: &Password, salt: [u8; 16]) -> Result<PasswordHash, HashError> {
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, current());
        self.fill(&argon2, password, &salt, &mut output)?;
        let phc = Phc {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: argon2.params().try_into()?,
            salt: Some(Salt::new(&salt)?),
            hash: Some(Output::new(&output)?),
        };
        Ok(PasswordHash(phc.to_string()))
    }

    fn compare(&mut self, password: &Password, stored: Option<&PasswordHash>) -> Match {
        let text = stored.map_or(UNKNOWN, |PasswordHash(text)| text);
        let Ok(phc) = Phc::new(text) else { return Match::Wrong };
        match (stored, self.fits(password, &phc)) {
            (None, _) | (_, None | Some(false)) => Match::Wrong,
            (Some(_), Some(true)) if is_current(&phc) => Match::Right,
            (Some(_), Some(true)) => Match::Outdated,
        }
    }

    /// Whether the password has this hash, under the parameters in it.
    fn fits(&mut self, password: &Password, phc: &Phc) -> Option<bool> {
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
        let version = phc.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
        let argon2 = Argon2::new(algorithm, version, Params::try_from(phc).ok()?);
        let (salt, expected) = (phc.salt.as_ref()?, phc.hash.as_ref()?);
        let mut output = vec![0; expected.len()];
        self.fill(&argon2, password, salt, &mut output).ok()?;
        // In constant time, as `Output` compares.
        Some(Output::new(&output).ok()? == *expected)
    }

    fn fill(
        &mut self,
        argon2: &Argon2<'_>,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> argon2::Result<()> {
        let (password, needed) = (password.expose().as_bytes(), argon2.params().block_count());
        if needed <= self.memory.len() {
            let memory = self.memory.as_mut_slice();
            return argon2.hash_password_into_with_memory(password, salt, output, memory);
        }
        // A stored hash with larger parameters than today's: rare, so nothing is kept for it.
        let mut memory = vec![Block::new(); needed];
        let filled =
            argon2.hash_password_into_with_memory(password, salt, output, memory.as_mut_slice());
        memory.iter_mut().zeroize();
        filled
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // What is left in it lets a guess be tried at half the price.
        self.memory.iter_mut().zeroize();
        // Before the permit goes: there is never more memory than slots.
        let memory = std::mem::take(&mut self.memory);
        self.slots.kept().push(memory);
    }
}

fn current() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT)
}

fn is_current(phc: &Phc) -> bool {
    let params = Params::try_from(phc);
    phc.algorithm == ARGON2ID_IDENT
        && phc.version == Some(Version::V0x13.into())
        && params.is_ok_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
        })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use argon2::{PasswordHasher, PasswordVerifier};

    use super::*;

    fn password(text: &str) -> Password {
        Password::present(text).unwrap()
    }

    fn slots(count: usize) -> Hasher {
        Hasher::new(NonZeroUsize::new(count).unwrap())
    }

    fn allocations(hasher: &Hasher) -> usize {
        hasher.0.allocations.load(Ordering::Relaxed)
    }

    /// As the crate itself hashes, with memory of its own.
    fn hashed_by_argon2(text: &str, memory_kib: u32, passes: u32, lanes: u32) -> PasswordHash {
        let params = Params::new(memory_kib, passes, lanes, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(text.as_bytes(), &[1; 16]).unwrap();
        PasswordHash(hash.to_string())
    }

    #[tokio::test]
    async fn asvs_6_2_storage_is_argon2id_with_its_parameters() {
        let stored = slots(1).hash(password("correct horse"), [1; 16]).await.unwrap();
        assert!(stored.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored.0);
        assert_eq!(stored.0, hashed_by_argon2("correct horse", MEMORY_KIB, PASSES, LANES).0);
        let phc = Phc::new(&stored.0).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &phc).is_ok());
    }

    #[tokio::test]
    async fn only_the_same_password_is_right() {
        let hasher = slots(1);
        let stored = hasher.hash(password("correct horse"), [1; 16]).await.unwrap();
        for (text, expected) in [
            ("correct horse", Match::Right),
            ("correct horsf", Match::Wrong),
            ("correct horse ", Match::Wrong),
            ("Correct horse", Match::Wrong),
            ("", Match::Wrong),
        ] {
            let matched = hasher.compare(password(text), Some(stored.clone())).await.unwrap();
            assert_eq!(matched, expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_hash_with_other_parameters_is_right_and_outdated() {
        let hasher = slots(1);
        for (memory_kib, passes, lanes) in
            [(8 * 1024, 1, 1), (MEMORY_KIB, 1, 1), (MEMORY_KIB, 2, 2), (MEMORY_KIB + 8, 1, 1)]
        {
            let old = hashed_by_argon2("correct horse", memory_kib, passes, lanes);
            for (text, expected) in
                [("correct horse", Match::Outdated), ("wrong horse", Match::Wrong)]
            {
                let matched = hasher.compare(password(text), Some(old.clone())).await.unwrap();
                assert_eq!(matched, expected, "{text:?} {}", old.0);
            }
        }
        assert_eq!(allocations(&hasher), 1);
    }

    #[tokio::test]
    async fn what_is_no_hash_is_never_right() {
        let hasher = slots(1);
        for text in ["", "$argon2id$v=19$m=19456,t=2,p=1", "$scrypt$ln=1$AAAAAAAAAAA$AAAA", "x"] {
            let stored = PasswordHash(text.to_owned());
            let matched = hasher.compare(password("anything at all"), Some(stored)).await;
            assert_eq!(matched.unwrap(), Match::Wrong, "{text}");
        }
    }

    #[tokio::test]
    async fn no_hash_costs_what_a_current_one_costs_and_is_never_right() {
        assert!(is_current(&Phc::new(UNKNOWN).unwrap()));
        let hasher = slots(1);
        let matched = hasher.compare(password("anything at all"), None).await.unwrap();
        assert_eq!(matched, Match::Wrong);
        assert_eq!(allocations(&hasher), 1, "it was computed");
    }

    #[tokio::test]
    async fn memory_is_allocated_once_for_a_slot_and_kept() {
        let one_after_another = slots(4);
        for _ in 0..10 {
            one_after_another.compare(password("correct horse"), None).await.unwrap();
        }
        assert_eq!(allocations(&one_after_another), 1);

        let at_once = slots(3);
        let work = (0..24).map(|_| {
            let hasher = at_once.clone();
            async move { hasher.compare(password("correct horse"), None).await.unwrap() }
        });
        let tasks: tokio::task::JoinSet<_> = work.collect();
        assert_eq!(tasks.join_all().await, [Match::Wrong; 24]);
        assert!((1..=3).contains(&allocations(&at_once)), "{}", allocations(&at_once));
        assert_eq!(at_once.0.kept().len(), allocations(&at_once));
        assert_eq!(at_once.0.free.available_permits(), 3);
    }

    #[tokio::test]
    async fn kept_memory_is_wiped() {
        let hasher = slots(1);
        hasher.hash(password("correct horse"), [1; 16]).await.unwrap();
        let kept = hasher.0.kept();
        assert_eq!(kept.len(), 1);
        assert!(kept[0].iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
    }

    #[tokio::test]
    async fn no_more_than_its_slots_are_in_use() {
        let hasher = slots(2);
        let (started, starts) = mpsc::channel();
        let mut ends = Vec::new();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let (end, ended) = mpsc::channel::<()>();
            ends.push(end);
            let (hasher, started) = (hasher.clone(), started.clone());
            tasks.spawn(async move {
                hasher
                    .run(move |_| {
                        started.send(()).unwrap();
                        // Until the test lets it end.
                        ended.recv().unwrap_err();
                    })
                    .await
                    .unwrap();
            });
        }
        // The tasks run up to their first wait: two have a slot, three have none.
        while hasher.0.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        starts.recv().unwrap();
        starts.recv().unwrap();
        assert!(starts.try_recv().is_err());
        drop(ends);
        tasks.join_all().await;
        assert_eq!(starts.try_iter().count(), 3);
        assert_eq!(allocations(&hasher), 2);
    }

    #[tokio::test]
    async fn a_caller_that_no_longer_waits_leaves_the_slot_as_it_was() {
        let hasher = slots(1);
        let abandoned = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.compare(password("correct horse"), None).await }
        });
        while hasher.0.free.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        abandoned.abort();
        let next = hasher.compare(password("correct horse"), None).await.unwrap();
        assert_eq!(next, Match::Wrong);
        assert_eq!(allocations(&hasher), 1);
    }

    #[tokio::test]
    async fn a_panic_frees_the_slot() {
        let hasher = slots(1);
        let panicked = hasher.run(|_| panic!("in a test")).await;
        assert!(matches!(panicked, Err::<(), _>(HashError::Task(_))));
        assert_eq!(hasher.compare(password("correct horse"), None).await.unwrap(), Match::Wrong);
        assert_eq!(allocations(&hasher), 1);
    }

    #[test]
    fn a_process_has_a_slot_for_each_cpu() {
        let cpus = thread::available_parallelism().unwrap().get();
        let hasher = Hasher::of_process();
        assert_eq!(hasher.0.free.available_permits(), cpus.min(MAX_SLOTS));
        assert!(Arc::ptr_eq(&hasher.0, &Hasher::of_process().0));
        assert_eq!(slots(1_000).0.free.available_permits(), MAX_SLOTS);
    }
}
