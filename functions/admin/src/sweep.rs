//! The sweep: what requests were cut off from, or people gave up, is finished here.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use shared::{
    deletion::{self, CleanupCounts},
    dynamodb::Store,
    http::problem::Problem,
    kyc::{
        bucket::Documents,
        cleanup::{self, CleanupTask, DueRow},
        queue, review,
    },
    runtime::{
        clock::Clock,
        lambda::Environment,
        metrics::{Metric, Metrics},
    },
};

/// How long a sweep begins with something new, seconds. What it has begun with by then fits into the
/// rest of the function's 120.
const WORKING_SECONDS: i64 = 60;
/// Submissions that a sweep asks for at once, how often, and those among them at a time.
const PAGE: usize = 25;
const MAX_PAGES: usize = 200;
const AT_ONCE: usize = 5;
/// How long one of them may take. What was done of it until then is done.
const EACH: Duration = Duration::from_secs(20);

/// What a sweep needs.
#[derive(Debug, Clone)]
pub struct Sweeper {
    clock: Clock,
    store: Store,
    documents: Documents,
    metrics: Metrics,
}

/// What a sweep has done.
#[derive(Debug, Serialize)]
struct Done {
    /// Deletions of which nothing is left to do, or not before their last look.
    deletions: usize,
    /// Submissions whose files did not come, and that were given up, or that were reviewed, and that
    /// were cleared of files that came late.
    submissions: usize,
    /// Things that failed, and are tried again later.
    failed: usize,
}

impl Sweeper {
    /// A sweeper over the deployment's tables and bucket.
    pub fn new(Environment { config, sdk, clock, metrics }: &Environment) -> Self {
        let documents = Documents::new(sdk, config);
        let (clock, metrics) = (clock.clone(), metrics.clone());
        Self { clock, store: Store::new(sdk, config), documents, metrics }
    }

    /// Sweeps once; answers what was done, and writes the metrics of it.
    ///
    /// # Errors
    /// 503 when it is not known what is due.
    pub async fn sweep(self) -> Result<Value, Problem> {
        let now = self.clock.now();
        let done = self.run(now).await;
        match &done {
            Ok(done) => {
                let Done { deletions, submissions, failed } = done;
                tracing::info!(deletions, submissions, failed, "swept");
                self.metrics.record(Metric::DeletionsFinished, *deletions as u64, now);
                self.metrics.record(Metric::SweepFailed, *failed as u64, now);
            }
            Err(_) => self.metrics.count(Metric::SweepFailed, now),
        }
        serde_json::to_value(done?).map_err(Problem::internal)
    }

    async fn run(&self, now: Timestamp) -> Result<Done, Problem> {
        let is_over = || self.clock.now().as_second() - now.as_second() >= WORKING_SECONDS;
        let (deletions, submissions, waiting) = tokio::join!(
            deletion::run_cleanup(&self.store, &self.documents, now, is_over),
            self.clear_up(now, is_over),
            queue::count_pending(&self.store),
        );
        self.metrics.record(Metric::KycPending, waiting? as u64, now);
        let CleanupCounts { deletions, failed } = deletions?;
        let (submissions, not_cleared) = submissions?;
        Ok(Done { deletions, submissions, failed: failed + not_cleared })
    }

    /// Gives up the submissions whose files did not come in a day, and deletes files that came late:
    /// how many, and how many failed. These are put off, and so do not stand in the way of others.
    async fn clear_up(
        &self,
        now: Timestamp,
        is_over: impl Fn() -> bool,
    ) -> Result<(usize, usize), Problem> {
        let (mut done, mut failed, mut after) = (0, 0, None);
        for _ in 0..MAX_PAGES {
            let (due, next) = cleanup::due(&self.store, now, after, PAGE).await?;
            for some in due.chunks(AT_ONCE) {
                if is_over() {
                    return Ok((done, failed));
                }
                let looks = some.iter().map(async |due| match self.look_at(due, now).await {
                    Ok(is_done) => (usize::from(is_done), 0),
                    Err(problem) => {
                        self.put_off(due, &problem, now).await;
                        (0, 1)
                    }
                });
                for (is_done, has_failed) in join_all(looks).await {
                    (done, failed) = (done + is_done, failed + has_failed);
                }
            }
            if next.is_none() || is_over() {
                break;
            }
            after = next;
        }
        Ok((done, failed))
    }

    /// Whether there was something to do, and it was done.
    async fn look_at(&self, due: &DueRow, now: Timestamp) -> Result<bool, Problem> {
        let (store, user_id) = (&self.store, due.user_id);
        let delete_but =
            async |kept: &[&str]| self.documents.delete_old_except(user_id, kept, now).await;
        let looking = async {
            match cleanup::load_task(store, due, now).await? {
                CleanupTask::Abandon(submission) => {
                    review::abandon(store, &submission, now, async || delete_but(&[]).await).await
                }
                CleanupTask::DeleteFilesExcept(kept) => {
                    delete_but(&kept.iter().map(String::as_str).collect::<Vec<_>>()).await?;
                    cleanup::mark_cleared(store, due).await?;
                    Ok(true)
                }
                CleanupTask::Nothing => Ok(false),
            }
        };
        let looked = tokio::time::timeout(EACH, looking).await;
        looked.unwrap_or_else(|_| Err(Problem::unavailable("it took too long")))
    }

    async fn put_off(&self, due: &DueRow, problem: &Problem, now: Timestamp) {
        let (user_id, cause) = (due.user_id, problem.cause_chain());
        tracing::error!(%user_id, cause, "a submission's files were not cleared away");
        if let Err(problem) = cleanup::postpone(&self.store, due, now).await {
            tracing::error!(%user_id, cause = problem.cause_chain(), "nor was it put off");
        }
    }
}
