//! Words that the sources of the product must not contain.

use crate::project::{sources, without_tests};

/// The lines that are neither comments nor unit tests, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines =
        without_tests(text).lines().enumerate().map(|(at, line)| (at + 1, line.trim_start()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

#[test]
fn the_product_does_not_know_where_it_runs() {
    let words =
        ["cfg(local", "\"local\"", "is_local", "localhost", "//127.0.0.1", "dynoxide", "_local/"];
    let mut wrong = Vec::new();
    for (path, text) in ["shared/src", "functions"].into_iter().flat_map(sources) {
        let lines = code(&text).filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        wrong.extend(lines.map(|(at, line)| format!("{path}:{at}: {line}")));
    }
    assert!(
        wrong.is_empty(),
        "the product must not know that it runs locally:\n{}",
        wrong.join("\n")
    );
}
