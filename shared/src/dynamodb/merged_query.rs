//! Lists, newest first, of rows whose sort key is a UUIDv7. The rows are under one partition key,
//! or under several that are queried at the same time and merged.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::{
    dynamodb::{Item, Store, Table, error, s},
    http::problem::Problem,
    value::id,
};

/// How many rows one page reads at most, also if a filter drops most of them.
const MAX_ROWS: usize = 200;

/// A range of time in whole seconds, the precision of times in items and responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first second.
    pub from: Option<Timestamp>,
    /// The second after the last one.
    pub to: Option<Timestamp>,
}

impl TimeRange {
    /// Whether the range contains a whole second.
    pub fn contains(&self, second: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= second) && self.to.is_none_or(|to| second < to)
    }

    /// The lower and the upper bound of the sort keys in the range that are smaller than the id
    /// `before`.
    fn bounds(&self, before: Option<&str>) -> (String, String) {
        // Every id sorts after "0" and before "~".
        let from = self.from.map_or_else(|| "0".to_owned(), lower_bound);
        let to = self.to.map_or_else(|| "~".to_owned(), lower_bound);
        let to = match before {
            Some(id) => to.min(largest_below(id)),
            None => to,
        };
        (from, to)
    }
}

/// A text that sorts after the ids of earlier seconds and before those of `at` and later seconds. A
/// fraction of a second is rounded up.
fn lower_bound(at: Timestamp) -> String {
    let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    id::lower_bound(Timestamp::from_second(second).unwrap_or(at))
}

/// A text that is smaller than `id`, and not smaller than any other id below it.
fn largest_below(id: &str) -> String {
    let mut text = id.to_owned();
    let last = text.pop().map_or(0, u32::from);
    text.extend(char::from_u32(last.saturating_sub(1)));
    text
}

/// The conditions that rows must meet to be listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Filter {
    /// The attribute must have this value.
    pub(crate) fn equals(&mut self, name: &str, value: AttributeValue) {
        let number = self.add_name(name);
        self.conditions.push(format!("#f{number} = :f{number}"));
        self.values.insert(format!(":f{number}"), value);
    }

    /// The attribute must begin with this text.
    pub(crate) fn begins_with(&mut self, name: &str, text: &str) {
        let number = self.add_name(name);
        self.conditions.push(format!("begins_with(#f{number}, :f{number})"));
        self.values.insert(format!(":f{number}"), s(text));
    }

    /// The attribute must not exist.
    pub(crate) fn absent(&mut self, name: &str) {
        let number = self.add_name(name);
        self.conditions.push(format!("attribute_not_exists(#f{number})"));
    }

    /// Adds a placeholder for the attribute and returns its number.
    fn add_name(&mut self, name: &str) -> usize {
        let number = self.conditions.len();
        self.names.insert(format!("#f{number}"), name.to_owned());
        number
    }
}

/// The rows under one partition key of a table or an index.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) table: Table,
    pub(crate) index: Option<&'static str>,
    /// Name and value of the partition key.
    pub(crate) partition: (&'static str, String),
    /// Name of the sort key.
    pub(crate) sort: &'static str,
    pub(crate) filter: Filter,
}

/// The result of one query.
#[derive(Debug)]
struct QueryResult<T> {
    /// Newest first, each with its sort key.
    rows: Vec<(String, T)>,
    /// The sort key of the last row that the query read, if there may be older rows.
    last_read: Option<String>,
}

impl Store {
    /// A page of the newest rows in `range` that are older than the id `before`. Also returns the id
    /// to continue before if there may be more rows. There may be more rows even if a page is short
    /// or empty.
    ///
    /// Sends one `Query` for each source, all at the same time.
    pub(crate) async fn query_merged(
        &self,
        sources: &[Source],
        range: TimeRange,
        before: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<String>), Problem> {
        let bounds = range.bounds(before);
        let max_rows = MAX_ROWS / sources.len().max(1);
        let queries = sources.iter().map(|source| {
            let is_filtered = !source.filter.conditions.is_empty();
            let max_rows = if is_filtered { max_rows } else { limit.min(max_rows) };
            self.query_one(source, &bounds, max_rows)
        });
        let results: Result<Vec<_>, _> = join_all(queries).await.into_iter().collect();
        Ok(merge(results?, limit))
    }

    async fn query_one(
        &self,
        source: &Source,
        (from, to): &(String, String),
        max_rows: usize,
    ) -> Result<QueryResult<Item>, Problem> {
        let Source { table, index, partition: (pk, value), sort, filter } = source.clone();
        let condition = Some(filter.conditions.join(" AND ")).filter(|text| !text.is_empty());
        let output = self
            .client
            .query()
            .table_name(self.name(table))
            .set_index_name(index.map(str::to_owned))
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .set_filter_expression(condition)
            .set_expression_attribute_names(Some(filter.names))
            .set_expression_attribute_values(Some(filter.values))
            .expression_attribute_names("#pk", pk)
            .expression_attribute_names("#sk", sort)
            .expression_attribute_values(":pk", s(value))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .scan_index_forward(false)
            .limit(i32::try_from(max_rows).map_err(Problem::internal)?)
            .send()
            .await
            .map_err(|error| error::problem("Query", error))?;
        let sort_key = |item: &Item| item.get(sort).and_then(|key| key.as_s().ok()).cloned();
        let last_read = output.last_evaluated_key.as_ref().and_then(sort_key);
        let rows = output.items.unwrap_or_default();
        let rows = rows.into_iter().filter_map(|row| sort_key(&row).map(|key| (key, row)));
        Ok(QueryResult { rows: rows.collect(), last_read })
    }
}

/// Merges the rows of all queries, newest first. Also returns the key to continue before if there
/// may be more rows.
///
/// A query that stopped early may have missed rows that are older than its last row. Rows that are
/// older than the newest of these last rows are therefore left for a later page.
fn merge<T>(results: Vec<QueryResult<T>>, limit: usize) -> (Vec<T>, Option<String>) {
    let complete_to = results.iter().filter_map(|result| result.last_read.clone()).max();
    let mut rows: Vec<_> = results.into_iter().flat_map(|result| result.rows).collect();
    rows.retain(|(key, _)| complete_to.as_ref().is_none_or(|complete_to| key >= complete_to));
    rows.sort_by(|(one, _), (other, _)| other.cmp(one));
    let next = if rows.len() > limit {
        rows.get(limit.saturating_sub(1)).map(|(key, _)| key.clone())
    } else {
        complete_to
    };
    rows.truncate(limit);
    (rows.into_iter().map(|(_, row)| row).collect(), next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::AuditId;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
    }

    fn id(millis: i64, last: u8) -> String {
        AuditId::new(at(millis), [0, 0, 0, 0, 0, 0, 0, 0, 0, last]).to_string()
    }

    #[test]
    fn the_bounds_of_a_range_separate_the_ids_of_whole_seconds() {
        let range = TimeRange { from: Some(at(500)), to: Some(at(2_000)) };
        let (from, to) = range.bounds(None);
        for (millis, is_inside) in
            [(0, false), (999, false), (1_000, true), (1_999, true), (2_000, false)]
        {
            let id = id(millis, 0);
            assert_eq!(from <= id && id <= to, is_inside, "{millis}");
            assert_eq!(
                range.contains(crate::runtime::clock::whole_second(at(millis))),
                is_inside,
                "{millis}"
            );
        }
        let (from, to) = TimeRange::default().bounds(None);
        assert!(from < id(-1_800_000_000_000, 0) && id(0, 255) < to);
    }

    #[test]
    fn the_next_page_begins_directly_before_the_last_id() {
        for last in 0..=255 {
            let (_, to) = TimeRange::default().bounds(Some(&id(0, last)));
            assert!(to < id(0, last));
            assert!(last == 0 || id(0, last - 1) <= to);
        }
        let (_, to) = TimeRange { from: None, to: Some(at(0)) }.bounds(Some(&id(5_000, 0)));
        assert!(to < id(0, 0), "the cursor does not extend the range");
    }

    /// The keys of all pages. A query reads at most `rows` rows, and a filter drops odd keys.
    fn pages(sources: &[Vec<u16>], rows: usize, limit: usize) -> Vec<u16> {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let results = sources.iter().map(|source| {
                let left = source.iter().filter(|key| before.is_none_or(|before| **key < before));
                let read: Vec<_> = left.copied().take(rows).collect();
                let last_read = read.last().filter(|_| read.len() == rows);
                let last_read = last_read.map(|key| format!("{key:05}"));
                let even = read.into_iter().filter(|key| key % 2 == 0);
                let rows = even.map(|key| (format!("{key:05}"), key)).collect();
                QueryResult { rows, last_read }
            });
            let (page, next) = merge(results.collect(), limit);
            assert!(page.len() <= limit);
            all.extend(page);
            match next {
                Some(key) => before = Some(key.parse().unwrap()),
                None => return all,
            }
        }
    }

    proptest! {
        #[test]
        fn following_the_pages_yields_each_row_once_newest_first(
            keys in prop::collection::btree_set(any::<u16>(), 0..60),
            indexes in prop::collection::vec(0..4usize, 60),
            rows in 1..8usize,
            limit in 1..10usize,
        ) {
            let mut sources = vec![Vec::new(); 4];
            keys.iter().rev().zip(indexes).for_each(|(key, index)| sources[index].push(*key));
            let expected: Vec<_> = keys.into_iter().rev().filter(|key| key % 2 == 0).collect();
            prop_assert_eq!(pages(&sources, rows, limit), expected);
        }
    }
}
