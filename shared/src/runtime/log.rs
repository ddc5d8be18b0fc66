//! Logs: one JSON object a line on standard output, which Lambda hands to CloudWatch Logs.

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Crates whose events below a warning hold requests and answers, and so secrets.
const TALKATIVE: [&str; 7] =
    ["aws", "h2", "hyper", "lambda_http", "lambda_runtime", "rustls", "tower"];

/// Installs the subscriber. `RUST_LOG` sets what is logged; `info` without it.
///
/// What other crates say of the bytes they carry stays off whatever is asked for.
pub fn install() {
    let asked = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().json().flatten_event(true);
    let quiet = lines.with_filter(filter_fn(may_be_logged)).with_filter(asked);
    tracing_subscriber::registry().with(quiet).init();
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::WARN || !TALKATIVE.iter().any(|name| event.target().starts_with(name))
}
