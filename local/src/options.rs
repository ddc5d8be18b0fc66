//! What a local stack is started with, by a test or from the command line.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Parser;

/// What a stack is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The API's port; the services take the four after it. 0 takes any free port for each.
    pub port: u16,
    /// Where data outlives the process. Without it, everything is in memory or temporary.
    pub data_dir: Option<PathBuf>,
    /// Phone numbers and e-mail addresses whose accounts are staff once registered.
    pub staff: Vec<String>,
    /// Whether only the services run, and the messages that they took: the functions run elsewhere.
    pub aws_only: bool,
    /// Settings by name, before the environment and the local defaults.
    pub settings: BTreeMap<String, String>,
    /// Whether the process's environment may set settings. Tests leave it out.
    pub settings_from_environment: bool,
}

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "local",
    about = "The API with DynamoDB, S3, SNS and SES in one process, for development.",
    after_help = "Every setting of the deployed functions can be set in the environment; see docs/configuration.md. \
                  CORS_ORIGINS names the origins that browsers may call from, separated by commas. \
                  RUST_LOG sets what is logged (to standard error; `warn` without it)."
)]
pub struct Cli {
    /// The API's port on 127.0.0.1; DynamoDB, S3, SNS and SES take the next four. 0: any free ports.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Keep data in this directory, durable across restarts. Without it all is gone at the end.
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Make this account staff as soon as it is registered. Can be given several times.
    #[arg(long, value_name = "PHONE_OR_EMAIL")]
    staff: Vec<String>,
    /// Run the services and `/_local/messages` only; the functions run under `cargo lambda watch`.
    #[arg(long, conflicts_with = "staff")]
    aws_only: bool,
}

impl From<Cli> for Options {
    fn from(cli: Cli) -> Self {
        Self {
            port: cli.port,
            data_dir: cli.data_dir,
            staff: cli.staff,
            aws_only: cli.aws_only,
            settings: BTreeMap::new(),
            settings_from_environment: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Cli::try_parse_from([&["local"], arguments].concat()).map(Options::from)
    }

    #[test]
    fn everything_is_optional() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.port, options.data_dir, options.staff.len()), (9000, None, 0));
        assert!(options.settings_from_environment);
    }

    #[test]
    fn staff_can_be_several() {
        let options = parse(&[
            "--port",
            "0",
            "--staff",
            "9841234567",
            "--staff",
            "a@b.example",
            "--data-dir",
            "d",
        ])
        .unwrap();
        assert_eq!(options.port, 0);
        assert_eq!(options.data_dir, Some(PathBuf::from("d")));
        assert_eq!(options.staff, ["9841234567", "a@b.example"]);
    }

    #[test]
    fn bad_options_are_refused() {
        assert!(parse(&["--port", "65536"]).is_err());
        assert!(parse(&["--port", "many"]).is_err());
        assert!(parse(&["--verbose"]).is_err());
        assert!(parse(&["serve"]).is_err());
        assert!(parse(&["--aws-only", "--staff", "9841234567"]).is_err());
    }
}
