//! The deletion of an account by its owner or by staff, and the cleanup job that completes
//! interrupted deletions.
//!
//! One transaction deletes the account; see [`crate::deletion::work`]. The cleanup after it deletes
//! all other data of the person. It can be repeated: the request runs it first, and the cleanup job
//! runs it again if that failed. The job also runs it once more an hour later, because uploads that
//! had started before the deletion can end after it.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    audit::{self, Action, Record},
    crypto::secret,
    deletion::work::{self, AccountSnapshot, Deletion},
    dynamodb::Store,
    http::{
        ClientIp,
        fields::{Body, Fields},
        problem::{Code, Problem},
    },
    kyc::{self, bucket::Documents},
    session::{self, device},
    usage,
    value::{AuditId, Invalid, UserId},
};

/// The most transactions that are tried while the account or its wallet changes.
const MAX_ATTEMPTS: u32 = 12;
/// The time limit of the cleanup in a request. The cleanup job completes the rest.
const REQUEST_TIME_LIMIT: Duration = Duration::from_secs(8);
/// The deletions that the cleanup job reads at once.
const PAGE_SIZE: i32 = 25;
const MAX_PAGES: usize = 200;
/// The deletions that the cleanup job works on at the same time.
const CONCURRENCY: usize = 5;
/// The time limit of one deletion in the cleanup job. Steps that were completed stay completed.
const JOB_TIME_LIMIT: Duration = Duration::from_secs(20);

/// The query parameters of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForfeitBalance(
    /// Whether the user gives up the money in the wallet.
    pub bool,
);

impl Body for ForfeitBalance {
    fn read(fields: &mut Fields) -> Option<Self> {
        let given = fields.optional("forfeit_balance", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Invalid { code: "wrong_type", detail: "This must be true or false." }),
        });
        given.map(|given| Self(given.unwrap_or(false)))
    }
}

/// The response to the deletion of an account.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeletedAccount))]
pub struct DeletedAccount {
    /// A sentence for people.
    message: &'static str,
    /// The audit entry of the deletion.
    receipt_id: AuditId,
}

/// A requested deletion.
#[derive(Debug)]
pub struct DeletionRequest<'a> {
    /// The database.
    pub store: &'a Store,
    /// The bucket of identity documents.
    pub documents: &'a Documents,
    /// The audit record, which names the requester.
    pub record: Record,
    /// Whether the user gives up the money in the wallet.
    pub forfeit: ForfeitBalance,
}

/// Deletes the account that `load` reads, and cleans up. `load` also checks that the caller may
/// delete the account. After a conflict with another write the account is loaded again.
///
/// # Errors
/// Those of `load`, `wallet_not_empty`, 503.
pub async fn delete<F>(
    request: &DeletionRequest<'_>,
    load: impl Fn() -> F,
    now: Timestamp,
) -> Result<DeletedAccount, Problem>
where
    F: Future<Output = Result<Option<AccountSnapshot>, Problem>>,
{
    for attempt in 0..MAX_ATTEMPTS {
        if attempt > 0 {
            let [jitter] = secret::random::<1>();
            tokio::time::sleep(Duration::from_millis(u64::from(jitter) / 8)).await;
        }
        let Some(snapshot) = load().await? else { continue };
        if snapshot.balance.balance_minor > 0 && !request.forfeit.0 {
            let detail = "Spend the money, or give it up with forfeit_balance=true.";
            return Err(Problem::new(Code::WalletNotEmpty, detail));
        }
        if let Some(deletion) =
            work::delete_account(request.store, &snapshot, &request.record, now).await?
        {
            clean_up_in_request(request, &deletion, now).await;
            let message = "The account was deleted.";
            return Ok(DeletedAccount { message, receipt_id: deletion.receipt_id });
        }
    }
    Err(Problem::unavailable("the deletion of an account met too many conflicts"))
}

/// Cleans up. A failure does not fail the request, because the account is deleted already: the
/// cleanup job completes the rest.
async fn clean_up_in_request(request: &DeletionRequest<'_>, deletion: &Deletion, now: Timestamp) {
    let cleanup = clean_up(request.store, request.documents, deletion, now);
    let cause = match tokio::time::timeout(REQUEST_TIME_LIMIT, cleanup).await {
        Ok(Ok(())) => return,
        Ok(Err(problem)) => problem.cause_chain(),
        Err(_) => Some("the cleanup took too long".to_owned()),
    };
    let receipt_id = deletion.receipt_id;
    tracing::warn!(%receipt_id, cause, "the cleanup job has to complete a deletion");
}

/// Deletes all data of a person except the account: sessions beyond the limit of the transaction,
/// devices and the claims of their tokens, usage, the KYC submission and its files. All steps run,
/// even if one fails.
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
    work::complete(store, deletion, now).await
}

/// The result of a run of the cleanup job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CleanupCounts {
    /// Deletions that were cleaned up.
    pub deletions: usize,
    /// Deletions whose cleanup failed and is tried again later.
    pub failed: usize,
}

/// Cleans up the deletions that are due, oldest first, until none is left or `is_over` returns
/// true. A failed one is logged and postponed. Two concurrent runs do the same work and do not
/// disturb each other.
///
/// # Errors
/// 503 when the due deletions cannot be read.
pub async fn run_cleanup(
    store: &Store,
    documents: &Documents,
    now: Timestamp,
    is_over: impl Fn() -> bool,
) -> Result<CleanupCounts, Problem> {
    let (mut counts, mut start) = (CleanupCounts::default(), None);
    for _ in 0..MAX_PAGES {
        let (due, next) = work::due(store, now, start, PAGE_SIZE).await?;
        for chunk in due.chunks(CONCURRENCY) {
            if is_over() {
                return Ok(counts);
            }
            let cleanups = chunk.iter().map(async |deletion| {
                let result = clean_up_in_job(store, documents, deletion, now).await;
                let Err(problem) = &result else { return true };
                postpone(store, deletion, problem, now).await;
                false
            });
            let results = join_all(cleanups).await;
            let completed = results.iter().filter(|is_completed| **is_completed).count();
            counts.deletions += completed;
            counts.failed += results.len() - completed;
        }
        if next.is_none() || is_over() {
            break;
        }
        start = next;
    }
    Ok(counts)
}

async fn clean_up_in_job(
    store: &Store,
    documents: &Documents,
    deletion: &Deletion,
    now: Timestamp,
) -> Result<(), Problem> {
    let cleanup = clean_up(store, documents, deletion, now);
    let result = tokio::time::timeout(JOB_TIME_LIMIT, cleanup).await;
    result.unwrap_or_else(|_| Err(Problem::unavailable("the cleanup took too long")))
}

async fn postpone(store: &Store, deletion: &Deletion, problem: &Problem, now: Timestamp) {
    let (receipt_id, cause) = (deletion.receipt_id, problem.cause_chain());
    tracing::error!(%receipt_id, cause, "a deletion was not completed");
    if let Err(problem) = work::postpone(store, deletion, now).await {
        let cause = problem.cause_chain();
        tracing::error!(%receipt_id, cause, "a failed deletion was not postponed");
    }
}

/// Audits that a staff member tried to delete their own account, and returns the 403.
pub async fn own_account_refused(
    store: &Store,
    staff: UserId,
    source: ClientIp,
    now: Timestamp,
) -> Problem {
    let record = Record::own(staff, Action::OwnAccountRefused, source);
    match audit::write(store, &record.with("operation", "delete"), now).await {
        Ok(_) => Problem::new(Code::OwnAccount, "Ask another member of staff."),
        Err(problem) => problem,
    }
}
