//! Functions, alarms and the dashboard use the same metric names.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::Value;
use shared::{runtime::metrics::Metric, value::Purpose};

use super::{list, reference, resources, tagged, template, text};
use crate::project::{read, section, table_rows};

/// The metrics of the stack's own namespace that alarms watch.
fn watched(template: &Value) -> BTreeSet<String> {
    let mut watched = BTreeSet::new();
    for alarm in resources(template, "AWS::CloudWatch::Alarm").values() {
        for metric in metrics(alarm) {
            if reference(&metric["Namespace"]).as_deref() == Some("AWS::StackName") {
                watched.insert(text(&metric["MetricName"]));
            }
        }
    }
    watched
}

fn dashboard(template: &Value) -> serde_json::Value {
    let body = &template["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
    let body = text(tagged(body, "Sub").expect("!Sub"));
    // The only placeholder outside of a string.
    let body = body.replace("${SmsMonthlyBudgetUsd}", "100");
    serde_json::from_str(&body).expect("the dashboard is JSON")
}

/// The metrics of the stack's own namespace that the dashboard shows, each with its dimension.
fn shown(dashboard: &serde_json::Value) -> BTreeSet<(String, Option<String>)> {
    const OWN: &str = "${AWS::StackName}";
    let mut shown = BTreeSet::new();
    for widget in dashboard["widgets"].as_array().expect("widgets") {
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            if metric[0] == OWN {
                let dimension = metric[2].as_str().map(str::to_owned);
                if dimension.is_some() {
                    let purpose = metric[3].as_str().expect("a value");
                    assert!(Purpose::parse(purpose).is_ok(), "{metric}");
                }
                shown.insert((metric[1].as_str().expect("a name").to_owned(), dimension));
            }
            let search = metric[0]["expression"].as_str().unwrap_or_default();
            if let Some((_, by)) = search.split_once(&format!("{{\"{OWN}\",")) {
                let (dimension, rest) = by.split_once("} MetricName=\"").expect("a name");
                let name = rest.split('"').next().unwrap_or_default();
                shown.insert((name.to_owned(), Some(dimension.to_owned())));
            }
        }
    }
    shown
}

#[test]
fn alarms_watch_metrics_that_functions_write() {
    // An alarm without a dimension does not see metrics that have one.
    let plain = Metric::ALL.iter().filter(|metric| metric.has_total());
    let plain: BTreeSet<_> = plain.map(|metric| metric.name().to_owned()).collect();
    let watched = watched(&template());
    assert!(watched.is_subset(&plain), "{watched:?}");
    for name in [
        "OtpRequested",
        "OtpVerified",
        "RefreshTheft",
        "SmsCeilingReached",
        "SmsUsedOfDay",
        "SweepFailed",
    ] {
        assert!(watched.contains(name), "no alarm watches {name}");
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    let written = Metric::ALL.iter().flat_map(|metric| {
        let plain = metric.has_total().then_some(None);
        let dimension = metric.dimension().map(|it| Some(it.to_owned()));
        plain.into_iter().chain(dimension).map(|it| (metric.name().to_owned(), it))
    });
    assert_eq!(shown(&dashboard(&template())), written.collect());
}

/// The `metrics` of the widget with this title.
fn widget(title: &str) -> serde_json::Value {
    let dashboard = dashboard(&template());
    let mut widgets = dashboard["widgets"].as_array().expect("widgets").iter();
    let found = widgets.find(|widget| widget["properties"]["title"] == title);
    found.unwrap_or_else(|| panic!("no widget {title}"))["properties"]["metrics"].clone()
}

#[test]
fn the_sign_up_funnel_counts_registration_codes_only() {
    let funnel = widget("Sign-up funnel");
    let funnel = funnel.as_array().expect("metrics").iter();
    let parts = funnel.map(|it| [&it[1], &it[2], &it[3]].map(|part| part.as_str().unwrap_or("")));
    let codes = |name| [name, "Purpose", Purpose::Register.as_str()];
    let expected = [codes("OtpRequested"), codes("OtpVerified"), ["Registered", "", ""]];
    assert_eq!(parts.collect::<Vec<_>>(), expected);
}

/// A quoted search term matches whole values only, so a prefix in quotes finds nothing.
#[test]
fn the_dashboard_searches_for_whole_names() {
    let body = dashboard(&template()).to_string();
    let searches = body.split("SEARCH(").skip(1).map(|it| it.split("',").next().unwrap_or(it));
    let mut terms = 0;
    for term in searches.flat_map(|search| search.split("\\\"").skip(1).step_by(2)) {
        assert!(!term.ends_with('-'), "{term} is a prefix");
        terms += 1;
    }
    assert!(terms >= 6, "only {terms} terms were found");
}

/// DynamoDB's own metrics have the table name as a dimension.
#[test]
fn the_dashboard_searches_dynamodb_by_the_names_of_all_tables() {
    let tables = resources(&template(), "AWS::DynamoDB::Table");
    let names = tables.keys().map(|name| format!("\"${{{name}}}\""));
    let expected: BTreeSet<String> = names.collect();
    for title in ["DynamoDB: throttled", "DynamoDB: faults of its own"] {
        for metric in widget(title).as_array().expect("metrics") {
            let search = metric[0]["expression"].as_str().expect("a search");
            let (_, names) = search.split_once("TableName=(").expect("names");
            let names = names.split(')').next().unwrap_or_default();
            let named: BTreeSet<String> = names.split(" OR ").map(str::to_owned).collect();
            assert_eq!(named, expected, "{title}");
        }
    }
}

#[test]
fn the_dashboard_shows_every_alarm() {
    let template = template();
    let dashboard = dashboard(&template);
    let widgets = dashboard["widgets"].as_array().expect("widgets").iter();
    let shown = widgets.flat_map(|widget| widget["properties"]["alarms"].as_array());
    let shown: BTreeSet<String> =
        shown.flatten().map(|arn| arn.as_str().expect("an ARN").to_owned()).collect();
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    let expected = alarms.keys().map(|name| format!("${{{name}.Arn}}")).collect();
    assert_eq!(shown, expected);
}

#[test]
fn every_alarm_is_described_and_notifies_the_topic() {
    let runbook = read("docs/runbook.md");
    let rows = table_rows(section(&runbook, "## Alarms")).into_iter();
    let rows: Vec<String> = rows.map(|row| row[0].to_owned()).collect();
    for (name, alarm) in resources(&template(), "AWS::CloudWatch::Alarm") {
        let properties = &alarm["Properties"];
        assert!(properties["AlarmDescription"].is_string(), "{name} has no description");
        let full = text(tagged(&properties["AlarmName"], "Sub").expect("!Sub"));
        let short = full.strip_prefix("${AWS::StackName}-").expect("the stack's name").to_owned();
        assert!(
            rows.iter().any(|row| row.contains(&format!("`{short}`"))),
            "{short} is not in the runbook"
        );
        let actions = list(&properties["AlarmActions"]);
        assert_eq!(
            actions.iter().filter_map(reference).collect::<Vec<_>>(),
            ["AlarmTopic"],
            "{name}"
        );
    }
}

/// The metrics that an alarm watches, with their dimensions.
fn metrics(alarm: &Value) -> Vec<Value> {
    let properties = &alarm["Properties"];
    let several = list(&properties["Metrics"]);
    let several = several.iter().map(|query| query["MetricStat"]["Metric"].clone());
    let several: Vec<_> = several.filter(|metric| !metric.is_null()).collect();
    if several.is_empty() { vec![properties.clone()] } else { several }
}

fn alarms() -> BTreeMap<String, Value> {
    resources(&template(), "AWS::CloudWatch::Alarm")
}

#[test]
fn an_alarm_has_at_most_ten_metrics_and_the_cost_estimate_counts_all() {
    let counts: Vec<usize> = alarms().values().map(|alarm| metrics(alarm).len()).collect();
    assert!(counts.iter().all(|count| *count <= 10), "{counts:?}");
    let written = Metric::ALL.iter().map(|metric| {
        let with_dimension = match metric.dimension() {
            Some("Purpose") => Purpose::ALL.len(),
            Some("Country") => 1,
            other => return usize::from(other.is_none()),
        };
        with_dimension + usize::from(metric.has_total())
    });
    let (alarms, own): (usize, usize) = (counts.iter().sum(), written.sum());
    let line = format!("two KMS keys, {alarms} alarm metrics, {own} metrics, a dashboard");
    assert!(read("docs/runbook.md").contains(&line), "the cost estimate must say: {line}");
}

/// An attack on registrations and an outage at low traffic must raise an alarm.
#[test]
fn alarms_fire_at_low_traffic() {
    let alarms = alarms();
    let of = |name: &str| alarms[name]["Properties"].clone();
    let ceiling = of("SmsCeilingReachedAlarm");
    assert_eq!(text(&ceiling["MetricName"]), "SmsCeilingReached");
    assert_eq!((&ceiling["Threshold"], text(&ceiling["Statistic"])), (&1.into(), "Sum".into()));
    let errors = of("ServerErrorsAlarm");
    let value = list(&errors["Metrics"]).into_iter().find(|it| it["Id"].as_str() == Some("value"));
    let expression = text(&value.expect("a value")["Expression"]);
    assert_eq!(expression, "IF(errors >= 5, 100 * errors / requests, 0)");
    for metric in list(&errors["Metrics"]).iter().map(|it| &it["MetricStat"]) {
        assert!(metric.is_null() || metric["Period"].as_u64() == Some(300), "{metric:?}");
    }
    assert_eq!(errors["EvaluationPeriods"], 1);
}

#[test]
fn a_missing_cleanup_run_raises_an_alarm() {
    let missing = &alarms()["SweepMissingAlarm"]["Properties"];
    let values = ["MetricName", "Statistic", "TreatMissingData", "ComparisonOperator"];
    let values = values.map(|name| text(&missing[name]));
    assert_eq!(values, ["SweepFailed", "SampleCount", "breaching", "LessThanThreshold"]);
    let schedule = text(&template()["Parameters"]["SweepSchedule"]["Default"]);
    let minutes = schedule.strip_prefix("rate(").and_then(|it| it.strip_suffix(" minutes)"));
    let minutes: u64 = minutes.expect("a rate").parse().expect("minutes");
    assert!(missing["Period"].as_u64().expect("a period") >= 2 * 60 * minutes);
}

/// `DeleteItem` is used for cleanup only, which is repeated after a failure.
const NOT_WATCHED: [&str; 1] = ["DeleteItem"];

#[test]
fn dynamodb_errors_are_watched_for_every_operation_in_use() {
    let dimension = |metric: &Value, wanted: &str| {
        let all = list(&metric["Dimensions"]);
        let found = all.iter().find(|it| it["Name"].as_str() == Some(wanted))?;
        Some(reference(&found["Value"]).unwrap_or_else(|| text(&found["Value"])))
    };
    let watched = |names: &[&str], by: &str| {
        let all = alarms();
        let all = all.values().flat_map(metrics);
        let named = all.filter(|it| names.contains(&it["MetricName"].as_str().unwrap_or("")));
        let pairs = named.filter_map(|it| {
            let (table, other) = (dimension(&it, "TableName")?, dimension(&it, by)?);
            Some((table, other, text(&it["MetricName"])))
        });
        pairs.collect::<BTreeSet<_>>()
    };
    let mut called = BTreeSet::new();
    for (action, table) in super::permission::tables_by_action() {
        // Items are put in transactions only.
        let operation = if action == "PutItem" { "TransactWriteItems" } else { &action };
        let is_watched = !NOT_WATCHED.contains(&operation) && action != "ConditionCheckItem";
        if is_watched {
            called.insert((table, operation.to_owned(), "SystemErrors".to_owned()));
        }
    }
    assert_eq!(watched(&["SystemErrors"], "Operation"), called);

    let throttles = ["ReadThrottleEvents", "WriteThrottleEvents"];
    let mut indexes = BTreeSet::new();
    for (name, table) in resources(&template(), "AWS::DynamoDB::Table") {
        for index in list(&table["Properties"]["GlobalSecondaryIndexes"]) {
            let index = text(&index["IndexName"]);
            indexes.extend(throttles.map(|it| (name.clone(), index.clone(), it.to_owned())));
        }
    }
    assert_eq!(watched(&throttles, "GlobalSecondaryIndexName"), indexes);
}

/// Metric lines have no level, which counts as INFO.
#[test]
fn the_log_level_keeps_metric_lines() {
    let template = template();
    let logging = &template["Globals"]["Function"]["LoggingConfig"];
    let level = tagged(&logging["ApplicationLogLevel"], "If").expect("it depends on LogLevel");
    let levels = list(level).iter().map(text).collect::<Vec<_>>();
    assert_eq!(
        (text(&logging["LogFormat"]), &*levels),
        ("JSON".to_owned(), &LEVELS.map(str::to_owned)[..])
    );
    for (name, function) in super::functions(&template) {
        let own = function["Properties"]["LoggingConfig"].as_mapping().expect("a log group").len();
        assert_eq!(own, 1, "{name} must set only the log group");
    }
}
const LEVELS: [&str; 3] = ["LogsDebug", "DEBUG", "INFO"];

#[test]
fn deployments_roll_back_on_existing_alarms() {
    let template = template();
    let deployment = &template["Globals"]["Function"]["DeploymentPreference"];
    let named = |value: &Value| tagged(value, "Sub").map(text);
    let alarms = resources(&template, "AWS::CloudWatch::Alarm").into_values();
    let known: BTreeSet<_> = alarms.map(|it| named(&it["Properties"]["AlarmName"])).collect();
    let choice = tagged(&deployment["Alarms"], "If").map(list).expect("it depends on the type");
    assert_eq!(text(&choice[0]), "RollsOut");
    let rolling = list(&choice[1]);
    assert!(!rolling.is_empty(), "no alarm rolls a deployment back");
    for alarm in &rolling {
        assert!(known.contains(&named(alarm)), "{alarm:?} is not the name of an alarm");
    }
    // CodeDeploy starts no deployment while one of its alarms is active, not even the fix.
    let without = list(&choice[2]).iter().map(reference).collect::<Vec<_>>();
    assert_eq!(without, [Some("AWS::NoValue".to_owned())]);
    let rolls_out = template["Conditions"]["RollsOut"].clone();
    let equal = tagged(&rolls_out, "Not").map(|it| list(it).remove(0)).expect("!Not");
    let compared = tagged(&equal, "Equals").map(list).expect("!Equals");
    assert_eq!(reference(&compared[0]).as_deref(), Some("DeploymentType"));
    assert_eq!(text(&compared[1]), "AllAtOnce");
}
