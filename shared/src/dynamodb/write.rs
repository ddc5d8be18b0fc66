//! Conditional writes of one item.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{delete_item::DeleteItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure},
};

use crate::{
    dynamodb::{Item, Key, Store, Table, attribute::non_empty, error},
    http::problem::Problem,
};

/// A conditional update of one item.
#[derive(Debug, Clone)]
pub struct Change {
    pub(super) table: Table,
    pub(super) key: Item,
    pub(super) update: String,
    pub(super) condition: Option<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

impl Change {
    /// Applies the update expression to the item at `key`.
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

    /// Sets the condition expression.
    pub(crate) fn only_if(self, condition: impl Into<String>) -> Self {
        Self { condition: Some(condition.into()), ..self }
    }

    /// Defines a placeholder for an attribute whose name is a reserved word.
    pub(crate) fn name(mut self, placeholder: &str, attribute: &str) -> Self {
        self.names.insert(placeholder.to_owned(), attribute.to_owned());
        self
    }

    /// Defines a placeholder for a value in both expressions.
    pub(crate) fn with(mut self, placeholder: &str, value: AttributeValue) -> Self {
        self.values.insert(placeholder.to_owned(), value);
        self
    }
}

/// The outcome of a conditional write.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteOutcome {
    /// The write was carried out. After an update this is the new item, after a deletion the old
    /// one.
    Applied(Item),
    /// The condition failed. This is the current item, if there is one.
    ConditionFailed(Option<Item>),
}

impl Store {
    /// One `UpdateItem`.
    pub(crate) async fn update(&self, change: Change) -> Result<WriteOutcome, Problem> {
        self.update_with(change, aws_sdk_dynamodb::config::Builder::default()).await
    }

    /// One `UpdateItem` without retries: for an update that must not be applied twice, and that may
    /// be missing when the response is lost.
    pub(crate) async fn update_without_retry(
        &self,
        change: Change,
    ) -> Result<WriteOutcome, Problem> {
        self.update_with(change, no_retry()).await
    }

    async fn update_with(
        &self,
        change: Change,
        config: aws_sdk_dynamodb::config::Builder,
    ) -> Result<WriteOutcome, Problem> {
        let result = self
            .client
            .update_item()
            .table_name(self.name(change.table))
            .set_key(Some(change.key))
            .update_expression(change.update)
            .set_condition_expression(change.condition)
            .set_expression_attribute_names(non_empty(change.names))
            .set_expression_attribute_values(non_empty(change.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .customize()
            .config_override(config)
            .send()
            .await;
        match result {
            Ok(output) => Ok(WriteOutcome::Applied(output.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(WriteOutcome::ConditionFailed(failed.item.clone()))
                }
                _ => Err(error::problem("UpdateItem", error)),
            },
        }
    }

    /// One `DeleteItem`, with a condition and the values that it uses.
    ///
    /// If the response is lost, the deletion is sent again. If there is no item then, the first
    /// attempt has deleted it. That is a success with an empty item, because the old item is
    /// unknown.
    pub(crate) async fn delete<T>(
        &self,
        key: Key<T>,
        condition: &str,
        values: Item,
    ) -> Result<WriteOutcome, Problem> {
        let mut is_retry = false;
        loop {
            let error = match self.delete_once(&key, condition, &values).await {
                Ok(old) => return Ok(WriteOutcome::Applied(old)),
                Err(error) => error,
            };
            if let Some(DeleteItemError::ConditionalCheckFailedException(failed)) =
                error.as_service_error()
            {
                return Ok(match failed.item.clone() {
                    None if is_retry => WriteOutcome::Applied(Item::new()),
                    current => WriteOutcome::ConditionFailed(current),
                });
            }
            if is_retry || !error::is_transient(&error) {
                return Err(error::problem("DeleteItem", error));
            }
            is_retry = true;
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
            .set_expression_attribute_values(non_empty(values.clone()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .customize()
            .config_override(no_retry())
            .send()
            .await?;
        Ok(output.attributes.unwrap_or_default())
    }
}

fn no_retry() -> aws_sdk_dynamodb::config::Builder {
    let disabled = aws_config::retry::RetryConfig::disabled();
    aws_sdk_dynamodb::config::Builder::default().retry_config(disabled)
}
