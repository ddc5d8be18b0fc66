//! `GET /admin/audit`.

use std::collections::BTreeMap;

use axum::{extract::State, response::IntoResponse};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    audit::{
        Action, Entry,
        search::{self, Criteria, Party},
    },
    crypto::canonical::Canonical,
    http::{
        ClientIp, Json, ListQuery,
        cursor::{self, PageRequest, QueryBinding},
        fields::{self, Body, Fields, List},
        problem::Problem,
    },
    session::access_token::Claims,
    value::{AuditId, Invalid, UserId},
};

use crate::{app::App, list::span};

/// The query of a search.
pub(crate) struct Search {
    criteria: Criteria,
    page: PageRequest,
}

impl List for Search {
    const PARAMETERS: &'static [&'static str] =
        &["user_id", "actor_id", "action", "from", "to", "limit", "cursor"];
}

impl Body for Search {
    fn read(fields: &mut Fields) -> Option<Self> {
        let subject = fields.optional("user_id", UserId::parse);
        let actor = fields.optional("actor_id", UserId::parse);
        let action = fields.optional("action", action);
        let span = span(fields, "from", "to");
        let page = PageRequest::read(fields);
        let party = match (subject?, actor?) {
            (Some(subject), None) => Party::Subject(subject),
            (None, Some(actor)) => Party::Actor(actor),
            (Some(subject), Some(actor)) => Party::SubjectAndActor(subject, actor),
            (None, None) => {
                let detail = "Say whose account it is about, or who did it.";
                let one = Invalid { code: "required", detail };
                fields.refuse::<()>("user_id", one);
                return fields.refuse("actor_id", one);
            }
        };
        Some(Self { criteria: Criteria { party, action: action?, span: span? }, page: page? })
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

/// What a cursor is bound to.
fn filters(Criteria { party, action, span }: &Criteria) -> Canonical {
    let (subject, actor) = match party {
        Party::Subject(subject) => (Some(subject), None),
        Party::Actor(actor) => (None, Some(actor)),
        Party::SubjectAndActor(subject, actor) => (Some(subject), Some(actor)),
    };
    Canonical::new("GET /admin/audit")
        .with_word("user_id", subject)
        .with_word("actor_id", actor)
        .with_word("action", *action)
        .with_word("from", span.from)
        .with_word("to", span.to)
}

/// `GET /admin/audit`.
pub(crate) async fn search(
    State(app): State<App>,
    claims: Claims,
    source: ClientIp,
    ListQuery(query): ListQuery<Search>,
) -> Result<impl IntoResponse, Problem> {
    let now = app.clock.now();
    let (_, key) = app.cursor_keys.current(now).await?;
    let binding = QueryBinding::new(claims.user_id, &filters(&query.criteria));
    let before: Option<AuditId> =
        query.page.position(&key, &binding).map_err(Problem::invalid_cursor)?;
    let page = search::page(&app.store, &query.criteria, before, query.page.limit());
    let (_, (mut entries, next)) =
        app.authenticator.authenticate_staff_while(&claims, source, page).await?;
    // TTL only cleans.
    entries.retain(|entry| now < entry.expires_at);
    Ok(Json(PageView {
        results: entries.into_iter().map(EntryView::from).collect(),
        next_cursor: next.map(|id| cursor::seal(&key, &binding, &id)),
    }))
}

#[cfg(test)]
mod tests {
    use shared::dynamodb::TimeRange;

    use super::*;

    #[test]
    fn what_a_cursor_is_bound_to_is_pinned() {
        let (one, other) =
            ("01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11", "01998f6e-5c1b-7d34-9a44-0f4f2f1c8b12");
        let id = |text| UserId::parse(text).unwrap();
        let span = TimeRange { from: Some("2026-01-31T10:00:00Z".parse().unwrap()), to: None };
        let criteria = |party| Criteria { party, action: Some(Action::SignedIn), span };
        let base = Canonical::new("GET /admin/audit")
            .with("action", "signed_in")
            .with("from", "2026-01-31T10:00:00Z");
        let about = base.clone().with("user_id", one);
        let by = base.clone().with("actor_id", other);
        for (party, expected) in [
            (Party::Subject(id(one)), about.clone()),
            (Party::Actor(id(other)), by),
            (Party::SubjectAndActor(id(one), id(other)), about.with("actor_id", other)),
        ] {
            assert!(filters(&criteria(party)) == expected, "{party:?}");
        }
    }
}
