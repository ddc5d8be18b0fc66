//! The routes of the `profile` function.

use axum::{Router, routing::get};
use shared::{
    http,
    runtime::lambda::{Environment, StartError},
};

use crate::{app::App, handlers};

/// The router of the function.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let app = App::load(environment).await?;
    let profile = get(handlers::show).put(handlers::merge).patch(handlers::merge);
    let routes = Router::new().route("/users/profile", profile).with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
