//! Metrics have one set of names: what functions write, alarms watch and the dashboard shows.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;
use shared::metrics::Metric;

use super::{list, reference, resources, tagged, template, text};

/// The metrics of the stack's own namespace that alarms watch.
fn watched(template: &Value) -> BTreeSet<String> {
    let mut watched = BTreeSet::new();
    for alarm in resources(template, "AWS::CloudWatch::Alarm").into_values() {
        let properties = &alarm["Properties"];
        let several = list(&properties["Metrics"]);
        let several = several.iter().map(|query| query["MetricStat"]["Metric"].clone());
        for metric in several.chain([properties.clone()]) {
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
    // The one value that is not in a string.
    let body = body.replace("${SmsMonthlyBudgetUsd}", "100");
    serde_json::from_str(&body).expect("the dashboard is JSON")
}

/// The metrics of the stack's own namespace that the dashboard shows, each by what it is told apart.
fn shown(dashboard: &serde_json::Value) -> BTreeSet<(String, Option<String>)> {
    const OWN: &str = "${AWS::StackName}";
    let mut shown = BTreeSet::new();
    for widget in dashboard["widgets"].as_array().expect("widgets") {
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            if metric[0] == OWN {
                shown.insert((metric[1].as_str().expect("a name").to_owned(), None));
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
fn alarms_watch_metrics_that_are_written() {
    // An alarm names no dimension, so it sees nothing of a metric that has one.
    let plain = Metric::ALL.iter().filter(|metric| metric.dimension().is_none());
    let plain: BTreeSet<_> = plain.map(|metric| metric.name().to_owned()).collect();
    let watched = watched(&template());
    assert!(watched.is_subset(&plain), "{watched:?}");
    for name in ["OtpRequested", "OtpVerified", "RefreshTheft", "SmsUsedOfDay", "SweepFailed"] {
        assert!(watched.contains(name), "no alarm watches {name}");
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    let written = Metric::ALL.iter().map(|metric| {
        let dimension = metric.dimension().map(str::to_owned);
        (metric.name().to_owned(), dimension)
    });
    assert_eq!(shown(&dashboard(&template())), written.collect());
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
fn every_alarm_tells_somebody_what_to_look_at() {
    for (name, alarm) in resources(&template(), "AWS::CloudWatch::Alarm") {
        let properties = &alarm["Properties"];
        assert!(properties["AlarmDescription"].is_string(), "{name} does not say what it means");
        let told = list(&properties["AlarmActions"]);
        assert_eq!(told.iter().filter_map(reference).collect::<Vec<_>>(), ["AlarmTopic"], "{name}");
    }
}

#[test]
fn deployments_are_rolled_back_by_alarms_that_exist() {
    let template = template();
    let deployment = &template["Globals"]["Function"]["DeploymentPreference"];
    let named = |value: &Value| tagged(value, "Sub").map(text);
    let alarms = resources(&template, "AWS::CloudWatch::Alarm").into_values();
    let known: BTreeSet<_> = alarms.map(|it| named(&it["Properties"]["AlarmName"])).collect();
    let rolling = list(&deployment["Alarms"]);
    assert!(!rolling.is_empty(), "nothing rolls a deployment back");
    for alarm in &rolling {
        assert!(known.contains(&named(alarm)), "{alarm:?} is no alarm's name");
    }
}
