//! Metrics: lines of CloudWatch's embedded metric format, which Lambda's log carries to CloudWatch.
//!
//! A line costs no call and is lost with nothing but the log itself. It holds a number and at most
//! a country or a purpose: nobody is told from it. The alarms and the dashboard of `template.yaml` name the same
//! metrics; a test holds them together.
//!
//! The format: CloudWatch Logs, "Embedded metric format specification".

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::value::{Purpose, Region};

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident, $unit:ident $(by $only:ident)? $(and by $also:ident)?;)*) => {
        /// A metric. Its name in CloudWatch is the variant's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric { $($(#[$doc])* $name,)* }

        impl Metric {
            /// Every metric there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Its unit, as CloudWatch names it.
            pub fn unit(self) -> &'static str {
                match self { $(Self::$name => stringify!($unit),)* }
            }

            /// The dimension that it is told apart by, if there is one.
            pub fn dimension(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => None
                        $(.or(Some(stringify!($only))))?
                        $(.or(Some(stringify!($also))))?,)*
                }
            }

            /// Whether it is there without a dimension, as alarms watch it.
            pub fn is_plain(self) -> bool {
                let only: Option<&str> = match self {
                    $(Self::$name => None$(.or(Some(stringify!($only))))?,)*
                };
                only.is_none()
            }
        }
    };
}

metrics! {
    /// A code was asked for, and the request was counted.
    OtpRequested, Count and by Purpose;
    /// A code was right.
    OtpVerified, Count and by Purpose;
    /// An account was made by its holder.
    Registered, Count;
    /// Somebody signed in.
    SignedIn, Count;
    /// Wrong credentials, or too many of them.
    SignInFailed, Count;
    /// SNS took an SMS, or may have.
    SmsSent, Count by Country;
    /// An SMS was not sent: the country is not served, the ceiling is reached, or SNS refused it.
    SmsRefused, Count by Country;
    /// An SMS was refused by the ceiling: the hour's, the day's, or what sign-ups may use of them.
    SmsCeilingReached, Count;
    /// How much of the day's ceiling of SMS is used.
    SmsUsedOfDay, Percent;
    /// A refresh token came back after its successor was used.
    RefreshTheft, Count;
    /// Submissions that wait for a review, counted up to 200.
    KycPending, Count;
    /// Deletions that the sweep finished.
    DeletionsFinished, Count;
    /// Things that the sweep could not finish, and tries again.
    SweepFailed, Count;
}

/// Where metrics go.
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
    /// Metrics of a namespace, each handed to `write` as a line. Without a namespace none is
    /// written.
    pub fn new(namespace: Option<&str>, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { namespace: namespace.map(Arc::from), write: Arc::new(write) }
    }

    /// One more.
    pub fn count(&self, metric: Metric, now: Timestamp) {
        self.write(metric, 1, None, now);
    }

    /// One more, of a country.
    pub fn count_in(&self, metric: Metric, country: Option<Region>, now: Timestamp) {
        let country = country.map_or_else(|| "unknown".to_owned(), |region| region.to_string());
        self.write(metric, 1, Some(&country), now);
    }

    /// One more, of codes for a purpose.
    pub fn count_for(&self, metric: Metric, purpose: Purpose, now: Timestamp) {
        self.write(metric, 1, Some(purpose.as_str()), now);
    }

    /// So many, or so much.
    pub fn record(&self, metric: Metric, value: u64, now: Timestamp) {
        self.write(metric, value, None, now);
    }

    fn write(&self, metric: Metric, value: u64, told_apart_by: Option<&str>, now: Timestamp) {
        if let Some(namespace) = &self.namespace {
            (self.write)(&line(namespace, metric, value, told_apart_by, now));
        }
    }
}

fn line(
    namespace: &str,
    metric: Metric,
    value: u64,
    told_apart_by: Option<&str>,
    now: Timestamp,
) -> String {
    let dimension = metric.dimension().zip(told_apart_by);
    let plain = (metric.is_plain() || dimension.is_none()).then(Vec::new);
    let sets = plain.into_iter().chain(dimension.map(|(name, _)| vec![name]));
    let sets: Vec<_> = sets.collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": namespace,
                "Dimensions": sets,
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
