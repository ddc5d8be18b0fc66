//! The stack that a test speaks to.

use std::{collections::BTreeMap, sync::Arc};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use local::{Options, Stack, settings::Settings};
use shared::runtime::config::Config;

/// Where the tables are of a stack that is not the test's own.
const DYNAMODB_URL: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// What a test needs besides HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: any deployment will do.
    Nothing,
    /// Codes that can be read back: a local stack, or its services under functions that run
    /// elsewhere.
    Codes,
    /// The same, and the tables: where they are says `AWS_ENDPOINT_URL_DYNAMODB`.
    Tables,
    /// API Gateway, a deployed one or the local one: what it does before a function is asked.
    ApiGateway,
    /// What only the local gateway does besides reading codes back: source addresses that are
    /// chosen, a clock.
    Gateway,
    /// A stack of its own: its clock, its faults, its tables, its settings.
    Own,
}

/// A stack under test.
#[derive(Clone)]
pub struct App {
    pub base_url: String,
    /// Where `/_local/` is.
    pub(super) local_url: String,
    pub(super) client: reqwest::Client,
    pub(super) stack: Option<Arc<Stack>>,
}

impl App {
    /// A fresh stack, or the one at `BASE_URL`. `None` where that one does not do.
    pub async fn start(needs: Needs) -> Option<Self> {
        match url("BASE_URL") {
            None => Some(Self::own(&[]).await),
            Some(base_url) => Self::at(base_url, needs).await,
        }
    }

    /// A fresh stack with these settings. `None` under `BASE_URL`.
    pub async fn with(settings: &[(&str, &str)]) -> Option<Self> {
        match url("BASE_URL") {
            None => Some(Self::own(settings).await),
            Some(base_url) => Self::at(base_url, Needs::Own).await,
        }
    }

    async fn own(settings: &[(&str, &str)]) -> Self {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings: BTreeMap<_, _> = settings.collect();
        let record_grants = variable("RECORD_GRANTS").map(Into::into);
        let options = Options { settings, record_grants, ..Options::default() };
        let stack = Stack::start(options).await.unwrap();
        let (base_url, client) = (stack.base_url().to_owned(), reqwest::Client::new());
        let local_url = base_url.clone();
        Self { base_url, local_url, client, stack: Some(Arc::new(stack)) }
    }

    async fn at(base_url: String, needs: Needs) -> Option<Self> {
        let local_url = url("LOCAL_URL").unwrap_or_else(|| base_url.clone());
        let app = Self { base_url, local_url, client: reqwest::Client::new(), stack: None };
        let has = async |path| app.get(path).send().await.status == 200;
        let does = match needs {
            Needs::Nothing => true,
            // Where `/_local/` is elsewhere, the functions are not behind API Gateway.
            Needs::ApiGateway => app.local_url == app.base_url,
            Needs::Codes => has("/_local/messages").await,
            Needs::Tables => url(DYNAMODB_URL).is_some() && has("/_local/messages").await,
            Needs::Gateway => has("/_local/clock").await,
            Needs::Own => false,
        };
        if !does {
            // The test's thread bears its name.
            println!("skipped: {}", std::thread::current().name().unwrap_or_default());
        }
        does.then_some(app)
    }

    /// The stack itself; only where the test [`Needs::Own`].
    pub fn stack(&self) -> &Stack {
        self.stack.as_ref().unwrap()
    }

    /// A client of DynamoDB; only where the test [`Needs::Own`] or [`Needs::Tables`].
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        if let Some(stack) = &self.stack {
            return stack.dynamodb();
        }
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
            .endpoint_url(url(DYNAMODB_URL).unwrap())
            .http_client(shared::runtime::aws::http_client());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// The name of a table, such as `users`.
    pub fn table_name(&self, name: &str) -> String {
        match &self.stack {
            Some(stack) => stack.table_name(name),
            None => format!("{}{name}", self.config().table_prefix),
        }
    }

    /// What the functions run with, where the test has no settings of its own.
    pub fn config(&self) -> Config {
        let settings = Settings::default();
        Config::read(|name| settings.get(name)).unwrap()
    }
}

#[allow(clippy::disallowed_methods, reason = "where the tests go is not the product's setting")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn url(name: &str) -> Option<String> {
    Some(variable(name)?.trim_end_matches('/').to_owned())
}
