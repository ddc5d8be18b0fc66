//! The state of the `kyc` function.

use std::sync::Arc;

use axum::extract::FromRef;
use shared::{
    crypto::lookup::DocumentLookupKeys,
    dynamodb::Store,
    kyc::bucket::Documents,
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
    pub(crate) documents: Documents,
    pub(crate) number_keys: DocumentLookupKeys,
}

impl App {
    /// Loads keys and creates the clients.
    pub(crate) async fn load(environment: &Environment) -> Result<Self, StartError> {
        let Environment { config, sdk, clock, .. } = environment.clone();
        let store = Store::new(&sdk, &config);
        let authenticator = Authenticator::load(environment, &store).await?;
        let documents = Documents::new(&sdk, &config);
        let number_keys = DocumentLookupKeys::load(&store, clock.now()).await?;
        Ok(Self { config, clock, store, authenticator, documents, number_keys })
    }
}
