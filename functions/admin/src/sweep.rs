//! The sweep: what requests were cut off from is finished here.

use serde_json::Value;
use shared::{
    clock::Clock, deletion, documents::Documents, lambda::Environment, problem::Problem,
    table::Store,
};

/// What a sweep needs.
#[derive(Debug, Clone)]
pub struct Sweeper {
    clock: Clock,
    store: Store,
    documents: Documents,
}

impl Sweeper {
    /// A sweeper over the deployment's tables and bucket.
    pub fn new(Environment { config, sdk, clock }: &Environment) -> Self {
        let documents = Documents::new(sdk, config);
        Self { clock: clock.clone(), store: Store::new(sdk, config), documents }
    }

    /// Sweeps once; answers what was done.
    ///
    /// # Errors
    /// 503 when it is not known what is due.
    pub async fn sweep(self) -> Result<Value, Problem> {
        let swept = deletion::sweep(&self.store, &self.documents, self.clock.now()).await?;
        tracing::info!(deletions = swept.deletions, failed = swept.failed, "swept");
        serde_json::to_value(swept).map_err(Problem::internal)
    }
}
