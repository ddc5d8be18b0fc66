//! The `analytics` function: what a user did, counted from the events of other backends.

mod count;
mod events;
mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod series;
mod tally;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use shared::{
    dynamodb::Store,
    http,
    runtime::{
        clock::Clock,
        config::Config,
        lambda::{Environment, StartError},
    },
    session::authentication::Authenticator,
};

/// What the handlers share.
#[derive(Clone, FromRef)]
struct App {
    config: Arc<Config>,
    clock: Clock,
    store: Store,
    authenticator: Authenticator,
}

/// The function's routes.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let Environment { config, sdk, clock, .. } = environment.clone();
    let store = Store::new(&sdk, &config);
    let authenticator = Authenticator::load(environment, &store).await?;
    let app = App { config, clock, store, authenticator };
    let routes = Router::new()
        .route("/users/analytics/usage-stats", get(handlers::usage_stats))
        .route("/internal/usage-events", post(handlers::usage_events))
        .with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
