//! The state of the `auth` function.

use std::sync::Arc;

use axum::extract::FromRef;
use shared::{
    crypto::{keyring::PublicKeys, lookup::LookupKeys},
    dynamodb::Store,
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

/// The state that all handlers share.
#[derive(Clone, FromRef)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) lookup_keys: LookupKeys,
    pub(crate) mint: Mint,
    pub(crate) public_keys: PublicKeys,
    pub(crate) authenticator: Authenticator,
    pub(crate) notifier: Notifier,
    pub(crate) metrics: Metrics,
    pub(crate) documents: Documents,
}

impl App {
    /// Loads keys and creates the clients.
    pub(crate) async fn load(environment: &Environment) -> Result<Self, StartError> {
        let Environment { config, sdk, clock, metrics } = environment.clone();
        let (store, now) = (Store::new(&sdk, &config), clock.now());
        // Makes the first signing key, so it comes before the public keys are read.
        let mint = Mint::load(&store, Arc::clone(&config), now).await?;
        let public_keys = PublicKeys::load(&store, now).await?;
        let authenticator = Authenticator::with_keys(environment, &store, public_keys.clone());
        let lookup_keys = LookupKeys::load(&store, now).await?;
        let mail = config.otp.email_sender.as_deref().map(|sender| EmailSender::new(&sdk, sender));
        let (sms, documents) = (SmsSender::new(&sdk), Documents::new(&sdk, &config));
        let notifier =
            Notifier::new(Arc::clone(&config), store.clone(), metrics.clone(), sms, mail);
        Ok(Self {
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
        })
    }
}
