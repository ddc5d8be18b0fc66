//! The life of a function: what it starts with, and how it meets the Lambda runtime.

use std::sync::Arc;

use aws_config::SdkConfig;
use axum::Router;

use crate::{
    aws,
    clock::Clock,
    config::{Config, ConfigError},
    metrics::Metrics,
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
    crate::log::install();
    let config = Arc::new(Config::from_environment()?);
    let environment = Environment {
        metrics: Metrics::new(config.metrics_namespace.as_deref(), |line| println!("{line}")),
        config,
        sdk: aws::load().await,
        clock: Clock::system(),
    };
    lambda_http::run(build(&environment).await?).await
}
