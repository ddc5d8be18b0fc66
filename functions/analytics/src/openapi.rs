//! The operations as the OpenAPI document shows them.

use http::{Method, StatusCode};
use jiff::{Timestamp, civil::Date};
use shared::{openapi::OperationDoc, value::UserId};
use utoipa::ToSchema;

use crate::{
    events::Batch,
    handlers::{Results, Stats},
    series,
};

/// The series that is asked for, if any.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct StatsQuery {
    /// The first day of a series; only with `to`.
    from: Option<Date>,
    /// Its last day; at most 366 days or 36 months.
    to: Option<Date>,
    /// `day` when it is not said; only with `from` and `to`.
    #[schema(pattern = "^(day|month)$")]
    granularity: Option<String>,
}

/// Events of any users.
#[derive(ToSchema)]
#[schema(as = UsageEvents)]
#[allow(dead_code, reason = "only its schema is used")]
struct UsageEvents {
    /// 1 to 25 objects, each with an `event_id`. One that is otherwise not as described here is
    /// rejected alone: the others are counted.
    #[schema(min_items = 1, max_items = 25, example = json!([{
        "event_id": "rental-7181",
        "user_id": "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11",
        "type": "RENTAL_COMPLETED",
        "occurred_at": "2026-01-01T00:00:00Z",
        "amount": "25.00",
        "on_time": true,
    }]))]
    events: Vec<UsageEvent>,
}

/// What happened.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct UsageEvent {
    /// Its name: counted once for a user.
    #[schema(pattern = "^[!-~]{1,100}$", example = "rental-7181")]
    event_id: String,
    /// Who did it.
    user_id: UserId,
    #[schema(inline)]
    r#type: UsageEventType,
    /// Not over 35 days ago, nor over five minutes ahead.
    occurred_at: Timestamp,
    /// What the rental cost; with `RENTAL_COMPLETED`.
    #[schema(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$", example = "25.00")]
    amount: Option<String>,
    /// The deployment's currency. Another one is rejected.
    #[schema(pattern = "^[A-Z]{3}$", example = "NPR")]
    currency: Option<String>,
    /// Whether it ended in time; with `RENTAL_COMPLETED`.
    on_time: Option<bool>,
    /// The station; with the other two types.
    #[schema(pattern = "^[!-~]{1,100}$", example = "thamel-chowk")]
    station_id: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum UsageEventType {
    RentalCompleted,
    StationFavorited,
    StationUnfavorited,
}

/// The operations of this function.
pub fn operations() -> Vec<OperationDoc> {
    vec![usage_stats(), usage_events()]
}

fn usage_stats() -> OperationDoc {
    let path = "/users/analytics/usage-stats";
    OperationDoc::new(Method::GET, path, "getUsageStats", "Read one's statistics")
        .description("With `from` and `to` the answer has a series, empty periods included.")
        .query::<StatsQuery, series::StatsQuery>()
        .answers::<Stats>(StatusCode::OK, "The statistics.")
}

fn usage_events() -> OperationDoc {
    let path = "/internal/usage-events";
    OperationDoc::new(Method::POST, path, "postUsageEvents", "Count what users did")
        .description(
            "Counts each event once by its `event_id`, remembered for 40 days: the same batch is \
             safe to send again. Of a station the event with the latest `occurred_at` counts, in \
             whatever order they come. Each event has a result of its own. `code` is \
             `invalid_event`, `too_old`, `in_future`, `unknown_user`, or `unavailable`: send that \
             one again.",
        )
        .body::<UsageEvents, Batch>()
        .answers::<Results>(StatusCode::OK, "What became of each event, in their order.")
}
