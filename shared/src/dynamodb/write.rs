//! Writing: one conditional operation decides, or one transaction of several.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        delete_item::DeleteItemError, transact_write_items::TransactWriteItemsError,
        update_item::UpdateItemError,
    },
    types::{
        AttributeValue, ConditionCheck, Delete, Put, ReturnValue,
        ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
    },
};

use crate::{
    dynamodb::{Item, Key, Store, Table, error},
    http::problem::Problem,
};

/// A conditional change of one item: an update expression, a condition, and their values.
#[derive(Debug, Clone)]
pub struct Change {
    table: Table,
    key: Item,
    update: String,
    condition: Option<String>,
    names: HashMap<String, String>,
    values: Item,
}

/// What one `TransactWriteItems` takes.
pub(crate) const MAX_TRANSACTION_ITEMS: usize = 100;

impl Change {
    /// Changes the item at `key` as the update expression says.
    pub(crate) fn new<T>(key: Key<T>, update: impl Into<String>) -> Self {
        let Key { table, key, .. } = key;
        Self {
            table,
            key,
            update: update.into(),
            condition: None,
            names: HashMap::new(),
            values: Item::new(),
        }
    }

    /// Only if the condition expression holds.
    pub(crate) fn only_if(self, condition: impl Into<String>) -> Self {
        Self { condition: Some(condition.into()), ..self }
    }

    /// The attribute that `placeholder` stands for where its name is a reserved word.
    pub(crate) fn name(mut self, placeholder: &str, attribute: &str) -> Self {
        self.names.insert(placeholder.to_owned(), attribute.to_owned());
        self
    }

    /// What `name` stands for in both expressions.
    pub(crate) fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }
}

/// What became of a conditional operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was carried out; the item as it is now, or as it was where it was deleted.
    Done(Item),
    /// The condition failed; the item as it is, if there is one.
    Refused(Option<Item>),
}

impl Store {
    /// One `UpdateItem`.
    pub(crate) async fn update(&self, change: Change) -> Result<Outcome, Problem> {
        self.update_with(change, aws_sdk_dynamodb::config::Builder::default()).await
    }

    /// One `UpdateItem` that is never sent again: for what must not be carried out twice, and may
    /// stay undone when its answer is lost.
    pub(crate) async fn update_once(&self, change: Change) -> Result<Outcome, Problem> {
        self.update_with(change, no_retry()).await
    }

    async fn update_with(
        &self,
        change: Change,
        config: aws_sdk_dynamodb::config::Builder,
    ) -> Result<Outcome, Problem> {
        let result = self
            .client
            .update_item()
            .table_name(self.name(change.table))
            .set_key(Some(change.key))
            .update_expression(change.update)
            .set_condition_expression(change.condition)
            .set_expression_attribute_names(some(change.names))
            .set_expression_attribute_values(some(change.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .customize()
            .config_override(config)
            .send()
            .await;
        match result {
            Ok(output) => Ok(Outcome::Done(output.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Outcome::Refused(failed.item.clone()))
                }
                _ => Err(error::problem("UpdateItem", error)),
            },
        }
    }

    /// One `DeleteItem`, if it is there and `condition` holds. `values` belong to the condition.
    ///
    /// A deletion whose answer was lost is tried again, and then finding nothing is success: the
    /// item's last state is not known then, and an empty one is answered.
    pub(crate) async fn delete<T>(
        &self,
        key: Key<T>,
        condition: &str,
        values: Item,
    ) -> Result<Outcome, Problem> {
        let mut tried_before = false;
        loop {
            let error = match self.delete_once(&key, condition, &values).await {
                Ok(old) => return Ok(Outcome::Done(old)),
                Err(error) => error,
            };
            if let Some(DeleteItemError::ConditionalCheckFailedException(failed)) =
                error.as_service_error()
            {
                return Ok(match failed.item.clone() {
                    None if tried_before => Outcome::Done(Item::new()),
                    old => Outcome::Refused(old),
                });
            }
            if tried_before || !error::is_passing(&error) {
                return Err(error::problem("DeleteItem", error));
            }
            tried_before = true;
        }
    }

    async fn delete_once<T>(
        &self,
        key: &Key<T>,
        condition: &str,
        values: &Item,
    ) -> Result<Item, SdkError<DeleteItemError>> {
        let output = self
            .client
            .delete_item()
            .table_name(self.name(key.table))
            .set_key(Some(key.key.clone()))
            .condition_expression(condition)
            .set_expression_attribute_values(some(values.clone()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .customize()
            .config_override(no_retry())
            .send()
            .await?;
        Ok(output.attributes.unwrap_or_default())
    }

    /// One `TransactWriteItems`: all of it or nothing. Answers what refused it, by label.
    pub async fn commit<L: Copy>(
        &self,
        transaction: Transaction<L>,
    ) -> Result<Result<(), Vec<Refusal<L>>>, Problem> {
        let (labels, writes): (Vec<L>, Vec<_>) = transaction.writes.into_iter().unzip();
        let items: Result<Vec<_>, _> =
            writes.into_iter().map(|write| self.transact_item(write)).collect();
        let call = self.client.transact_write_items().set_transact_items(Some(items?));
        let error = match call.send().await {
            Ok(_) => return Ok(Ok(())),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons();
                let refusals: Vec<_> = labels
                    .into_iter()
                    .zip(reasons)
                    .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
                    .map(|(label, reason)| Refusal { label, item: reason.item.clone() })
                    .collect();
                match refusals.is_empty() {
                    true => Err(error::problem("TransactWriteItems", error)),
                    false => Ok(Err(refusals)),
                }
            }
            _ => Err(error::problem("TransactWriteItems", error)),
        }
    }

    fn transact_item(&self, write: Write) -> Result<TransactWriteItem, Problem> {
        let item = TransactWriteItem::builder();
        let item = match write {
            Write::Put { table, item: put, condition, values } => {
                let put = Put::builder()
                    .table_name(self.name(table))
                    .set_item(Some(put))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(some(values))
                    .return_values_on_condition_check_failure(OnFailure::AllOld);
                item.put(put.build().map_err(Problem::internal)?)
            }
            Write::Update(change) => {
                let update = Update::builder()
                    .table_name(self.name(change.table))
                    .set_key(Some(change.key))
                    .update_expression(change.update)
                    .set_condition_expression(change.condition)
                    .set_expression_attribute_names(some(change.names))
                    .set_expression_attribute_values(some(change.values))
                    .return_values_on_condition_check_failure(OnFailure::AllOld);
                item.update(update.build().map_err(Problem::internal)?)
            }
            Write::Delete { table, key, condition, values } => {
                let delete = Delete::builder()
                    .table_name(self.name(table))
                    .set_key(Some(key))
                    .set_condition_expression(condition)
                    .set_expression_attribute_values(some(values))
                    .return_values_on_condition_check_failure(OnFailure::AllOld);
                item.delete(delete.build().map_err(Problem::internal)?)
            }
            Write::Check { table, key, condition, names, values } => {
                let check = ConditionCheck::builder()
                    .table_name(self.name(table))
                    .set_key(Some(key))
                    .condition_expression(condition)
                    .set_expression_attribute_names(some(names))
                    .set_expression_attribute_values(some(values))
                    .return_values_on_condition_check_failure(OnFailure::AllOld);
                item.condition_check(check.build().map_err(Problem::internal)?)
            }
        };
        Ok(item.build())
    }
}

fn no_retry() -> aws_sdk_dynamodb::config::Builder {
    let disabled = aws_config::retry::RetryConfig::disabled();
    aws_sdk_dynamodb::config::Builder::default().retry_config(disabled)
}

/// DynamoDB refuses an empty map.
fn some<V>(map: HashMap<String, V>) -> Option<HashMap<String, V>> {
    Some(map).filter(|map| !map.is_empty())
}

#[derive(Debug, Clone)]
enum Write {
    Put {
        table: Table,
        item: Item,
        condition: Option<String>,
        values: Item,
    },
    Update(Change),
    Delete {
        table: Table,
        key: Item,
        condition: Option<String>,
        values: Item,
    },
    Check {
        table: Table,
        key: Item,
        condition: String,
        names: HashMap<String, String>,
        values: Item,
    },
}

/// One write that a transaction's conditions refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal<L> {
    /// Which write.
    pub label: L,
    /// The item that stood against it, if there is one.
    pub item: Option<Item>,
}

/// Writes that are carried out all together or not at all, each with a label of the caller's.
#[derive(Debug, Clone)]
pub struct Transaction<L> {
    writes: Vec<(L, Write)>,
}

impl<L> Default for Transaction<L> {
    fn default() -> Self {
        Self { writes: Vec::new() }
    }
}

impl<L> Transaction<L> {
    /// Adds the writes of another transaction, all under one label.
    pub(crate) fn append<M>(&mut self, other: Transaction<M>, label: L)
    where
        L: Copy,
    {
        self.writes.extend(other.writes.into_iter().map(|(_, write)| (label, write)));
    }

    /// Puts an item where none is.
    pub(crate) fn create(&mut self, label: L, table: Table, key_name: &str, item: Item) {
        let condition = Some(format!("attribute_not_exists({key_name})"));
        self.writes.push((label, Write::Put { table, item, condition, values: Item::new() }));
    }

    /// Puts an item, whatever was there.
    pub(crate) fn put(&mut self, label: L, table: Table, item: Item) {
        let write = Write::Put { table, item, condition: None, values: Item::new() };
        self.writes.push((label, write));
    }

    /// Puts an item if the condition holds.
    pub(crate) fn put_if(
        &mut self,
        label: L,
        table: Table,
        item: Item,
        condition: impl Into<String>,
        values: Item,
    ) {
        let condition = Some(condition.into());
        self.writes.push((label, Write::Put { table, item, condition, values }));
    }

    /// Changes an item.
    pub(crate) fn change(&mut self, label: L, change: Change) {
        self.writes.push((label, Write::Update(change)));
    }

    /// Lets the transaction through only if the condition holds for an item that it leaves alone.
    pub(crate) fn check<T>(
        &mut self,
        label: L,
        key: Key<T>,
        condition: &str,
        names: &[(&str, &str)],
        values: Item,
    ) {
        let Key { table, key, .. } = key;
        let names = names.iter().map(|(name, stands_for)| ((*name).into(), (*stands_for).into()));
        let (condition, names) = (condition.to_owned(), names.collect());
        self.writes.push((label, Write::Check { table, key, condition, names, values }));
    }

    /// Deletes an item if the condition holds.
    pub(crate) fn delete<T>(
        &mut self,
        label: L,
        key: Key<T>,
        condition: Option<&str>,
        values: Item,
    ) {
        let Key { table, key, .. } = key;
        let condition = condition.map(str::to_owned);
        self.writes.push((label, Write::Delete { table, key, condition, values }));
    }
}
