//! What a failed call means: try again inside, 503, or a fault of ours.

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

/// Lets the SDK try again, with its own pauses, what only collided with another transaction.
///
/// The SDK leaves `TransactionCanceledException` to the caller, since most reasons are final.
/// `ClientRequestToken` stays the same over the attempts.
#[derive(Debug)]
pub(crate) struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let Some(error) = error.as_operation_error() else {
            return RetryAction::NoActionIndicated;
        };
        let collided = match error.downcast_ref::<TransactWriteItemsError>() {
            Some(error) => collision_only(error),
            None => {
                let code = error
                    .downcast_ref::<UpdateItemError>()
                    .and_then(ProvideErrorMetadata::code)
                    .or_else(|| error.downcast_ref::<PutItemError>()?.code())
                    .or_else(|| error.downcast_ref::<DeleteItemError>()?.code());
                code == Some("TransactionConflictException")
            }
        };
        if collided { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "transaction conflicts"
    }
}

/// Whether a transaction was cancelled by nothing but traffic.
fn collision_only(error: &TransactWriteItemsError) -> bool {
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

/// Whether the same call may well succeed when it is sent again: the table is busy, or nothing
/// is known of what became of the call.
pub(crate) fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let busy = matches!(
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
    let unanswered = matches!(
        error,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_)
    );
    let failed = error.raw_response().is_some_and(|response| response.status().as_u16() >= 500);
    busy || unanswered || failed
}

/// The answer to a call that failed for good, with what the operator needs to know.
pub(crate) fn problem<E>(operation: &'static str, error: SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    // The message of a service error may quote values; its code never does.
    let told = match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code) => format!("{operation}: {code}"),
        None => format!("{operation}: {error}"),
    };
    match is_passing(&error) {
        true => Problem::unavailable(told),
        false => Problem::internal(told),
    }
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
    fn only_traffic_is_tried_again() {
        assert!(collision_only(&cancelled(&["None", "TransactionConflict"])));
        assert!(!collision_only(&cancelled(&["ConditionalCheckFailed", "TransactionConflict"])));
        assert!(!collision_only(&cancelled(&["ValidationError", "None"])));
    }
}
