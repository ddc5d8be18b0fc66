//! `DELETE /auth/account`.

use jiff::Timestamp;
use shared::{
    account,
    audit::{Action, Record},
    deletion::{self, DeletedAccount, DeletionRequest, ForfeitBalance, work::AccountSnapshot},
    http::{ClientIp, problem::Problem},
    session::{self, access_token::Claims, authentication},
    wallet,
};

use crate::app::App;

/// Deletes the caller's own account. A member of staff is not to take the last staff right away
/// with it: another one makes the account an ordinary one first.
pub(crate) async fn delete(
    app: &App,
    claims: &Claims,
    forfeit: ForfeitBalance,
    source: ClientIp,
    now: Timestamp,
) -> Result<DeletedAccount, Problem> {
    let record = Record::own(claims.user_id, Action::AccountDeleted, source);
    let request = DeletionRequest { store: &app.store, documents: &app.documents, record, forfeit };
    deletion::delete(&request, || look(app, claims, source, now), now).await
}

/// Session, account, wallet and the list of sessions, in one round trip. `None` when they were not
/// read as of one moment: the session lives, and what belongs to it is gone.
async fn look(
    app: &App,
    claims: &Claims,
    source: ClientIp,
    now: Timestamp,
) -> Result<Option<AccountSnapshot>, Problem> {
    let id = claims.user_id;
    let reads = (account::key(id).consistent(), wallet::balance_key(id).consistent());
    let sessions = session::list(&app.store, id, true);
    let (entered, sessions) = tokio::join!(app.authenticator.authenticate(claims, reads), sessions);
    let (principal, (account, balance)) = entered?;
    authentication::require_recent_sign_in(claims, now)?;
    let (Some(account), Some(balance)) = (account, balance) else { return Ok(None) };
    if account.is_staff || principal.session().is_staff {
        return Err(deletion::own_account_refused(&app.store, id, source, now).await);
    }
    Ok(Some(AccountSnapshot { account, balance, sessions: sessions? }))
}
