//! The `profile` function: what a person says of themselves.

mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;

use std::sync::Arc;

use axum::{Router, extract::FromRef, routing::get};
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
    let profile = get(handlers::show).put(handlers::merge).patch(handlers::merge);
    let routes = Router::new().route("/users/profile", profile).with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
