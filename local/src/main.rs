//! `cargo run -p local`: the stack from the command line.

use std::{error::Error, io::Write, process::ExitCode};

use clap::Parser;
use local::{Options, Stack, banner::Banner, options::Cli};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Threads for work that blocks, above all S3's files. Each may keep memory of its own in the
/// allocator; tokio starts up to 512.
const MAX_BLOCKING_THREADS: usize = 32;

fn main() -> ExitCode {
    let options = Options::from(Cli::parse());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build();
    let ran =
        runtime.map_err(Box::<dyn Error>::from).and_then(|runtime| runtime.block_on(run(options)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    // Before anything is served, so that a signal never finds the default in place.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stack = tokio::select! {
        started = Stack::start(options.clone()) => started?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let banner =
        Banner { base_url: stack.base_url(), endpoints: stack.endpoints(), options: &options };
    // Whoever reads the output may have gone; the stack serves all the same.
    let _ = writeln!(std::io::stdout(), "{banner}");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stack.stop().await;
    Ok(())
}

/// One line: the error and what caused it.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
