//! The routes of the `otp` function.

use axum::{Router, routing::post};
use shared::{
    http,
    runtime::lambda::{Environment, StartError},
};

use crate::{app::App, handlers};

/// The router of the function.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let app = App::load(environment).await?;
    let routes = Router::new()
        .route("/auth/otp/request", post(handlers::request))
        .route("/auth/otp/verify", post(handlers::verify))
        .with_state(app);
    Ok(http::with_common_layers(routes, &environment.config))
}
