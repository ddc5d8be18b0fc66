//! The `admin` function: what staff do, and the sweep that EventBridge asks for.

mod deletion;
#[cfg(feature = "openapi")]
pub mod openapi;
mod sweep;

use std::sync::Arc;

use axum::{Router, extract::FromRef, routing::delete};
use shared::{
    clock::Clock,
    config::Config,
    documents::Documents,
    gate::Gate,
    http,
    lambda::{Environment, StartError},
    table::Store,
};

pub use sweep::Sweeper;

/// What the handlers share.
#[derive(Clone, FromRef)]
struct App {
    config: Arc<Config>,
    clock: Clock,
    store: Store,
    gate: Gate,
    documents: Documents,
}

/// The function's routes.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let Environment { config, sdk, clock } = environment.clone();
    let store = Store::new(&sdk, &config);
    let gate = Gate::open(environment, &store).await?;
    let documents = Documents::new(&sdk, &config);
    let app = App { config, clock, store, gate, documents };
    let routes = Router::new()
        .route("/admin/users/{user_id}", delete(deletion::delete_user))
        .with_state(app);
    Ok(http::finish(routes))
}
