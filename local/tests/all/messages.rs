//! SNS and SES accept what AWS accepts and refuse what AWS refuses, asked by the real SDK.

use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use aws_sdk_sns::{
    error::ProvideErrorMetadata,
    operation::publish::{PublishError, builders::PublishFluentBuilder},
    types::MessageAttributeValue,
};
use local::{Options, Stack};
use serde_json::Value;

const PHONE: &str = "+9779841234567";

async fn stack() -> Stack {
    Stack::start(Options::default()).await.unwrap()
}

async fn messages(stack: &Stack, query: &str) -> Vec<Value> {
    let url = format!("{}/_local/messages{query}", stack.base_url());
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

fn attribute(data_type: &str, value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder().data_type(data_type).string_value(value);
    attribute.build().unwrap()
}

async fn refused(publish: PublishFluentBuilder) -> (String, String) {
    let error: PublishError = publish.send().await.unwrap_err().into_service_error();
    (error.code().unwrap().to_owned(), error.message().unwrap().to_owned())
}

#[tokio::test]
async fn an_sms_is_kept_with_its_code() {
    let stack = stack().await;
    let sns = aws_sdk_sns::Client::new(stack.sdk_config());
    let publish = sns.publish().phone_number(PHONE).message("048213 is your code <&>.");
    let publish = publish
        .message_attributes("AWS.SNS.SMS.SMSType", attribute("String", "Transactional"))
        .message_attributes("AWS.SNS.SMS.SenderID", attribute("String", "Rental"))
        .message_attributes("AWS.SNS.SMS.MaxPrice", attribute("Number", "0.20"));
    assert!(publish.send().await.unwrap().message_id().is_some());
    sns.publish().phone_number("+9779851000000").message("Hello").send().await.unwrap();

    let sent = messages(&stack, "?to=+9779841234567").await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["channel"], "sms");
    assert_eq!(sent[0]["to"], PHONE);
    assert_eq!(sent[0]["body"], "048213 is your code <&>.");
    assert_eq!(sent[0]["code"], "048213");
    assert!(sent[0]["sent_at"].as_str().unwrap().ends_with('Z'));
    let all = messages(&stack, "").await;
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["code"], Value::Null);
}

#[tokio::test]
async fn sns_refuses_a_bad_target() {
    let stack = stack().await;
    let sns = aws_sdk_sns::Client::new(stack.sdk_config());
    let topic = "arn:aws:sns:us-east-1:000000000000:topic";
    let (code, message) = refused(sns.publish().phone_number("9841234567").message("a")).await;
    assert_eq!(code, "InvalidParameter");
    assert_eq!(
        message,
        "Invalid parameter: PhoneNumber Reason: 9841234567 is not valid to publish to"
    );
    let both = sns.publish().phone_number(PHONE).topic_arn(topic).message("a");
    assert_eq!(refused(both).await.0, "InvalidParameter");
    let arns = sns.publish().target_arn(topic).topic_arn(topic).message("a");
    assert_eq!(refused(arns).await.0, "InvalidParameter");
    let (code, message) = refused(sns.publish().message("a")).await;
    assert_eq!(code, "InvalidParameter");
    assert_eq!(
        message,
        "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter"
    );
    assert_eq!(refused(sns.publish().topic_arn(topic).message("a")).await.0, "NotFound");
    assert_eq!(refused(sns.publish().topic_arn("topic").message("a")).await.0, "InvalidParameter");
    assert!(messages(&stack, "").await.is_empty());
}

#[tokio::test]
async fn sns_refuses_a_bad_message() {
    let stack = stack().await;
    let sns = aws_sdk_sns::Client::new(stack.sdk_config());
    let publish = || sns.publish().phone_number(PHONE);
    let (code, message) = refused(publish().message("")).await;
    assert_eq!((&*code, &*message), ("InvalidParameter", "Invalid parameter: Empty message"));
    assert_eq!(refused(publish()).await.0, "ValidationError");
    publish().message("x".repeat(1_600)).send().await.unwrap();
    let (code, message) = refused(publish().message("x".repeat(1_601))).await;
    assert_eq!((&*code, &*message), ("InvalidParameter", "Invalid parameter: Message too long"));
}

#[tokio::test]
async fn sns_refuses_bad_attributes() {
    let stack = stack().await;
    let sns = aws_sdk_sns::Client::new(stack.sdk_config());
    let bad = [
        ("AWS.SNS.SMS.SMSType", "String", "transactional"),
        ("AWS.SNS.SMS.SMSType", "Number", "1"),
        ("AWS.SNS.SMS.SenderID", "String", "TwelveLetter"),
        ("AWS.SNS.SMS.SenderID", "String", "12345"),
        ("AWS.SNS.SMS.SenderID", "String", "a b"),
        ("AWS.SNS.SMS.MaxPrice", "Number", "cheap"),
        ("AWS.SNS.SMS.MaxPrice", "String", "0.2"),
        ("AWS.SNS.SMS.SenderId", "String", "Rental"),
        ("AWS.Other", "String", "a"),
        ("name.", "String", "a"),
        ("na me", "String", "a"),
        ("name", "Text", "a"),
        ("name", "String", ""),
    ];
    for (name, data_type, value) in bad {
        let publish = sns.publish().phone_number(PHONE).message("a");
        let publish = publish.message_attributes(name, attribute(data_type, value));
        let (code, message) = refused(publish).await;
        let refusals = ["InvalidParameter", "ParameterValueInvalid"];
        assert!(refusals.contains(&&*code), "{name} {data_type} {value}: {code} {message}");
    }
    assert!(messages(&stack, "").await.is_empty());
}

#[tokio::test]
async fn sns_has_no_other_action() {
    let stack = stack().await;
    let sns = aws_sdk_sns::Client::new(stack.sdk_config());
    let error = sns.list_topics().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidAction"));
}

fn simple(subject: &str, text: &str) -> EmailContent {
    let content = |data: &str| Content::builder().data(data).build().unwrap();
    let body = Body::builder().text(content(text)).build();
    let message = Message::builder().subject(content(subject)).body(body).build();
    EmailContent::builder().simple(message).build()
}

fn to(addresses: &[&str]) -> Destination {
    let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    Destination::builder().set_to_addresses(Some(addresses)).build()
}

#[tokio::test]
async fn an_email_is_kept_for_each_recipient() {
    let stack = stack().await;
    let ses = aws_sdk_sesv2::Client::new(stack.sdk_config());
    let send = ses.send_email().from_email_address("Rental <no-reply@local.example>");
    let send = send.destination(to(&["Sita@Example.com", "Ram <ram@example.com>"]));
    let sent = send.content(simple("Your code", "123456 is your code.")).send().await.unwrap();
    assert!(sent.message_id().is_some());
    let kept = messages(&stack, "?to=sita@example.com").await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["channel"], "email");
    assert_eq!(kept[0]["code"], "123456");
    assert_eq!(messages(&stack, "?to=RAM@example.com").await.len(), 1);
}

#[tokio::test]
async fn ses_refuses_bad_requests() {
    let stack = stack().await;
    let ses = aws_sdk_sesv2::Client::new(stack.sdk_config());
    let good = || {
        let send = ses.send_email().from_email_address("no-reply@local.example");
        send.destination(to(&["sita@example.com"])).content(simple("Subject", "Body"))
    };
    let crowd: Vec<String> = (0..51).map(|number| format!("p{number}@example.com")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let bad = [
        good().set_from_email_address(None),
        good().from_email_address("nobody"),
        good().from_email_address("nobody@"),
        good().set_destination(None),
        good().destination(to(&[])),
        good().destination(to(&["si ta@example.com"])),
        good().destination(to(&["sita"])),
        good().destination(to(&crowd)),
        good().reply_to_addresses("sita"),
        good().content(simple("", "Body")),
        good().content(simple("Subject", "")),
        good().content(EmailContent::builder().build()),
    ];
    for send in bad {
        let input = format!("{:?}", send.as_input());
        let error = send.send().await.unwrap_err().into_service_error();
        assert!(error.is_bad_request_exception(), "{input}: {error:?}");
    }
    assert!(messages(&stack, "").await.is_empty());
    good().destination(to(&crowd[..50])).send().await.unwrap();
    assert_eq!(messages(&stack, "").await.len(), 50);
}
