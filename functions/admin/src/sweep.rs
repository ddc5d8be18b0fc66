//! The sweep: what requests were cut off from, or people gave up, is finished here.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use shared::{
    clock::Clock,
    deletion::{self, Swept},
    documents::Documents,
    lambda::Environment,
    metrics::{Metric, Metrics},
    problem::Problem,
    table::{
        Store,
        kyc::{queue, review},
    },
};

/// Submissions that one sweep looks at.
const SUBMISSIONS: usize = 25;

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
    /// Submissions whose files did not come, and that were given up.
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
        let (deletions, submissions, waiting) = tokio::join!(
            deletion::sweep(&self.store, &self.documents, now),
            self.give_up(now),
            queue::waiting(&self.store),
        );
        self.metrics.record(Metric::KycPending, waiting? as u64, now);
        let Swept { deletions, failed } = deletions?;
        let (submissions, not_given_up) = submissions?;
        Ok(Done { deletions, submissions, failed: failed + not_given_up })
    }

    /// Gives up the submissions whose files did not come in a day: how many, and how many could
    /// not be. One that fails does not stand in the way of the others.
    async fn give_up(&self, now: Timestamp) -> Result<(usize, usize), Problem> {
        let (mut given_up, mut failed) = (0, 0);
        for submission in queue::abandoned(&self.store, now, SUBMISSIONS).await? {
            let delete = async |keys: &[&str]| self.documents.delete(keys).await;
            match review::abandon(&self.store, &submission, now, delete).await {
                Ok(is_given_up) => given_up += usize::from(is_given_up),
                Err(problem) => {
                    failed += 1;
                    let submission_id = submission.submission_id;
                    let cause = problem.cause_chain();
                    tracing::error!(%submission_id, cause, "a submission was not given up");
                }
            }
        }
        Ok((given_up, failed))
    }
}
