//! The `kyc` function: what a person submits to prove who they are.

mod body;
mod count;
mod file;
mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod pdf;
mod rules;
mod submission;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use shared::{
    crypto::lookup::DocumentLookupKeys,
    dynamodb::Store,
    http,
    kyc::bucket::Documents,
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
    documents: Documents,
    number_keys: DocumentLookupKeys,
}

/// The function's routes.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let Environment { config, sdk, clock, .. } = environment.clone();
    let store = Store::new(&sdk, &config);
    let authenticator = Authenticator::load(environment, &store).await?;
    let documents = Documents::new(&sdk, &config);
    let number_keys = DocumentLookupKeys::load(&store, clock.now()).await?;
    let app = App { config, clock, store, authenticator, documents, number_keys };
    let routes = Router::new()
        .route("/users/kyc", post(handlers::create).patch(handlers::change))
        .route("/users/kyc/submit", post(handlers::submit))
        .route("/users/kyc/status", get(handlers::status))
        .with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
