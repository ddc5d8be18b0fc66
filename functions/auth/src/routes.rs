//! The routes of the `auth` function.

use axum::{
    Router,
    routing::{delete, get, post},
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
        .route("/auth/register", post(handlers::register))
        .route("/auth/login", post(handlers::login))
        .route("/auth/logout", post(handlers::logout))
        .route("/auth/refresh", post(handlers::refresh))
        .route("/auth/me", get(handlers::me))
        .route("/auth/reauthenticate", post(handlers::reauthenticate))
        .route("/auth/password/change", post(handlers::change_password))
        .route("/auth/password/reset", post(handlers::reset_password))
        .route("/auth/identifier", post(handlers::change_identifier))
        .route("/auth/device", post(handlers::register_device))
        .route("/auth/devices", get(handlers::devices))
        .route("/auth/devices/{device_id}", delete(handlers::unregister_device))
        .route("/auth/sessions", get(handlers::sessions))
        .route("/auth/sessions/{session_id}", delete(handlers::end_session))
        .route("/auth/account", delete(handlers::delete_account))
        .route("/auth/account/export", get(handlers::export_account))
        .route("/.well-known/jwks.json", get(handlers::jwks))
        .route("/health", get(handlers::health))
        .with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
