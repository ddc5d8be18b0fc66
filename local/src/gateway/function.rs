//! The seven functions, invoked as the Lambda runtime invokes them.

use std::collections::HashMap;

use axum::Router;
use jiff::Timestamp;
use lambda_http::{Context, LambdaEvent, request::LambdaRequest};
use shared::{
    http::operation::Function,
    runtime::lambda::{self, Environment},
};

use crate::{aws::REGION, random, stack::StartError};

/// The functions' routers, built once, and what one of them does by the clock.
#[derive(Clone)]
pub(crate) struct Functions {
    routers: HashMap<Function, Router>,
    sweeper: Option<admin::Sweeper>,
}

/// A function that failed, or an event or answer that is none.
type Failure = lambda_http::Error;

impl Functions {
    /// Starts the seven, each in an environment of its own.
    pub(crate) async fn start(
        environment_of: impl Fn(Function) -> Result<Environment, StartError>,
    ) -> Result<Self, StartError> {
        let mut routers = HashMap::new();
        for function in Function::ALL {
            let environment = &environment_of(function)?;
            let router = match function {
                Function::Otp => otp::router(environment).await,
                Function::Auth => auth::router(environment).await,
                Function::Profile => profile::router(environment).await,
                Function::Kyc => kyc::router(environment).await,
                Function::Wallet => wallet::router(environment).await,
                Function::Analytics => analytics::router(environment).await,
                Function::Admin => admin::router(environment).await,
            };
            routers.insert(function, router?);
        }
        let sweeper = admin::Sweeper::new(&environment_of(Function::Admin)?);
        Ok(Self { routers, sweeper: Some(sweeper) })
    }

    /// `router` as each of the seven.
    #[cfg(test)]
    pub(crate) fn all(router: Router) -> Self {
        let routers = Function::ALL.into_iter().map(|function| (function, router.clone()));
        Self { routers: routers.collect(), sweeper: None }
    }

    /// Hands `event` to `function`; answers what it answers, both as JSON.
    pub(crate) fn invoke(
        &self,
        function: Function,
        event: String,
        wall_now: Timestamp,
    ) -> impl Future<Output = Result<String, Failure>> + Send + 'static {
        let router = self.routers.get(&function).cloned().unwrap_or_default();
        let sweeper = self.sweeper.clone().filter(|_| function == Function::Admin);
        let context = context(function, wall_now);
        async move {
            if let Some(sweeper) = sweeper {
                let event = LambdaEvent::new(serde_json::from_str(&event)?, context);
                let answer = lambda::invoke(router, || sweeper.sweep(), event);
                return Ok(answer.await?.to_string());
            }
            let request: LambdaRequest = serde_json::from_str(&event)?;
            let response = lambda::respond(router, LambdaEvent::new(request, context));
            Ok(serde_json::to_string(&response.await)?)
        }
    }
}

fn context(function: Function, wall_now: Timestamp) -> Context {
    let name = function.name();
    let deadline_ms = wall_now.as_millisecond().saturating_add(30_000);
    let mut context = Context::default();
    context.request_id = random::uuid();
    context.deadline = u64::try_from(deadline_ms).unwrap_or(0);
    context.invoked_function_arn = format!("arn:aws:lambda:{REGION}:000000000000:function:{name}");
    context
}
