//! A request as API Gateway's payload format 2.0 has it.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use axum::http::{HeaderMap, header, request::Parts};
use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use url::Url;

use super::Refusal;
use crate::random;

/// The header by which a test speaks from another address. The functions never see it.
const SOURCE_IP_HEADER: &str = "x-local-source-ip";
pub(super) const ACCOUNT_ID: &str = "000000000000";
const API_ID: &str = "local";

/// Where a request comes from: the peer, or what [`SOURCE_IP_HEADER`] says, which is taken away.
pub(super) fn source_ip(parts: &mut Parts, peer: SocketAddr) -> Result<IpAddr, Refusal> {
    match parts.headers.remove(SOURCE_IP_HEADER) {
        None => Ok(peer.ip()),
        Some(text) => {
            let address = text.to_str().ok().and_then(|text| text.trim().parse().ok());
            address.ok_or(Refusal::BAD_REQUEST)
        }
    }
}

/// A request that has been read.
pub(super) struct Incoming<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: &'a [u8],
    pub(super) source_ip: IpAddr,
    /// Whose signature the route's authorization found.
    pub(super) identity: Option<Value>,
    pub(super) request_id: &'a str,
    pub(super) now: Timestamp,
}

impl Incoming<'_> {
    /// The event, for the route of this key and template.
    pub(super) fn to_json(&self, key: &str, template: Option<&str>) -> Result<String, Refusal> {
        let path = raw_path(self.parts.uri.path());
        let query = self.parts.uri.query().unwrap_or("");
        let mut event = json!({
            "version": "2.0",
            "routeKey": key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": self.headers(&path)?,
            "requestContext": self.context(key, &path),
            "isBase64Encoded": false,
        });
        if let Some(identity) = &self.identity {
            event["requestContext"]["authorizer"] = json!({ "iam": identity });
        }
        let cookies = cookies(&self.parts.headers);
        if !cookies.is_empty() {
            event["cookies"] = cookies.into();
        }
        if !query.is_empty() {
            event["queryStringParameters"] = query_parameters(query).into();
        }
        let parameters = path_parameters(template.unwrap_or(""), self.parts.uri.path());
        if !parameters.is_empty() {
            event["pathParameters"] = parameters.into();
        }
        if !self.body.is_empty() {
            let (body, encoded) = self.body();
            event["body"] = body.into();
            event["isBase64Encoded"] = encoded.into();
        }
        Ok(event.to_string())
    }

    fn context(&self, key: &str, path: &str) -> Value {
        let user_agent = self.parts.headers.get(header::USER_AGENT);
        let host = self.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or("localhost");
        json!({
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": host,
            "domainPrefix": host.split('.').next(),
            "http": {
                "method": self.parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", self.parts.version),
                "sourceIp": self.source_ip.to_string(),
                "userAgent": user_agent.and_then(|agent| agent.to_str().ok()).unwrap_or(""),
            },
            "requestId": self.request_id,
            "routeKey": key,
            "stage": "$default",
            "time": self.now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": self.now.as_millisecond(),
        })
    }

    /// Lower-case names, repeated values joined, cookies apart, and what the gateway adds.
    ///
    /// Refused is what a deployed request cannot hold (its `Host` is the API's) or what
    /// `lambda_http` cannot read.
    fn headers(&self, path: &str) -> Result<Map<String, Value>, Refusal> {
        let mut headers = Map::new();
        for name in self.parts.headers.keys().filter(|name| **name != header::COOKIE) {
            let values = self.parts.headers.get_all(name).iter();
            let values: Result<Vec<_>, _> = values.map(|value| value.to_str()).collect();
            let value = values.map_err(|_| Refusal::BAD_REQUEST)?.join(",");
            headers.insert(name.as_str().to_owned(), value.into());
        }
        let host = headers.get("host").and_then(Value::as_str).unwrap_or("localhost").to_owned();
        if !path.starts_with('/') || Url::parse(&format!("https://{host}{path}")).is_err() {
            return Err(Refusal::BAD_REQUEST);
        }
        let source_ip = self.source_ip.to_string();
        let forwarded = match headers.get("x-forwarded-for").and_then(Value::as_str) {
            Some(before) => format!("{before}, {source_ip}"),
            None => source_ip,
        };
        let trace_id = format!(
            "Root=1-{:08x}-{}",
            u32::try_from(self.now.as_second()).unwrap_or(0),
            random::hex::<12>()
        );
        headers.insert("host".to_owned(), host.into());
        headers.insert("x-forwarded-for".to_owned(), forwarded.into());
        headers.insert("x-forwarded-port".to_owned(), "443".into());
        headers.insert("x-forwarded-proto".to_owned(), "https".into());
        headers.insert("x-amzn-trace-id".to_owned(), trace_id.into());
        headers.remove("transfer-encoding");
        headers.insert("content-length".to_owned(), self.body.len().to_string().into());
        Ok(headers)
    }

    /// The body, and whether it is in base64: what is not text by its type or its bytes.
    fn body(&self) -> (String, bool) {
        let content_type = self.parts.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or("text");
        match std::str::from_utf8(self.body) {
            Ok(text) if is_text(content_type) => (text.to_owned(), false),
            _ => (Base64::encode_string(self.body), true),
        }
    }
}

fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence.starts_with("text")
        || ["application/json", "application/javascript", "application/xml"].contains(&&*essence)
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}

/// HTTP APIs decode the path, and cut it where a decoded `?` comes to stand.
fn raw_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded.split('?').next().unwrap_or("").to_owned()
}

/// All cookie headers' cookies, one by one.
fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::COOKIE).iter();
    let cookies = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    cookies.map(str::trim).filter(|cookie| !cookie.is_empty()).map(str::to_owned).collect()
}

fn query_parameters(query: &str) -> Map<String, Value> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    parameters.into_iter().map(|(name, value)| (name, value.into())).collect()
}

fn path_parameters(template: &str, path: &str) -> Map<String, Value> {
    let pairs = template.split('/').zip(path.split('/'));
    let named = pairs.filter_map(|(expected, segment)| {
        let name = expected.strip_prefix('{')?.strip_suffix('}')?;
        Some((name.to_owned(), percent_decode_str(segment).decode_utf8_lossy().into()))
    });
    named.collect()
}

#[cfg(test)]
mod tests;
