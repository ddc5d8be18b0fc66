//! The metrics that functions write, added up: what CloudWatch would make of their lines.

use std::{collections::BTreeMap, sync::Mutex};

use serde::Serialize;
use serde_json::Value;

use crate::sync::lock;

/// What was written of a metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Figures {
    sum: u64,
    last: u64,
}

/// Names that are kept, some fifty times those that the product has now. CloudWatch has no such
/// limit and bills each: a dimension without an end is an error here.
const MAX_NAMES: usize = 1_000;

/// Every metric by its name, and after a space what its dimension says: `SmsSent NP`.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<BTreeMap<String, Figures>>);

impl Recorder {
    /// Reads a line as CloudWatch reads it. What it would drop is an error in the log.
    pub(crate) fn read(&self, line: &str) {
        let Some((names, value)) = figure(line) else {
            tracing::error!(line, "this is not in the embedded metric format");
            return;
        };
        let mut all = lock(&self.0);
        for name in names {
            if all.len() == MAX_NAMES && !all.contains_key(&name) {
                tracing::error!(name, "there are too many metrics, so this one is dropped");
                continue;
            }
            let figures = all.entry(name).or_default();
            *figures = Figures { sum: figures.sum.saturating_add(value), last: value };
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> BTreeMap<String, Figures> {
        lock(&self.0).clone()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }
}

/// The names that a line adds to, one for each set of dimensions, and what it adds.
fn figure(line: &str) -> Option<(Vec<String>, u64)> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["_aws"]["Timestamp"].as_i64()?;
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    directive["Namespace"].as_str()?;
    let metric = &directive["Metrics"][0];
    metric["Unit"].as_str()?;
    let name = metric["Name"].as_str()?;
    let told_apart = |set: &Value| {
        set.as_array()?.iter().try_fold(name.to_owned(), |told_apart, dimension| {
            Some(format!("{told_apart} {}", line[dimension.as_str()?].as_str()?))
        })
    };
    let sets = directive["Dimensions"].as_array()?;
    let names: Option<Vec<_>> = sets.iter().map(told_apart).collect();
    Some((names?, line[name].as_u64()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::{
        runtime::metrics::{Metric, Metrics},
        value::Purpose,
    };

    use super::*;

    #[test]
    fn what_the_product_writes_is_added_up() {
        let recorder = std::sync::Arc::new(Recorder::default());
        let reader = std::sync::Arc::clone(&recorder);
        let metrics = Metrics::new(Some("local"), move |line| reader.read(line));
        let now = jiff::Timestamp::UNIX_EPOCH;
        metrics.record(Metric::SmsUsedOfDay, 3, now);
        metrics.record(Metric::SmsUsedOfDay, 4, now);
        metrics.count_by_country(Metric::SmsSent, "NP".parse().ok(), now);
        metrics.count_by_purpose(Metric::OtpVerified, Purpose::Login, now);
        metrics.count_by_purpose(Metric::OtpVerified, Purpose::Register, now);
        let figures = |sum, last| Figures { sum, last };
        let expected = [
            ("OtpVerified", figures(2, 1)),
            ("OtpVerified LOGIN", figures(1, 1)),
            ("OtpVerified REGISTER", figures(1, 1)),
            ("SmsSent NP", figures(1, 1)),
            ("SmsUsedOfDay", figures(7, 4)),
        ];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(name, figures)| (name.to_owned(), figures)).collect();
        assert_eq!(recorder.all(), expected);
        assert_eq!(figure("{\"SignedIn\": 1}"), None);
    }

    #[test]
    fn names_have_an_end_and_known_ones_count_on() {
        let recorder = Recorder::default();
        let line = |name: &str| {
            json!({
                "_aws": {"Timestamp": 0, "CloudWatchMetrics": [{
                    "Namespace": "local",
                    "Metrics": [{"Name": name, "Unit": "Count"}],
                    "Dimensions": [[]],
                }]},
                name: 1,
            })
        };
        for number in 0..MAX_NAMES + 5 {
            recorder.read(&line(&format!("Metric{number:04}")).to_string());
        }
        recorder.read(&line("Metric0000").to_string());
        let all = recorder.all();
        assert_eq!(all.len(), MAX_NAMES);
        assert_eq!(all["Metric0000"], Figures { sum: 2, last: 1 });
        assert!(!all.contains_key(&format!("Metric{MAX_NAMES:04}")));
    }
}
