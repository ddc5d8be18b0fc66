//! `GET /admin/audit`.

use std::collections::BTreeMap;

use axum::{extract::State, response::IntoResponse};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    audit::{
        Action, Entry,
        search::{self, Wanted, Whose},
    },
    http::{
        Json, Query, Source,
        cursor::{self, Limit, QueryBinding},
        fields::{self, Body, Fields},
        problem::Problem,
    },
    session::access_token::Claims,
    value::{AuditId, Invalid, UserId},
};

use crate::{App, list::span};

/// The query of a search.
pub(crate) struct Search {
    wanted: Wanted,
    limit: Limit,
    cursor: Option<String>,
}

impl Body for Search {
    fn read(fields: &mut Fields) -> Option<Self> {
        let subject = fields.optional("user_id", UserId::parse);
        let actor = fields.optional("actor_id", UserId::parse);
        let action = fields.optional("action", action);
        let span = span(fields, "from", "to");
        let limit = fields.optional("limit", Limit::parse);
        // Whatever is wrong with it is said when it is opened.
        let cursor = fields.optional("cursor", |text| Ok(text.to_owned()));
        let whose = match (subject?, actor?) {
            (Some(subject), None) => Whose::About(subject),
            (None, Some(actor)) => Whose::By(actor),
            (Some(subject), Some(actor)) => Whose::AboutAndBy(subject, actor),
            (None, None) => {
                let detail = "Say whose account it is about, or who did it.";
                let one = Invalid { code: "required", detail };
                fields.refuse::<()>("user_id", one);
                return fields.refuse("actor_id", one);
            }
        };
        Some(Self {
            wanted: Wanted { whose, action: action?, span: span? },
            limit: limit?.unwrap_or_default(),
            cursor: cursor?,
        })
    }
}

fn action(text: &str) -> Result<Action, Invalid> {
    fields::one_of(text, Invalid { code: "invalid_action", detail: "There is no such action." })
}

/// What was done.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditEntry))]
pub(crate) struct EntryView {
    id: AuditId,
    action: Action,
    /// Whose account it is about.
    subject: UserId,
    /// Who did it: the subject, or a member of staff.
    actor: UserId,
    /// The network it came from: an IPv4 /24, or an IPv6 /48.
    #[cfg_attr(feature = "openapi", schema(example = "203.0.113.0/24"))]
    source: String,
    /// More about it, by name. What is personal is masked.
    details: BTreeMap<String, String>,
    created_at: Timestamp,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.entry_id,
            action: entry.action,
            subject: entry.subject,
            actor: entry.actor.unwrap_or(entry.subject),
            source: entry.source,
            details: entry.details,
            created_at: entry.at,
        }
    }
}

/// A page of entries.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditPage))]
pub(crate) struct PageView {
    results: Vec<EntryView>,
    /// Where the list goes on; null at its end. A page may be short, even empty, with a cursor.
    next_cursor: Option<String>,
}

/// `GET /admin/audit`.
pub(crate) async fn search(
    State(app): State<App>,
    claims: Claims,
    source: Source,
    Query(query): Query<Search>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    let (_, key) = app.cursor_keys.current(now).await?;
    let wanted = format!("{:?}", query.wanted);
    let filters = [("wanted", wanted.as_str())];
    let binding = QueryBinding::new("GET /admin/audit", claims.user_id.as_bytes(), &filters);
    let before = query.cursor.map(|text| cursor::open(&key, &binding, &text)).transpose();
    let before = before
        .map_err(Problem::invalid_cursor)?
        .and_then(|position| AuditId::from_bytes(position.try_into().ok()?));
    let page = search::page(&app.store, &query.wanted, before, query.limit.get());
    let (_, (mut entries, next)) = app.gate.enter_staff_beside(&claims, source, page).await?;
    // TTL only cleans.
    entries.retain(|entry| now < entry.expires_at);
    Ok(Json(PageView {
        results: entries.into_iter().map(EntryView::from).collect(),
        next_cursor: next.map(|id| cursor::seal(&key, &binding, id.as_bytes())),
    }))
}
