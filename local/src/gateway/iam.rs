//! `AWS_IAM` authorization: AWS Signature Version 4 in the `Authorization` header, checked by
//! signing the request again as its header says it was signed.
//!
//! The service is `execute-api`, and there is one identity, whose key and secret are both `local`.
//! Signatures are of the wall clock's time.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use axum::http::{HeaderMap, header, request::Parts};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::aws::{CREDENTIAL, REGION};

const SERVICE: &str = "execute-api";
const BODY_HASH_HEADER: &str = "x-amz-content-sha256";
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
        let fields = text.strip_prefix("AWS4-HMAC-SHA256 ")?;
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
        if parts.headers.contains_key(BODY_HASH_HEADER) {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
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
            if !parts.headers.contains_key(*name) {
                return None;
            }
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
        let (signed, signature) = sign(request, &parameters.into()).ok()?.into_parts();
        // The signer puts the body's own hash in the place of the one that was sent.
        let mut hashes = signed.headers().filter(|(name, _)| *name == BODY_HASH_HEADER);
        let is_of_body =
            hashes.all(|(name, hash)| parts.headers.get_all(name).iter().all(|sent| sent == hash));
        is_of_body.then_some(signature)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use axum::http::{HeaderName, HeaderValue, Method, Request};

    use super::*;

    pub(in crate::gateway) const BODY: &[u8] = b"{\"events\":[]}";
    const TARGET: &str = "/internal/usage-events?b=2&a=%201";

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    /// A request signed with `secret` by the same crate that an SDK signs with.
    fn signed_as(
        (method, target): (&Method, &str),
        secret: &str,
        at: Timestamp,
        settings: SigningSettings,
    ) -> Parts {
        let identity: Identity = Credentials::new("local", secret, None, None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("execute-api")
            .time(at.into())
            .settings(settings)
            .build()
            .unwrap();
        let uri = format!("http://127.0.0.1:9000{target}");
        let headers = [("content-type", "application/json"), ("host", "127.0.0.1:9000")];
        let signable = SignableRequest::new(
            method.as_str(),
            uri,
            headers.into_iter(),
            SignableBody::Bytes(BODY),
        );
        let (instructions, _) = sign(signable.unwrap(), &parameters.into()).unwrap().into_parts();
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// A request with [`BODY`], signed by the identity.
    pub(in crate::gateway) fn signed_for(method: &Method, target: &str, at: Timestamp) -> Parts {
        signed_as((method, target), "local", at, SigningSettings::default())
    }

    fn signed(secret: &str) -> Parts {
        signed_as((&Method::POST, TARGET), secret, now(), SigningSettings::default())
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

    #[test]
    fn the_hash_that_is_sent_is_the_bodys() {
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let mut parts = signed_as((&Method::POST, TARGET), "local", now(), settings);
        assert!(is_let_in(&parts, BODY));
        assert!(!is_let_in(&parts, b"{}"), "another body");
        for hash in ["UNSIGNED-PAYLOAD", &"0".repeat(64)] {
            parts.headers.insert(BODY_HASH_HEADER, hash.parse().unwrap());
            assert!(!is_let_in(&parts, BODY), "{hash}");
            let mut unsigned = signed("local");
            unsigned.headers.insert(BODY_HASH_HEADER, hash.parse().unwrap());
            assert!(!is_let_in(&unsigned, BODY), "{hash}, not signed");
        }
    }

    #[test]
    fn only_this_service_and_region_and_key_are_known() {
        let of = |from: &str, to: &str| {
            let mut parts = signed("local");
            let text = parts.headers[header::AUTHORIZATION].to_str().unwrap().replace(from, to);
            parts.headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            parts
        };
        assert!(is_let_in(&of(", ", ","), BODY), "spaces do not matter");
        for (from, to) in [
            ("execute-api", "s3"),
            ("us-east-1", "eu-west-1"),
            ("Credential=local", "Credential=other"),
            ("AWS4-HMAC-SHA256 ", "Bearer "),
            ("host;", ""),
            ("x-amz-date", "x-amz-other"),
            ("content-type;", "content-type;x-absent;"),
            ("Signature=", "Signature=0"),
        ] {
            assert!(!is_let_in(&of(from, to), BODY), "{from} as {to}");
        }
    }

    #[test]
    fn a_path_is_encoded_twice() {
        let target = "/internal/a%20b/%C3%A9~*";
        assert!(is_let_in(&signed_for(&Method::GET, target, now()), BODY));
    }
}
