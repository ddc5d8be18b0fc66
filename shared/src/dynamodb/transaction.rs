//! Transactions: several writes that are carried out all together or not at all.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, ConditionCheck, Delete, Put,
        ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
    },
};

use crate::{
    dynamodb::{Change, Item, Key, Store, Table, attribute::non_empty, error},
    http::problem::Problem,
};

/// The limit of `TransactWriteItems`.
pub(crate) const MAX_TRANSACTION_ITEMS: usize = 100;

/// Writes that are carried out all together or not at all. The caller gives each a label.
#[derive(Debug, Clone)]
pub struct Transaction<L> {
    actions: Vec<(L, Action)>,
}

/// A write whose condition failed, so that the transaction was not carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal<L> {
    /// The label of the write.
    pub label: L,
    /// The current item, if there is one.
    pub item: Option<Item>,
}

/// One action of a transaction: what it does, and the condition under which it does so.
#[derive(Debug, Clone)]
struct Action {
    table: Table,
    kind: ActionKind,
    condition: Option<String>,
    names: HashMap<String, String>,
    values: Item,
}

#[derive(Debug, Clone)]
enum ActionKind {
    Put { item: Item },
    Update { key: Item, update: String },
    Delete { key: Item },
    Check { key: Item },
}

impl<L> Default for Transaction<L> {
    fn default() -> Self {
        Self { actions: Vec::new() }
    }
}

impl<L> Transaction<L> {
    /// Adds the writes of another transaction, all with one label.
    pub(crate) fn append<M>(&mut self, other: Transaction<M>, label: L)
    where
        L: Copy,
    {
        self.actions.extend(other.actions.into_iter().map(|(_, action)| (label, action)));
    }

    /// Puts an item if there is none with its key.
    pub(crate) fn create(&mut self, label: L, table: Table, key_name: &str, item: Item) {
        let condition = format!("attribute_not_exists({key_name})");
        self.put_if(label, table, item, condition, Item::new());
    }

    /// Puts an item, and replaces the old one if there is one.
    pub(crate) fn put(&mut self, label: L, table: Table, item: Item) {
        self.add(label, table, ActionKind::Put { item }, None, Item::new());
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
        self.add(label, table, ActionKind::Put { item }, Some(condition.into()), values);
    }

    /// Updates an item.
    pub(crate) fn change(&mut self, label: L, change: Change) {
        let Change { table, key, update, condition, names, values } = change;
        let kind = ActionKind::Update { key, update };
        self.actions.push((label, Action { table, kind, condition, names, values }));
    }

    /// Requires that the condition holds for an item that the transaction does not write.
    pub(crate) fn check<T>(
        &mut self,
        label: L,
        key: Key<T>,
        condition: &str,
        names: &[(&str, &str)],
        values: Item,
    ) {
        let Key { table, key, .. } = key;
        let names = names.iter().map(|(name, attribute)| ((*name).into(), (*attribute).into()));
        let (kind, condition) = (ActionKind::Check { key }, Some(condition.to_owned()));
        let action = Action { table, kind, condition, names: names.collect(), values };
        self.actions.push((label, action));
    }

    /// Deletes an item, if the condition holds. `None` stands for no condition.
    pub(crate) fn delete<T>(
        &mut self,
        label: L,
        key: Key<T>,
        condition: Option<&str>,
        values: Item,
    ) {
        let Key { table, key, .. } = key;
        let condition = condition.map(str::to_owned);
        self.add(label, table, ActionKind::Delete { key }, condition, values);
    }

    fn add(
        &mut self,
        label: L,
        table: Table,
        kind: ActionKind,
        condition: Option<String>,
        values: Item,
    ) {
        let names = HashMap::new();
        self.actions.push((label, Action { table, kind, condition, names, values }));
    }
}

impl Store {
    /// One `TransactWriteItems`: all writes or none. Returns the writes whose condition failed.
    pub async fn commit<L: Copy>(
        &self,
        transaction: Transaction<L>,
    ) -> Result<Result<(), Vec<Refusal<L>>>, Problem> {
        let (labels, actions): (Vec<L>, Vec<_>) = transaction.actions.into_iter().unzip();
        let items: Result<Vec<_>, _> =
            actions.into_iter().map(|action| self.transact_item(action)).collect();
        let call = self.client.transact_write_items().set_transact_items(Some(items?));
        let error = match call.send().await {
            Ok(_) => return Ok(Ok(())),
            Err(error) => error,
        };
        let refusals = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                refusals(labels, cancelled.cancellation_reasons())
            }
            _ => Vec::new(),
        };
        if refusals.is_empty() {
            return Err(error::problem("TransactWriteItems", error));
        }
        Ok(Err(refusals))
    }

    fn transact_item(&self, action: Action) -> Result<TransactWriteItem, Problem> {
        let Action { table, kind, condition, names, values } = action;
        let table_name = self.name(table);
        // The four builders have these methods in common, but no trait.
        macro_rules! build {
            ($builder:expr) => {
                $builder
                    .table_name(table_name)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(non_empty(names))
                    .set_expression_attribute_values(non_empty(values))
                    .return_values_on_condition_check_failure(OnFailure::AllOld)
                    .build()
                    .map_err(Problem::internal)?
            };
        }
        let builder = TransactWriteItem::builder();
        let builder = match kind {
            ActionKind::Put { item } => builder.put(build!(Put::builder().set_item(Some(item)))),
            ActionKind::Update { key, update } => {
                let update = Update::builder().set_key(Some(key)).update_expression(update);
                builder.update(build!(update))
            }
            ActionKind::Delete { key } => {
                builder.delete(build!(Delete::builder().set_key(Some(key))))
            }
            ActionKind::Check { key } => {
                builder.condition_check(build!(ConditionCheck::builder().set_key(Some(key))))
            }
        };
        Ok(builder.build())
    }
}

/// The writes whose condition failed. DynamoDB lists one reason for each write, in their order.
fn refusals<L>(labels: Vec<L>, reasons: &[CancellationReason]) -> Vec<Refusal<L>> {
    labels
        .into_iter()
        .zip(reasons)
        .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
        .map(|(label, reason)| Refusal { label, item: reason.item.clone() })
        .collect()
}
