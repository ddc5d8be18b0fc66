//! The built-in set of common passwords matches the list that it is generated from.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, io::Read, path::PathBuf};

use flate2::read::GzDecoder;
use fst::{Set, SetBuilder};

use crate::project::{read, root};

fn path(extension: &str) -> PathBuf {
    root().join(format!("shared/src/sign_in/password/common-passwords.{extension}"))
}

/// The list: one password per line, sorted by bytes.
fn listed() -> Vec<String> {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path("txt.gz")).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "whether to write the file is not a setting of the product"
)]
fn the_committed_set_matches_the_generated_one() {
    let mut builder = SetBuilder::memory();
    builder.extend_iter(listed()).unwrap();
    let generated = builder.into_inner().unwrap();
    if std::env::var("UPDATE_COMMON_PASSWORDS").is_ok() {
        fs::write(path("fst"), &generated).unwrap();
    }
    let committed = fs::read(path("fst")).unwrap_or_default();
    assert!(
        committed == generated,
        "common-passwords.fst is out of date. Update it with\n\
         UPDATE_COMMON_PASSWORDS=1 cargo test -p tests --test contract common_passwords"
    );
}

#[test]
fn the_set_has_at_least_20_000_passwords_in_lower_case_and_its_documented_size() {
    let set = Set::new(fs::read(path("fst")).unwrap()).unwrap();
    set.as_fst().verify().unwrap();
    let all = set.stream().into_strs().unwrap();
    assert!(all.len() >= 20_000, "{}", all.len());
    assert!(all.iter().all(|word| *word == word.to_lowercase()));
    assert_eq!(all, listed());
    let size = format!("{} KB", set.as_fst().as_bytes().len().div_ceil(1_000));
    let documented = read("docs/architecture.md");
    assert!(documented.contains(&format!("takes {size} in the binary")), "the set takes {size}");
}
