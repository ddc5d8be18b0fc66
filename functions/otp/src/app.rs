//! The state of the `otp` function.

use std::sync::Arc;

use axum::extract::FromRef;
use shared::{
    crypto::{
        keyring::{MacKeys, MacUse},
        lookup::LookupKeys,
    },
    dynamodb::Store,
    message::{email::EmailSender, notify::Notifier, sms::SmsSender},
    runtime::{
        clock::Clock,
        config::Config,
        lambda::{Environment, StartError},
        metrics::Metrics,
    },
};

/// The state that all handlers share.
#[derive(Clone, FromRef)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) lookup_keys: LookupKeys,
    pub(crate) code_keys: MacKeys,
    pub(crate) notifier: Notifier,
    pub(crate) metrics: Metrics,
}

impl App {
    /// Loads keys and creates the clients.
    pub(crate) async fn load(environment: &Environment) -> Result<Self, StartError> {
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
        Ok(Self {
            lookup_keys: LookupKeys::load(&store, clock.now()).await?,
            code_keys: MacKeys::load(&store, MacUse::Otp, clock.now()).await?,
            notifier,
            config,
            clock,
            store,
            metrics,
        })
    }
}
