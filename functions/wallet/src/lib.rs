//! The `wallet` function: balances, the ledger, and the entries that other backends post.

mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use shared::{
    crypto::keyring::{MacKeys, MacUse},
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
    cursor_keys: MacKeys,
}

/// The function's routes.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let Environment { config, sdk, clock, .. } = environment.clone();
    let store = Store::new(&sdk, &config);
    let authenticator = Authenticator::load(environment, &store).await?;
    let cursor_keys = MacKeys::load(&store, MacUse::Cursor, clock.now()).await?;
    let app = App { config, clock, store, authenticator, cursor_keys };
    let routes = Router::new()
        .route("/users/wallet", get(handlers::balance))
        .route("/users/wallet/transactions", get(handlers::transactions))
        .route("/internal/wallet/entries", post(handlers::post_entry))
        .with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}
