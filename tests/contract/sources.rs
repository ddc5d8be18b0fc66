//! Text that the sources of the product must not contain.

use crate::project::{sources, without_tests};

/// The lines that are neither comments nor unit tests, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines =
        without_tests(text).lines().enumerate().map(|(at, line)| (at + 1, line.trim_start()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

/// Fails with every line of the product on which `is_wrong`.
fn assert_none(rule: &str, is_wrong: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    let files = ["shared/src", "functions"].into_iter().flat_map(sources);
    for (path, text) in files.filter(|(path, _)| !path.ends_with("/tests.rs")) {
        let lines = code(&text).filter(|(_, line)| is_wrong(line));
        wrong.extend(lines.map(|(at, line)| format!("{path}:{at}: {line}")));
    }
    assert!(wrong.is_empty(), "{rule}:\n{}", wrong.join("\n"));
}

#[test]
fn the_product_does_not_know_where_it_runs() {
    let words =
        ["cfg(local", "\"local\"", "is_local", "localhost", "//127.0.0.1", "dynoxide", "_local/"];
    let is_wrong = |line: &str| words.iter().any(|word| line.contains(word));
    assert_none("the product must not know that it runs locally", is_wrong);
}

/// Renaming a type or a field changes its `Debug` output, and with it everything that was stored
/// before, such as fingerprints and cursors.
#[test]
fn the_product_does_not_use_debug_output() {
    let is_wrong = |line: &str| line.contains(":?}") || line.contains(":#?}");
    assert_none("Debug output is for people, not for stored or compared bytes", is_wrong);
}
