//! Functions invoked without a gateway, with an event as it is.

use http::{HeaderMap, HeaderName};
use serde_json::Value;
use shared::http::operation::Function;

use super::{App, Response};

impl App {
    /// Calls Lambda's Invoke API of the local stack or of `cargo lambda watch`.
    pub async fn invoke(&self, function: Function, event: &Value) -> Value {
        let endpoint = if self.local_url == self.base_url { "/_local/lambda" } else { "" };
        let path = format!("{endpoint}/2015-03-31/functions/{}/invocations", function.name());
        let response = self.post(&path, event).send().await;
        assert_eq!(response.header("x-amz-function-error"), None, "{response:?}");
        response.ok().clone()
    }
}

impl Response {
    /// The response of a function to the event of a request.
    pub fn of_invocation(response: &Value) -> Self {
        let header = |name: &str, value: &Value| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.as_str().unwrap().parse().unwrap())
        };
        let members = |name: &str| response[name].as_object().cloned().unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.extend(members("headers").iter().map(|(name, value)| header(name, value)));
        for (name, values) in members("multiValueHeaders") {
            let values = values.as_array().unwrap().iter();
            for (name, value) in values.map(|value| header(&name, value)) {
                headers.append(name, value);
            }
        }
        assert_eq!(response["isBase64Encoded"], false, "{response}");
        let bytes = response["body"].as_str().unwrap_or_default().as_bytes().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        let status = response["statusCode"].as_u64().unwrap().try_into().unwrap();
        Self { status, headers, bytes, json }
    }
}
