//! The state of the `analytics` function.

use std::sync::Arc;

use axum::extract::FromRef;
use shared::{
    dynamodb::Store,
    runtime::{
        clock::Clock,
        config::Config,
        lambda::{Environment, StartError},
    },
    session::authentication::Authenticator,
};

/// The state that all handlers share.
#[derive(Clone, FromRef)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) authenticator: Authenticator,
}

impl App {
    /// Loads keys and creates the clients.
    pub(crate) async fn load(environment: &Environment) -> Result<Self, StartError> {
        let Environment { config, sdk, clock, .. } = environment.clone();
        let store = Store::new(&sdk, &config);
        let authenticator = Authenticator::load(environment, &store).await?;
        Ok(Self { config, clock, store, authenticator })
    }
}
