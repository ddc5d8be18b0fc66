//! The log: one JSON object per line on standard output, which Lambda sends to CloudWatch Logs.

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Crates whose events below the level `WARN` contain requests and responses, and so secrets.
const CRATES_WITH_SECRETS: [&str; 7] =
    ["aws", "h2", "hyper", "lambda_http", "lambda_runtime", "rustls", "tower"];

/// Installs the subscriber. `RUST_LOG` sets the filter; the default is `info`.
///
/// Events that could contain secrets are dropped even if the filter asks for them.
pub fn install() {
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().json().flatten_event(true);
    let filtered = lines.with_filter(filter_fn(may_be_logged)).with_filter(level);
    tracing_subscriber::registry().with(filtered).init();
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::WARN
        || !CRATES_WITH_SECRETS.iter().any(|name| event.target().starts_with(name))
}
