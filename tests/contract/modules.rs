//! The module graph of `shared`, the functions and `local`: no import circles, no domain below the
//! plumbing, no AWS crate in pure rules.
//!
//! The graph is built from the parsed sources. An import counts as an import of the file that
//! defines the item, also through a re-export. A module that re-exports its children does not import
//! them. Unit tests are not part of the graph.

mod graph;
mod source;

use std::{collections::BTreeSet, sync::LazyLock};

use shared::http::operation::Function;

use self::graph::Graph;
use crate::project::root;

static GRAPH: LazyLock<Graph> = LazyLock::new(|| {
    let names = Function::ALL.map(Function::name);
    let functions = names.map(|name| (name, format!("functions/{name}")));
    let others = ["shared", "openapi", "local"].map(|name| (name, name.to_owned()));
    let crates: Vec<_> = others.into_iter().chain(functions).collect();
    Graph::new(&root(), &crates)
});

/// The folders of `shared` that have no domain in them.
const PLUMBING: [&str; 6] = ["crypto", "dynamodb", "http", "openapi", "runtime", "value"];

/// The folders of `shared` that must not know a domain.
const WITHOUT_DOMAIN: [&str; 3] = ["crypto", "dynamodb", "value"];

/// Pure rules besides every `rules.rs` and the folder `value`: state and time go in, a decision comes
/// out.
const PURE: [&str; 14] = [
    "functions/analytics/src/series.rs",
    "functions/analytics/src/tally.rs",
    "functions/kyc/src/count.rs",
    "shared/src/crypto/canonical.rs",
    "shared/src/crypto/secret.rs",
    "shared/src/http/etag.rs",
    "shared/src/http/fields.rs",
    "shared/src/http/operation.rs",
    "shared/src/kyc/document.rs",
    "shared/src/session/rotation.rs",
    "shared/src/sign_in/password.rs",
    "shared/src/sign_in/password/strength.rs",
    "shared/src/sign_in/throttle.rs",
    "shared/src/wallet/ledger.rs",
];

/// The violations that are left, by the file they begin in. Remove a file from a list when it is put
/// in order; add none.
const KNOWN_CIRCLES: [&str; 22] = [
    "functions/admin/src/openapi.rs",
    "functions/admin/src/openapi/",
    "functions/auth/src/credential.rs",
    "functions/auth/src/login.rs",
    "functions/auth/src/sign_in.rs",
    "functions/auth/src/refused.rs",
    "functions/otp/src/handlers.rs",
    "functions/otp/src/request.rs",
    "functions/otp/src/verify.rs",
    "local/src/control",
    "local/src/data.rs",
    "local/src/gateway",
    "local/src/listener.rs",
    "local/src/service/sns",
    "local/src/stack.rs",
    "local/src/aws",
    "shared/src/account/",
    "shared/src/openapi/",
    "shared/src/session/",
    "shared/src/dynamodb/",
    "shared/src/sign_in/password",
    "shared/src/value/context.rs",
];
const KNOWN_DOMAIN_IMPORTS: [&str; 2] =
    ["shared/src/crypto/keyring.rs", "shared/src/crypto/lookup.rs"];
const KNOWN_IMPURE_RULES: [&str; 2] =
    ["functions/analytics/src/tally.rs", "functions/kyc/src/rules.rs"];

/// The violations that begin in none of the known files.
fn unknown(known: &[&str], violations: Vec<String>) -> Vec<String> {
    let is_known = |violation: &String| known.iter().any(|file| violation.starts_with(file));
    violations.into_iter().filter(|violation| !is_known(violation)).collect()
}

/// The AWS crates: the SDK, Lambda, and the items of DynamoDB.
fn is_aws(path: &str) -> bool {
    let name = crate_of(path);
    name.starts_with("aws_") || name.starts_with("lambda_") || name == "serde_dynamo"
}

/// The web frameworks.
fn is_web(path: &str) -> bool {
    ["axum", "axum_extra", "lambda_http", "tower", "tower_http"].contains(&crate_of(path))
}

fn crate_of(path: &str) -> &str {
    path.split("::").next().unwrap_or_default()
}

/// The folder of `shared/src` that a file is in.
fn folder(file: &str) -> Option<&str> {
    file.strip_prefix("shared/src/")?.split_once('/').map(|(folder, _)| folder)
}

fn is_domain(file: &str) -> bool {
    folder(file).is_some_and(|folder| !PLUMBING.contains(&folder))
}

fn is_product(file: &str) -> bool {
    file.starts_with("shared/") || file.starts_with("functions/")
}

fn pure_files() -> BTreeSet<&'static str> {
    let by_name = GRAPH.files().filter(|file| {
        file.ends_with("/rules.rs") || folder(file).is_some_and(|folder| folder == "value")
    });
    by_name.chain(PURE).collect()
}

/// Fails with all violations at once.
fn assert_none(rule: &str, violations: &[String]) {
    assert!(
        violations.is_empty(),
        "{rule}. {} violations:\n\n{}\n",
        violations.len(),
        violations.join("\n\n")
    );
}

/// The external paths that `is_wrong`, in the files of the product for which `is_allowed` is false.
fn external_violations(
    is_allowed: impl Fn(&str) -> bool,
    is_wrong: impl Fn(&str) -> bool,
) -> Vec<String> {
    let files = GRAPH.files().filter(|file| is_product(file));
    let (allowed, others): (Vec<_>, Vec<_>) = files.partition(|file| is_allowed(file));
    let is_found = allowed.iter().any(|file| GRAPH.externals(file).any(&is_wrong));
    assert!(is_found, "the rule finds nothing where it allows something");
    let wrong = others.into_iter().flat_map(|file| {
        let paths = GRAPH.externals(file).filter(|path| is_wrong(path));
        paths.map(move |path| format!("{file} uses {path}"))
    });
    wrong.collect()
}

/// The graph finds what the rules below rely on.
#[test]
fn the_graph_follows_reexports_macros_attributes_and_inline_paths() {
    let fixture = root().join("tests/contract/modules/fixture");
    let graph = Graph::new(&fixture, &[("shared", "shared".to_owned())]);
    let imports = |file: &str| -> Vec<String> {
        let file = format!("shared/src/{file}.rs");
        let imports = graph.imports(&file);
        imports.map(|file| file["shared/src/".len()..].replace(".rs", "")).collect()
    };
    assert_eq!(imports("lib"), [""; 0]);
    assert_eq!(imports("domain/mod"), [""; 0], "a re-export is not an import");
    assert_eq!(imports("domain/items"), ["value"]);
    assert_eq!(imports("domain/rules"), ["domain/items", "value"], "by super and by an attribute");
    assert_eq!(imports("by_reexport"), ["domain/rules"]);
    assert_eq!(imports("by_glob"), ["domain/items"], "an item that a macro defines");
    assert_eq!(imports("by_alias"), ["domain/rules"]);
    assert_eq!(imports("by_inline_path"), ["domain/items", "value"], "one is in a macro call");
    let externals: Vec<_> = graph.externals("shared/src/domain/items.rs").collect();
    assert!(externals.contains(&"serde_dynamo::Item::new"), "{externals:?}");
    assert!(!externals.iter().any(|path| path.starts_with("proptest")), "{externals:?}");
    let circles = graph.circles();
    let circle = ["circle/one", "circle/two", "circle/one"];
    assert_eq!(circles, [circle.map(|file| format!("shared/src/{file}.rs"))]);
    let shown = "shared/src/circle/one.rs\n    -> shared/src/circle/two.rs (super::two::Two)\n    \
                 -> shared/src/circle/one.rs (crate::circle::One)";
    assert_eq!(graph.show(&circles[0]), shown);
}

#[test]
fn no_file_is_in_an_import_circle() {
    let circles: Vec<_> = GRAPH.circles().iter().map(|circle| GRAPH.show(circle)).collect();
    assert_none("imports form no circle", &unknown(&KNOWN_CIRCLES, circles));
}

#[test]
fn plumbing_imports_no_domain() {
    let mut violations = Vec::new();
    for file in GRAPH.files() {
        if !folder(file).is_some_and(|folder| WITHOUT_DOMAIN.contains(&folder)) {
            continue;
        }
        // Files of the same folders are checked on their own.
        let is_open =
            |file: &str| folder(file).is_none_or(|folder| !WITHOUT_DOMAIN.contains(&folder));
        for next in GRAPH.imports(file).filter(|next| is_open(next)) {
            if let Some(way) = GRAPH.way(next, is_open, is_domain) {
                let whole: Vec<_> = [file].into_iter().chain(way).collect();
                violations.push(GRAPH.show(&whole));
            }
        }
    }
    let violations = unknown(&KNOWN_DOMAIN_IMPORTS, violations);
    assert_none("value, crypto and dynamodb import no domain", &violations);
}

#[test]
fn pure_rules_reach_no_aws_crate() {
    let has_aws = |file: &str| GRAPH.externals(file).any(is_aws);
    let mut violations = Vec::new();
    for file in pure_files() {
        assert!(GRAPH.files().any(|known| known == file), "{file} does not exist");
        let own = GRAPH.externals(file).filter(|path| is_aws(path));
        violations.extend(own.map(|path| format!("{file} uses {path}")));
        for next in GRAPH.imports(file) {
            if let Some(way) = GRAPH.way(next, |_| true, has_aws) {
                let whole: Vec<_> = [file].into_iter().chain(way).collect();
                let last = whole[whole.len() - 1];
                let path = GRAPH.externals(last).find(|path| is_aws(path)).unwrap_or_default();
                violations.push(format!("{}\n    uses {path}", GRAPH.show(&whole)));
            }
        }
    }
    let violations = unknown(&KNOWN_IMPURE_RULES, violations);
    assert_none("pure rules reach no AWS crate, directly or through other files", &violations);
}

/// The edge and the rules name no AWS crate themselves. Tables, senders and the start of a function
/// do.
#[test]
fn only_tables_senders_and_the_runtime_name_aws_crates() {
    let without_aws = [
        "functions/",
        "shared/src/crypto/jwt.rs",
        "shared/src/crypto/keyring.rs",
        "shared/src/crypto/lookup.rs",
        "shared/src/deletion/delete.rs",
        "shared/src/http/",
        "shared/src/openapi/",
        "shared/src/runtime/clock.rs",
        "shared/src/runtime/config.rs",
        "shared/src/runtime/log.rs",
        "shared/src/runtime/metrics.rs",
        "shared/src/session/access_token.rs",
        "shared/src/session/authentication.rs",
        "shared/src/session/refresh_token.rs",
        "shared/src/user/view.rs",
    ];
    let is_allowed = |file: &str| {
        let is_pure = pure_files().contains(file);
        !is_pure && !without_aws.iter().any(|start| file.starts_with(start))
    };
    let is_wrong = |path: &str| is_aws(path) && !crate_of(path).starts_with("lambda_");
    let violations = external_violations(is_allowed, is_wrong);
    assert_none("only tables, senders and the runtime name AWS crates", &violations);
}

#[test]
fn only_the_edge_of_shared_names_web_frameworks() {
    let edge = [
        "functions/",
        "shared/src/http/",
        "shared/src/runtime/lambda.rs",
        "shared/src/session/authentication.rs",
    ];
    let is_allowed = |file: &str| edge.iter().any(|start| file.starts_with(start));
    let violations = external_violations(is_allowed, is_web);
    assert_none("only the edge of shared names web frameworks", &violations);
}

#[test]
fn functions_import_only_shared_and_shared_imports_no_sibling() {
    let mut violations = Vec::new();
    for file in GRAPH.files().filter(|file| is_product(file)) {
        let allowed: &[&str] = match file.strip_prefix("functions/") {
            // `main.rs` names the library of its own function.
            Some(rest) => &["shared", "openapi", rest.split('/').next().unwrap_or_default()],
            None => &["shared"],
        };
        let others = GRAPH.crates(file).filter(|name| !allowed.contains(name));
        violations.extend(others.map(|name| format!("{file} names {name}")));
    }
    assert_none("functions import only shared, and shared imports no sibling", &violations);
}

#[test]
fn only_the_configuration_reads_the_environment() {
    let is_allowed = |file: &str| file == "shared/src/runtime/config.rs";
    let is_wrong =
        |path: &str| path.starts_with("std::env") || ["env", "option_env"].contains(&path);
    let violations = external_violations(is_allowed, is_wrong);
    assert_none("only shared::runtime::config reads the environment", &violations);
}

#[test]
fn only_the_clock_reads_the_time() {
    let is_allowed = |file: &str| file == "shared/src/runtime/clock.rs";
    let is_wrong = |path: &str| {
        let names: Vec<_> = path.split("::").collect();
        names.contains(&"SystemTime")
            || path.ends_with("Timestamp::now")
            || path.ends_with("Zoned::now")
    };
    let violations = external_violations(is_allowed, is_wrong);
    assert_none("only shared::runtime::clock reads the time", &violations);
}

#[test]
fn only_secret_draws_random_numbers() {
    let is_allowed = |file: &str| file == "shared/src/crypto/secret.rs";
    let is_wrong = |path: &str| ["getrandom", "rand"].contains(&crate_of(path));
    let violations = external_violations(is_allowed, is_wrong);
    assert_none("only shared::crypto::secret draws random numbers", &violations);
}
