//! Deleting many items at once. Only for items that no decision depends on any more: batches have
//! no conditions.

use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use futures_util::future::join_all;

use crate::{
    dynamodb::{Item, Store, Table, error},
    http::problem::Problem,
};

/// The limit of `BatchWriteItem`.
const MAX_BATCH_ITEMS: usize = 25;
/// How many batches are sent at the same time.
const MAX_CONCURRENT_BATCHES: usize = 8;
/// How often a batch is sent, each time with the items that were left unprocessed.
const MAX_ATTEMPTS: u32 = 6;

impl Store {
    /// Deletes every item under a partition key, also items that were written just before. After a
    /// failure the same call can be made again.
    pub(crate) async fn delete_partition(
        &self,
        table: Table,
        (pk, value): (&str, &str),
        sk: &str,
    ) -> Result<(), Problem> {
        let keys = self
            .partition_query(table, (pk, value))
            .projection_expression("#pk, #sk")
            .expression_attribute_names("#sk", sk)
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

    /// Deletes the items with these keys. Keys without an item are ignored.
    pub(crate) async fn delete_keys(&self, table: Table, keys: &[Item]) -> Result<(), Problem> {
        for keys in keys.chunks(MAX_BATCH_ITEMS * MAX_CONCURRENT_BATCHES) {
            let batches = keys.chunks(MAX_BATCH_ITEMS).map(|batch| self.delete_batch(table, batch));
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
        let mut unprocessed = deletions.collect::<Result<Vec<_>, Problem>>()?;
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(25 << attempt)).await;
            }
            let call = self.client.batch_write_item().request_items(self.name(table), unprocessed);
            let output = call.send().await;
            let output = output.map_err(|error| error::problem("BatchWriteItem", error))?;
            let items = output.unprocessed_items.unwrap_or_default();
            unprocessed = items.into_values().flatten().collect();
            if unprocessed.is_empty() {
                return Ok(());
            }
        }
        Err(Problem::unavailable("BatchWriteItem: unprocessed items"))
    }
}
