//! Access to the tables.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde_json::{Map, Value};

use super::App;

/// A row as JSON.
pub type Row = Map<String, Value>;

impl App {
    /// Every item of a table.
    pub async fn rows(&self, table: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut start = None;
        loop {
            let scan = self.dynamodb().scan().table_name(self.table_name(table));
            let page = scan.set_exclusive_start_key(start).send().await.unwrap();
            let items = page.items.unwrap_or_default();
            rows.extend(
                items.into_iter().map(|item| serde_dynamo::from_item::<_, Row>(item).unwrap()),
            );
            start = page.last_evaluated_key;
            if start.is_none() {
                return rows;
            }
        }
    }

    /// The items with this string attribute.
    pub async fn rows_where(&self, table: &str, name: &str, value: &str) -> Vec<Row> {
        let mut rows = self.rows(table).await;
        rows.retain(|row| row.get(name).and_then(Value::as_str) == Some(value));
        rows
    }

    /// The number of items in each table.
    pub async fn table_sizes(&self) -> Vec<(&'static str, usize)> {
        let mut sizes = Vec::new();
        for table in ["users", "sessions", "profiles", "wallets", "usage", "otp", "audit"] {
            sizes.push((table, self.rows(table).await.len()));
        }
        sizes
    }

    /// Puts items into a table.
    pub async fn put_rows(&self, table: &str, rows: &[Value]) {
        let (client, name) = (self.dynamodb(), self.table_name(table));
        for some in rows.chunks(25) {
            let puts = some.iter().map(|row| {
                let item = serde_dynamo::to_item(row).unwrap();
                let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            });
            let batch = client.batch_write_item().request_items(&name, puts.collect());
            let left = batch.send().await.unwrap().unprocessed_items.unwrap_or_default();
            assert!(left.is_empty());
        }
    }

    /// Puts an item.
    pub async fn put_row(&self, table: &str, row: &Value) {
        let item = serde_dynamo::to_item(row).unwrap();
        let put = self.dynamodb().put_item().table_name(self.table_name(table));
        put.set_item(Some(item)).send().await.unwrap();
    }

    /// Sets an attribute of an item.
    pub async fn set_attribute(
        &self,
        table: &str,
        key: &[(&str, &str)],
        name: &str,
        value: AttributeValue,
    ) {
        let mut update = self
            .dynamodb()
            .update_item()
            .table_name(self.table_name(table))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value);
        for (name, value) in key {
            update = update.key(*name, AttributeValue::S((*value).to_owned()));
        }
        update.send().await.unwrap();
    }

    /// Deletes an item.
    pub async fn remove_row(&self, table: &str, key: &[(&str, &str)]) {
        let mut delete = self.dynamodb().delete_item().table_name(self.table_name(table));
        for (name, value) in key {
            delete = delete.key(*name, AttributeValue::S((*value).to_owned()));
        }
        delete.send().await.unwrap();
    }
}
