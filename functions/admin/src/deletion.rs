//! `DELETE /admin/users/{user_id}`.

use axum::{extract::State, response::IntoResponse};
use jiff::Timestamp;
use shared::{
    account,
    audit::{Action, Record},
    deletion::{self, DeletionRequest, ForfeitBalance, work::AccountSnapshot},
    http::{
        ClientIp, Json, PathParameter, Query,
        problem::{Code, Problem},
    },
    session::{self, access_token::Claims},
    value::UserId,
    wallet,
};

use crate::app::App;

/// `DELETE /admin/users/{user_id}`: as the person's own deletion, by a member of staff.
pub(crate) async fn delete_user(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    PathParameter(user_id): PathParameter,
    Query(forfeit): Query<ForfeitBalance>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    // What is no id names nobody; that is said to staff only.
    let subject = UserId::parse(&user_id).ok();
    let named = subject.unwrap_or(claims.user_id);
    let record = Record::by(claims.user_id, named, Action::AccountDeleted, source);
    let request = DeletionRequest { store: &app.store, documents: &app.documents, record, forfeit };
    let deleted = deletion::delete(&request, || look(&app, &claims, source, subject, now), now);
    Ok(Json(deleted.await?))
}

/// The member's session, the account, its wallet and its sessions, in one round trip. `None` when
/// they were not read as of one moment.
async fn look(
    app: &App,
    claims: &Claims,
    source: ClientIp,
    subject: Option<UserId>,
    now: Timestamp,
) -> Result<Option<AccountSnapshot>, Problem> {
    let reads = subject.filter(|subject| *subject != claims.user_id).map(|subject| {
        (account::key(subject).consistent(), wallet::balance_key(subject).consistent())
    });
    let sessions = async {
        match subject {
            Some(subject) => session::list(&app.store, subject, true).await,
            None => Ok(Vec::new()),
        }
    };
    let (entered, sessions) =
        tokio::join!(app.authenticator.authenticate_staff(claims, source, reads), sessions);
    let (staff, found) = entered?;
    if subject == Some(staff.user_id()) {
        return Err(deletion::own_account_refused(&app.store, staff.user_id(), source, now).await);
    }
    match found {
        Some((Some(account), Some(balance))) => {
            Ok(Some(AccountSnapshot { account, balance, sessions: sessions? }))
        }
        Some((Some(_), None)) => Ok(None),
        Some((None, _)) | None => Err(Problem::new(Code::NotFound, "There is no such user.")),
    }
}
