//! A function's answer, turned back into a response.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use base64ct::{Base64, Encoding};
use serde::Deserialize;

/// Headers that API Gateway keeps for itself: a function's own are renamed.
const REMAPPED: [(HeaderName, &str); 4] = [
    (header::WWW_AUTHENTICATE, "x-amzn-Remapped-WWW-Authenticate"),
    (header::DATE, "x-amzn-Remapped-Date"),
    (header::SERVER, "x-amzn-Remapped-Server"),
    (header::CONNECTION, "x-amzn-Remapped-Connection"),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    multi_value_headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The response, or nothing where API Gateway would make none of it. That to HEAD keeps the length
/// that the function gives.
pub(super) fn to_response(answer: &str, is_head: bool) -> Option<Response> {
    let answer: Answer = serde_json::from_str(answer).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = match answer.is_base64_encoded {
        true => Base64::decode_vec(&body).ok()?,
        false => body.into_bytes(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status_code).ok()?;
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        append(headers, name, value, is_head)?;
    }
    for (name, values) in &answer.multi_value_headers {
        values.iter().try_for_each(|value| append(headers, name, value, is_head))?;
    }
    for cookie in &answer.cookies {
        headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie).ok()?);
    }
    Some(response)
}

fn append(headers: &mut HeaderMap, name: &str, value: &str, is_head: bool) -> Option<()> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    // The listener says how long the body is and how it is sent.
    if (name == header::CONTENT_LENGTH && !is_head) || name == header::TRANSFER_ENCODING {
        return Some(());
    }
    let remapped = REMAPPED.iter().find(|(kept, _)| *kept == name);
    let name = match remapped {
        Some((_, remapped)) => HeaderName::from_bytes(remapped.as_bytes()).ok()?,
        None => name,
    };
    headers.append(name, HeaderValue::from_str(value).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn cookies_repeated_headers_and_bytes_come_back() {
        let answer = json!({
            "statusCode": 201,
            "headers": {"content-type": "image/png", "www-authenticate": "Bearer"},
            "multiValueHeaders": {"x-two": ["a", "b"]},
            "cookies": ["one=1", "two=2"],
            "body": "/w==",
            "isBase64Encoded": true,
        });
        let response = to_response(&answer.to_string(), false).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let values =
            |name: &str| response.headers().get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(values("set-cookie"), ["one=1", "two=2"]);
        assert_eq!(values("x-two"), ["a", "b"]);
        assert_eq!(values("x-amzn-remapped-www-authenticate"), ["Bearer"]);
        assert!(values("www-authenticate").is_empty());
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), &b"\xff"[..]);
    }

    #[test]
    fn what_is_no_answer_makes_no_response() {
        assert!(to_response("{}", false).is_none());
        assert!(
            to_response(r#"{"statusCode":200,"body":"!","isBase64Encoded":true}"#, false).is_none()
        );
        assert!(to_response(r#"{"statusCode":99}"#, false).is_none());
    }
}
