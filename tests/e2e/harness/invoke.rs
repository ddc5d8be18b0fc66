//! Functions invoked without a gateway, with an event as it is.

use http::{HeaderMap, HeaderName};
use serde_json::Value;
use shared::http::operation::Function;

use super::{Answer, App};

impl App {
    /// Calls Lambda's Invoke API of the local stack or of `cargo lambda watch`.
    pub async fn invoke(&self, function: Function, event: &Value) -> Value {
        let endpoint = if self.local_url == self.base_url { "/_local/lambda" } else { "" };
        let path = format!("{endpoint}/2015-03-31/functions/{}/invocations", function.name());
        let answer = self.post(&path, event).send().await;
        assert_eq!(answer.header("x-amz-function-error"), None, "{answer:?}");
        answer.ok().clone()
    }
}

impl Answer {
    /// The response of a function to the event of a request.
    pub fn of_function(answer: &Value) -> Self {
        let header = |name: &str, value: &Value| {
            let name: HeaderName = name.parse().unwrap();
            (name, value.as_str().unwrap().parse().unwrap())
        };
        let members = |name: &str| answer[name].as_object().cloned().unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.extend(members("headers").iter().map(|(name, value)| header(name, value)));
        for (name, values) in members("multiValueHeaders") {
            let values = values.as_array().unwrap().iter();
            for (name, value) in values.map(|value| header(&name, value)) {
                headers.append(name, value);
            }
        }
        assert_eq!(answer["isBase64Encoded"], false, "{answer}");
        let bytes = answer["body"].as_str().unwrap_or_default().as_bytes().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        let status = answer["statusCode"].as_u64().unwrap().try_into().unwrap();
        Self { status, headers, bytes, json }
    }
}
