//! What became of a message.

use aws_smithy_runtime_api::client::result::SdkError;

/// The outcome of asking a service once to deliver a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It was taken.
    Accepted,
    /// It was refused, for the reason that the service's error code names.
    Refused(String),
    /// No answer came: it may have been taken.
    Unknown,
}

impl Delivery {
    /// What an error says of the message. An error that the service answered is a refusal, whatever
    /// its status; an answer that could not be read is none.
    pub(crate) fn judge<E, R>(error: &SdkError<E, R>, code: Option<&str>) -> Self {
        match error {
            SdkError::TimeoutError(_)
            | SdkError::DispatchFailure(_)
            | SdkError::ResponseError(_) => Self::Unknown,
            _ => Self::Refused(code.unwrap_or("no code").to_owned()),
        }
    }
}
