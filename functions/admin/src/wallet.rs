//! `POST /admin/users/{user_id}/wallet/adjustments`.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use shared::{
    account,
    audit::{self, Action},
    http::{
        ClientIp, Json, PathParameter, RequiredIdempotencyKey,
        fields::{Body, Fields},
        problem::Problem,
    },
    session::access_token::Claims,
    usage,
    user::view::EntryView,
    wallet::{
        ledger::{self, Movement},
        posting::{self, EntryRequest, IdempotencyScope},
    },
};

use crate::app::App;

const OPERATION: &str = "POST /admin/users/{user_id}/wallet/adjustments";

/// A correction of a balance.
pub(crate) struct Adjustment {
    movement: Movement,
    reason: String,
}

impl Body for Adjustment {
    fn read(fields: &mut Fields) -> Option<Self> {
        let movement = Movement::read(fields);
        let reason = fields.required("reason", ledger::remark);
        Some(Self { movement: movement?, reason: reason? })
    }
}

/// `POST /admin/users/{user_id}/wallet/adjustments`.
pub(crate) async fn adjust(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    PathParameter(user_id): PathParameter,
    RequiredIdempotencyKey(key): RequiredIdempotencyKey,
    Json(Adjustment { movement, reason }): Json<Adjustment>,
) -> Result<Response, Problem> {
    let (user_id, now) = (app.subject(&claims, source, &user_id).await?, app.clock.now());
    let scope = IdempotencyScope::new(user_id, OPERATION, &key);
    let (staff, seen) =
        app.authenticator.authenticate_staff(&claims, source, scope.clone()).await?;
    app.authenticator.require_other_account(&staff, user_id).await?;
    let (reference, actor) = ("adjustment".to_owned(), staff.user_id().to_string());
    let request = EntryRequest { user_id, movement, reference, reason, actor };
    let at = (now, usage::day_of(now, &app.config.time_zone));
    let posted = posting::post(&app.store, &request, &scope, Some(seen), at, |all, entry| {
        let record = staff.record(user_id, Action::WalletAdjusted);
        let record = record
            .with("entry_id", entry.entry_id.to_string())
            .with("direction", entry.direction.as_str())
            .with("asset", entry.asset.as_str());
        account::must_be_staff(all, (), staff.user_id());
        audit::add(all, (), &record, now).map(drop)
    });
    let posted = posted.await?;
    let entry = Json(EntryView::of(posted.entry, app.config.currency));
    Ok(match posted.is_replayed {
        true => (StatusCode::CREATED, [("idempotent-replayed", "true")], entry).into_response(),
        false => (StatusCode::CREATED, entry).into_response(),
    })
}
