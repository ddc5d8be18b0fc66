//! Reading items by their keys: one item, or items of several tables in one round trip.

use std::{marker::PhantomData, time::Duration};

use aws_sdk_dynamodb::types::KeysAndAttributes;
use serde::de::DeserializeOwned;

pub(crate) use crate::dynamodb::query::{Page, Span};
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
        self.read_consistently(true)
    }

    /// The same key, read consistently or not.
    pub fn read_consistently(self, consistent: bool) -> Self {
        Self { consistent, ..self }
    }
}

/// Keys that are read together: one key, or a tuple, list or option of them.
///
/// Consistency is per table: if one key of a table is read consistently, all its keys are.
pub trait Reads {
    /// The items: `None` for a key without an item.
    type Found;

    #[doc(hidden)]
    fn list(&self, keys: &mut Vec<(Table, Item, bool)>);

    #[doc(hidden)]
    fn pick(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Found, Problem>;
}

impl<T: DeserializeOwned> Reads for Key<T> {
    type Found = Option<T>;

    fn list(&self, keys: &mut Vec<(Table, Item, bool)>) {
        keys.push((self.table, self.key.clone(), self.consistent));
    }

    fn pick(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Found, Problem> {
        let at = items.iter().position(|(table, item)| {
            *table == self.table
                && self.key.iter().all(|(name, value)| item.get(name) == Some(value))
        });
        at.map(|at| from_item(items.swap_remove(at).1)).transpose()
    }
}

/// No key: for callers that read nothing else together with the session.
impl Reads for () {
    type Found = ();

    fn list(&self, _: &mut Vec<(Table, Item, bool)>) {}

    fn pick(self, _: &mut Vec<(Table, Item)>) -> Result<(), Problem> {
        Ok(())
    }
}

impl<R: Reads> Reads for Vec<R> {
    type Found = Vec<R::Found>;

    fn list(&self, keys: &mut Vec<(Table, Item, bool)>) {
        self.iter().for_each(|reads| reads.list(keys));
    }

    fn pick(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Found, Problem> {
        self.into_iter().map(|reads| reads.pick(items)).collect()
    }
}

impl<R: Reads> Reads for Option<R> {
    type Found = Option<R::Found>;

    fn list(&self, keys: &mut Vec<(Table, Item, bool)>) {
        self.iter().for_each(|reads| reads.list(keys));
    }

    fn pick(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Found, Problem> {
        self.map(|reads| reads.pick(items)).transpose()
    }
}

macro_rules! tuple_reads {
    ($($name:ident)*) => {
        impl<$($name: Reads),*> Reads for ($($name,)*) {
            type Found = ($($name::Found,)*);

            #[allow(non_snake_case)]
            fn list(&self, keys: &mut Vec<(Table, Item, bool)>) {
                let ($($name,)*) = self;
                $($name.list(keys);)*
            }

            #[allow(non_snake_case)]
            fn pick(self, items: &mut Vec<(Table, Item)>) -> Result<Self::Found, Problem> {
                let ($($name,)*) = self;
                Ok(($($name.pick(items)?,)*))
            }
        }
    };
}

tuple_reads!(A B);
tuple_reads!(A B C);
tuple_reads!(A B C D);

/// How often `BatchGetItem` is sent, each time with the keys that were left unprocessed.
const MAX_ATTEMPTS: u32 = 4;

impl Store {
    /// Reads everything in one round trip. The keys must be distinct, and at most 100.
    ///
    /// Keys that stay unprocessed after all attempts are a 503: they never count as absent items.
    pub async fn read<R: Reads>(&self, reads: R) -> Result<R::Found, Problem> {
        let mut keys = Vec::new();
        reads.list(&mut keys);
        let mut items = Vec::with_capacity(keys.len());
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(25 << attempt)).await;
            }
            keys = self.batch_get(&keys, &mut items).await?;
            if keys.is_empty() {
                return reads.pick(&mut items);
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
