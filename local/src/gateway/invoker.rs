//! Invocations: each in a task of its own, when its turn comes, and measured.

use std::{sync::Arc, time::Duration};

use lambda_runtime::Diagnostic;
use serde_json::Value;
use shared::{
    http::operation::{ALL, Function, Operation},
    runtime::lambda,
};
use tokio::{sync::Semaphore, time::timeout};

use super::Functions;
use crate::{aws::costs::Costs, clock::MovableClock};

/// Invocations at a time. On AWS it is the account's concurrency, with as many machines; here more
/// at once would only make each slower than the SDK's time-outs. The others wait their turn.
const MAX_CONCURRENCY: usize = 64;

/// What the gateway, the schedule and the Invoke API have in common.
#[derive(Clone)]
pub(crate) struct Invoker {
    functions: Functions,
    turns: Arc<Semaphore>,
    clock: Arc<MovableClock>,
    costs: Arc<Costs>,
}

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// It took too long. It goes on by itself.
    #[error("the invocation timed out after {0:?}")]
    TimedOut(Duration),
    /// The function failed, or the event or the answer is none.
    #[error("{}", .0.error_message)]
    Error(Diagnostic),
    /// The function panicked.
    #[error("the function crashed: {0}")]
    Crashed(#[from] tokio::task::JoinError),
}

impl Invoker {
    pub(crate) fn new(functions: Functions, clock: Arc<MovableClock>, costs: Arc<Costs>) -> Self {
        Self { functions, turns: Arc::new(Semaphore::new(MAX_CONCURRENCY)), clock, costs }
    }

    /// Hands `event` to `function`; answers what it answers, both as JSON.
    pub(crate) async fn invoke(
        &self,
        function: Function,
        event: String,
        most: Duration,
    ) -> Result<String, Failed> {
        let operation = operation_of(&event);
        let work = self.functions.invoke(function, event, self.clock.wall_now());
        let measured = Arc::clone(&self.costs).measure(operation, work);
        // The semaphore is never closed.
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let invocation = tokio::spawn(async move {
            let _turn = turn;
            measured.await
        });
        match timeout(most, invocation).await {
            Err(_) => Err(Failed::TimedOut(most)),
            Ok(answer) => answer?.map_err(|error| Failed::Error(error.into())),
        }
    }
}

/// What the costs of an event are written under.
fn operation_of(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    if lambda::is_scheduled(&event) {
        return "sweep".to_owned();
    }
    let key = event["routeKey"].as_str().unwrap_or_default();
    let known = ALL.iter().map(Operation::route_key).find(|known| known == key);
    known.unwrap_or_else(|| "$default".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn costs_are_written_under_a_fixed_set_of_names() {
        for operation in ALL {
            let key = operation.route_key();
            assert_eq!(operation_of(&json!({ "routeKey": key }).to_string()), key);
        }
        for strange in [
            json!(null),
            json!({}),
            json!({"routeKey": 7}),
            json!({"routeKey": "GET /auth/me/1"}),
            json!({"routeKey": "GET /auth/me "}),
            json!({"source": "aws.s3", "detail-type": "Scheduled Event"}),
        ] {
            assert_eq!(operation_of(&strange.to_string()), "$default", "{strange}");
        }
        let scheduled = json!({"source": "aws.events", "detail-type": "Scheduled Event"});
        assert_eq!(operation_of(&scheduled.to_string()), "sweep");
        assert_eq!(operation_of("no JSON"), "$default");
    }
}
