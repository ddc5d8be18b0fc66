//! How all documented query strings are read.

use shared::{
    http::problem::{Code, Problem},
    openapi::{OperationDoc, QueryDoc},
};
use tests::openapi::operations;

use super::{
    body::context,
    text::{BAD_DATES, BAD_TIMES, GOOD_TIMES},
};

/// A documented query, with a valid value of every parameter.
struct Sample {
    name: String,
    doc: QueryDoc,
    good: Vec<(String, String)>,
}

fn samples() -> Vec<Sample> {
    let with_query = operations().into_iter().filter_map(|operation: OperationDoc| {
        let good = operation.query_parameters().map(|parameter| {
            let name = parameter["name"].as_str().unwrap();
            (name.to_owned(), good(name, &parameter["schema"]))
        });
        let good = good.collect();
        Some(Sample { name: operation.operation.route_key(), doc: operation.query?, good })
    });
    with_query.collect()
}

/// A valid value of a parameter, by its schema.
fn good(name: &str, schema: &serde_json::Value) -> String {
    let choices = schema["pattern"].as_str().and_then(|pattern| pattern.strip_prefix("^("));
    let choice = choices.and_then(|choices| choices.split(['|', ')']).next());
    let text = match (schema["format"].as_str(), schema["type"].as_str(), name) {
        _ if choice.is_some() => choice.unwrap(),
        (Some("date-time"), ..) => "2026-01-01T00:00:00Z",
        (Some("date"), ..) => "2026-01-01",
        (Some("uuid"), ..) => "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11",
        (_, Some("integer"), _) => "7",
        (_, Some("boolean"), _) => "true",
        (.., "email") => "sita@example.com",
        (.., "phone_number") => "9841234567",
        (.., "action") => "registered",
        _ => "sita.rai",
    };
    text.to_owned()
}

impl Sample {
    fn read(&self, pairs: &[(String, String)]) -> Result<(), Problem> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        (self.doc.read)(&query.finish(), context())
    }

    /// The code of the problem and the code of each field, sorted by field.
    fn problem(&self, pairs: &[(String, String)]) -> Option<(Code, Vec<(String, &'static str)>)> {
        let problem = self.read(pairs).err()?;
        let errors = problem.errors().iter();
        let mut errors: Vec<_> =
            errors.map(|error| (error.field.to_string(), error.code)).collect();
        errors.sort();
        Some((problem.code(), errors))
    }

    fn with(&self, name: &str, value: &str) -> Vec<(String, String)> {
        let mut pairs = self.without(name);
        pairs.push((name.to_owned(), value.to_owned()));
        pairs
    }

    fn without(&self, name: &str) -> Vec<(String, String)> {
        self.good.iter().filter(|(other, _)| other != name).cloned().collect()
    }

    /// The error code of one parameter; `None` if it is accepted.
    fn code(&self, name: &str, value: &str) -> Option<&'static str> {
        let (code, errors) = self.problem(&self.with(name, value))?;
        assert_eq!(code, Code::ValidationFailed, "{} {name}={value}", self.name);
        let error = errors.into_iter().find(|(field, _)| field == name);
        Some(error.unwrap_or_else(|| panic!("{} does not name {name}={value}", self.name)).1)
    }
}

fn list_names() -> Vec<String> {
    samples().into_iter().filter(|sample| sample.doc.is_list).map(|sample| sample.name).collect()
}

#[test]
fn every_operation_with_a_cursor_is_a_list() {
    let samples = samples();
    let paged =
        samples.iter().filter(|sample| sample.good.iter().any(|(name, _)| name == "cursor"));
    let paged: Vec<_> = paged.map(|sample| sample.name.clone()).collect();
    assert_eq!((paged.len(), &paged), (4, &list_names()));
}

#[test]
fn valid_values_are_accepted_and_whitespace_around_them_is_ignored() {
    for sample in samples() {
        assert_eq!(sample.problem(&sample.good), None, "{}", sample.name);
        for (name, good) in &sample.good {
            let spaced = sample.with(name, &format!(" \u{3000}{good}\t\r\n"));
            assert_eq!(sample.problem(&spaced), None, "{} {name}", sample.name);
        }
    }
}

#[test]
fn an_empty_parameter_counts_as_absent() {
    for sample in samples() {
        for (name, _) in &sample.good {
            let absent = sample.problem(&sample.without(name));
            for empty in ["", " ", "\u{a0}\t"] {
                assert_eq!(
                    sample.problem(&sample.with(name, empty)),
                    absent,
                    "{} {name}",
                    sample.name
                );
            }
        }
        let all = sample.good.iter().map(|(name, _)| (name.clone(), String::new()));
        assert_eq!(
            sample.problem(&all.collect::<Vec<_>>()),
            sample.problem(&[]),
            "{}",
            sample.name
        );
    }
}

#[test]
fn a_repeated_parameter_is_refused() {
    for sample in samples() {
        for (name, good) in &sample.good {
            for second in [good.as_str(), "another"] {
                let mut twice = sample.good.clone();
                twice.push((name.clone(), second.to_owned()));
                let expected = (Code::ValidationFailed, vec![(name.clone(), "repeated")]);
                assert_eq!(sample.problem(&twice), Some(expected), "{} {name}", sample.name);
            }
        }
    }
}

#[test]
fn a_list_names_every_unknown_parameter() {
    for sample in samples() {
        let known = sample.good.iter().map(|(name, _)| name.as_str());
        let cased: Vec<_> = known.map(|name| (name.to_uppercase(), "x".to_owned())).collect();
        let mistyped = [("stauts", "BANNED"), ("limit ", "5"), ("", "x"), ("status[]", "x")];
        let mistyped = mistyped.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for unknown in cased.iter().chain(&mistyped) {
            let mut pairs = sample.good.clone();
            pairs.push(unknown.clone());
            let refused = (Code::UnknownParameter, vec![(unknown.0.clone(), "unknown_parameter")]);
            let expected = sample.doc.is_list.then_some(refused);
            assert_eq!(sample.problem(&pairs), expected, "{} {unknown:?}", sample.name);
        }
        if sample.doc.is_list {
            let mut pairs = sample.with("limit", "0");
            pairs.push(("stauts".to_owned(), "BANNED".to_owned()));
            let errors = [("limit", "too_small"), ("stauts", "unknown_parameter")];
            let errors = errors.map(|(field, code)| (field.to_owned(), code)).to_vec();
            assert_eq!(sample.problem(&pairs), Some((Code::UnknownParameter, errors)));
        }
    }
}

#[test]
fn each_bound_of_a_limit_has_its_own_code() {
    for sample in samples().into_iter().filter(|sample| sample.doc.is_list) {
        for (value, code) in [
            ("1", None),
            ("100", None),
            ("0", Some("too_small")),
            ("-1", Some("too_small")),
            ("101", Some("too_large")),
            ("99999999999999999999", Some("too_large")),
            ("ten", Some("invalid_limit")),
            ("1.5", Some("invalid_limit")),
        ] {
            assert_eq!(sample.code("limit", value), code, "{} {value}", sample.name);
        }
    }
}

#[test]
fn only_times_and_dates_of_rfc_3339_are_accepted() {
    let mut seen = 0;
    for operation in operations() {
        let Some(doc) = operation.query else { continue };
        for parameter in operation.query_parameters() {
            let (good, bad, code) = match parameter["schema"]["format"].as_str() {
                Some("date-time") => (&GOOD_TIMES[..], &BAD_TIMES[..], "invalid_time"),
                Some("date") => (&["2026-01-01"][..], &BAD_DATES[..], "invalid_date"),
                _ => continue,
            };
            seen += 1;
            let name = parameter["name"].as_str().unwrap();
            let code_of = |value: &str| {
                let mut query = form_urlencoded::Serializer::new(String::new());
                let problem =
                    (doc.read)(&query.append_pair(name, value).finish(), context()).err()?;
                let error = problem.errors().iter().find(|error| error.field == name);
                error.map(|error| error.code)
            };
            for good in good {
                assert_eq!(code_of(good), None, "{name} {good}");
            }
            for bad in bad {
                assert_eq!(code_of(bad), Some(code), "{name} {bad}");
            }
        }
    }
    assert!(seen >= 6, "{seen}");
}
