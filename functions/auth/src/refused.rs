//! Sign-ins that policy refuses though the credential was right: those are audited. A wrong
//! credential is not, so that nobody and somebody cost the same.

use jiff::Timestamp;
use shared::{
    audit::{self, Action, Record},
    http::{ClientIp, problem::Problem},
    value::UserId,
};

use crate::app::App;

/// `refusal`, once it is audited under its code.
pub(crate) async fn audited(
    app: &App,
    user_id: UserId,
    refusal: Problem,
    source: ClientIp,
    now: Timestamp,
) -> Problem {
    let record = Record::own(user_id, Action::SignInRefused, source);
    let record = record.with("reason", refusal.code().as_str());
    match audit::write(&app.store, &record, now).await {
        Ok(_) => refusal,
        Err(problem) => problem,
    }
}
