//! What the sources may say.

use crate::project::{sources, without_tests};

/// The modules of `shared` that AWS clients may be named in, by how their paths begin.
const AWS_MODULES: [&str; 8] = [
    "shared/src/aws.rs",
    "shared/src/delivery.rs",
    "shared/src/documents.rs",
    "shared/src/lambda.rs",
    "shared/src/mail.rs",
    "shared/src/sms.rs",
    "shared/src/table.rs",
    "shared/src/table/",
];

/// The modules of `shared` that HTTP frameworks may be named in.
const HTTP_MODULES: [&str; 5] = [
    "shared/src/etag.rs",
    "shared/src/gate.rs",
    "shared/src/http.rs",
    "shared/src/lambda.rs",
    "shared/src/problem.rs",
];

fn product() -> impl Iterator<Item = (String, String)> {
    ["shared/src", "functions"].into_iter().flat_map(sources)
}

/// The lines that are neither comments nor empty nor unit tests, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines =
        without_tests(text).lines().enumerate().map(|(at, line)| (at + 1, line.trim_start()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("//"))
}

/// Whether a line names a crate or module: the word, then `::` or the end of a `use`.
fn names(line: &str, prefix: &str) -> bool {
    let mut rest = line;
    while let Some(at) = rest.find(prefix) {
        let before = rest[..at].chars().next_back();
        let after = rest[at..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        let is_start = before.is_none_or(|c| !c.is_alphanumeric() && !"_\":".contains(c));
        if is_start && (after.starts_with("::") || line.starts_with("use ")) {
            return true;
        }
        rest = &rest[at + prefix.len()..];
    }
    false
}

/// Fails with every line of `files` on which `is_wrong`.
fn refuse(
    rule: &str,
    files: impl Iterator<Item = (String, String)>,
    is_wrong: impl Fn(&str) -> bool,
) {
    let mut wrong = Vec::new();
    for (path, text) in files {
        let lines = code(&text).filter(|(_, line)| is_wrong(line));
        wrong.extend(lines.map(|(at, line)| format!("{path}:{at}: {line}")));
    }
    assert!(wrong.is_empty(), "{rule}:\n{}", wrong.join("\n"));
}

fn outside(modules: &'static [&'static str]) -> impl Iterator<Item = (String, String)> {
    let others = sources("shared/src").into_iter();
    others.filter(|(path, _)| !modules.iter().any(|module| path.starts_with(module)))
}

/// A rename would change what is stored and compared, as in fingerprints and cursors.
#[test]
fn nothing_is_made_of_debug_output() {
    let is_wrong = |line: &str| line.contains(":?}") || line.contains(":#?}");
    let files = product().filter(|(path, _)| !path.ends_with("/tests.rs"));
    refuse("Debug output is for people", files, is_wrong);
}

#[test]
fn values_and_rules_know_nothing_of_aws() {
    let is_wrong = |line: &str| names(line, "aws_") || names(line, "serde_dynamo");
    refuse("only tables, senders and set-up name AWS crates", outside(&AWS_MODULES), is_wrong);
}

#[test]
fn values_and_rules_know_nothing_of_the_web() {
    let is_wrong =
        |line: &str| names(line, "axum") || names(line, "lambda_http") || names(line, "tower");
    refuse("only the edge names HTTP frameworks", outside(&HTTP_MODULES), is_wrong);
}

#[test]
fn functions_reach_aws_through_shared_only() {
    let functions = sources("functions").into_iter();
    let is_wrong = |line: &str| names(line, "aws_") || names(line, "serde_dynamo");
    refuse("functions name no AWS crate", functions, is_wrong);
}

#[test]
fn only_config_reads_the_environment() {
    let files = product().filter(|(path, _)| path != "shared/src/config.rs");
    let is_wrong = |line: &str| {
        ["std::env", "env::var", "env!(", "option_env!("].iter().any(|word| line.contains(word))
    };
    refuse("only shared::config reads the environment", files, is_wrong);
}

#[test]
fn only_the_clock_reads_the_time_and_only_secret_draws() {
    let files = product().filter(|(path, _)| path != "shared/src/clock.rs");
    let is_wrong = |line: &str| {
        ["SystemTime", "Timestamp::now", "Zoned::now"].iter().any(|word| line.contains(word))
    };
    refuse("only shared::clock reads the time", files, is_wrong);
    let files = product().filter(|(path, _)| path != "shared/src/secret.rs");
    let is_wrong = |line: &str| ["getrandom", "rand"].iter().any(|word| names(line, word));
    refuse("only shared::secret draws", files, is_wrong);
}

#[test]
fn the_product_does_not_know_where_it_runs() {
    let words =
        ["cfg(local", "\"local\"", "is_local", "localhost", "//127.0.0.1", "dynoxide", "_local/"];
    let is_wrong = |line: &str| words.iter().any(|word| line.contains(word));
    refuse("nothing in the product knows that it runs locally", product(), is_wrong);
}

#[test]
fn every_source_says_what_it_is() {
    let all = ["shared/src", "functions", "local/src", "tests"].into_iter().flat_map(sources);
    // A file of unit tests is part of the module that it tests.
    let modules = all.filter(|(path, _)| !path.ends_with("/tests.rs"));
    let silent: Vec<_> =
        modules.filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "without a first line that says what it is: {silent:?}");
}

#[test]
fn a_line_names_a_crate_by_path_or_import() {
    assert!(names("use aws_sdk_dynamodb::Client;", "aws_"));
    assert!(names("let x = aws_types::region::Region::new();", "aws_"));
    assert!(names("use axum;", "axum"));
    assert!(!names("let quiet = [\"aws_smithy_runtime\"];", "aws_"));
    assert!(!names("use crate::laws_of::x;", "aws_"));
    assert!(!names("let taxum = 1;", "axum"));
}
