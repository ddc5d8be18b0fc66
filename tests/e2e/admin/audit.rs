//! `GET /admin/audit`.

use serde_json::{Value, json};
use shared::{crypto::secret::random, value::AuditId};

use crate::harness::{App, Needs, PASSWORD, User, assert_budget};

async fn search(app: &App, staff: &User, query: &str) -> Vec<Value> {
    app.all_results(staff, &format!("/admin/audit?{query}")).await
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_entry_shows_actor_action_subject_time_and_network() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    app.change_user(&staff, &user.user_id, &json!({"status": "INACTIVE"})).await.ok();
    let found = search(&app, &staff, &format!("user_id={}", user.user_id)).await;
    assert_eq!(actions(&found), ["user_updated", "registered"]);
    let source = found[0]["source"].as_str().unwrap();
    assert!(source.ends_with(".0/24") || source.ends_with("::/48"), "{source}");
    let expected = json!({
        "id": found[0]["id"], "action": "user_updated", "subject": user.user_id,
        "actor": staff.user_id, "source": source, "details": {"status": "INACTIVE"},
        "created_at": found[0]["created_at"],
    });
    assert_eq!(found[0], expected);
    assert_eq!(found[1]["actor"], user.user_id.as_str(), "the actor is the user");
    assert_eq!(found[1]["details"], json!({}));
}

#[tokio::test]
async fn a_search_by_actor_finds_actions_on_others_and_on_themselves() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, other) = (app.staff().await, app.staff().await);
    let user = app.register_user().await;
    app.change_user(&staff, &user.user_id, &json!({"full_name": "Sita Rai"})).await.ok();
    app.change_user(&staff, &other.user_id, &json!({"full_name": "Gita Rai"})).await.ok();
    app.change_user(&other, &staff.user_id, &json!({"full_name": "Rita Rai"})).await.ok();
    app.change_user(&staff, &staff.user_id, &json!({"full_name": "Mita Rai"})).await.ok();
    app.end_sessions(&staff, &user.user_id).await.ok();
    app.login(&staff.phone, PASSWORD).await.ok();
    let by = format!("actor_id={}", staff.user_id);
    let all = [
        "signed_in",
        "sessions_ended",
        "user_updated",
        "user_updated",
        "user_updated",
        "registered",
    ];
    for limit in [1, 2, 3, 100] {
        let found = search(&app, &staff, &format!("{by}&limit={limit}")).await;
        assert_eq!(actions(&found), all, "{limit}");
        assert!(found.iter().all(|entry| entry["actor"] == staff.user_id.as_str()));
    }
    let to = |user: &User| format!("{by}&user_id={}", user.user_id);
    assert_eq!(
        actions(&search(&app, &staff, &to(&user)).await),
        ["sessions_ended", "user_updated"]
    );
    assert_eq!(actions(&search(&app, &staff, &to(&other)).await), ["user_updated"]);
    let own = search(&app, &staff, &to(&staff)).await;
    assert_eq!(actions(&own), ["signed_in", "user_updated", "registered"]);
    let about = search(&app, &staff, &format!("user_id={}", staff.user_id)).await;
    assert_eq!(about.len(), 4, "entries by others are included");
    let updates = search(&app, &staff, &format!("{by}&action=user_updated&limit=2")).await;
    assert_eq!(actions(&updates), ["user_updated"; 3]);
    assert!(search(&app, &staff, &format!("{by}&action=kyc_reviewed")).await.is_empty());
}

/// Entries about `subject`, one an hour, of two actions: half by `actor`, half by the subject.
async fn seed(app: &App, subject: &str, actor: &str, count: i64) -> Vec<Value> {
    let end = app.now().await.as_second() - 3_600;
    let rows: Vec<_> = (0..count)
        .map(|number| {
            let second = end - (count - number) * 3_600;
            let at = jiff::Timestamp::from_second(second).unwrap();
            let mut row = json!({
                "item_type": "audit", "schema_version": 1, "subject": subject,
                "entry_id": AuditId::new(at, random()).to_string(),
                "action": if number % 3 == 0 { "signed_in" } else { "user_updated" },
                "source": "192.0.2.0/24", "at": second, "expires_at": second + 31_536_000,
            });
            if number % 2 == 0 {
                row["actor"] = json!(actor);
            }
            row
        })
        .collect();
    app.put_rows("audit", &rows).await;
    rows
}

/// One combination of filters; each may be absent.
#[derive(Clone, Copy)]
struct Filters<'a> {
    subject: Option<&'a str>,
    actor: Option<&'a str>,
    action: Option<&'a str>,
    /// Seconds since 1970.
    span: (Option<i64>, Option<i64>),
}

impl Filters<'_> {
    fn query(&self) -> String {
        let time = |at: i64| jiff::Timestamp::from_second(at).unwrap().to_string();
        let parameters = [
            ("user_id", self.subject.map(str::to_owned)),
            ("actor_id", self.actor.map(str::to_owned)),
            ("action", self.action.map(str::to_owned)),
            ("from", self.span.0.map(time)),
            ("to", self.span.1.map(time)),
        ];
        let said = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let said = said.map(|(name, value)| format!("&{name}={value}"));
        format!("limit=40{}", said.collect::<String>())
    }

    fn meets(&self, row: &Value) -> bool {
        let by = row.get("actor").unwrap_or(&row["subject"]);
        let at = row["at"].as_i64().unwrap();
        self.subject.is_none_or(|subject| row["subject"] == subject)
            && self.actor.is_none_or(|actor| by == actor)
            && self.action.is_none_or(|action| row["action"] == action)
            && self.span.0.is_none_or(|from| at >= from)
            && self.span.1.is_none_or(|to| at < to)
    }
}

#[tokio::test]
async fn every_combination_of_filters_finds_exactly_the_matching_entries() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (user, other) = (app.register_user().await, app.register_user().await);
    app.advance(86_400 * 20).await;
    let staff = app.staff().await;
    let mut rows = seed(&app, &user.user_id, &other.user_id, 230).await;
    rows.extend(seed(&app, &other.user_id, &user.user_id, 30).await);
    let registered = app.rows_where("audit", "action", "registered").await;
    rows.extend(registered.into_iter().map(Value::Object));
    rows.sort_by_key(|row| row["entry_id"].as_str().unwrap().to_owned());
    let second = |number: usize| rows[number]["at"].as_i64();
    let spans = [(None, None), (second(40), None), (None, second(180)), (second(40), second(180))];
    let people = [None, Some(&*user.user_id), Some(&*other.user_id)];
    let pairs =
        people.iter().flat_map(|subject| people.iter().map(move |actor| (*subject, *actor)));
    let pairs = pairs.filter(|pair| *pair != (None, None));
    let actions = [None, Some("signed_in"), Some("user_updated"), Some("kyc_reviewed")];
    let mut listed = 0;
    for (subject, actor) in pairs {
        for number in 0..actions.len() * spans.len() {
            let (action, span) = (actions[number % 4], spans[number / 4]);
            let filters = Filters { subject, actor, action, span };
            let expected = rows.iter().rev().filter(|row| filters.meets(row));
            let expected: Vec<_> = expected.map(|row| &row["entry_id"]).collect();
            let found = search(&app, &staff, &filters.query()).await;
            let found: Vec<_> = found.iter().map(|entry| &entry["id"]).collect();
            assert_eq!(found, expected, "{}", filters.query());
            listed += found.len();
        }
    }
    assert!(listed > 1_000, "{listed}");
    assert_budget(&app, "GET /admin/audit", (1, 9.0, 0.0, 0)).await;
}

#[tokio::test]
async fn an_entry_older_than_a_year_is_not_shown() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let (staff, user) = (app.staff().await, app.register_user().await);
    let rows = seed(&app, &user.user_id, &staff.user_id, 1).await;
    let mut old = rows[0].clone();
    old["expires_at"] = json!(app.now().await.as_second() - 10);
    let found = search(&app, &staff, &format!("user_id={}", user.user_id)).await;
    assert_eq!(found.len(), 2);
    app.put_rows("audit", &[old]).await;
    let found = search(&app, &staff, &format!("user_id={}", user.user_id)).await;
    assert_eq!(actions(&found), ["registered"]);
}

#[tokio::test]
async fn one_of_the_two_ids_is_required_and_every_invalid_parameter_is_named() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let staff = app.staff().await;
    let get = async |query: &str| app.admin_get(&staff, &format!("/admin/audit?{query}")).await;
    get("").await.refuses(&["user_id", "actor_id"]);
    let wrong = "user_id=7&actor_id=x&action=murder&from=then&to=now&limit=101";
    get(wrong).await.refuses(&["user_id", "actor_id", "action", "from", "to", "limit"]);
    let by = format!("actor_id={}", staff.user_id);
    let reversed = format!("{by}&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z");
    get(&reversed).await.refuses(&["to"]);
    let unknown = "user_id=01998f6e-5c1b-7d34-9a44-0f4f2f1c8b11";
    assert_eq!(get(unknown).await.ok(), &json!({"results": [], "next_cursor": null}));
}

#[tokio::test]
async fn a_cursor_that_is_altered_or_from_another_query_or_caller_is_refused() {
    let Some(app) = App::start(Needs::Tables).await else { return };
    let (staff, other) = (app.staff().await, app.staff().await);
    app.login(&staff.phone, PASSWORD).await.ok();
    let about = format!("user_id={}", staff.user_id);
    let first = app.admin_get(&staff, &format!("/admin/audit?{about}&limit=1")).await;
    let cursor = first.text("next_cursor").to_owned();
    for (who, query) in [
        (&other, format!("{about}&cursor={cursor}")),
        (&staff, format!("actor_id={}&cursor={cursor}", staff.user_id)),
        (&staff, format!("user_id={}&cursor={cursor}", other.user_id)),
        (&staff, format!("{about}&action=signed_in&cursor={cursor}")),
        (&staff, format!("{about}&to=2099-01-01T00:00:00Z&cursor={cursor}")),
        (&staff, format!("{about}&cursor={cursor}A")),
    ] {
        let response = app.admin_get(who, &format!("/admin/audit?{query}")).await;
        response.problem(400, "invalid_cursor");
    }
    let list = format!("/admin/users?cursor={cursor}");
    app.admin_get(&staff, &list).await.problem(400, "invalid_cursor");
}

#[tokio::test]
async fn a_search_succeeds_despite_one_fault() {
    let Some(app) = App::start(Needs::Own).await else { return };
    let staff = app.staff().await;
    for kind in ["throttle", "timeout", "error_500", "lost_response"] {
        for operation in ["Query", "BatchGetItem"] {
            app.inject_fault("dynamodb", operation, kind, 1).await;
            let found = search(&app, &staff, &format!("actor_id={}", staff.user_id)).await;
            assert_eq!(actions(&found), ["registered"]);
        }
    }
}
