//! Making the two tokens of a session.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use shared::{
    crypto::{
        key_items::Slot,
        keyring::{MacKeys, MacUse, SigningKeys},
        secret,
    },
    dynamodb::Store,
    http::problem::Problem,
    runtime::{config::Config, lambda::StartError},
    session::{
        RefreshToken, Session, Unverified,
        access_token::{self, Claims},
    },
};

/// The four fields that every answer with tokens has.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Tokens {
    /// A JWT (RFC 9068), signed with a key of `/.well-known/jwks.json`.
    pub(crate) access_token: String,
    /// Opaque; for one use.
    pub(crate) refresh_token: String,
    /// `Bearer`.
    pub(crate) token_type: &'static str,
    /// Seconds until the access token is no longer valid.
    pub(crate) expires_in: i64,
}

/// The keys that tokens are made with.
#[derive(Clone)]
pub(crate) struct Mint {
    config: Arc<Config>,
    signing: SigningKeys,
    refresh: MacKeys,
}

impl Mint {
    pub(crate) async fn load(
        store: &Store,
        config: Arc<Config>,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        let signing = SigningKeys::load(store, now).await?;
        let refresh = MacKeys::load(store, MacUse::Refresh, now).await?;
        Ok(Self { config, signing, refresh })
    }

    /// Makes the signing keys of the present and the near future where they are missing.
    pub(crate) async fn prepare(&self, now: Timestamp) -> Result<(), Problem> {
        self.signing.prepare(now).await
    }

    /// The slot of the MAC key that a session which begins now is to keep for life.
    pub(crate) async fn slot(&self, now: Timestamp) -> Result<Slot, Problem> {
        Ok(self.refresh.current(now).await?.0)
    }

    /// The tokens of a session as it stands.
    pub(crate) async fn tokens(
        &self,
        session: &Session,
        now: Timestamp,
    ) -> Result<Tokens, Problem> {
        let claims = Claims {
            user_id: session.user_id,
            session_id: session.session_id,
            auth_time: session.auth_time,
        };
        let signing = self.signing.current(now).await?;
        let access_token = signing
            .sign(&self.config.token, &claims, now, secret::random())
            .map_err(Problem::internal)?;
        let key = self.refresh.at(session.mac_slot, now).await?;
        let key = key.ok_or_else(|| Problem::internal("the MAC key of a session is gone"))?;
        let refresh_token = RefreshToken {
            user_id: session.user_id,
            session_id: session.session_id,
            counter: session.counter,
            key_slot: session.mac_slot,
        };
        Ok(Tokens {
            access_token,
            refresh_token: refresh_token.seal(&key),
            token_type: "Bearer",
            expires_in: access_token::LIFETIME_SECONDS,
        })
    }

    /// What a refresh token says, if it is one of ours.
    pub(crate) async fn read(
        &self,
        token: Unverified,
        now: Timestamp,
    ) -> Result<Option<RefreshToken>, Problem> {
        let key = self.refresh.at(token.key_slot(), now).await?;
        Ok(key.and_then(|key| token.verify(&key)))
    }
}
