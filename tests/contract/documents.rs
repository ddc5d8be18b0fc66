//! The documents name everything that the code has.

use std::collections::BTreeSet;

use local::tables::Table;
use shared::http::{operation, problem::Code};

use crate::project::{quoted, read, section, sources, table_rows, without_tests};

#[test]
fn every_problem_code_is_documented_with_its_status() {
    let api = read("docs/api.md");
    let rows = table_rows(section(&api, "### Problem codes"));
    let documented: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (quoted(row[0]).expect("a code").to_owned(), row[1].to_owned()))
        .collect();
    let codes: BTreeSet<(String, String)> = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), code.status().as_u16().to_string()))
        .collect();
    assert_eq!(documented, codes);
}

#[test]
fn every_operation_is_documented() {
    let api = read("docs/api.md");
    let headings = api.lines().filter_map(|line| quoted(line.strip_prefix("### ")?));
    let documented: BTreeSet<String> = headings.map(str::to_owned).collect();
    let operations: BTreeSet<String> =
        operation::ALL.iter().map(operation::Operation::route_key).collect();
    assert_eq!(documented, operations);
}

#[test]
fn every_field_code_is_documented() {
    let api = read("docs/api.md");
    let documented = section(&api, "### Field codes");
    for (path, text) in ["shared/src", "functions"].into_iter().flat_map(sources) {
        let function = path.strip_prefix("functions/").and_then(|rest| rest.split('/').next());
        let serves = |name| operation::ALL.iter().any(|known| known.function.name() == name);
        let is_idle = function.is_some_and(|name| !serves(name));
        if is_idle {
            continue;
        }
        for after in without_tests(&text).split("code: \"").skip(1) {
            let code = after.split('"').next().unwrap_or_default();
            let is_known = documented.contains(&format!("`{code}`"))
                || Code::ALL.iter().any(|known| known.as_str() == code);
            assert!(is_known, "{code} of {path} is not in docs/api.md");
        }
    }
}

#[test]
fn every_table_is_described_with_its_keys() {
    let architecture = read("docs/architecture.md");
    let rows = table_rows(section(&architecture, "## Tables"));
    let described: BTreeSet<&str> = rows.iter().filter_map(|row| quoted(row[0])).collect();
    let tables = Table::all().expect("the template");
    let names: BTreeSet<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(described, names);
    for table in &tables {
        let row = rows.iter().find(|row| quoted(row[0]) == Some(&table.name)).expect("a row");
        let keys: Vec<&str> = row[1].split(", ").filter_map(quoted).collect();
        assert_eq!(keys, key_names(&table.name), "keys of {}", table.name);
    }
}

/// The key attributes of a table, as `template.yaml` has them.
fn key_names(table: &str) -> Vec<String> {
    let template = read("template.yaml");
    let name = format!("TableName: !Sub \"${{AWS::StackName}}-{table}\"");
    let (_, properties) = template.split_once(&name).expect("the table");
    let (_, schema) = properties.split_once("KeySchema:\n").expect("a key schema");
    let keys = schema.lines().map_while(|line| {
        line.trim().strip_prefix("- { AttributeName: ")?.split(',').next().map(str::to_owned)
    });
    keys.collect()
}

#[test]
fn links_between_documents_resolve() {
    let at_root = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let mut documents: Vec<String> = at_root.map(str::to_owned).into();
    for folder in ["docs", "docs/adr"] {
        let entries = std::fs::read_dir(crate::project::root().join(folder)).expect("documents");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        let markdown = names.filter(|name| name.ends_with(".md"));
        documents.extend(markdown.map(|name| format!("{folder}/{name}")));
    }
    for document in documents {
        let text = read(&document);
        let folder = crate::project::root().join(&document);
        let folder = folder.parent().expect("a folder");
        for after in text.split("](").skip(1) {
            let link = after.split([')', '#']).next().unwrap_or_default();
            let is_elsewhere = link.is_empty() || link.contains("://");
            assert!(is_elsewhere || folder.join(link).exists(), "{document}: {link}");
        }
    }
}
