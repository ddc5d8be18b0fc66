//! Reading: one item, or several of several tables in one round trip.

use std::{marker::PhantomData, time::Duration};

use aws_sdk_dynamodb::{operation::query::builders::QueryFluentBuilder, types::KeysAndAttributes};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::{
    dynamodb::{Item, Store, Table, error, from_item, s, time},
    http::problem::Problem,
};

/// Where an item of type `T` is, and how fresh it must be.
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

    /// The same item, read with every write that was acknowledged before.
    pub fn consistent(self) -> Self {
        self.read_consistently(true)
    }

    /// The same item, consistently or not.
    pub fn read_consistently(self, consistent: bool) -> Self {
        Self { consistent, ..self }
    }
}

/// Keys that are read together: one, or a tuple of them.
///
/// Keys of one table share its consistency: if one is consistent, so are the others.
pub trait Reads {
    /// What is found, `None` where there is nothing.
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

/// Nothing to read beside something else.
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

/// A page of the items under one partition key, in the order of their sort key.
pub(crate) struct Page<'a> {
    pub(crate) table: Table,
    /// Name and value of the partition key.
    pub(crate) partition: (&'a str, &'a str),
    /// Name of the sort key, and what it begins with: with nothing, whatever it is.
    pub(crate) sort: (&'a str, &'a str),
    /// The sort key of the last item of the page before.
    pub(crate) after: Option<String>,
    pub(crate) newest_first: bool,
    /// Name and value of an attribute that items must have.
    pub(crate) only: Option<(&'a str, &'a str)>,
    pub(crate) limit: usize,
}

/// Rows that one page reads at most, whatever a filter leaves of them.
const MAX_ROWS: i32 = 200;

impl Store {
    /// One `Query`: the page, and the sort key to go on after, if there may be more.
    pub(crate) async fn page(
        &self,
        page: Page<'_>,
    ) -> Result<(Vec<Item>, Option<String>), Problem> {
        let ((pk, of), (sk, prefix)) = (page.partition, page.sort);
        let rows = match page.only {
            Some(_) => MAX_ROWS,
            None => i32::try_from(page.limit).unwrap_or(MAX_ROWS),
        };
        let mut call = self
            .client
            .query()
            .table_name(self.name(page.table))
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", pk)
            .expression_attribute_values(":pk", s(of))
            .scan_index_forward(!page.newest_first)
            .limit(rows);
        if !prefix.is_empty() {
            call = call
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
                .expression_attribute_names("#sk", sk)
                .expression_attribute_values(":sk", s(prefix));
        }
        if let Some((name, value)) = page.only {
            call = call
                .filter_expression("#only = :only")
                .expression_attribute_names("#only", name)
                .expression_attribute_values(":only", s(value));
        }
        if let Some(after) = page.after {
            call = call.exclusive_start_key(pk, s(of)).exclusive_start_key(sk, s(after));
        }
        let output = call.send().await.map_err(|error| error::problem("Query", error))?;
        let sort_key = |item: &Item| item.get(sk).and_then(|key| key.as_s().ok()).cloned();
        let mut items = output.items.unwrap_or_default();
        if items.len() > page.limit {
            items.truncate(page.limit);
            let next = items.last().and_then(sort_key);
            return Ok((items, next));
        }
        let next = output.last_evaluated_key.as_ref().and_then(sort_key);
        Ok((items, next))
    }

    /// Reads everything in one round trip. Keys must be distinct and at most 100.
    ///
    /// A key that DynamoDB left unprocessed is asked for again, and in the end answered 503:
    /// it is never taken for an absent item.
    pub async fn read<R: Reads>(&self, reads: R) -> Result<R::Found, Problem> {
        let mut keys = Vec::new();
        reads.list(&mut keys);
        let mut found = Vec::with_capacity(keys.len());
        for attempt in 0..4 {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(25 << attempt)).await;
            }
            keys = self.batch_get(&keys, &mut found).await?;
            if keys.is_empty() {
                return reads.pick(&mut found);
            }
        }
        Err(Problem::unavailable("BatchGetItem: unprocessed keys"))
    }

    /// One `BatchGetItem`; answers the keys that were left unprocessed.
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
        let mut left = Vec::new();
        for (name, request) in output.unprocessed_keys.unwrap_or_default() {
            let Some(table) = table_of(&name) else { continue };
            let consistent = request.consistent_read == Some(true);
            left.extend(request.keys.into_iter().map(|key| (table, key, consistent)));
        }
        Ok(left)
    }

    /// Every item under one partition key, oldest sort key first.
    pub(crate) async fn query(
        &self,
        table: Table,
        (name, value): (&str, &str),
        consistent: bool,
    ) -> Result<Vec<Item>, Problem> {
        let query = self
            .client
            .query()
            .table_name(self.name(table))
            .key_condition_expression("#k = :k")
            .expression_attribute_names("#k", name)
            .expression_attribute_values(":k", s(value))
            .consistent_read(consistent);
        all(query).await
    }

    /// Every item under one partition key whose sort key is from `from` to `to`.
    pub(crate) async fn range(
        &self,
        table: Table,
        (pk, of): (&str, &str),
        (sk, from, to): (&str, &str, &str),
    ) -> Result<Vec<Item>, Problem> {
        let query = self
            .client
            .query()
            .table_name(self.name(table))
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#pk", pk)
            .expression_attribute_names("#sk", sk)
            .expression_attribute_values(":pk", s(of))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to));
        all(query).await
    }

    /// The first rows of a span of an index's partition.
    pub(crate) async fn index_span(
        &self,
        table: Table,
        index: &str,
        (pk, of): (&str, &str),
        (sk, span): (&str, Span<'_>),
        limit: usize,
    ) -> Result<Vec<Item>, Problem> {
        let (condition, bound, end) = match span {
            Span::After(bound) => ("#pk = :pk AND #sk > :sk", bound, None),
            Span::Between(from, to) => ("#pk = :pk AND #sk BETWEEN :sk AND :end", from, Some(to)),
        };
        let query = self
            .client
            .query()
            .table_name(self.name(table))
            .index_name(index)
            .key_condition_expression(condition)
            .expression_attribute_names("#pk", pk)
            .expression_attribute_names("#sk", sk)
            .expression_attribute_values(":pk", s(of))
            .expression_attribute_values(":sk", s(bound))
            .limit(i32::try_from(limit).unwrap_or(MAX_ROWS));
        let query = match end {
            Some(end) => query.expression_attribute_values(":end", s(end)),
            None => query,
        };
        let output = query.send().await.map_err(|error| error::problem("Query", error))?;
        Ok(output.items.unwrap_or_default())
    }
}

/// The part of an index partition that is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span<'a> {
    /// What comes after this sort key.
    After(&'a str),
    /// What lies between these sort keys, or is one of them.
    Between(&'a str, &'a str),
}

impl Store {
    /// The first items of an index partition whose time is at most `until`, earliest first, after
    /// `start`; and where to go on, if there may be more.
    pub(crate) async fn until(
        &self,
        table: Table,
        index: &str,
        (pk, of): (&str, &str),
        (sk, until): (&str, Timestamp),
        start: Option<Item>,
        limit: i32,
    ) -> Result<(Vec<Item>, Option<Item>), Problem> {
        let query = self
            .client
            .query()
            .table_name(self.name(table))
            .index_name(index)
            .key_condition_expression("#pk = :pk AND #sk <= :until")
            .expression_attribute_names("#pk", pk)
            .expression_attribute_names("#sk", sk)
            .expression_attribute_values(":pk", s(of))
            .expression_attribute_values(":until", time(until))
            .set_exclusive_start_key(start)
            .limit(limit);
        let page = query.send().await.map_err(|error| error::problem("Query", error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
    }

    /// The newest items under a partition key whose sort key begins with a prefix, which may be
    /// empty: at most `limit`, and whether these are all.
    pub(crate) async fn newest_rows(
        &self,
        table: Table,
        partition: (&str, &str),
        sort: (&str, &str),
        limit: usize,
    ) -> Result<(Vec<Item>, bool), Problem> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let left = limit - items.len();
            let page =
                Page { table, partition, sort, after, newest_first: true, only: None, limit: left };
            let (more, next) = self.page(page).await?;
            items.extend(more);
            match next {
                None => return Ok((items, true)),
                Some(_) if items.len() >= limit => return Ok((items, false)),
                after_these => after = after_these,
            }
        }
    }
}

/// All pages of a query.
async fn all(query: QueryFluentBuilder) -> Result<Vec<Item>, Problem> {
    let mut items = Vec::new();
    let mut start: Option<Item> = None;
    loop {
        let page = query.clone().set_exclusive_start_key(start).send().await;
        let page = page.map_err(|error| error::problem("Query", error))?;
        items.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(items);
        }
    }
}
