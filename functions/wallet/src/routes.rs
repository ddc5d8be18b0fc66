//! The routes of the `wallet` function.

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
        .route("/users/wallet", get(handlers::balance))
        .route("/users/wallet/transactions", get(handlers::transactions))
        .route("/internal/wallet/entries", post(handlers::post_entry))
        .with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
