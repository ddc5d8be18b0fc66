//! Logs: one JSON object a line on standard output, which Lambda hands to CloudWatch Logs.

use tracing_subscriber::EnvFilter;

/// Installs the subscriber. `RUST_LOG` sets what is logged; `info` without it.
///
/// The SDK's own events stay off whatever is asked for: at `debug` they hold request bodies.
pub fn install() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let quiet = ["aws_smithy_runtime", "aws_smithy_runtime_api", "aws_sdk_dynamodb", "hyper"]
        .iter()
        .filter_map(|target| format!("{target}=warn").parse().ok())
        .fold(filter, EnvFilter::add_directive);
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(quiet).init();
}
