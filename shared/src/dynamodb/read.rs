//! Reading items by their keys: one item, or items of several tables in one round trip.

use std::{marker::PhantomData, time::Duration};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use serde::de::DeserializeOwned;

use crate::{
    dynamodb::{Item, Store, Table, error, from_item, s},
    http::problem::Problem,
};

/// The key of an item of type `T`, and whether it is read consistently.
#[derive(Debug, Clone)]
pub struct Key<T> {
    pub(crate) table: Table,
    pub(crate) key: Item,
    consistent: bool,
    item: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    pub(crate) fn new(table: Table, parts: &[(&str, &str)]) -> Self {
        let key = parts.iter().map(|(name, value)| ((*name).to_owned(), s(*value))).collect();
        Self { table, key, consistent: false, item: PhantomData }
    }

    /// The same key, read consistently: with every write that was acknowledged before.
    pub fn consistent(self) -> Self {
        self.consistent_if(true)
    }

    /// The same key, read consistently or not.
    pub fn consistent_if(self, consistent: bool) -> Self {
        Self { consistent, ..self }
    }
}

/// Keys that are read together: one key, or a tuple, list or option of them.
///
/// Consistency is per table: if one key of a table is read consistently, all its keys are.
pub trait KeySet {
    /// The items: `None` for a key without an item.
    type Items;

    #[doc(hidden)]
    fn add_keys(&self, keys: &mut Vec<(Table, Item, bool)>);

    #[doc(hidden)]
    fn take_items(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Items, Problem>;
}

impl<T: DeserializeOwned> KeySet for Key<T> {
    type Items = Option<T>;

    fn add_keys(&self, keys: &mut Vec<(Table, Item, bool)>) {
        keys.push((self.table, self.key.clone(), self.consistent));
    }

    fn take_items(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Items, Problem> {
        let at = items.iter().position(|(table, item)| {
            *table == self.table
                && self.key.iter().all(|(name, value)| item.get(name) == Some(value))
        });
        at.map(|at| from_item(items.swap_remove(at).1)).transpose()
    }
}

/// No key: for callers that read nothing else together with the session.
impl KeySet for () {
    type Items = ();

    fn add_keys(&self, _: &mut Vec<(Table, Item, bool)>) {}

    fn take_items(self, _: &mut Vec<(Table, Item)>) -> Result<(), Problem> {
        Ok(())
    }
}

impl<R: KeySet> KeySet for Vec<R> {
    type Items = Vec<R::Items>;

    fn add_keys(&self, keys: &mut Vec<(Table, Item, bool)>) {
        self.iter().for_each(|reads| reads.add_keys(keys));
    }

    fn take_items(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Items, Problem> {
        self.into_iter().map(|reads| reads.take_items(items)).collect()
    }
}

impl<R: KeySet> KeySet for Option<R> {
    type Items = Option<R::Items>;

    fn add_keys(&self, keys: &mut Vec<(Table, Item, bool)>) {
        self.iter().for_each(|reads| reads.add_keys(keys));
    }

    fn take_items(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Items, Problem> {
        self.map(|reads| reads.take_items(items)).transpose()
    }
}

macro_rules! impl_for_tuple {
    ($($name:ident)*) => {
        impl<$($name: KeySet),*> KeySet for ($($name,)*) {
            type Items = ($($name::Items,)*);

            #[allow(non_snake_case)]
            fn add_keys(&self, keys: &mut Vec<(Table, Item, bool)>) {
                let ($($name,)*) = self;
                $($name.add_keys(keys);)*
            }

            #[allow(non_snake_case)]
            fn take_items(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Items, Problem> {
                let ($($name,)*) = self;
                Ok(($($name.take_items(items)?,)*))
            }
        }
    };
}

impl_for_tuple!(A B);
impl_for_tuple!(A B C);
impl_for_tuple!(A B C D);

/// How often `BatchGetItem` is sent, each time with the keys that were left unprocessed.
const MAX_ATTEMPTS: u32 = 4;

impl Store {
    /// Reads everything in one round trip. The keys must be distinct, and at most 100.
    ///
    /// Keys that stay unprocessed after all attempts are a 503: they never count as absent items.
    pub async fn read<R: KeySet>(&self, reads: R) -> Result<R::Items, Problem> {
        let mut keys = Vec::new();
        reads.add_keys(&mut keys);
        let mut items = Vec::with_capacity(keys.len());
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(25 << attempt)).await;
            }
            keys = self.batch_get(&keys, &mut items).await?;
            if keys.is_empty() {
                return reads.take_items(&mut items);
            }
        }
        Err(Problem::unavailable("BatchGetItem: unprocessed keys"))
    }

    /// One `BatchGetItem`. Adds what it reads to `found`, and returns the unprocessed keys.
    async fn batch_get(
        &self,
        keys: &[(Table, Item, bool)],
        found: &mut Vec<(Table, Item)>,
    ) -> Result<Vec<(Table, Item, bool)>, Problem> {
        let mut call = self.client.batch_get_item();
        let mut tables: Vec<Table> = keys.iter().map(|(table, ..)| *table).collect();
        tables.sort_by_key(|table| *table as u8);
        tables.dedup();
        for table in &tables {
            let of_table = keys.iter().filter(|(other, ..)| other == table);
            let request = KeysAndAttributes::builder()
                .consistent_read(of_table.clone().any(|(.., consistent)| *consistent))
                .set_keys(Some(of_table.map(|(_, key, _)| key.clone()).collect()))
                .build()
                .map_err(Problem::internal)?;
            call = call.request_items(self.name(*table), request);
        }
        let output = call.send().await.map_err(|error| error::problem("BatchGetItem", error))?;
        let table_of = |name: &str| tables.iter().copied().find(|table| self.name(*table) == name);
        for (name, items) in output.responses.unwrap_or_default() {
            let Some(table) = table_of(&name) else { continue };
            found.extend(items.into_iter().map(|item| (table, item)));
        }
        let mut unprocessed = Vec::new();
        for (name, request) in output.unprocessed_keys.unwrap_or_default() {
            let Some(table) = table_of(&name) else { continue };
            let consistent = request.consistent_read == Some(true);
            unprocessed.extend(request.keys.into_iter().map(|key| (table, key, consistent)));
        }
        Ok(unprocessed)
    }
}
