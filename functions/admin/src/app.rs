//! The state of the `admin` function.

use std::sync::Arc;

use axum::extract::FromRef;
use shared::{
    crypto::keyring::{MacKeys, MacUse},
    dynamodb::Store,
    http::{
        ClientIp,
        problem::{Code, Problem},
    },
    kyc::bucket::Documents,
    runtime::{
        clock::Clock,
        config::Config,
        lambda::{Environment, StartError},
    },
    session::{access_token::Claims, authentication::Authenticator},
    value::UserId,
};

/// The state that all handlers share.
#[derive(Clone, FromRef)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) authenticator: Authenticator,
    pub(crate) cursor_keys: MacKeys,
    pub(crate) documents: Documents,
}

impl App {
    /// Loads keys and creates the clients.
    pub(crate) async fn load(environment: &Environment) -> Result<Self, StartError> {
        let Environment { config, sdk, clock, .. } = environment.clone();
        let store = Store::new(&sdk, &config);
        let authenticator = Authenticator::load(environment, &store).await?;
        let cursor_keys = MacKeys::load(&store, MacUse::Cursor, clock.now()).await?;
        let documents = Documents::new(&sdk, &config);
        Ok(Self { config, clock, store, authenticator, cursor_keys, documents })
    }
}

impl App {
    /// The user that a path names. What is no id names nobody, which only staff are told.
    pub(crate) async fn subject(
        &self,
        claims: &Claims,
        source: ClientIp,
        text: &str,
    ) -> Result<UserId, Problem> {
        match UserId::parse(text) {
            Ok(user_id) => Ok(user_id),
            Err(_) => {
                self.authenticator.authenticate_staff(claims, source, ()).await?;
                Err(user_not_found())
            }
        }
    }
}

/// 403: of two who take each other's right one keeps it.
pub(crate) fn no_longer_staff() -> Problem {
    Problem::new(Code::Forbidden, "Somebody has just taken your right to do this.")
}

/// 404.
pub(crate) fn user_not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such user.")
}
