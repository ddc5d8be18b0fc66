//! The routes of the `analytics` function.

use axum::{
    Router,
    routing::{get, post},
};
use shared::{
    http,
    runtime::lambda::{Environment, StartError},
};

use crate::{app::App, handlers};

/// The router of the function.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let app = App::load(environment).await?;
    let routes = Router::new()
        .route("/users/analytics/usage-stats", get(handlers::usage_stats))
        .route("/internal/usage-events", post(handlers::usage_events))
        .with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
