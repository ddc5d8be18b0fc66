//! Metrics, as log lines in CloudWatch's embedded metric format.
//!
//! A line needs no call to AWS. It contains a number and at most a country or a purpose, so it
//! identifies no person. A test checks that the alarms and the dashboard in `template.yaml` use the
//! same metrics.
//!
//! The format is described in CloudWatch Logs, "Embedded metric format specification".

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::value::{Purpose, Region};

// `by` a dimension: only with the dimension. `and by` a dimension: also without it.
macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident, $unit:ident $(by $only:ident)? $(and by $also:ident)?;)*) => {
        /// A metric. Its name in CloudWatch is the name of the variant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric { $($(#[$doc])* $name,)* }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Its unit, as CloudWatch names it.
            pub fn unit(self) -> &'static str {
                match self { $(Self::$name => stringify!($unit),)* }
            }

            /// The dimension that splits it, if there is one.
            pub fn dimension(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => None
                        $(.or(Some(stringify!($only))))?
                        $(.or(Some(stringify!($also))))?,)*
                }
            }

            /// Whether it is also written without a dimension, which is what alarms watch.
            pub fn has_total(self) -> bool {
                let only: Option<&str> = match self {
                    $(Self::$name => None$(.or(Some(stringify!($only))))?,)*
                };
                only.is_none()
            }
        }
    };
}

metrics! {
    /// A code was requested, and the request was counted.
    OtpRequested, Count and by Purpose;
    /// A code was right.
    OtpVerified, Count and by Purpose;
    /// A user registered an account.
    Registered, Count;
    /// A user signed in.
    SignedIn, Count;
    /// A sign-in failed: wrong credentials, or too many attempts.
    SignInFailed, Count;
    /// SNS accepted an SMS, or may have accepted it.
    SmsSent, Count by Country;
    /// An SMS was not sent: its country is not served, a cap was reached, or SNS refused it.
    SmsRefused, Count by Country;
    /// A cap refused an SMS: the cap per hour, the cap per day, or the share of sign-ups in them.
    SmsCeilingReached, Count;
    /// The used part of the cap of SMS per day.
    SmsUsedOfDay, Percent;
    /// A refresh token was used again after its successor had been used.
    RefreshTheft, Count;
    /// The number of submissions that wait for a review, at most 200.
    KycPending, Count;
    /// Account deletions that the cleanup job finished.
    DeletionsFinished, Count;
    /// Work that the cleanup job could not finish and will retry.
    SweepFailed, Count;
}

/// The writer of metrics.
#[derive(Clone)]
pub struct Metrics {
    namespace: Option<Arc<str>>,
    write: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Passes each metric to `write` as one line. Without a namespace no metric is written.
    pub fn new(namespace: Option<&str>, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { namespace: namespace.map(Arc::from), write: Arc::new(write) }
    }

    /// Adds one.
    pub fn count(&self, metric: Metric, now: Timestamp) {
        self.write(metric, 1, None, now);
    }

    /// Adds one for a country.
    pub fn count_by_country(&self, metric: Metric, country: Option<Region>, now: Timestamp) {
        let country = country.map_or_else(|| "unknown".to_owned(), |region| region.to_string());
        self.write(metric, 1, Some(&country), now);
    }

    /// Adds one for the purpose of a code.
    pub fn count_by_purpose(&self, metric: Metric, purpose: Purpose, now: Timestamp) {
        self.write(metric, 1, Some(purpose.as_str()), now);
    }

    /// Records a value.
    pub fn record(&self, metric: Metric, value: u64, now: Timestamp) {
        self.write(metric, value, None, now);
    }

    fn write(&self, metric: Metric, value: u64, dimension_value: Option<&str>, now: Timestamp) {
        if let Some(namespace) = &self.namespace {
            (self.write)(&line(namespace, metric, value, dimension_value, now));
        }
    }
}

fn line(
    namespace: &str,
    metric: Metric,
    value: u64,
    dimension_value: Option<&str>,
    now: Timestamp,
) -> String {
    let dimension = metric.dimension().zip(dimension_value);
    let mut dimension_sets = Vec::new();
    if metric.has_total() || dimension.is_none() {
        dimension_sets.push(Vec::new());
    }
    if let Some((name, _)) = dimension {
        dimension_sets.push(vec![name]);
    }
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": namespace,
                "Dimensions": dimension_sets,
                "Metrics": [{ "Name": metric.name(), "Unit": metric.unit() }],
            }],
        }),
    );
    line.insert(metric.name().to_owned(), value.into());
    if let Some((name, value)) = dimension {
        line.insert(name.to_owned(), value.into());
    }
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_in_the_embedded_metric_format() {
        let now = Timestamp::from_second(1_795_478_400).unwrap();
        let written = line("stack", Metric::SmsSent, 1, Some("NP"), now);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_795_478_400_000_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "stack",
                    "Dimensions": [["Country"]],
                    "Metrics": [{"Name": "SmsSent", "Unit": "Count"}],
                }],
            },
            "SmsSent": 1,
            "Country": "NP",
        });
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), expected);
        let written = line("stack", Metric::OtpVerified, 1, Some("LOGIN"), now);
        let read: Value = serde_json::from_str(&written).unwrap();
        let sets = &read["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
        assert_eq!((sets, &read["Purpose"]), (&json!([[], ["Purpose"]]), &json!("LOGIN")));
        let written = line("stack", Metric::SmsUsedOfDay, 70, None, now);
        let read: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([[]]));
        assert_eq!(read["SmsUsedOfDay"], 70);
    }

    #[test]
    fn without_a_namespace_nothing_is_written() {
        let metrics = Metrics::new(None, |line| panic!("{line}"));
        metrics.count(Metric::SignedIn, Timestamp::UNIX_EPOCH);
    }
}
