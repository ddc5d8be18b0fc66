//! The life of a function: what it starts with, and how it meets the Lambda runtime.

use std::sync::Arc;

use aws_config::SdkConfig;
use axum::Router;
use lambda_http::{Adapter, LambdaEvent, Service, request::LambdaRequest, service_fn};
use serde_json::Value;

use crate::{
    http::problem::Problem,
    runtime::{
        aws,
        clock::Clock,
        config::{Config, ConfigError},
        metrics::Metrics,
    },
};

/// What a function is built from. Everything that differs between deployments is in here.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The settings.
    pub config: Arc<Config>,
    /// Region, credentials, endpoints and HTTP client of every AWS client.
    pub sdk: SdkConfig,
    /// The time.
    pub clock: Clock,
    /// Where metrics go.
    pub metrics: Metrics,
}

impl Environment {
    async fn of_deployment() -> Result<Self, StartError> {
        let config = Arc::new(Config::from_environment()?);
        Ok(Self {
            metrics: Metrics::new(config.metrics_namespace.as_deref(), |line| println!("{line}")),
            config,
            sdk: aws::load().await,
            clock: Clock::system(),
        })
    }
}

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings are missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys could not be read or made.
    #[error("the keys table could not be read or written")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Runs a function: reads the environment, lets `build` make its router, serves invocations.
pub async fn serve<F>(build: F) -> Result<(), lambda_http::Error>
where
    F: AsyncFnOnce(&Environment) -> Result<Router, StartError>,
{
    crate::runtime::log::install();
    let environment = Environment::of_deployment().await?;
    lambda_http::run(build(&environment).await?).await
}

/// Runs a function that EventBridge also invokes, at intervals: `build` makes its router and the
/// work of such an invocation.
pub async fn serve_with_schedule<F, W, D>(build: F) -> Result<(), lambda_http::Error>
where
    F: AsyncFnOnce(&Environment) -> Result<(Router, W), StartError>,
    W: Fn() -> D + Clone,
    D: Future<Output = Result<Value, Problem>>,
{
    crate::runtime::log::install();
    let environment = Environment::of_deployment().await?;
    let (router, work) = build(&environment).await?;
    let invoked = |event| invoke(router.clone(), work.clone(), event);
    lambda_http::lambda_runtime::run(service_fn(invoked)).await
}

/// Answers one invocation of such a function: a scheduled event by what `work` says it has done,
/// any other as a request.
///
/// # Errors
/// When the event is neither, and when the work failed: Lambda then invokes it again.
pub fn invoke<W, D>(
    router: Router,
    work: W,
    LambdaEvent { payload, context }: LambdaEvent<Value>,
) -> impl Future<Output = Result<Value, lambda_http::Error>>
where
    W: FnOnce() -> D,
    D: Future<Output = Result<Value, Problem>>,
{
    // The adapter is not `Send`; its future is.
    let answer = match is_scheduled(&payload) {
        true => None,
        false => Some(serde_json::from_value(payload).map(|request: LambdaRequest| {
            Adapter::from(router).call(LambdaEvent::new(request, context))
        })),
    };
    async move {
        match answer {
            None => work().await.map_err(|problem| {
                let cause = problem.cause_chain().unwrap_or_default();
                tracing::error!(code = problem.code().as_str(), cause, "scheduled work failed");
                problem.code().as_str().into()
            }),
            Some(request) => {
                let Ok(response) = request?.await;
                Ok(serde_json::to_value(response)?)
            }
        }
    }
}

/// Whether EventBridge, its rules or its scheduler, says that it is time.
pub fn is_scheduled(event: &Value) -> bool {
    let is_of_eventbridge =
        matches!(event["source"].as_str(), Some("aws.events" | "aws.scheduler"));
    is_of_eventbridge && event["detail-type"] == "Scheduled Event"
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use lambda_http::Context;
    use serde_json::json;

    use super::*;
    use crate::http::problem::Code;

    async fn answer(event: Value) -> Result<Value, lambda_http::Error> {
        let router = Router::new().route("/hello", get(async || "hello"));
        let work = async || Ok(json!({ "done": 3 }));
        invoke(router, work, LambdaEvent::new(event, Context::default())).await
    }

    #[tokio::test]
    async fn a_scheduled_event_is_work_and_any_other_a_request() {
        for source in ["aws.events", "aws.scheduler"] {
            let event = json!({"source": source, "detail-type": "Scheduled Event", "detail": {}});
            assert_eq!(answer(event).await.unwrap(), json!({ "done": 3 }));
        }
        let request = json!({
            "version": "2.0",
            "rawPath": "/hello",
            "headers": {},
            "requestContext": {"http": {"method": "GET", "path": "/hello"}},
            "isBase64Encoded": false,
        });
        let answer = answer(request).await.unwrap();
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!("hello")));
    }

    #[tokio::test]
    async fn an_event_that_is_neither_is_an_error() {
        let others = [
            json!(null),
            json!({}),
            json!([]),
            json!({"source": "aws.events", "detail-type": "Object Created"}),
            json!({"source": "aws.s3", "detail-type": "Scheduled Event"}),
            json!({"Records": []}),
        ];
        for event in others {
            assert!(answer(event.clone()).await.is_err(), "{event}");
        }
    }

    #[tokio::test]
    async fn work_that_failed_is_an_error() {
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event"});
        let work = async || Err(Problem::unavailable("a table is busy"));
        let event = LambdaEvent::new(event, Context::default());
        let failed = invoke(Router::new(), work, event).await.unwrap_err();
        assert_eq!(failed.to_string(), Code::Unavailable.as_str());
    }
}
