//! The end of an account, and what is held about its person, as the OpenAPI document shows them.

use http::{Method, StatusCode};
use shared::{
    deletion::{DeletedAccount, ForfeitBalance},
    http::problem::Code,
    openapi::OperationDoc,
};
use utoipa::ToSchema;

use crate::export::Export;

/// How it is deleted.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Deletion {
    /// Gives up the money that is in the wallet. Without it an account with money stays.
    forfeit_balance: Option<bool>,
}

pub(super) fn delete() -> OperationDoc {
    OperationDoc::new(Method::DELETE, "/auth/account", "deleteAccount", "Delete one's account")
        .description(
            "Takes effect at once: every token is refused, and the phone number, the e-mail address \
             and the username are free again. Needs a fresh sign-in. After a lost answer the token \
             is refused: the account is gone. A staff account is deleted by another member of \
             staff.",
        )
        .query::<Deletion, ForfeitBalance>()
        .answers::<DeletedAccount>(StatusCode::OK, "It is deleted.")
        .problems(&[Code::ReauthenticationRequired, Code::OwnAccount, Code::WalletNotEmpty])
}

pub(super) fn export() -> OperationDoc {
    let path = "/auth/account/export";
    OperationDoc::new(Method::GET, path, "exportAccount", "Read all that is held about oneself")
        .description("Needs a fresh sign-in. Lists have at most 2,000 rows, the audit trail 1,000.")
        .answers::<Export<'static>>(StatusCode::OK, "Everything that is held.")
        .problems(&[Code::ReauthenticationRequired])
}
