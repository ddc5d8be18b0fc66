//! A response: status, headers, JSON.

use std::fmt;

use http::HeaderMap;
use serde_json::Value;

/// The response to a request.
#[derive(Clone)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    /// Null if the body is not JSON.
    pub json: Value,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.bytes))
    }
}

impl Response {
    pub async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Self { status, headers, bytes, json }
    }

    /// A header as text; it must not be repeated.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() < 2, "{name} repeated: {values:?}");
        values.first().map(|value| value.to_str().unwrap())
    }

    /// A string member, which must exist.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_else(|| panic!("no text {name:?} in {self:?}"))
    }

    /// The `code` of a problem; empty for a success.
    pub fn code_or_none(&self) -> String {
        self.json["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body of a response with this status.
    #[track_caller]
    pub fn body(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{self:?}");
        &self.json
    }

    /// The body of a 200.
    #[track_caller]
    pub fn ok(&self) -> &Value {
        self.body(200)
    }

    /// A well-formed problem with this status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> &Value {
        self.assert_problem();
        assert_eq!((self.status, self.text("code")), (status, code), "{self:?}");
        &self.json
    }

    /// A well-formed problem: RFC 9457 with the members of this service.
    #[track_caller]
    pub fn assert_problem(&self) {
        let json = &self.json;
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(json["status"], self.status, "{self:?}");
        for member in ["type", "title", "detail", "code"] {
            assert!(!self.text(member).is_empty(), "{member} in {self:?}");
        }
        let code = self.text("code");
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(code.bytes().all(is_word), "{self:?}");
        assert!(self.text("type").ends_with(code), "one type per code: {self:?}");
        assert_eq!(Some(self.text("request_id")), self.header("x-request-id"), "{self:?}");
        let seconds = json.get("retry_after").map(|seconds| {
            let seconds = seconds.as_u64().unwrap_or_else(|| panic!("{self:?}"));
            assert!(seconds >= 1, "{self:?}");
            seconds.to_string()
        });
        assert_eq!(self.header("retry-after"), seconds.as_deref(), "{self:?}");
        assert_eq!(seconds.is_some(), [429, 503].contains(&self.status), "{self:?}");
        let challenge = self
            .header("x-amzn-remapped-www-authenticate")
            .or_else(|| self.header("www-authenticate"));
        let expected = match (self.status, code) {
            (401, "invalid_access_token" | "session_ended") => {
                Some("Bearer error=\"invalid_token\"")
            }
            (401, _) => Some("Bearer"),
            _ => None,
        };
        assert_eq!(challenge, expected, "{self:?}");
        let errors = json.get("errors").map(|errors| errors.as_array().unwrap().as_slice());
        for error in errors.unwrap_or_default() {
            for member in ["field", "code", "detail"] {
                let text = error[member].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{member} in {self:?}");
            }
        }
        let known =
            ["type", "title", "status", "detail", "code", "request_id", "errors", "retry_after"];
        let unexpected = json.as_object().unwrap().keys().find(|name| !known.contains(&&***name));
        assert_eq!(unexpected, None, "{self:?}");
        // The id is random and may contain any word.
        let text = String::from_utf8_lossy(&self.bytes).replace(self.text("request_id"), "");
        let text = text.to_lowercase();
        for inside in ["dynamodb", "local-", "table", "aws", "sqlite", "panicked", ".rs", "sns"] {
            assert!(!text.contains(inside), "{inside:?} in {self:?}");
        }
    }

    /// The `retry_after` of a 429 or 503.
    #[track_caller]
    pub fn retry_after(&self) -> u32 {
        self.assert_problem();
        let seconds = self.json["retry_after"].as_u64().unwrap_or_else(|| panic!("{self:?}"));
        seconds.try_into().unwrap()
    }

    /// The fields in `errors`, sorted.
    #[track_caller]
    pub fn fields(&self) -> Vec<&str> {
        self.assert_problem();
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut fields: Vec<_> =
            errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
        fields.sort_unstable();
        fields
    }

    /// A 400 `validation_failed` that names exactly these fields.
    #[track_caller]
    pub fn refuses(&self, fields: &[&str]) {
        self.problem(400, "validation_failed");
        let mut expected = fields.to_vec();
        expected.sort_unstable();
        assert_eq!(self.fields(), expected, "{self:?}");
    }

    /// The response without its request id and date. Responses that must be indistinguishable are
    /// equal in this form.
    pub fn comparable(&self) -> (u16, Vec<(String, String)>, String) {
        let id = self.header("x-request-id").unwrap_or_default();
        let own = ["x-request-id", "apigw-requestid", "date"];
        let headers = self.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        let body = String::from_utf8_lossy(&self.bytes).replace(id, "REQUEST_ID");
        (self.status, headers, body)
    }
}
