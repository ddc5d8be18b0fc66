//! The deletion of an account, by its holder or by staff, and the sweep that finishes what was cut
//! off.
//!
//! One transaction ends the account; see [`crate::deletion::work`]. The clean-up after it takes
//! away all else that is kept of the person. Each of its steps can be taken again, so the request
//! takes them first, the sweep takes them where the request failed, and takes them a last time an
//! hour later, for uploads that were under way.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    audit::{self, Action, Record},
    crypto::secret,
    deletion::work::{self, Deletion, Seen},
    dynamodb::Store,
    http::{
        Source,
        fields::{Body, Fields},
        problem::{Code, Problem},
    },
    kyc::{self, bucket::Documents},
    session::{self, device},
    usage,
    value::{AuditId, Invalid, UserId},
};

/// Transactions that are tried when the account or its wallet changes meanwhile.
const ATTEMPTS: u32 = 12;
/// How long the clean-up may keep the answer back; the sweep has all the time.
const CLEAN_UP: Duration = Duration::from_secs(8);
/// Deletions that a sweep asks for at once, how often, and those among them at a time.
const PAGE: i32 = 25;
const MAX_PAGES: usize = 200;
const SWEPT_AT_ONCE: usize = 5;
/// How long one of a sweep's deletions may take. What was done of it until then is done.
const SWEPT_IN: Duration = Duration::from_secs(20);

/// What the query of a deletion says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forfeit(
    /// Whether money in the wallet is given up.
    pub bool,
);

impl Body for Forfeit {
    fn read(fields: &mut Fields) -> Option<Self> {
        let given = fields.optional("forfeit_balance", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Invalid { code: "wrong_type", detail: "This must be true or false." }),
        });
        given.map(|given| Self(given.unwrap_or(false)))
    }
}

/// An account was deleted.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeletedAccount))]
pub struct Deleted {
    /// A sentence for a person.
    message: &'static str,
    /// The audit entry of the deletion.
    receipt_id: AuditId,
}

/// A deletion that is asked for.
#[derive(Debug)]
pub struct Order<'a> {
    /// The tables.
    pub store: &'a Store,
    /// The bucket.
    pub documents: &'a Documents,
    /// What is noted of it; it says who asks.
    pub record: Record,
    /// Whether money in the wallet is given up.
    pub forfeit: Forfeit,
}

/// Deletes the account that `look` reads, which also says whether the caller may, and cleans up.
/// Overtaken by another change, it looks again.
///
/// # Errors
/// Those of `look`, `wallet_not_empty`, 503.
pub async fn delete<F>(
    order: &Order<'_>,
    look: impl Fn() -> F,
    now: Timestamp,
) -> Result<Deleted, Problem>
where
    F: Future<Output = Result<Option<Seen>, Problem>>,
{
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            let [jitter] = secret::random::<1>();
            tokio::time::sleep(Duration::from_millis(u64::from(jitter) / 8)).await;
        }
        let Some(seen) = look().await? else { continue };
        if seen.balance.balance_minor > 0 && !order.forfeit.0 {
            let detail = "Spend the money, or give it up with forfeit_balance=true.";
            return Err(Problem::new(Code::WalletNotEmpty, detail));
        }
        if let Some(deletion) = work::begin(order.store, &seen, &order.record, now).await? {
            finish(order, &deletion, now).await;
            let message = "The account was deleted.";
            return Ok(Deleted { message, receipt_id: deletion.receipt_id });
        }
    }
    Err(Problem::unavailable("an account changed too often to be deleted"))
}

/// Cleans up. The account is gone, so whatever fails here, the answer is that it is: the sweep does
/// the rest.
async fn finish(order: &Order<'_>, deletion: &Deletion, now: Timestamp) {
    let cleaning = clean_up(order.store, order.documents, deletion, now);
    let cleaned = tokio::time::timeout(CLEAN_UP, cleaning).await;
    let cause = match cleaned {
        Ok(Ok(())) => return,
        Ok(Err(problem)) => problem.cause_chain(),
        Err(_) => Some("it took too long".to_owned()),
    };
    tracing::warn!(receipt_id = %deletion.receipt_id, cause, "a deletion is left to the sweep");
}

/// Takes away what is kept of a person besides the account: sessions that the transaction had no
/// room for, devices and their tokens, usage, the identity's check with its documents. One step that
/// fails does not stop the others.
async fn clean_up(
    store: &Store,
    documents: &Documents,
    deletion: &Deletion,
    now: Timestamp,
) -> Result<(), Problem> {
    let user_id = deletion.user_id;
    let (sessions, devices, usage, kyc, documents) = tokio::join!(
        session::delete_all(store, user_id),
        device::delete_all(store, user_id),
        usage::delete_all(store, user_id),
        kyc::delete_all(store, user_id),
        documents.delete_all(user_id),
    );
    [sessions, devices, usage, kyc, documents].into_iter().collect::<Result<(), _>>()?;
    work::passed(store, deletion, now).await
}

/// What a sweep has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Deletions of which nothing is left to do, or not before their last look.
    pub deletions: usize,
    /// Deletions that failed, and are tried again later.
    pub failed: usize,
}

/// Finishes the deletions that are due, oldest first, until none is left or `is_over` says so. One
/// that fails is logged and put off. Two sweeps at once do the same, and no harm.
///
/// # Errors
/// 503 when it is not known which are due.
pub async fn sweep(
    store: &Store,
    documents: &Documents,
    now: Timestamp,
    is_over: impl Fn() -> bool,
) -> Result<Swept, Problem> {
    let (mut swept, mut start) = (Swept::default(), None);
    for _ in 0..MAX_PAGES {
        let (due, next) = work::due(store, now, start, PAGE).await?;
        for some in due.chunks(SWEPT_AT_ONCE) {
            if is_over() {
                return Ok(swept);
            }
            let cleaned = some.iter().map(async |deletion| {
                let cleaned = clean_up_in_time(store, documents, deletion, now).await;
                let Err(problem) = &cleaned else { return true };
                put_off(store, deletion, problem, now).await;
                false
            });
            let cleaned = join_all(cleaned).await;
            let finished = cleaned.iter().filter(|is_finished| **is_finished).count();
            swept.deletions += finished;
            swept.failed += cleaned.len() - finished;
        }
        if next.is_none() || is_over() {
            break;
        }
        start = next;
    }
    Ok(swept)
}

async fn clean_up_in_time(
    store: &Store,
    documents: &Documents,
    deletion: &Deletion,
    now: Timestamp,
) -> Result<(), Problem> {
    let cleaning = clean_up(store, documents, deletion, now);
    let cleaned = tokio::time::timeout(SWEPT_IN, cleaning).await;
    cleaned.unwrap_or_else(|_| Err(Problem::unavailable("a clean-up took too long")))
}

async fn put_off(store: &Store, deletion: &Deletion, problem: &Problem, now: Timestamp) {
    let (receipt_id, cause) = (deletion.receipt_id, problem.cause_chain());
    tracing::error!(%receipt_id, cause, "a deletion was not finished");
    if let Err(problem) = work::put_off(store, deletion, now).await {
        tracing::error!(%receipt_id, cause = problem.cause_chain(), "nor was it put off");
    }
}

/// 403, audited: what a member of staff asked to do to themselves, only another may.
pub async fn refuse_own(store: &Store, staff: UserId, source: Source, now: Timestamp) -> Problem {
    let record = Record::own(staff, Action::OwnAccountRefused, source);
    match audit::put(store, &record.with("operation", "delete"), now).await {
        Ok(_) => Problem::new(Code::OwnAccount, "Ask another member of staff."),
        Err(problem) => problem,
    }
}
