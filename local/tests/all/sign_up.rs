//! The printed sign-up, pasted into a shell, and `--staff`.

use aws_sdk_dynamodb::types::AttributeValue;
use local::{Options, Stack, banner::Banner};
use serde_json::Value;
use tokio::process::Command;

/// Pastes the lines with `curl` into one shell and reads what the last one answered.
async fn paste(stack: &Stack, options: &Options) -> Value {
    let (base_url, endpoints) = (stack.base_url(), stack.endpoints());
    let banner = Banner { base_url, endpoints, options }.to_string();
    let lines: Vec<_> = banner.lines().filter(|line| line.contains("curl -s")).collect();
    assert_eq!(lines.len(), 3);
    let script = lines.join("\necho\n");
    let output = Command::new("bash").args(["-c", &script]).output().await.unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn the_printed_lines_sign_up_and_the_account_is_staff_at_once() {
    let staff = vec!["984-1234567".to_owned()];
    let options = Options { staff, ..Options::default() };
    let stack = Stack::start(options.clone()).await.unwrap();
    let registered = paste(&stack, &options).await;
    let user_id = registered["user_id"].as_str().unwrap_or_else(|| panic!("{registered}"));
    let s = |text: String| AttributeValue::S(text);
    let is_staff = Some(&AttributeValue::Bool(true));

    let dynamodb = stack.dynamodb();
    let account = dynamodb.get_item().table_name(stack.table_name("users"));
    let account = account.key("pk", s(format!("USER#{user_id}"))).send().await.unwrap();
    assert_eq!(account.item.unwrap().get("is_staff"), is_staff);
    let sessions = dynamodb.query().table_name(stack.table_name("sessions"));
    let sessions = sessions.key_condition_expression("user_id = :user");
    let sessions = sessions.expression_attribute_values(":user", s(user_id.to_owned()));
    let sessions = sessions.send().await.unwrap().items.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0].get("is_staff"), is_staff);
}
