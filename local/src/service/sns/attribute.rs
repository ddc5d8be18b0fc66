//! Message attributes: the generic rules, and those of SMS.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html>,
//! <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>.

use super::{Parameters, Refusal};

/// One of a request's `MessageAttributes.entry.N`.
struct Attribute<'a> {
    name: &'a str,
    data_type: &'a str,
    string_value: Option<&'a str>,
    binary_value: Option<&'a str>,
}

/// Refuses a request with an attribute that AWS refuses.
pub(super) fn check_all(parameters: &Parameters) -> Result<(), Refusal> {
    for index in 1.. {
        let field = |suffix: &str| {
            parameters.get(&format!("MessageAttributes.entry.{index}.{suffix}")).map(String::as_str)
        };
        let Some(name) = field("Name") else { break };
        let attribute = Attribute {
            name,
            data_type: field("Value.DataType").unwrap_or(""),
            string_value: field("Value.StringValue"),
            binary_value: field("Value.BinaryValue"),
        };
        attribute.check()?;
    }
    Ok(())
}

fn refuse(message: impl Into<String>) -> Result<(), Refusal> {
    Err(Refusal::new("ParameterValueInvalid", message))
}

impl Attribute<'_> {
    fn check(&self) -> Result<(), Refusal> {
        self.check_name()?;
        self.check_value()?;
        match self.name {
            "AWS.SNS.SMS.SenderID" => self.check_sms("String", is_sender_id),
            "AWS.SNS.SMS.SMSType" => {
                self.check_sms("String", |value| ["Promotional", "Transactional"].contains(&value))
            }
            "AWS.SNS.SMS.MaxPrice" => self.check_sms("Number", is_price),
            "AWS.MM.SMS.OriginationNumber" | "AWS.MM.SMS.EntityId" | "AWS.MM.SMS.TemplateId" => {
                self.check_sms("String", |_| true)
            }
            name if name.starts_with("AWS.SNS.MOBILE.") => Ok(()),
            name if name.starts_with("AWS.") || name.starts_with("Amazon.") => refuse(
                "Message attribute names starting with 'AWS.' or 'Amazon.' are reserved for use by Amazon.",
            ),
            _ => Ok(()),
        }
    }

    fn check_name(&self) -> Result<(), Refusal> {
        let name = self.name;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || name.len() > 256 {
            return refuse("Length of message attribute name must be less than 256 bytes.");
        }
        if name.starts_with('.') {
            return refuse("Invalid message attribute name starting with character '.' was found.");
        }
        if name.ends_with('.') {
            return refuse("Invalid message attribute name ending with character '.' was found.");
        }
        if name.contains("..") {
            return refuse("Message attribute name can not have successive '.' character.");
        }
        match name.bytes().find(|byte| !allowed(*byte)) {
            Some(byte) => refuse(format!(
                "Invalid non-alphanumeric character '#x{byte:X}' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots."
            )),
            None => Ok(()),
        }
    }

    fn check_value(&self) -> Result<(), Refusal> {
        let (name, data_type) = (self.name, self.data_type);
        let prefix = data_type.split('.').next().unwrap_or("");
        let (field, value) = match prefix {
            "String" | "Number" => ("String", self.string_value),
            "Binary" => ("Binary", self.binary_value),
            _ => {
                return refuse(format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
                ));
            }
        };
        match value {
            None => refuse(format!(
                "The message attribute '{name}' with type '{data_type}' must use field '{field}'."
            )),
            Some("") => refuse(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{data_type}'."
            )),
            Some(value) if prefix == "Number" && !is_number(value) => {
                refuse(format!("Could not cast message attribute '{name}' value to number."))
            }
            Some(_) => Ok(()),
        }
    }

    fn check_sms(&self, data_type: &str, is_valid: impl Fn(&str) -> bool) -> Result<(), Refusal> {
        let value = self.string_value.unwrap_or("");
        if self.data_type == data_type && is_valid(value) {
            return Ok(());
        }
        Err(Refusal::invalid_parameter(format_args!(
            "MessageAttributes Reason: {value} is not a valid value of {}",
            self.name
        )))
    }
}

/// 3 to 11 letters and digits, one of them a letter, as the guide has it.
fn is_sender_id(text: &str) -> bool {
    (3..=11).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_price(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|price| price.is_finite() && price >= 0.0)
}
