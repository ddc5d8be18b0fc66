//! `AWS_IAM` authorization: AWS Signature Version 4 in the `Authorization` header, checked by
//! signing the request again as its header says it was signed.
//!
//! The service is `execute-api`, and there is one identity, whose key and secret are both `local`.
//! Signatures are of the wall clock's time.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use axum::http::{HeaderMap, header, request::Parts};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::aws::{CREDENTIAL, REGION};

const SERVICE: &str = "execute-api";
/// How far the date of a signature may be from the present, seconds.
const MAX_SKEW_SECONDS: i64 = 5 * 60;

/// The identity of a request that is signed by it, as the event shows it.
pub(super) fn identity(parts: &Parts, body: &[u8], now: Timestamp) -> Option<Value> {
    let claimed = Claimed::read(&parts.headers)?;
    let at = claimed.signed_at(&parts.headers, now)?;
    let expected = claimed.sign_again(parts, body, at)?;
    let is_equal = bool::from(expected.as_bytes().ct_eq(claimed.signature.as_bytes()));
    is_equal.then(|| {
        json!({
            "accessKey": CREDENTIAL,
            "accountId": super::event::ACCOUNT_ID,
            "callerId": "AIDALOCAL",
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": format!("arn:aws:iam::{}:user/local", super::event::ACCOUNT_ID),
            "userId": "AIDALOCAL",
        })
    })
}

/// What an `Authorization` header claims.
struct Claimed<'a> {
    date: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Claimed<'a> {
    fn read(headers: &'a HeaderMap) -> Option<Self> {
        let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let fields = text.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = field("Credential")?.split('/');
        let key = scope.next()?;
        let date = scope.next()?;
        let rest: Vec<_> = scope.collect();
        let signed_headers: Vec<_> = field("SignedHeaders")?.split(';').collect();
        let is_ours = key == CREDENTIAL && rest == [REGION, SERVICE, "aws4_request"];
        let needed = ["host", "x-amz-date"].iter().all(|name| signed_headers.contains(name));
        let signature = field("Signature")?;
        (is_ours && needed).then_some(Self { date, signed_headers, signature })
    }

    /// The time of the signature, if it is of the day of its scope and near `now`.
    fn signed_at(&self, headers: &HeaderMap, now: Timestamp) -> Option<SystemTime> {
        let text = headers.get("x-amz-date")?.to_str().ok()?;
        let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
        let at = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let is_near = (at.as_second() - now.as_second()).abs() <= MAX_SKEW_SECONDS;
        (is_near && text.starts_with(self.date) && self.date.len() == 8).then(|| at.into())
    }

    /// The signature of the request as it has come, over the headers that were signed.
    fn sign_again(&self, parts: &Parts, body: &[u8], at: SystemTime) -> Option<String> {
        let identity: Identity =
            Credentials::new(CREDENTIAL, CREDENTIAL, None, None, "local").into();
        let mut settings = SigningSettings::default();
        // Those of the request are signed, no fewer and no more.
        settings.excluded_headers = None;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(SERVICE)
            .time(at)
            .settings(settings)
            .build()
            .ok()?;
        let mut headers = Vec::new();
        // The signer adds the date itself.
        for name in self.signed_headers.iter().filter(|name| **name != "x-amz-date") {
            for value in parts.headers.get_all(*name) {
                headers.push((*name, value.to_str().ok()?));
            }
        }
        let host = parts.headers.get(header::HOST)?.to_str().ok()?;
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let uri = format!("http://{host}{target}");
        let body = SignableBody::Bytes(body);
        let request =
            SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), body).ok()?;
        Some(sign(request, &parameters.into()).ok()?.into_parts().1)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue, Request};

    use super::*;

    const BODY: &[u8] = b"{\"events\":[]}";

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    /// A request signed with `secret` by the same crate that an SDK signs with.
    fn signed(secret: &str) -> Parts {
        let identity: Identity = Credentials::new("local", secret, None, None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("execute-api")
            .time(now().into())
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let uri = "http://127.0.0.1:9000/internal/usage-events?b=2&a=%201";
        let headers = [("content-type", "application/json"), ("host", "127.0.0.1:9000")];
        let signable =
            SignableRequest::new("POST", uri, headers.into_iter(), SignableBody::Bytes(BODY));
        let (instructions, _) = sign(signable.unwrap(), &parameters.into()).unwrap().into_parts();
        let mut request = Request::post("/internal/usage-events?b=2&a=%201");
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn is_let_in(parts: &Parts, body: &[u8]) -> bool {
        identity(parts, body, now()).is_some()
    }

    #[test]
    fn the_identity_whose_signature_it_is_is_named() {
        let found = identity(&signed("local"), BODY, now()).unwrap();
        assert_eq!(found["userArn"], "arn:aws:iam::000000000000:user/local");
    }

    #[test]
    fn whatever_is_altered_is_refused() {
        assert!(!is_let_in(&signed("other"), BODY), "another secret");
        assert!(!is_let_in(&signed("local"), b"{}"), "another body");
        let mut parts = signed("local");
        parts.uri = "/internal/usage-events?b=2&a=2".parse().unwrap();
        assert!(!is_let_in(&parts, BODY), "another query");
        parts.uri = "/internal/wallet/entries?b=2&a=%201".parse().unwrap();
        assert!(!is_let_in(&parts, BODY), "another path");
        for name in ["content-type", "x-amz-date", "authorization", "host"] {
            let mut parts = signed("local");
            let name: HeaderName = name.parse().unwrap();
            parts.headers.insert(name.clone(), HeaderValue::from_static("text/plain"));
            assert!(!is_let_in(&parts, BODY), "another {name}");
            parts.headers.remove(&name);
            assert!(!is_let_in(&parts, BODY), "no {name}");
        }
    }

    #[test]
    fn a_signature_of_another_time_is_refused() {
        let parts = signed("local");
        for seconds in [-MAX_SKEW_SECONDS, MAX_SKEW_SECONDS] {
            let at =
                |more: i64| Timestamp::from_second(now().as_second() + seconds + more).unwrap();
            assert!(identity(&parts, BODY, at(0)).is_some());
            assert!(identity(&parts, BODY, at(seconds.signum())).is_none());
        }
    }
}
