//! Lists, newest first: rows whose sort key is a UUIDv7, under one partition key or under several
//! that are read at once and merged.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::{
    dynamodb::{Item, Store, Table, error, s},
    http::problem::Problem,
    value::id,
};

/// Rows that one page reads at most, whatever a filter leaves of them.
const MAX_ROWS: usize = 200;

/// A span of time, `from` included and `to` not, in whole seconds, as items and answers have times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: Option<Timestamp>,
    /// What comes right after its end.
    pub to: Option<Timestamp>,
}

impl Span {
    /// Whether a whole second is in it.
    pub fn holds(&self, second: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= second) && self.to.is_none_or(|to| second < to)
    }

    /// The least and the greatest sort key in it that come before the id `before`.
    fn bounds(&self, before: Option<&str>) -> (String, String) {
        // A digit comes before every id that was made since 1970, and a tilde after every id.
        let from = self.from.map_or_else(|| "0".to_owned(), first_of);
        let to = self.to.map_or_else(|| "~".to_owned(), first_of);
        (from, before.map(just_before).into_iter().fold(to, Ord::min))
    }
}

/// Between the ids of the seconds before `at` and those of the seconds from it on.
fn first_of(at: Timestamp) -> String {
    let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    id::first_text(Timestamp::from_second(second).unwrap_or(at))
}

/// A text between an id and all ids before it.
fn just_before(id: &str) -> String {
    let mut text = id.to_owned();
    let last = text.pop().map_or(0, u32::from);
    text.extend(char::from_u32(last.saturating_sub(1)));
    text
}

/// What rows must be to be listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Filter {
    /// The attribute has this value.
    pub(crate) fn equals(&mut self, name: &str, value: AttributeValue) {
        let at = self.name(name);
        self.conditions.push(format!("#f{at} = :f{at}"));
        self.values.insert(format!(":f{at}"), value);
    }

    /// The attribute begins with this text.
    pub(crate) fn begins_with(&mut self, name: &str, text: &str) {
        let at = self.name(name);
        self.conditions.push(format!("begins_with(#f{at}, :f{at})"));
        self.values.insert(format!(":f{at}"), s(text));
    }

    /// There is no such attribute.
    pub(crate) fn absent(&mut self, name: &str) {
        let at = self.name(name);
        self.conditions.push(format!("attribute_not_exists(#f{at})"));
    }

    fn name(&mut self, name: &str) -> usize {
        let at = self.conditions.len();
        self.names.insert(format!("#f{at}"), name.to_owned());
        at
    }
}

/// Rows under one partition key.
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

/// What one query found.
#[derive(Debug)]
struct Found<T> {
    /// Newest first, each with its sort key.
    rows: Vec<(String, T)>,
    /// The sort key of the last row that was looked at, if there may be more after it.
    more: Option<String>,
}

impl Store {
    /// One `Query` for each source, all at once: a page of the newest rows of `span` before the id
    /// `before`, and the id to go on before, if there may be more. A page may be short, or empty,
    /// although there are more.
    pub(crate) async fn newest(
        &self,
        sources: &[Source],
        span: Span,
        before: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Item>, Option<String>), Problem> {
        let bounds = span.bounds(before);
        let most = MAX_ROWS / sources.len().max(1);
        let queries = sources.iter().map(|source| {
            let is_filtered = !source.filter.conditions.is_empty();
            self.newest_of(source, &bounds, if is_filtered { most } else { limit.min(most) })
        });
        let found: Result<Vec<_>, _> = join_all(queries).await.into_iter().collect();
        Ok(merge(found?, limit))
    }

    async fn newest_of(
        &self,
        source: &Source,
        (from, to): &(String, String),
        rows: usize,
    ) -> Result<Found<Item>, Problem> {
        let Source { table, index, partition: (pk, of), sort, filter } = source.clone();
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
            .expression_attribute_values(":pk", s(of))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .scan_index_forward(false)
            .limit(i32::try_from(rows).map_err(Problem::internal)?)
            .send()
            .await
            .map_err(|error| error::problem("Query", error))?;
        let sort_key = |item: &Item| item.get(sort).and_then(|key| key.as_s().ok()).cloned();
        let more = output.last_evaluated_key.as_ref().and_then(sort_key);
        let rows = output.items.unwrap_or_default();
        let rows = rows.into_iter().filter_map(|row| sort_key(&row).map(|key| (key, row)));
        Ok(Found { rows: rows.collect(), more })
    }
}

/// The newest rows of all sources, and the key to go on before.
///
/// Where a source was not read to its end, another row of it may come right after the last one
/// that was looked at: what is older than that has to wait for a later page.
fn merge<T>(found: Vec<Found<T>>, limit: usize) -> (Vec<T>, Option<String>) {
    let known_to = found.iter().filter_map(|found| found.more.clone()).max();
    let mut rows: Vec<_> = found.into_iter().flat_map(|found| found.rows).collect();
    rows.retain(|(key, _)| known_to.as_ref().is_none_or(|known_to| key >= known_to));
    rows.sort_by(|(one, _), (other, _)| other.cmp(one));
    let next = match rows.get(limit) {
        Some(_) => rows.get(limit.saturating_sub(1)).map(|(key, _)| key.clone()),
        None => known_to,
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
    fn a_span_is_of_whole_seconds_and_begins_and_ends_between_ids() {
        let span = Span { from: Some(at(500)), to: Some(at(2_000)) };
        let (from, to) = span.bounds(None);
        for (millis, is_in) in
            [(0, false), (999, false), (1_000, true), (1_999, true), (2_000, false)]
        {
            let id = id(millis, 0);
            assert_eq!(from <= id && id <= to, is_in, "{millis}");
            assert_eq!(
                span.holds(crate::runtime::clock::whole_second(at(millis))),
                is_in,
                "{millis}"
            );
        }
        let (from, to) = Span::default().bounds(None);
        assert!(from < id(-1_800_000_000_000, 0) && id(0, 255) < to);
    }

    #[test]
    fn one_goes_on_right_before_an_id() {
        for last in 0..=255 {
            let (_, to) = Span::default().bounds(Some(&id(0, last)));
            assert!(to < id(0, last));
            assert!(last == 0 || id(0, last - 1) <= to);
        }
        let (_, to) = Span { from: None, to: Some(at(0)) }.bounds(Some(&id(5_000, 0)));
        assert!(to < id(0, 0), "the cursor does not widen the span");
    }

    /// Pages of at most `rows` rows of each source, the odd ones filtered away, to the end.
    fn pages(sources: &[Vec<u16>], rows: usize, limit: usize) -> Vec<u16> {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let found = sources.iter().map(|source| {
                let left = source.iter().filter(|key| before.is_none_or(|before| **key < before));
                let read: Vec<_> = left.copied().take(rows).collect();
                let more = read.last().filter(|_| read.len() == rows);
                let more = more.map(|key| format!("{key:05}"));
                let even = read.into_iter().filter(|key| key % 2 == 0);
                Found { rows: even.map(|key| (format!("{key:05}"), key)).collect(), more }
            });
            let (page, next) = merge(found.collect(), limit);
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
            places in prop::collection::vec(0..4usize, 60),
            rows in 1..8usize,
            limit in 1..10usize,
        ) {
            let mut sources = vec![Vec::new(); 4];
            keys.iter().rev().zip(places).for_each(|(key, place)| sources[place].push(*key));
            let expected: Vec<_> = keys.into_iter().rev().filter(|key| key % 2 == 0).collect();
            prop_assert_eq!(pages(&sources, rows, limit), expected);
        }
    }
}
