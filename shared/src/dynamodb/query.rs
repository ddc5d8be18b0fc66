//! Queries of one partition of a table or an index.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use jiff::Timestamp;

use crate::{
    dynamodb::{Item, Store, Table, error, s, time},
    http::problem::Problem,
};

/// How many items one query reads at most, also if a filter drops most of them.
const MAX_ROWS: i32 = 200;

/// A page of the items under one partition key, sorted by their sort key.
pub(crate) struct PageQuery<'a> {
    pub(crate) table: Table,
    /// Name and value of the partition key.
    pub(crate) partition: (&'a str, &'a str),
    /// Name of the sort key, and its prefix. An empty prefix selects every item.
    pub(crate) sort: (&'a str, &'a str),
    /// The sort key of the last item of the previous page.
    pub(crate) after: Option<String>,
    pub(crate) newest_first: bool,
    /// Name and value of an attribute that the items must have.
    pub(crate) only: Option<(&'a str, &'a str)>,
    pub(crate) limit: usize,
}

/// A range of sort keys.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SortKeyRange<'a> {
    /// All keys after this one.
    After(&'a str),
    /// All keys from the first to the second, both included.
    Between(&'a str, &'a str),
}

impl Store {
    /// A query of one partition, `#pk = :pk`, to be refined by the caller.
    pub(super) fn partition_query(
        &self,
        table: Table,
        (pk, value): (&str, &str),
    ) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(self.name(table))
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", pk)
            .expression_attribute_values(":pk", s(value))
    }

    /// One `Query`: the page, and the sort key to continue after if there may be more.
    pub(crate) async fn query_page(
        &self,
        page: PageQuery<'_>,
    ) -> Result<(Vec<Item>, Option<String>), Problem> {
        let ((pk, value), (sk, prefix)) = (page.partition, page.sort);
        let max_rows = match page.only {
            Some(_) => MAX_ROWS,
            None => i32::try_from(page.limit).unwrap_or(MAX_ROWS),
        };
        let mut query = self
            .partition_query(page.table, page.partition)
            .scan_index_forward(!page.newest_first)
            .limit(max_rows);
        if !prefix.is_empty() {
            query = query
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
                .expression_attribute_names("#sk", sk)
                .expression_attribute_values(":sk", s(prefix));
        }
        if let Some((name, value)) = page.only {
            query = query
                .filter_expression("#only = :only")
                .expression_attribute_names("#only", name)
                .expression_attribute_values(":only", s(value));
        }
        if let Some(after) = page.after {
            query = query.exclusive_start_key(pk, s(value)).exclusive_start_key(sk, s(after));
        }
        let output = query.send().await.map_err(|error| error::problem("Query", error))?;
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

    /// Every item under one partition key, in ascending order of the sort key.
    pub(crate) async fn query_all(
        &self,
        table: Table,
        partition: (&str, &str),
        consistent: bool,
    ) -> Result<Vec<Item>, Problem> {
        all_pages(self.partition_query(table, partition).consistent_read(consistent)).await
    }

    /// Every item under one partition key whose sort key is from `from` to `to`, both included.
    pub(crate) async fn query_range(
        &self,
        table: Table,
        partition: (&str, &str),
        (sk, from, to): (&str, &str, &str),
    ) -> Result<Vec<Item>, Problem> {
        let query = self
            .partition_query(table, partition)
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#sk", sk)
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to));
        all_pages(query).await
    }

    /// The first items of a partition of an index whose sort key is in a range.
    pub(crate) async fn query_index(
        &self,
        table: Table,
        index: &str,
        partition: (&str, &str),
        (sk, range): (&str, SortKeyRange<'_>),
        limit: usize,
    ) -> Result<Vec<Item>, Problem> {
        let query = self
            .partition_query(table, partition)
            .index_name(index)
            .expression_attribute_names("#sk", sk)
            .limit(i32::try_from(limit).unwrap_or(MAX_ROWS));
        let query = match range {
            SortKeyRange::After(key) => query
                .key_condition_expression("#pk = :pk AND #sk > :from")
                .expression_attribute_values(":from", s(key)),
            SortKeyRange::Between(from, to) => query
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
                .expression_attribute_values(":from", s(from))
                .expression_attribute_values(":to", s(to)),
        };
        let output = query.send().await.map_err(|error| error::problem("Query", error))?;
        Ok(output.items.unwrap_or_default())
    }

    /// The first items of a partition of an index whose time is at most `until`, after the key
    /// `start`. Also returns the key to continue after if there may be more.
    #[cfg(feature = "documents")]
    pub(crate) async fn query_until(
        &self,
        table: Table,
        index: &str,
        partition: (&str, &str),
        (sk, until): (&str, Timestamp),
        start: Option<Item>,
        limit: i32,
    ) -> Result<(Vec<Item>, Option<Item>), Problem> {
        let query = self
            .partition_query(table, partition)
            .index_name(index)
            .key_condition_expression("#pk = :pk AND #sk <= :until")
            .expression_attribute_names("#sk", sk)
            .expression_attribute_values(":until", time(until))
            .set_exclusive_start_key(start)
            .limit(limit);
        let page = query.send().await.map_err(|error| error::problem("Query", error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key))
    }

    /// At most `limit` of the newest items under a partition key whose sort key begins with a
    /// prefix, which may be empty. Also returns whether these are all.
    pub(crate) async fn query_newest(
        &self,
        table: Table,
        partition: (&str, &str),
        sort: (&str, &str),
        limit: usize,
    ) -> Result<(Vec<Item>, bool), Problem> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let missing = limit - items.len();
            let page = PageQuery {
                table,
                partition,
                sort,
                after,
                newest_first: true,
                only: None,
                limit: missing,
            };
            let (more, next) = self.query_page(page).await?;
            items.extend(more);
            if next.is_none() {
                return Ok((items, true));
            }
            if items.len() >= limit {
                return Ok((items, false));
            }
            after = next;
        }
    }
}

/// All pages of a query.
async fn all_pages(query: QueryFluentBuilder) -> Result<Vec<Item>, Problem> {
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
