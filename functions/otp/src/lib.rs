//! The `otp` function: codes that prove who holds a phone number or an e-mail address.
//!
//! `request` and `verify` are the two operations: count, decide, then send or compare.

mod handlers;
#[cfg(feature = "openapi")]
pub mod openapi;
mod request;
mod verify;

use std::sync::Arc;

use axum::{Router, extract::FromRef, routing::post};
use shared::{
    crypto::{
        keyring::{MacKeys, MacUse},
        lookup::LookupKeys,
    },
    dynamodb::Store,
    http,
    message::{email::EmailSender, notify::Notifier, sms::SmsSender},
    runtime::{
        clock::Clock,
        config::Config,
        lambda::{Environment, StartError},
        metrics::Metrics,
    },
};

/// What the handlers share.
#[derive(Clone, FromRef)]
struct App {
    config: Arc<Config>,
    clock: Clock,
    store: Store,
    lookup_keys: LookupKeys,
    code_keys: MacKeys,
    notifier: Notifier,
    metrics: Metrics,
}

/// The function's routes.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let Environment { config, sdk, clock, metrics } = environment.clone();
    let store = Store::new(&sdk, &config);
    let mail = config.otp.email_sender.as_deref().map(|sender| EmailSender::new(&sdk, sender));
    let notifier = Notifier::new(
        Arc::clone(&config),
        store.clone(),
        metrics.clone(),
        SmsSender::new(&sdk),
        mail,
    );
    let app = App {
        lookup_keys: LookupKeys::load(&store, clock.now()).await?,
        code_keys: MacKeys::load(&store, MacUse::Otp, clock.now()).await?,
        notifier,
        config,
        clock,
        store,
        metrics,
    };
    let routes = Router::new()
        .route("/auth/otp/request", post(handlers::request))
        .route("/auth/otp/verify", post(handlers::verify))
        .with_state(app);
    Ok(http::with_common_layers(routes, &environment.config))
}
