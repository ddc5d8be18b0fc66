//! The deletion of an account by staff.

use http::{Method, StatusCode};
use shared::{
    deletion::{DeletedAccount, ForfeitBalance},
    http::problem::Code,
    openapi::OperationDoc,
    value::UserId,
};
use utoipa::ToSchema;

/// How it is deleted.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Deletion {
    /// Gives up the money that is in the wallet. Without it an account with money stays.
    forfeit_balance: Option<bool>,
}

pub(super) fn delete_user() -> OperationDoc {
    let path = "/admin/users/{user_id}";
    OperationDoc::new(Method::DELETE, path, "deleteUser", "Delete a user's account")
        .description("Takes effect at once, as a person's own deletion does. Audited.")
        .path_parameter::<UserId>("user_id", "The account.")
        .query::<Deletion, ForfeitBalance>()
        .answers::<DeletedAccount>(StatusCode::OK, "It is deleted.")
        .problems(&[Code::NotFound, Code::OwnAccount, Code::WalletNotEmpty])
}
