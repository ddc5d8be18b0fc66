//! The stack as a whole: its tables, its data and its neighbours.

use aws_sdk_dynamodb::types::{AttributeValue, ProjectionType};
use aws_sdk_s3::{presigning::PresigningConfig, primitives::ByteStream};
use local::{Options, Stack, StartError};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn in_directory(path: &Path) -> Result<Stack, StartError> {
    Stack::start(Options { data_dir: Some(path.to_owned()), ..Options::default() }).await
}

async fn has_user(stack: &Stack, pk: &str) -> bool {
    let get = stack.dynamodb().get_item().table_name(stack.table_name("users")).key("pk", s(pk));
    get.send().await.unwrap().item.is_some()
}

async fn put_user(stack: &Stack, pk: &str) {
    let put = stack.dynamodb().put_item().table_name(stack.table_name("users")).item("pk", s(pk));
    put.send().await.unwrap();
}

#[tokio::test]
async fn the_tables_are_those_of_the_template() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let dynamodb = stack.dynamodb();
    let expiring = ["audit", "kyc", "otp", "sessions", "usage", "wallets"];
    for table in
        ["audit", "keys", "kyc", "otp", "profiles", "sessions", "usage", "users", "wallets"]
    {
        let name = stack.table_name(table);
        let ttl = dynamodb.describe_time_to_live().table_name(&name).send().await.unwrap();
        let ttl = ttl.time_to_live_description.unwrap();
        let expected = expiring.contains(&table).then_some("expires_at");
        assert_eq!(ttl.attribute_name(), expected, "{table}");
    }
    let users = dynamodb.describe_table().table_name(stack.table_name("users")).send().await;
    let users = users.unwrap().table.unwrap();
    let mut indexes = BTreeMap::new();
    for index in users.global_secondary_indexes() {
        let projection = index.projection().unwrap();
        assert_eq!(projection.projection_type(), Some(&ProjectionType::Include));
        let listed = projection.non_key_attributes().iter().map(String::as_str);
        indexes.insert(index.index_name().unwrap(), listed.collect::<BTreeSet<_>>());
    }
    let joined = [
        "username",
        "username_key",
        "email",
        "phone_number",
        "status",
        "kyc_status",
        "is_profile_complete",
        "is_staff",
        "joined_at",
        "last_login_at",
    ];
    let deletion = ["user_id", "receipt_id", "deleted_at"];
    let expected = [("by_deletion", deletion.into()), ("by_joined", joined.into())];
    assert_eq!(indexes, expected.into());
}

#[tokio::test]
async fn data_in_a_directory_outlives_the_stack() {
    let directory = tempfile::tempdir().unwrap();
    let stack = in_directory(directory.path()).await.unwrap();
    put_user(&stack, "USER#1").await;
    let s3 = aws_sdk_s3::Client::new(stack.sdk_config());
    let put = s3.put_object().bucket(stack.table_name("kyc")).key("a/b");
    put.body(ByteStream::from_static(b"bytes")).send().await.unwrap();
    let clock = format!("{}/_local/clock", stack.base_url());
    let moved = serde_json::json!({"advance_seconds": 100_000});
    let moved = reqwest::Client::new().post(clock).json(&moved).send().await.unwrap();
    let moved: serde_json::Value = moved.json().await.unwrap();
    stack.stop().await;

    let stack = in_directory(directory.path()).await.unwrap();
    assert!(has_user(&stack, "USER#1").await);
    let s3 = aws_sdk_s3::Client::new(stack.sdk_config());
    let get = s3.get_object().bucket(stack.table_name("kyc")).key("a/b").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"bytes");
    let clock = reqwest::get(format!("{}/_local/clock", stack.base_url())).await.unwrap();
    let clock: serde_json::Value = clock.json().await.unwrap();
    assert!(clock["now"].as_str() >= moved["now"].as_str());
}

#[tokio::test]
async fn a_directory_has_one_stack() {
    let directory = tempfile::tempdir().unwrap();
    let _first = in_directory(directory.path()).await.unwrap();
    let second = in_directory(directory.path()).await.unwrap_err();
    assert!(matches!(second, StartError::DataInUse(_)), "{second}");
}

#[tokio::test]
async fn stacks_side_by_side_share_nothing() {
    let one = Stack::start(Options::default()).await.unwrap();
    let two = Stack::start(Options::default()).await.unwrap();
    put_user(&one, "USER#1").await;
    assert!(has_user(&one, "USER#1").await);
    assert!(!has_user(&two, "USER#1").await);
    one.stop().await;
    assert!(!has_user(&two, "USER#1").await);
}

#[tokio::test]
async fn bad_starts_say_why() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let port = stack.base_url().rsplit(':').next().unwrap().parse().unwrap();
    let taken = Stack::start(Options { port, ..Options::default() }).await.unwrap_err();
    assert!(matches!(taken, StartError::PortInUse(taken) if taken == port), "{taken}");
    let last = Stack::start(Options { port: u16::MAX, ..Options::default() }).await.unwrap_err();
    assert!(matches!(last, StartError::NoPorts(_) | StartError::PortInUse(_)), "{last}");
    let staff = vec!["nobody".to_owned()];
    let staff = Stack::start(Options { staff, ..Options::default() }).await.unwrap_err();
    assert!(matches!(staff, StartError::Staff(_)), "{staff}");
    let settings = [("LOGIN_POLICY".to_owned(), "magic".to_owned())].into();
    let settings = Stack::start(Options { settings, ..Options::default() }).await.unwrap_err();
    assert!(matches!(settings, StartError::Settings(_)), "{settings}");
}

#[tokio::test]
async fn a_presigned_url_reaches_s3() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let s3 = aws_sdk_s3::Client::new(stack.sdk_config());
    let lifetime = PresigningConfig::expires_in(Duration::from_secs(600)).unwrap();
    let put = s3.put_object().bucket(stack.table_name("kyc")).key("front");
    let put = put.presigned(lifetime).await.unwrap();
    let sent = reqwest::Client::new().put(put.uri()).body("bytes").send().await.unwrap();
    assert!(sent.status().is_success(), "{sent:?}");
    let unsigned = put.uri().split('?').next().unwrap();
    assert_eq!(reqwest::get(unsigned).await.unwrap().status(), 403);
}
