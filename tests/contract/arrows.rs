//! Who may know whom.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};
use shared::http::operation::Function;

use crate::project::root;

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    metadata.expect("cargo metadata").packages
}

/// The folder of a package, from the root.
fn folder(package: &Package) -> String {
    let folder = package.manifest_path.parent().expect("a folder").as_std_path();
    folder.strip_prefix(root()).expect("a member").to_string_lossy().replace('\\', "/")
}

fn function_names() -> BTreeSet<&'static str> {
    Function::ALL.into_iter().map(Function::name).collect()
}

/// The members of the workspace that a package names, for whatever purpose.
fn known_to(package: &Package, members: &BTreeSet<String>) -> BTreeSet<String> {
    let names = package.dependencies.iter().map(|dependency| dependency.name.clone());
    names.filter(|name| members.contains(name)).collect()
}

#[test]
fn packages_know_only_whom_they_may() {
    let packages = packages();
    let members: BTreeSet<String> =
        packages.iter().map(|package| package.name.to_string()).collect();
    let functions: BTreeSet<String> = function_names().into_iter().map(str::to_owned).collect();
    for package in &packages {
        let folder = folder(package);
        let may: BTreeSet<String> = match folder.as_str() {
            "shared" => BTreeSet::new(),
            "local" => functions.iter().cloned().chain(["shared".to_owned()]).collect(),
            // Functions for what they say of themselves; they are driven through `local`.
            "tests" => members.iter().filter(|name| *name != "tests").cloned().collect(),
            _ if folder.starts_with("functions/") => ["shared".to_owned()].into(),
            _ => panic!("{folder} has no place in the workspace"),
        };
        let knows = known_to(package, &members);
        let too_many: Vec<_> = knows.difference(&may).collect();
        assert!(too_many.is_empty(), "{} must not know {too_many:?}", package.name);
    }
}

#[test]
fn each_function_is_a_package_and_a_binary_of_its_name() {
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
fn functions_ask_for_no_more_of_shared_than_they_use() {
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
fn nothing_is_published_and_every_package_takes_the_lints() {
    for package in packages() {
        assert_eq!(package.publish, Some(Vec::new()), "{} could be published", package.name);
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{} has no lints", package.name);
    }
}
