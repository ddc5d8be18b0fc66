//! The `auth` function: accounts, sessions and tokens. It also answers what no route matches.
//!
//! `body` reads requests, `handlers` are the operations at the edge, `register`, `login`, `session`,
//! `credential`, `identifier`, `device`, `account` and `export` carry them out.

mod account;
mod body;
mod credential;
mod device;
mod export;
mod handlers;
mod identifier;
mod login;
#[cfg(feature = "openapi")]
pub mod openapi;
mod refused;
mod register;
mod session;
mod sign_in;
mod tokens;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{delete, get, post},
};
use shared::{
    crypto::{keyring::PublicKeys, lookup::LookupKeys},
    dynamodb::Store,
    http,
    kyc::bucket::Documents,
    message::{email::EmailSender, notify::Notifier, sms::SmsSender},
    runtime::{
        clock::Clock,
        config::Config,
        lambda::{Environment, StartError},
        metrics::Metrics,
    },
    session::authentication::Authenticator,
};

use crate::tokens::Mint;

/// What the handlers share.
#[derive(Clone, FromRef)]
struct App {
    config: Arc<Config>,
    clock: Clock,
    store: Store,
    lookup_keys: LookupKeys,
    mint: Mint,
    public_keys: PublicKeys,
    authenticator: Authenticator,
    notifier: Notifier,
    metrics: Metrics,
    documents: Documents,
}

/// The function's routes.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let Environment { config, sdk, clock, metrics } = environment.clone();
    let (store, now) = (Store::new(&sdk, &config), clock.now());
    // Makes the first signing key, so it comes before the public keys are read.
    let mint = Mint::load(&store, Arc::clone(&config), now).await?;
    let public_keys = PublicKeys::load(&store, now).await?;
    let authenticator = Authenticator::with_keys(environment, &store, public_keys.clone());
    let lookup_keys = LookupKeys::load(&store, now).await?;
    let mail = config.otp.email_sender.as_deref().map(|sender| EmailSender::new(&sdk, sender));
    let (sms, documents) = (SmsSender::new(&sdk), Documents::new(&sdk, &config));
    let notifier = Notifier::new(Arc::clone(&config), store.clone(), metrics.clone(), sms, mail);
    let app = App {
        config,
        clock,
        store,
        lookup_keys,
        mint,
        public_keys,
        authenticator,
        notifier,
        metrics,
        documents,
    };
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
