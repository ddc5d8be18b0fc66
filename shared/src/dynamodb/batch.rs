//! Deleting many items: those by which nothing is decided any more.

use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use futures_util::future::join_all;

use crate::{
    dynamodb::{Item, Store, Table, error, s},
    http::problem::Problem,
};

/// What one `BatchWriteItem` takes.
const MAX_BATCH_ITEMS: usize = 25;
/// Batches that are under way at a time.
const MAX_BATCHES: usize = 8;
/// How often a batch is sent, with what was left unprocessed.
const ATTEMPTS: u32 = 6;

impl Store {
    /// Deletes every item under a partition key, those among them that were written just before.
    /// After a failure the same call finishes.
    pub(crate) async fn delete_partition(
        &self,
        table: Table,
        (pk, of): (&str, &str),
        sk: &str,
    ) -> Result<(), Problem> {
        let keys = self
            .client
            .query()
            .table_name(self.name(table))
            .key_condition_expression("#pk = :pk")
            .projection_expression("#pk, #sk")
            .expression_attribute_names("#pk", pk)
            .expression_attribute_names("#sk", sk)
            .expression_attribute_values(":pk", s(of))
            .consistent_read(true);
        let mut start = None;
        loop {
            let page = keys.clone().set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| error::problem("Query", error))?;
            self.delete_keys(table, &page.items.unwrap_or_default()).await?;
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes the items at these keys. What is not there is deleted already.
    pub(crate) async fn delete_keys(&self, table: Table, keys: &[Item]) -> Result<(), Problem> {
        for some in keys.chunks(MAX_BATCH_ITEMS * MAX_BATCHES) {
            let batches = some.chunks(MAX_BATCH_ITEMS).map(|batch| self.delete_batch(table, batch));
            join_all(batches).await.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    async fn delete_batch(&self, table: Table, keys: &[Item]) -> Result<(), Problem> {
        let deletions = keys.iter().map(|key| {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            let delete = delete.map_err(Problem::internal)?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        });
        let mut left = deletions.collect::<Result<Vec<_>, Problem>>()?;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(25 << attempt)).await;
            }
            let call = self.client.batch_write_item().request_items(self.name(table), left);
            let output = call.send().await;
            let output = output.map_err(|error| error::problem("BatchWriteItem", error))?;
            left = output.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if left.is_empty() {
                return Ok(());
            }
        }
        Err(Problem::unavailable("BatchWriteItem: unprocessed items"))
    }
}
