//! The routes of the `kyc` function.

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
        .route("/users/kyc", post(handlers::create).patch(handlers::change))
        .route("/users/kyc/submit", post(handlers::submit))
        .route("/users/kyc/status", get(handlers::status))
        .with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
