//! No function has a permission that it does not use.
//!
//! The opposite is shown by every end-to-end test: the local stack refuses calls that
//! `template.yaml` does not grant, as AWS would. The end-to-end tests also record the permissions
//! that they use, and `.ci/run` runs this test after them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use local::permission::granted;

/// Grants that no test uses, with the reason why they are needed.
const UNUSED: [(&str, &str); 6] = [
    ("auth dynamodb:PutItem keys MAC#index", MADE_FIRST),
    ("admin dynamodb:PutItem keys MAC#cursor", MADE_FIRST),
    ("kyc s3:PutObject bucket/*", PRESIGNED),
    ("admin s3:GetObject bucket/*", PRESIGNED),
    ("auth s3:GetObject bucket/*", PRESIGNED),
    (
        "kyc s3:ListBucket bucket",
        "without it S3 responds with 403 instead of 404 for a missing object",
    ),
];
const MADE_FIRST: &str = "the first function creates the key; in the tests that is another one";
const PRESIGNED: &str = "a client makes the call with a presigned URL and the signer's permission";

#[test]
#[ignore = "needs RECORD_GRANTS, the directory that the end-to-end tests wrote to"]
#[allow(
    clippy::disallowed_methods,
    reason = "the directory of the tests is not a setting of the product"
)]
fn every_grant_is_used() {
    let directory = PathBuf::from(std::env::var("RECORD_GRANTS").expect("RECORD_GRANTS"));
    let mut used = BTreeSet::new();
    for file in fs::read_dir(directory).expect("the records of the tests") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("lines");
        used.extend(text.lines().map(str::to_owned));
    }
    let granted = granted().expect("the template's permissions");
    let excepted: BTreeSet<String> = UNUSED.iter().map(|(line, _)| (*line).to_owned()).collect();
    let unused: BTreeSet<String> = granted.difference(&used).cloned().collect();
    let too_much: Vec<_> = unused.difference(&excepted).collect();
    assert!(too_much.is_empty(), "granted but not used by a test: {too_much:#?}");
    let unneeded: Vec<_> = excepted.difference(&unused).collect();
    assert!(unneeded.is_empty(), "exceptions that are not needed: {unneeded:#?}");
}
