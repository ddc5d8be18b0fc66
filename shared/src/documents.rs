//! The S3 bucket of identity documents.
//!
//! An object's key begins with the id of the person it is of, so that all of a person's objects
//! are found without the table.

use std::{sync::Arc, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{Delete, ObjectIdentifier},
};

use crate::{config::Config, id::UserId, problem::Problem};

/// The bucket.
#[derive(Debug, Clone)]
pub struct Documents {
    client: Client,
    bucket: Arc<str>,
}

impl Documents {
    /// The bucket that `config` names, reached as `sdk` says. A call is tried for 6 seconds.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_secs(4))
            .operation_timeout(Duration::from_secs(6))
            .build();
        let retries = RetryConfig::standard().with_max_attempts(4);
        let client =
            aws_sdk_s3::config::Builder::from(sdk).timeout_config(timeouts).retry_config(retries);
        let bucket = Arc::from(config.kyc_bucket.as_str());
        Self { client: Client::from_conf(client.build()), bucket }
    }

    /// Deletes every object of a person. Nothing to delete is success: the same call finishes what
    /// a failed one began.
    pub async fn delete_all(&self, user_id: UserId) -> Result<(), Problem> {
        let prefix = prefix(user_id);
        loop {
            let call = self.client.list_objects_v2().bucket(&*self.bucket).prefix(&prefix);
            let listed = call.send().await.map_err(|error| problem("ListObjectsV2", error))?;
            let keys: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
            if keys.is_empty() {
                return Ok(());
            }
            self.delete(&keys).await?;
            if listed.is_truncated() != Some(true) {
                return Ok(());
            }
        }
    }

    /// Deletes these objects, at most 1,000.
    pub async fn delete(&self, keys: &[&str]) -> Result<(), Problem> {
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(*key).build());
        let objects: Result<Vec<_>, _> = objects.collect();
        let delete =
            Delete::builder().quiet(true).set_objects(Some(objects.map_err(Problem::internal)?));
        let delete = delete.build().map_err(Problem::internal)?;
        let call = self.client.delete_objects().bucket(&*self.bucket).delete(delete);
        let done = call.send().await.map_err(|error| problem("DeleteObjects", error))?;
        match done.errors().first() {
            None => Ok(()),
            Some(error) => {
                let code = error.code().unwrap_or("an object stayed");
                Err(Problem::unavailable(format!("DeleteObjects: {code}")))
            }
        }
    }
}

/// What the keys of a person's objects begin with.
fn prefix(user_id: UserId) -> String {
    format!("{user_id}/")
}

/// The answer to a call that failed. Of a service's error the code is told, not the message, which
/// may name a key.
fn problem<E>(operation: &'static str, error: SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match code {
        Some(code @ ("AccessDenied" | "NoSuchBucket" | "InvalidRequest")) => {
            Problem::internal(format!("{operation}: {code}"))
        }
        Some(code) => Problem::unavailable(format!("{operation}: {code}")),
        None => Problem::unavailable(format!("{operation}: {error}")),
    }
}
