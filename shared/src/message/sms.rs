//! SMS through SNS.

use std::time::Duration;

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sns::{Client, error::ProvideErrorMetadata, types::MessageAttributeValue};

use crate::{
    http::problem::Problem, message::delivery::Delivery, runtime::config::OtpConfig,
    value::PhoneNumber,
};

/// Sends SMS.
#[derive(Debug, Clone)]
pub struct SmsSender {
    client: Client,
}

impl SmsSender {
    /// A sender that never retries: a repeated request could send a second SMS.
    pub fn new(sdk: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_timeout(Duration::from_secs(5))
            .build();
        let config = aws_sdk_sns::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// Sends `text` as a transactional SMS, with the configured sender id and maximum price.
    pub async fn send(
        &self,
        to: &PhoneNumber,
        text: &str,
        config: &OtpConfig,
    ) -> Result<Delivery, Problem> {
        let mut call = self
            .client
            .publish()
            .phone_number(to.as_str())
            .message(text)
            .message_attributes("AWS.SNS.SMS.SMSType", attribute("String", "Transactional")?);
        if let Some(sender_id) = &config.sms_sender_id {
            let value = attribute("String", sender_id)?;
            call = call.message_attributes("AWS.SNS.SMS.SenderID", value);
        }
        if let Some(price) = &config.sms_max_price_usd {
            let value = attribute("Number", price)?;
            call = call.message_attributes("AWS.SNS.SMS.MaxPrice", value);
        }
        Ok(match call.send().await {
            Ok(_) => Delivery::Accepted,
            Err(error) => Delivery::from_error(&error, error.code()),
        })
    }
}

fn attribute(data_type: &str, value: &str) -> Result<MessageAttributeValue, Problem> {
    MessageAttributeValue::builder()
        .data_type(data_type)
        .string_value(value)
        .build()
        .map_err(Problem::internal)
}
