//! The `admin` function: what staff do, and the sweep that EventBridge asks for.
//!
//! `list`, `detail`, `create`, `update` and `session` are about users, `wallet` about their
//! balances, `kyc` about who they are, `audit` about what was done. `change` is a rule without I/O.

mod audit;
mod change;
mod create;
mod deletion;
mod detail;
mod kyc;
mod list;
#[cfg(feature = "openapi")]
pub mod openapi;
mod session;
mod sweep;
mod update;
mod wallet;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{delete, get, post},
};
use shared::{
    crypto::keyring::{MacKeys, MacUse},
    dynamodb::Store,
    http::{
        self, ClientIp,
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

pub use sweep::Sweeper;

/// What the handlers share.
#[derive(Clone, FromRef)]
struct App {
    config: Arc<Config>,
    clock: Clock,
    store: Store,
    authenticator: Authenticator,
    cursor_keys: MacKeys,
    documents: Documents,
}

/// The function's routes.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let Environment { config, sdk, clock, .. } = environment.clone();
    let store = Store::new(&sdk, &config);
    let authenticator = Authenticator::load(environment, &store).await?;
    let cursor_keys = MacKeys::load(&store, MacUse::Cursor, clock.now()).await?;
    let documents = Documents::new(&sdk, &config);
    let app = App { config, clock, store, authenticator, cursor_keys, documents };
    let user =
        get(detail::show).put(update::merge).patch(update::merge).delete(deletion::delete_user);
    let routes = Router::new()
        .route("/admin/users", get(list::list).post(create::create))
        .route("/admin/users/{user_id}", user)
        .route("/admin/users/{user_id}/sessions", delete(session::end_all))
        .route("/admin/users/{user_id}/wallet/adjustments", post(wallet::adjust))
        .route("/admin/kyc", get(kyc::list))
        .route("/admin/kyc/{user_id}/documents", get(kyc::documents))
        .route("/admin/kyc/{user_id}/review", post(kyc::review))
        .route("/admin/kyc/{user_id}/document-number", delete(kyc::release_number))
        .route("/admin/audit", get(audit::search))
        .with_state(app.clone());
    Ok(http::with_common_layers(app.authenticator.guard(routes), &environment.config))
}

impl App {
    /// The user that a path names. What is no id names nobody, which only staff are told.
    async fn subject(
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
fn no_longer_staff() -> Problem {
    Problem::new(Code::Forbidden, "Somebody has just taken your right to do this.")
}

/// 404.
fn user_not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such user.")
}
