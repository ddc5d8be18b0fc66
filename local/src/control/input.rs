//! What the requests under `/_local/` may say.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    aws::{
        call::Service,
        faults::{Fault, Kind},
    },
    problem::Problem,
};

/// Ten years, in seconds.
const MAX_ADVANCE_SECONDS: u64 = 10 * 365 * 86_400;
const MAX_FAULTS: u64 = 1_000_000;

/// The `to` of a query: E.164 or an address. A raw `+` is read as one, though it stands for a space.
pub(super) fn recipient(query: &str) -> Result<Option<String>, Problem> {
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let Some((_, to)) = fields.find(|(name, _)| name == "to") else { return Ok(None) };
    let to = match to.strip_prefix(' ') {
        Some(digits) => format!("+{digits}"),
        None => to.replace(' ', "+").to_lowercase(),
    };
    let is_number =
        to.strip_prefix('+').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match is_number || to.contains('@') {
        true => Ok(Some(to)),
        false => Err(Problem::invalid("to", "must be an E.164 phone number or an e-mail address")),
    }
}

/// The `advance_seconds` of a body.
pub(super) fn advance_seconds(body: &[u8]) -> Result<u32, Problem> {
    let fields = object(body)?;
    let seconds = fields.get("advance_seconds").and_then(Value::as_u64);
    seconds
        .filter(|seconds| *seconds <= MAX_ADVANCE_SECONDS)
        .and_then(|seconds| u32::try_from(seconds).ok())
        .ok_or_else(|| {
            let detail = format!("must be a whole number from 0 to {MAX_ADVANCE_SECONDS}");
            Problem::invalid("advance_seconds", &detail)
        })
}

/// The fault that a body describes. Names every bad field at once.
pub(super) fn fault(body: &[u8]) -> Result<Fault, Problem> {
    let fields = object(body)?;
    let mut errors = Vec::new();
    let service = word(&fields, "service");
    if service.is_none() {
        errors.push(("service", "must be dynamodb, s3, sns or ses".to_owned()));
    }
    let kind = word(&fields, "kind");
    if kind.is_none() {
        let kinds = "must be throttle, conflict, timeout, error_500, lost_response or stale";
        errors.push(("kind", kinds.to_owned()));
    }
    if matches!(kind, Some(Kind::Conflict | Kind::Stale))
        && service.is_some_and(|service| service != Service::Dynamodb)
    {
        errors.push(("kind", "conflict and stale are faults of dynamodb only".to_owned()));
    }
    let operation = operation(&fields).unwrap_or_else(|| {
        errors
            .push(("operation", "must be the name of an operation, such as UpdateItem".to_owned()));
        None
    });
    let after = after(&fields);
    if after.is_none() {
        errors.push(("after", format!("must be a whole number from 0 to {MAX_FAULTS}")));
    }
    let times = times(&fields);
    if times.is_none() {
        errors.push(("times", format!("must be a whole number from 1 to {MAX_FAULTS}")));
    }
    match (service, kind, after, times) {
        (Some(service), Some(kind), Some(after), Some(times)) if errors.is_empty() => {
            Ok(Fault { service, operation, kind, after, times })
        }
        _ => Err(Problem::invalid_fields(&errors)),
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    serde_json::from_slice(body).map_err(|_| Problem::not_json())
}

fn word<T: DeserializeOwned>(fields: &Map<String, Value>, name: &str) -> Option<T> {
    serde_json::from_value(fields.get(name)?.clone()).ok()
}

/// Absent or null means any operation; the outer `None` is one that cannot be.
fn operation(fields: &Map<String, Value>) -> Option<Option<String>> {
    match fields.get("operation") {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(name)) => {
            let named = !name.is_empty() && name.len() <= 64;
            (named && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
                .then(|| Some(name.clone()))
        }
        Some(_) => None,
    }
}

/// Absent or null means at once.
fn after(fields: &Map<String, Value>) -> Option<u32> {
    match fields.get("after") {
        None | Some(Value::Null) => Some(0),
        Some(after) => {
            let after = after.as_u64().filter(|after| *after <= MAX_FAULTS)?;
            u32::try_from(after).ok()
        }
    }
}

fn times(fields: &Map<String, Value>) -> Option<u32> {
    let times = fields.get("times")?.as_u64()?;
    (1..=MAX_FAULTS).contains(&times).then(|| u32::try_from(times).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(query: &str) -> Option<String> {
        recipient(query).ok().flatten()
    }

    #[test]
    fn a_raw_plus_is_a_plus() {
        assert_eq!(to("to=+9779841234567"), Some("+9779841234567".to_owned()));
        assert_eq!(to("to=%2B9779841234567"), Some("+9779841234567".to_owned()));
        assert_eq!(to("to=Sita+otp@Example.com"), Some("sita+otp@example.com".to_owned()));
        assert_eq!(to(""), None);
        assert!(recipient("to=nobody").is_err());
        assert!(recipient("to=").is_err());
    }

    #[test]
    fn the_clock_goes_forward_by_whole_seconds() {
        assert_eq!(advance_seconds(br#"{"advance_seconds": 301}"#).ok(), Some(301));
        assert_eq!(advance_seconds(br#"{"advance_seconds": 0}"#).ok(), Some(0));
        for bad in [
            &br#"{"advance_seconds": -1}"#[..],
            br#"{"advance_seconds": 1.5}"#,
            br#"{"advance_seconds": "1"}"#,
            br#"{"advance_seconds": 99999999999}"#,
            b"{}",
            b"[]",
            b"",
        ] {
            assert!(advance_seconds(bad).is_err());
        }
    }

    #[test]
    fn a_fault_names_every_bad_field() {
        let good = br#"{"service": "dynamodb", "kind": "error_500", "times": 2}"#;
        let parsed = fault(good).unwrap();
        assert_eq!((parsed.kind, parsed.operation, parsed.times), (Kind::Error500, None, 2));
        assert_eq!(parsed.after, 0);
        let later = br#"{"service": "s3", "kind": "timeout", "after": 7, "times": 1}"#;
        assert_eq!(fault(later).unwrap().after, 7);
        let bad =
            br#"{"service": "ec2", "operation": "x y", "kind": "fire", "after": -1, "times": 0}"#;
        let problem = fault(bad).unwrap_err();
        assert_eq!(problem.fields(), ["service", "kind", "operation", "after", "times"]);
        let conflict = br#"{"service": "sns", "kind": "conflict", "times": 1}"#;
        assert_eq!(fault(conflict).unwrap_err().fields(), ["kind"]);
    }
}
