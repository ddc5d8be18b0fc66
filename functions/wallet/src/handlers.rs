//! The operations at the edge.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    crypto::canonical::Canonical,
    http::{
        Json, ListQuery, RequiredIdempotencyKey,
        cursor::{self, PageRequest, QueryBinding},
        fields::{Body, Fields, List},
        problem::Problem,
    },
    session::{access_token::Claims, authentication::Service},
    usage,
    user::view::{EntryView, Money, Points},
    value::{EntryId, Invalid, UserId},
    wallet::{
        self, Asset, Balance,
        ledger::{self, Movement},
        posting::{self, EntryRequest, IdempotencyScope},
    },
};

use crate::app::App;

/// What a user has.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Wallet))]
pub(crate) struct BalanceView {
    #[serde(flatten)]
    money: Money,
    points: Points,
    last_updated: Timestamp,
}

/// `GET /users/wallet`.
pub(crate) async fn balance(
    State(app): State<App>,
    claims: Claims,
) -> Result<impl IntoResponse, Problem> {
    let balance = read_balance(&app, &claims).await?;
    Ok(Json(BalanceView {
        money: Money::of(&balance, app.config.currency),
        points: (&balance).into(),
        last_updated: balance.updated_at,
    }))
}

/// Reads once more, consistently, what is not there yet: right after a registration.
async fn read_balance(app: &App, claims: &Claims) -> Result<Balance, Problem> {
    for consistent in [false, true] {
        let key = wallet::balance_key(claims.user_id).consistent_if(consistent);
        if let (_, Some(balance)) = app.authenticator.authenticate(claims, key).await? {
            return Ok(balance);
        }
    }
    Err(Problem::internal("a user has no wallet"))
}

/// The query of a list of entries.
pub(crate) struct Listing {
    asset: Option<Asset>,
    page: PageRequest,
}

impl List for Listing {
    const PARAMETERS: &'static [&'static str] = &["asset", "limit", "cursor"];
}

impl Body for Listing {
    fn read(fields: &mut Fields) -> Option<Self> {
        let asset = fields.optional("asset", |text| match text {
            "MONEY" => Ok(Asset::Money),
            "POINTS" => Ok(Asset::Points),
            _ => Err(Invalid { code: "invalid_asset", detail: "This must be MONEY or POINTS." }),
        });
        let page = PageRequest::read(fields);
        Some(Self { asset: asset?, page: page? })
    }
}

#[derive(Serialize)]
struct PageView {
    results: Vec<EntryView>,
    next_cursor: Option<String>,
}

/// `GET /users/wallet/transactions`.
pub(crate) async fn transactions(
    State(app): State<App>,
    claims: Claims,
    ListQuery(query): ListQuery<Listing>,
) -> Result<impl IntoResponse, Problem> {
    let (_, key) = app.cursor_keys.current(app.clock.now()).await?;
    let asset = query.asset.map(Asset::as_str);
    let filters = Canonical::new("GET /users/wallet/transactions").with_some("asset", asset);
    let binding = QueryBinding::new(claims.user_id, &filters);
    let after: Option<EntryId> =
        query.page.position(&key, &binding).map_err(Problem::invalid_cursor)?;
    let limit = query.page.limit();
    let reading = wallet::entries(&app.store, claims.user_id, query.asset, after, limit);
    let (_, (entries, next)) = app.authenticator.authenticate_while(&claims, reading).await?;
    let currency = app.config.currency;
    Ok(Json(PageView {
        results: entries.into_iter().map(|entry| EntryView::of(entry, currency)).collect(),
        next_cursor: next.map(|id| cursor::seal(&key, &binding, &id)),
    }))
}

/// What another backend asks to be posted.
pub(crate) struct EntryBody {
    user_id: UserId,
    movement: Movement,
    reference: String,
    reason: String,
}

impl Body for EntryBody {
    fn read(fields: &mut Fields) -> Option<Self> {
        let user_id = fields.required("user_id", UserId::parse);
        let movement = Movement::read(fields);
        let reference = fields.required("reference", ledger::remark);
        let reason = fields.required("reason", ledger::remark);
        Some(Self {
            user_id: user_id?,
            movement: movement?,
            reference: reference?,
            reason: reason?,
        })
    }
}

/// `POST /internal/wallet/entries`.
pub(crate) async fn post_entry(
    State(app): State<App>,
    service: Service,
    RequiredIdempotencyKey(key): RequiredIdempotencyKey,
    Json(body): Json<EntryBody>,
) -> Result<Response, Problem> {
    let EntryBody { user_id, movement, reference, reason } = body;
    let actor = service.arn().to_owned();
    let request = EntryRequest { user_id, movement, reference, reason, actor };
    let scope = IdempotencyScope::new(user_id, "POST /internal/wallet/entries", &key);
    let now = app.clock.now();
    let at = (now, usage::day_of(now, &app.config.time_zone));
    let posted = posting::post(&app.store, &request, &scope, None, at, |_, _| Ok(())).await?;
    let entry = Json(EntryView::of(posted.entry, app.config.currency));
    Ok(match posted.is_replayed {
        true => (StatusCode::CREATED, [("idempotent-replayed", "true")], entry).into_response(),
        false => (StatusCode::CREATED, entry).into_response(),
    })
}
