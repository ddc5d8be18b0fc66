//! The routes of the `admin` function.

use axum::{
    Router,
    routing::{delete, get, post},
};
use shared::{
    http,
    runtime::lambda::{Environment, StartError},
};

use crate::{app::App, audit, create, deletion, detail, kyc, list, session, update, wallet};

/// The router of the function.
pub async fn router(environment: &Environment) -> Result<Router, StartError> {
    let app = App::load(environment).await?;
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
