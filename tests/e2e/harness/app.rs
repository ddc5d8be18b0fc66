//! The stack under test.

use std::{collections::BTreeMap, sync::Arc};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use local::{Options, Stack, settings::Settings};
use shared::runtime::config::Config;

/// The endpoint of the tables, if the stack is not the test's own.
const DYNAMODB_URL: &str = "AWS_ENDPOINT_URL_DYNAMODB";

/// What a test needs besides HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: every deployment will do.
    Nothing,
    /// Sent codes: a local stack, or its services while the functions run elsewhere.
    Codes,
    /// Sent codes and the tables, which are at `AWS_ENDPOINT_URL_DYNAMODB`.
    Tables,
    /// API Gateway, deployed or local: what it does before it calls a function.
    ApiGateway,
    /// The local gateway: sent codes, chosen client IPs, a clock.
    Gateway,
    /// An own stack: its clock, faults, tables and settings.
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
    /// A new stack, or the one at `BASE_URL`. `None` if that one does not offer what the test needs.
    pub async fn start(needs: Needs) -> Option<Self> {
        match url("BASE_URL") {
            None => Some(Self::own(&[]).await),
            Some(base_url) => Self::at(base_url, needs).await,
        }
    }

    /// A new stack with these settings. `None` under `BASE_URL`.
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
            // If `/_local/` has another URL, the functions are not behind API Gateway.
            Needs::ApiGateway => app.local_url == app.base_url,
            Needs::Codes => has("/_local/messages").await,
            Needs::Tables => url(DYNAMODB_URL).is_some() && has("/_local/messages").await,
            Needs::Gateway => has("/_local/clock").await,
            Needs::Own => false,
        };
        if !does {
            // The thread has the name of the test.
            println!("skipped: {}", std::thread::current().name().unwrap_or_default());
        }
        does.then_some(app)
    }

    /// The stack itself; only for a test that [`Needs::Own`].
    pub fn stack(&self) -> &Stack {
        self.stack.as_ref().unwrap()
    }

    /// A DynamoDB client; only for a test that [`Needs::Own`] or [`Needs::Tables`].
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

    /// The configuration of the functions, without the test's own settings.
    pub fn config(&self) -> Config {
        let settings = Settings::default();
        Config::read(|name| settings.get(name)).unwrap()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the variables of the tests are not settings of the product"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn url(name: &str) -> Option<String> {
    Some(variable(name)?.trim_end_matches('/').to_owned())
}
