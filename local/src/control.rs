//! `/_local/`: what a developer and the tests may see and turn. The gateway never hears of it.

mod input;
mod lambda;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use dynoxide::Database;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    aws::{costs::Costs, faults::Faults},
    clock::{ClockError, MovableClock},
    gateway::Invoker,
    metrics::Recorder,
    outbox::Outbox,
    problem::Problem,
    service::s3::Buckets,
    tables::Table,
};

/// A request here is a line of JSON.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What can be seen and turned.
pub(crate) struct Control {
    pub(crate) clock: Arc<MovableClock>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) costs: Arc<Costs>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) metrics: Arc<Recorder>,
    pub(crate) database: Database,
    pub(crate) tables: Vec<Table>,
    pub(crate) table_prefix: String,
    pub(crate) buckets: Buckets,
    pub(crate) invoker: Invoker,
    /// One reset at a time.
    pub(crate) resetting: Mutex<()>,
}

type Control_ = State<Arc<Control>>;

/// The routes, to be nested under `/_local`.
pub(crate) fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/messages", messages_route(Arc::clone(&control.outbox)))
        .route("/clock", only(get(read_clock).post(move_clock), "GET, POST"))
        .route("/reset", only(post(reset), "POST"))
        .route("/costs", only(get(costs), "GET"))
        .route("/metrics", only(get(metrics), "GET"))
        .route(
            "/faults",
            only(get(faults).post(add_fault).delete(clear_faults), "DELETE, GET, POST"),
        )
        .route("/sweep", only(post(lambda::sweep), "POST"))
        .route(lambda::PATH, lambda::route())
        .fallback(|| async { Problem::not_found() })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(from_this_machine))
        .with_state(control)
}

/// The messages alone, where the functions run elsewhere: their clock, their costs and their faults
/// are not here.
pub(crate) fn messages_router(outbox: Arc<Outbox>) -> Router {
    Router::new()
        .route("/messages", messages_route(outbox))
        .fallback(|| async { Problem::not_found() })
        .layer(middleware::from_fn(from_this_machine))
}

fn messages_route<S: Clone + Send + Sync + 'static>(outbox: Arc<Outbox>) -> MethodRouter<S> {
    only(get(messages), "GET").with_state(outbox)
}

/// Refuses what a page of another origin sends, or one whose name was made to lead here: codes can
/// be read and the clock moved.
async fn from_this_machine(request: Request, next: Next) -> Response {
    match is_from_this_machine(request.headers()) {
        true => next.run(request).await,
        false => Problem::elsewhere().into_response(),
    }
}

fn is_from_this_machine(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_local = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost")
    };
    let origin_is_local = |origin: &str| origin.strip_prefix("http://").is_some_and(is_local);
    let origin = headers.get(header::ORIGIN);
    text(header::HOST).is_some_and(is_local)
        && (origin.is_none() || text(header::ORIGIN).is_some_and(origin_is_local))
}

fn only<S: Clone + Send + Sync + 'static>(
    methods: MethodRouter<S>,
    allow: &'static str,
) -> MethodRouter<S> {
    methods.fallback(move |_: Method| async move {
        ([(header::ALLOW, allow)], Problem::method_not_allowed()).into_response()
    })
}

async fn messages(
    State(outbox): State<Arc<Outbox>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let to = input::recipient(query.as_deref().unwrap_or(""))?;
    Ok(Json(outbox.list(to.as_deref())).into_response())
}

async fn read_clock(State(control): Control_) -> Json<Value> {
    Json(json!({ "now": control.clock.now() }))
}

async fn move_clock(State(control): Control_, body: Bytes) -> Result<Json<Value>, Problem> {
    let seconds = input::advance_seconds(&body)?;
    match control.clock.advance(seconds) {
        Ok(now) => Ok(Json(json!({ "now": now }))),
        Err(error @ ClockError::TooFar) => {
            Err(Problem::invalid("advance_seconds", &error.to_string()))
        }
        Err(error) => Err(Problem::failed(&error)),
    }
}

async fn costs(State(control): Control_) -> Json<Value> {
    Json(json!({ "operations": control.costs.by_operation() }))
}

async fn metrics(State(control): Control_) -> Json<Value> {
    Json(json!({ "metrics": control.metrics.all() }))
}

async fn faults(State(control): Control_) -> Json<Value> {
    Json(json!({ "faults": control.faults.pending() }))
}

async fn add_fault(State(control): Control_, body: Bytes) -> Result<StatusCode, Problem> {
    control.faults.add(input::fault(&body)?).map_err(|error| Problem::too_many(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(control): Control_) -> StatusCode {
    control.faults.clear();
    StatusCode::NO_CONTENT
}

async fn reset(State(control): Control_) -> Result<StatusCode, Problem> {
    let _alone = control.resetting.lock().await;
    control.faults.clear();
    let worker = Arc::clone(&control);
    let emptied = tokio::task::spawn_blocking(move || worker.empty()).await;
    emptied.map_err(|error| Problem::failed(&error))?.map_err(|error| Problem::failed(&*error))?;
    control.clock.reset().map_err(|error| Problem::failed(&error))?;
    control.outbox.clear();
    control.costs.clear();
    control.metrics.clear();
    Ok(StatusCode::NO_CONTENT)
}

impl Control {
    /// Every table and bucket as at first, but for `keys`, which running functions have read.
    fn empty(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        for table in self.tables.iter().filter(|table| table.name != "keys") {
            table.recreate(&self.database, &self.table_prefix)?;
        }
        Ok(self.buckets.clear()?)
    }
}
