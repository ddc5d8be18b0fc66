//! What a failed call means: the SDK retries it, or it becomes a 503 or an internal error.

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError,
        transact_write_items::TransactWriteItemsError, update_item::UpdateItemError,
    },
};
use aws_smithy_runtime_api::client::{
    interceptors::context::InterceptorContext,
    retries::classifiers::{ClassifyRetry, RetryAction},
};

use crate::http::problem::Problem;

/// Makes the SDK retry calls that failed only because of another transaction.
///
/// The SDK itself does not retry a `TransactionCanceledException`, because most of its reasons are
/// final. Every attempt has the same `ClientRequestToken`.
#[derive(Debug)]
pub(crate) struct ConflictClassifier;

impl ClassifyRetry for ConflictClassifier {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let Some(error) = error.as_operation_error() else {
            return RetryAction::NoActionIndicated;
        };
        let is_conflict = match error.downcast_ref::<TransactWriteItemsError>() {
            Some(error) => is_retryable_cancellation(error),
            None => {
                let code = error
                    .downcast_ref::<UpdateItemError>()
                    .and_then(ProvideErrorMetadata::code)
                    .or_else(|| error.downcast_ref::<PutItemError>()?.code())
                    .or_else(|| error.downcast_ref::<DeleteItemError>()?.code());
                code == Some("TransactionConflictException")
            }
        };
        if is_conflict { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}

/// Whether conflicts and throttling are the only reasons why a transaction was cancelled.
fn is_retryable_cancellation(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return false;
    };
    let mut codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    codes.all(|code| {
        matches!(
            code,
            "None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"
        )
    })
}

/// Whether the same call may succeed when it is sent again: the table is busy, or it is unknown
/// whether the call was carried out.
pub(crate) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let is_busy = matches!(
        error.as_service_error().and_then(ProvideErrorMetadata::code),
        Some(
            "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TransactionConflictException"
                | "TransactionCanceledException"
                | "TransactionInProgressException"
                | "InternalServerError"
        )
    );
    let has_no_response = matches!(
        error,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_)
    );
    let is_server_error =
        error.raw_response().is_some_and(|response| response.status().as_u16() >= 500);
    is_busy || has_no_response || is_server_error
}

/// The problem for a failed call: 503 if the call may succeed later, else an internal error.
pub(crate) fn problem<E>(operation: &'static str, error: SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    // The message of a service error may quote values; its code never does.
    let cause = match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code) => format!("{operation}: {code}"),
        None => format!("{operation}: {error}"),
    };
    if is_transient(&error) { Problem::unavailable(cause) } else { Problem::internal(cause) }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{CancellationReason, error::TransactionCanceledException};

    use super::*;

    fn cancelled(codes: &[&str]) -> TransactWriteItemsError {
        let reasons = codes.iter().map(|code| CancellationReason::builder().code(*code).build());
        let error = TransactionCanceledException::builder()
            .set_cancellation_reasons(Some(reasons.collect()))
            .build();
        TransactWriteItemsError::TransactionCanceledException(error)
    }

    #[test]
    fn only_conflicts_and_throttling_are_retried() {
        assert!(is_retryable_cancellation(&cancelled(&["None", "TransactionConflict"])));
        let refused = cancelled(&["ConditionalCheckFailed", "TransactionConflict"]);
        assert!(!is_retryable_cancellation(&refused));
        assert!(!is_retryable_cancellation(&cancelled(&["ValidationError", "None"])));
    }
}
