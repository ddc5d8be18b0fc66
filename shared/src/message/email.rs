//! E-mail through SES.

use std::time::Duration;

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sesv2::{
    Client,
    error::ProvideErrorMetadata,
    types::{Body, Content, Destination, EmailContent, Message},
};

use crate::{http::problem::Problem, message::delivery::Delivery, value::Email};

/// Sends e-mail from the deployment's address.
#[derive(Debug, Clone)]
pub struct EmailSender {
    client: Client,
    sender: String,
}

impl EmailSender {
    /// A sender that never retries: a repeated request could send a second e-mail.
    pub fn new(sdk: &SdkConfig, sender: &str) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_timeout(Duration::from_secs(5))
            .build();
        let config = aws_sdk_sesv2::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .build();
        Self { client: Client::from_conf(config), sender: sender.to_owned() }
    }

    /// Sends a plain text.
    pub async fn send(&self, to: &Email, subject: &str, text: &str) -> Result<Delivery, Problem> {
        let content = |data: &str| Content::builder().data(data).charset("UTF-8").build();
        let body = Body::builder().text(content(text).map_err(Problem::internal)?).build();
        let subject = content(subject).map_err(Problem::internal)?;
        let message = Message::builder().subject(subject).body(body).build();
        let call = self
            .client
            .send_email()
            .from_email_address(&self.sender)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message).build());
        Ok(match call.send().await {
            Ok(_) => Delivery::Accepted,
            Err(error) => Delivery::from_error(&error, error.code()),
        })
    }
}
