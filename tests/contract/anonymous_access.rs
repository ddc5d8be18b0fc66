//! Every operation that requires a caller refuses anonymous requests.

use local::{Options, Stack};
use shared::http::operation::{self, Caller};
use tests::{UNKNOWN_ID, path_of};

#[tokio::test]
async fn every_protected_operation_refuses_anonymous_callers() {
    let stack = Stack::start(Options::default()).await.expect("a stack");
    let client = reqwest::Client::new();
    let mut refused = 0;
    for operation in operation::ALL {
        let expected = match operation.caller {
            Caller::Anyone => continue,
            Caller::User | Caller::Staff => 401,
            Caller::Service => 403,
        };
        for authorization in
            [None, Some("Bearer x"), Some("Bearer e30.e30.e30"), Some("Basic eDp5")]
        {
            let url = format!("{}{}", stack.base_url(), path_of(operation, UNKNOWN_ID));
            let mut request = client.request(operation.method.clone(), url).body("{}");
            request = request.header("content-type", "application/json");
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let status = request.send().await.expect("an answer").status();
            assert_eq!(status, expected, "{} {authorization:?}", operation.route_key());
            refused += 1;
        }
    }
    assert!(refused > 0);
    stack.stop().await;
}
