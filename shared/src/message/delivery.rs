//! The outcome of sending a message.

use aws_smithy_runtime_api::client::result::SdkError;

/// The outcome of one request to SNS or SES to deliver a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The service accepted the message.
    Accepted,
    /// The service refused the message, with this error code.
    Refused(String),
    /// There was no response: the message may have been accepted.
    Unknown,
}

impl Delivery {
    /// The outcome of a failed request. A service error is a refusal, whatever its status. An
    /// unreadable response counts as no response.
    pub(crate) fn from_error<E, R>(error: &SdkError<E, R>, code: Option<&str>) -> Self {
        match error {
            SdkError::TimeoutError(_)
            | SdkError::DispatchFailure(_)
            | SdkError::ResponseError(_) => Self::Unknown,
            _ => Self::Refused(code.unwrap_or("no code").to_owned()),
        }
    }
}
