//! The operations at the edge.

use std::collections::{BTreeMap, BTreeSet};

use axum::{extract::State, response::IntoResponse};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    account,
    http::{Json, Query, problem::Problem},
    session::{access_token::Claims, authentication::Service},
    usage::{self, Period},
    value::{Amount, Currency, UserId},
};

use crate::{
    app::App,
    count::{self, Settled},
    events::{Batch, Event},
    series::StatsQuery,
};

/// What a user did.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsageStats))]
pub(crate) struct Stats {
    total_rentals: i64,
    #[cfg_attr(feature = "openapi", schema(pattern = r"^[0-9]+(\.[0-9]+)?$", example = "1250.00"))]
    total_spent: String,
    total_points_earned: i64,
    total_referrals: i64,
    timely_returns: i64,
    late_returns: i64,
    favorite_stations_count: i64,
    last_rental_date: Option<Timestamp>,
    member_since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    series: Option<Vec<PeriodView>>,
}

/// What a user did in a day or a month.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsagePeriod))]
struct PeriodView {
    /// `2026-01-31`, or `2026-01`.
    period: String,
    rentals: i64,
    #[cfg_attr(feature = "openapi", schema(pattern = r"^[0-9]+(\.[0-9]+)?$", example = "25.00"))]
    spent: String,
    points_earned: i64,
}

fn money(minor: i64, currency: Currency) -> String {
    let shown = minor.clamp(0, Amount::MAX_MINOR);
    Amount::from_minor(shown).unwrap_or_default().format(currency)
}

/// `GET /users/analytics/usage-stats`.
pub(crate) async fn usage_stats(
    State(app): State<App>,
    claims: Claims,
    Query(StatsQuery(series)): Query<StatsQuery>,
) -> Result<impl IntoResponse, Problem> {
    let id = claims.user_id;
    let counted = async {
        let Some(series) = &series else { return Ok(Vec::new()) };
        let (Some(first), Some(last)) = (series.names.first(), series.names.last()) else {
            return Ok(Vec::new());
        };
        usage::periods(&app.store, id, series.granularity, (first, last)).await
    };
    let reads = (usage::totals_key(id), account::key(id));
    let (entered, counted) = tokio::join!(app.authenticator.authenticate(&claims, reads), counted);
    let (_, (totals, account)) = entered?;
    let counted: BTreeMap<String, Period> = counted?.into_iter().collect();
    let currency = app.config.currency;
    let totals = totals.unwrap_or_default();
    let series = series.map(|series| view(series.names, &counted, currency));
    Ok(Json(Stats {
        total_rentals: totals.rentals,
        total_spent: money(totals.spent_minor, currency),
        total_points_earned: totals.points_earned,
        total_referrals: totals.total_referrals,
        timely_returns: totals.timely_returns,
        late_returns: totals.late_returns,
        favorite_stations_count: totals.favorite_stations_count,
        last_rental_date: totals.last_rental_at,
        // An id tells when it was made, for the moment in which the account cannot be read yet.
        member_since: account.map_or(id.created_at(), |account| account.joined_at),
        series,
    }))
}

/// Every period that was asked for, those without a count as well.
fn view(
    names: Vec<String>,
    counted: &BTreeMap<String, Period>,
    currency: Currency,
) -> Vec<PeriodView> {
    let period = |name: String| {
        let counted = counted.get(&name).copied().unwrap_or_default();
        PeriodView {
            rentals: counted.rentals,
            spent: money(counted.spent_minor, currency),
            points_earned: counted.points_earned,
            period: name,
        }
    };
    names.into_iter().map(period).collect()
}

/// What became of the events, in their order.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsageEventResults))]
pub(crate) struct Results {
    results: Vec<EventResult>,
}

/// What became of an event.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = UsageEventResult))]
struct EventResult {
    event_id: String,
    #[cfg_attr(feature = "openapi", schema(pattern = "^(counted|duplicate|rejected)$"))]
    status: &'static str,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    code: Option<&'static str>,
}

/// `POST /internal/usage-events`: the events of each user in one transaction, users side by side.
pub(crate) async fn usage_events(
    State(app): State<App>,
    _service: Service,
    Json(Batch(given)): Json<Batch>,
) -> Result<impl IntoResponse, Problem> {
    let mut by_user: BTreeMap<UserId, Vec<Event>> = BTreeMap::new();
    for event in given.iter().filter_map(|given| given.event.as_ref().ok()) {
        by_user.entry(event.user_id).or_default().push(event.clone());
    }
    let counted = count::count_all(&app, &by_user, app.clock.now()).await?;
    let mut first = BTreeSet::new();
    let results = given.into_iter().map(|given| {
        let (status, code) = match &given.event {
            Err(code) => ("rejected", Some(*code)),
            Ok(event) => match counted.get(&event.user_id) {
                Some(Ok(settled)) => {
                    let is_first = first.insert((event.user_id, event.event_id.clone()));
                    outcome(event, settled, is_first)
                }
                Some(Err(code)) => ("rejected", Some(*code)),
                None => ("rejected", Some("unavailable")),
            },
        };
        EventResult { event_id: given.event_id, status, code }
    });
    Ok(Json(Results { results: results.collect() }))
}

/// What became of an event of a user whose events were counted: the first one of its id in a
/// request, or another.
fn outcome(
    event: &Event,
    settled: &Settled,
    is_first: bool,
) -> (&'static str, Option<&'static str>) {
    let content = event.content();
    let counted = settled.counted.get(&event.event_id);
    // An event whose content was not remembered is taken for the same.
    let before = settled.known.get(&event.event_id).copied().flatten();
    match counted.copied().or(before) {
        Some(other) if other != content => ("rejected", Some("event_id_reused")),
        _ if counted.is_some() && is_first => ("counted", None),
        _ => ("duplicate", None),
    }
}
