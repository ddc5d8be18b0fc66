//! Dependencies between the packages of the workspace.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};
use shared::http::operation::Function;

use crate::project::root;

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    metadata.expect("cargo metadata").packages
}

/// The folder of a package, relative to the root.
fn folder(package: &Package) -> String {
    let folder = package.manifest_path.parent().expect("a folder").as_std_path();
    folder.strip_prefix(root()).expect("a member").to_string_lossy().replace('\\', "/")
}

fn function_names() -> BTreeSet<&'static str> {
    Function::ALL.into_iter().map(Function::name).collect()
}

/// The workspace members that a package depends on, in any kind of dependency.
fn member_dependencies(package: &Package, members: &BTreeSet<String>) -> BTreeSet<String> {
    let names = package.dependencies.iter().map(|dependency| dependency.name.clone());
    names.filter(|name| members.contains(name)).collect()
}

#[test]
fn packages_depend_only_on_allowed_packages() {
    let packages = packages();
    let members: BTreeSet<String> =
        packages.iter().map(|package| package.name.to_string()).collect();
    let functions: BTreeSet<String> = function_names().into_iter().map(str::to_owned).collect();
    for package in &packages {
        let folder = folder(package);
        let allowed: BTreeSet<String> = match folder.as_str() {
            "shared" => BTreeSet::new(),
            // The OpenAPI helpers, for development only.
            "openapi" => ["shared".to_owned()].into(),
            "local" => functions.iter().cloned().chain(["shared".to_owned()]).collect(),
            // The functions for their OpenAPI entries; tests call them through `local`.
            "tests" => members.iter().filter(|name| *name != "tests").cloned().collect(),
            _ if folder.starts_with("functions/") => {
                ["shared", "openapi"].map(str::to_owned).into()
            }
            _ => panic!("{folder} is not an expected folder"),
        };
        let used = member_dependencies(package, &members);
        let forbidden: Vec<_> = used.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{} must not depend on {forbidden:?}", package.name);
    }
}

#[test]
fn each_function_is_a_package_with_a_binary_of_the_same_name() {
    let packages = packages();
    let functions: Vec<_> =
        packages.iter().filter(|package| folder(package).starts_with("functions/")).collect();
    let names: BTreeSet<&str> = functions.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, function_names());
    for package in functions {
        assert_eq!(folder(package), format!("functions/{}", package.name));
        let is_binary = |kinds: &[TargetKind]| kinds.contains(&TargetKind::Bin);
        let binaries: Vec<_> = package
            .targets
            .iter()
            .filter(|target| is_binary(&target.kind))
            .map(|target| target.name.as_str())
            .collect();
        assert_eq!(binaries, [package.name.as_str()]);
    }
}

#[test]
fn functions_enable_only_the_features_of_shared_that_they_use() {
    for package in packages() {
        let name = package.name.to_string();
        if !function_names().contains(name.as_str()) {
            continue;
        }
        let shared = package
            .dependencies
            .iter()
            .find(|dependency| {
                dependency.name == "shared" && dependency.kind == DependencyKind::Normal
            })
            .unwrap_or_else(|| panic!("{name} does not use shared"));
        let expected: &[&str] = match name.as_str() {
            "auth" => &["password", "sms", "mail", "documents", "time-zone"],
            "kyc" => &["documents"],
            "admin" => &["documents", "time-zone"],
            "analytics" | "wallet" => &["time-zone"],
            "otp" => &["sms", "mail"],
            _ => &[],
        };
        assert_eq!(shared.features, expected, "features of shared in {name}");
    }
}

#[test]
fn no_package_can_be_published_and_every_package_uses_the_workspace_lints() {
    for package in packages() {
        assert_eq!(package.publish, Some(Vec::new()), "{} could be published", package.name);
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} does not use the workspace lints",
            package.name
        );
    }
}
