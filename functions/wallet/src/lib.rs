//! The `wallet` function. Its operations come with a later version: until then it has no routes, and
//! API Gateway sends it nothing.

use axum::Router;
use shared::{
    http,
    lambda::{Environment, StartError},
};

/// The function's routes: none yet.
pub async fn router(_environment: &Environment) -> Result<Router, StartError> {
    Ok(http::finish(Router::new()))
}
