//! `DELETE /admin/users/{user_id}/sessions`.

use axum::{extract::State, response::IntoResponse};
use serde_json::json;
use shared::{
    account,
    audit::{self, Action},
    dynamodb::Transaction,
    http::{ClientIp, Json, PathParameter, problem::Problem},
    session::{self, access_token::Claims},
};

use crate::{app::App, app::no_longer_staff, app::user_not_found, update::pause};

/// How often it is tried again when somebody signs in at the same time.
const ATTEMPTS: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Account,
    Actor,
}

/// `DELETE /admin/users/{user_id}/sessions`: one transaction raises the epoch and ends them all.
pub(crate) async fn end_all(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    PathParameter(user_id): PathParameter,
) -> Result<impl IntoResponse, Problem> {
    let (user_id, now) = (app.subject(&claims, source, &user_id).await?, app.clock.now());
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let (entered, sessions) = tokio::join!(
            app.authenticator.authenticate_staff(
                &claims,
                source,
                account::key(user_id).consistent()
            ),
            session::list(&app.store, user_id, true),
        );
        let ((staff, account), sessions) = (entered?, sessions?);
        let account = account.ok_or_else(user_not_found)?;
        let mut all = Transaction::default();
        account::raise_epoch(&mut all, Write::Account, &account);
        session::remove_all(&mut all, Write::Account, &account, &sessions, None, now);
        let record = staff.record(user_id, Action::SessionsEnded);
        audit::add(&mut all, Write::Account, &record, now)?;
        if staff.user_id() != user_id {
            account::must_be_staff(&mut all, Write::Actor, staff.user_id());
        }
        let Err(refusals) = app.store.commit(all).await? else {
            session::release_devices(&app.store, &sessions).await;
            return Ok(Json(json!({ "message": "All sessions of the user have ended." })));
        };
        if refusals.iter().any(|refusal| refusal.label == Write::Actor) {
            return Err(no_longer_staff());
        }
    }
    Err(Problem::unavailable("too many signed in to one account at once"))
}
