//! No function may do more than it does.
//!
//! That none does more than it may is shown by every end-to-end test: the local stack answers what
//! `template.yaml` does not grant as AWS would. They also note what they use of it, and the gate
//! runs this after them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use local::permission::granted;

/// Grants that no test uses, and why they are needed.
const UNUSED: [(&str, &str); 6] = [
    ("auth dynamodb:PutItem keys MAC#index", MADE_FIRST),
    ("admin dynamodb:PutItem keys MAC#cursor", MADE_FIRST),
    ("kyc s3:PutObject bucket/*", PRESIGNED),
    ("admin s3:GetObject bucket/*", PRESIGNED),
    ("auth s3:GetObject bucket/*", PRESIGNED),
    ("kyc s3:ListBucket bucket", "S3 answers 403, not 404, for what is not there without it"),
];
const MADE_FIRST: &str = "a key is made by whichever function comes first; here that is another";
const PRESIGNED: &str = "the call is made by whoever has the URL, with the right of who signed it";

#[test]
#[ignore = "needs RECORD_GRANTS, the directory that the end-to-end tests wrote to"]
#[allow(clippy::disallowed_methods, reason = "where the tests wrote is not the product's setting")]
fn every_grant_is_used() {
    let directory = PathBuf::from(std::env::var("RECORD_GRANTS").expect("RECORD_GRANTS"));
    let mut used = BTreeSet::new();
    for file in fs::read_dir(directory).expect("what the tests recorded") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("lines");
        used.extend(text.lines().map(str::to_owned));
    }
    let granted = granted().expect("the template's permissions");
    let excepted: BTreeSet<String> = UNUSED.iter().map(|(line, _)| (*line).to_owned()).collect();
    let unused: BTreeSet<String> = granted.difference(&used).cloned().collect();
    let too_much: Vec<_> = unused.difference(&excepted).collect();
    assert!(too_much.is_empty(), "granted, and used by no test: {too_much:#?}");
    let without_need: Vec<_> = excepted.difference(&unused).collect();
    assert!(without_need.is_empty(), "excepted without need: {without_need:#?}");
}
