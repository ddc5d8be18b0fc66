use std::sync::Arc;

use aws_sdk_dynamodb::{
    Client,
    config::retry::RetryConfig,
    types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem},
};

use super::super::{
    costs::{Costs, Figure, OperationCosts},
    faults::Fault,
};
use super::*;
use crate::{Options, Stack};

/// A DynamoDB with the template's tables, a metered client of it that does not retry, and the
/// faults in front.
async fn metered() -> (Stack, Client, Arc<Faults>) {
    let stack = Stack::start(Options::default()).await.unwrap();
    let faults = Arc::new(Faults::default());
    let inner = shared::runtime::aws::http_client();
    let meter = Meter::around(inner, stack.endpoints().clone(), Arc::clone(&faults));
    let sdk = super::super::sdk_config(stack.endpoints(), meter.into_client());
    let config = aws_sdk_dynamodb::config::Builder::from(&sdk);
    let config = config.retry_config(RetryConfig::disabled()).build();
    (stack, Client::from_conf(config), faults)
}

async fn cost_of(work: impl Future<Output = ()>) -> OperationCosts {
    let costs = Arc::new(Costs::default());
    Arc::clone(&costs).measure("test".to_owned(), work).await;
    costs.by_operation()["test"].clone()
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn put(client: &Client, pk: &str) {
    let put = client.put_item().table_name("local-users").item("pk", s(pk));
    put.send().await.unwrap();
}

fn put_in_transaction(pk: &str) -> TransactWriteItem {
    let put = Put::builder().table_name("local-users").item("pk", s(pk)).build().unwrap();
    TransactWriteItem::builder().put(put).build()
}

fn fault(kind: Kind, operation: &str) -> Fault {
    Fault {
        service: Service::Dynamodb,
        operation: Some(operation.to_owned()),
        kind,
        times: 1,
        after: 0,
    }
}

#[tokio::test]
async fn units_are_those_that_dynamodb_reports() {
    let (_stack, client, _) = metered().await;
    let get = |consistent| {
        let get = client.get_item().table_name("local-users").key("pk", s("a"));
        get.consistent_read(consistent).send()
    };
    let costs = cost_of(async {
        put(&client, "a").await;
        get(true).await.unwrap();
        get(false).await.unwrap();
    });
    let costs = costs.await;
    assert_eq!((costs.rru.last, costs.wru.last, costs.hops.last), (1.5, 1.0, 3));
    let costs = cost_of(async {
        let write = client.transact_write_items();
        let write = write.transact_items(put_in_transaction("b"));
        write.transact_items(put_in_transaction("c")).send().await.unwrap();
    });
    assert_eq!(costs.await.wru.last, 4.0);
    let costs = cost_of(async {
        let keys = KeysAndAttributes::builder().keys([("pk".to_owned(), s("a"))].into());
        let keys = keys.consistent_read(true).build().unwrap();
        client.batch_get_item().request_items("local-users", keys).send().await.unwrap();
    });
    assert_eq!(costs.await.rru.last, 1.0);
}

#[tokio::test]
async fn an_index_is_written_too() {
    let (_stack, client, _) = metered().await;
    let costs = cost_of(async {
        let put = client.put_item().table_name("local-users").item("pk", s("USER#1"));
        let put = put.item("user_id", s("1")).item("joined_shard", s("0"));
        put.send().await.unwrap();
    });
    assert_eq!(costs.await.wru.last, 2.0);
}

#[tokio::test]
async fn calls_side_by_side_are_one_hop() {
    let (_stack, client, _) = metered().await;
    let costs = cost_of(async {
        tokio::join!(put(&client, "a"), put(&client, "b"), put(&client, "c"));
        put(&client, "d").await;
    });
    let costs = costs.await;
    assert_eq!(costs.hops, Figure { last: 2, max: 2 });
    assert_eq!(costs.wru.last, 4.0);
}

#[tokio::test]
async fn a_throttle_is_dynamodbs_own() {
    let (_stack, client, faults) = metered().await;
    faults.add(fault(Kind::Throttle, "GetItem"));
    let get = client.get_item().table_name("local-users").key("pk", s("a"));
    let error = get.clone().send().await.unwrap_err().into_service_error();
    assert!(error.is_provisioned_throughput_exceeded_exception());
    get.send().await.unwrap();
}

#[tokio::test]
async fn a_conflict_cancels_a_transaction_with_a_reason_for_each_item() {
    let (stack, client, faults) = metered().await;
    faults.add(fault(Kind::Conflict, "TransactWriteItems"));
    let write = client.transact_write_items().transact_items(put_in_transaction("a"));
    let write = write.transact_items(put_in_transaction("b"));
    let error = write.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("{error:?}");
    };
    let codes: Vec<_> =
        cancelled.cancellation_reasons().iter().map(|reason| reason.code()).collect();
    assert_eq!(codes, [Some("TransactionConflict"), Some("None")]);
    assert_eq!(count(&stack).await, 0);
}

#[tokio::test]
async fn a_timeout_does_nothing_and_a_lost_answer_does_all() {
    let (stack, client, faults) = metered().await;
    let put = client.put_item().table_name("local-users").item("pk", s("a"));
    faults.add(fault(Kind::Timeout, "PutItem"));
    let error = put.clone().send().await.unwrap_err();
    assert!(
        matches!(&error, aws_sdk_dynamodb::error::SdkError::DispatchFailure(failure) if failure.is_timeout())
    );
    assert_eq!(count(&stack).await, 0);
    faults.add(fault(Kind::Error500, "PutItem"));
    let error = put.clone().send().await.unwrap_err().into_service_error();
    assert!(error.is_internal_server_error());
    assert_eq!(count(&stack).await, 0);
    faults.add(fault(Kind::LostResponse, "PutItem"));
    put.send().await.unwrap_err();
    assert_eq!(count(&stack).await, 1);
}

async fn count(stack: &Stack) -> i32 {
    stack.dynamodb().scan().table_name("local-users").send().await.unwrap().count()
}
