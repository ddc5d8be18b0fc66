//! What `Publish` takes and what it refuses.

use serde_json::Value;

use super::{Parameters, Refusal, attribute};

/// An SMS that AWS would send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sms {
    pub(super) phone_number: String,
    pub(super) message: String,
}

/// One SMS publish, however many parts it is sent in.
const MAX_MESSAGE_CHARACTERS: usize = 1_600;

impl Sms {
    pub(super) fn parse(parameters: &Parameters) -> Result<Self, Refusal> {
        let message = parameters.get("Message").ok_or_else(|| {
            Refusal::new(
                "ValidationError",
                "1 validation error detected: Value null at 'message' failed to satisfy constraint: Member must not be null",
            )
        })?;
        let phone_number = phone_number(parameters)?;
        if message.is_empty() {
            return Err(Refusal::invalid_parameter("Empty message"));
        }
        if !is_e164(&phone_number) {
            return Err(Refusal::invalid_parameter(format_args!(
                "PhoneNumber Reason: {phone_number} is not valid to publish to"
            )));
        }
        attribute::check_all(parameters)?;
        let message = text(parameters, message)?;
        if message.chars().count() > MAX_MESSAGE_CHARACTERS {
            return Err(Refusal::invalid_parameter("Message too long"));
        }
        Ok(Self { phone_number, message })
    }
}

/// Exactly one of the three targets; there are no topics and no push endpoints here.
fn phone_number(parameters: &Parameters) -> Result<String, Refusal> {
    let given = |name: &str| parameters.get(name).filter(|value| !value.is_empty());
    match (given("PhoneNumber"), given("TopicArn"), given("TargetArn")) {
        (Some(phone_number), None, None) => Ok(phone_number.clone()),
        (None, None, None) => Err(Refusal::invalid_parameter(
            "TopicArn or TargetArn Reason: no value for required parameter",
        )),
        (None, Some(topic), None) if is_arn(topic) => {
            Err(Refusal::not_found("Topic does not exist"))
        }
        (None, Some(_), None) => Err(Refusal::invalid_parameter("TopicArn")),
        (None, None, Some(_)) => Err(Refusal::invalid_parameter(
            "TargetArn Reason: No endpoint found for the target arn specified",
        )),
        _ => Err(Refusal::invalid_parameter(
            "TopicArn, TargetArn, PhoneNumber Reason: only one of them may be specified",
        )),
    }
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.split(':').count() >= 6
}

/// `+`, then up to fifteen digits that do not begin with 0.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The message itself, or what a JSON message has for SMS.
fn text(parameters: &Parameters, message: &str) -> Result<String, Refusal> {
    match parameters.get("MessageStructure").map(String::as_str) {
        None | Some("") => return Ok(message.to_owned()),
        Some("json") => {}
        Some(_) => return Err(Refusal::invalid_parameter("MessageStructure")),
    }
    let structure = "Message Structure - JSON message body failed to parse";
    let body: Value =
        serde_json::from_str(message).map_err(|_| Refusal::invalid_parameter(structure))?;
    let default = body["default"].as_str().ok_or_else(|| {
        Refusal::invalid_parameter("Message Structure - No default entry in JSON message body")
    })?;
    Ok(body["sms"].as_str().unwrap_or(default).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(parameters: &[(&str, &str)]) -> Result<Sms, Refusal> {
        let owned =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Sms::parse(&owned.collect())
    }

    #[test]
    fn a_json_message_has_its_own_text_for_sms() {
        let number = ("PhoneNumber", "+9779841234567");
        let structure = ("MessageStructure", "json");
        let sms = parse(&[number, structure, ("Message", r#"{"default":"a","sms":"b"}"#)]).unwrap();
        assert_eq!(sms.message, "b");
        assert!(parse(&[number, structure, ("Message", "{}")]).is_err());
        assert!(parse(&[number, structure, ("Message", "not json")]).is_err());
    }

    #[test]
    fn only_e164_is_a_phone_number() {
        for good in ["+9779841234567", "+14155550100", "+123456789012345"] {
            assert!(is_e164(good), "{good}");
        }
        for bad in ["9841234567", "+0123456", "+1234567890123456", "+977 984", "+", "", "+97x"] {
            assert!(!is_e164(bad), "{bad}");
        }
    }
}
