//! The whole stack: five listeners, seven functions, one process.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use aws_config::SdkConfig;
use axum::Router;
use dynoxide::{Database, DynoxideError};
use shared::runtime::{
    config::{Config, ConfigError},
    lambda::Environment,
    metrics::Metrics,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};

use crate::{
    aws::{
        Endpoints,
        costs::Costs,
        faults::Faults,
        http_client,
        meter::{Guard, Meter},
        sdk_config,
    },
    clock::MovableClock,
    control::{self, Control},
    data::DataDir,
    gateway::{self, Cors, Functions, Gateway, Invoker},
    listener::{self, Listeners},
    metrics::Recorder,
    options::Options,
    outbox::Outbox,
    permission::{PermissionError, Permissions, Schema, Used},
    problem::Problem,
    service::{dynamodb, s3, ses, sns},
    settings::Settings,
    staff::Staff,
    tables::{Table, TablesError},
};

/// How long requests under way may take to end when the stack stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something else listens there.
    #[error("port {0} of 127.0.0.1 is in use: choose another with --port, or 0 for any free ones")]
    PortInUse(u16),
    /// The services take the ports after the API's, and there are none.
    #[error("there are no four ports after {0}")]
    NoPorts(u16),
    /// The port cannot be listened on for another reason.
    #[error("port {port} of 127.0.0.1 cannot be listened on")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// Another stack has the data.
    #[error("{} is in use by another stack", .0.display())]
    DataInUse(PathBuf),
    /// The data cannot be opened.
    #[error("{} cannot be opened", .path.display())]
    Data {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("DynamoDB cannot be started: {0}")]
    Database(#[from] DynoxideError),
    /// The tables cannot be made.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// The functions' permissions cannot be read.
    #[error(transparent)]
    Permissions(#[from] PermissionError),
    /// What the functions use of their permissions cannot be recorded.
    #[error("the grants that are used cannot be recorded")]
    Recording(#[from] io::Error),
    /// S3 cannot be started.
    #[error("S3 cannot be started: {0}")]
    S3(String),
    /// Settings are missing or wrong.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// An identifier given as staff is none.
    #[error("--staff {0}: this is neither a phone number nor an e-mail address")]
    Staff(String),
    /// A function did not start.
    #[error("a function did not start")]
    Function(#[from] shared::runtime::lambda::StartError),
    /// Work was cancelled.
    #[error("the runtime is shutting down")]
    Cancelled(#[from] tokio::task::JoinError),
}

/// A running stack. Dropped, it ends at once; [`Stack::stop`] lets requests under way finish.
#[derive(Debug)]
pub struct Stack {
    base_url: String,
    endpoints: Endpoints,
    sdk: SdkConfig,
    /// Made once: to make one reads the SDK's list of AWS partitions.
    dynamodb: aws_sdk_dynamodb::Client,
    product_sdk: SdkConfig,
    table_prefix: String,
    api: Servers,
    services: Servers,
    _data: DataDir,
}

impl Stack {
    /// Starts everything; it serves when this returns.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let from_environment = options.settings_from_environment;
        let Options { port, data_dir, staff, aws_only, record_grants, settings, .. } = options;
        let settings = Settings { overrides: settings, from_environment };
        let config = Arc::new(Config::read(|name| settings.get(name))?);
        listener::allow_many_sockets();
        let listeners = Listeners::bind(port).await?;
        let endpoints = Endpoints {
            dynamodb: listener::url(&listeners.dynamodb)?,
            s3: listener::url(&listeners.s3)?,
            sns: listener::url(&listeners.sns)?,
            ses: listener::url(&listeners.ses)?,
        };
        let data = DataDir::open(data_dir.as_deref())?;
        let clock = Arc::new(MovableClock::new(data.clock()));
        let outbox = Arc::new(Outbox::new(Arc::clone(&clock)));
        let (database, tables) = open_database(&data, &config, Arc::clone(&clock)).await?;
        let buckets = s3::Buckets::open(&data.buckets(), &config.kyc_bucket)
            .map_err(|error| StartError::S3(error.to_string()))?;

        let mut services = Servers::new();
        services.serve_dynamodb(listeners.dynamodb, database.clone());
        let s3 = buckets.router(Arc::clone(&clock)).map_err(StartError::S3)?;
        services.serve(listeners.s3, s3);
        services.serve(listeners.sns, sns::router(Arc::clone(&outbox)));
        services.serve(listeners.ses, ses::router(Arc::clone(&outbox)));

        let sdk = sdk_config(&endpoints, http_client());
        let dynamodb = aws_sdk_dynamodb::Client::new(&sdk);
        let faults = Arc::new(Faults::default());
        let meter = Meter::around(http_client(), endpoints.clone(), Arc::clone(&faults));
        let product_sdk = sdk_config(&endpoints, meter.clone().into_client());
        let (base_url, table_prefix) =
            (listener::url(&listeners.api)?, config.table_prefix.clone());
        let router = match aws_only {
            true => Router::new()
                .nest("/_local", control::messages_router(outbox))
                .fallback(async || Problem::not_found()),
            false => {
                let staff =
                    Staff::new(dynamodb.clone(), &config, &staff).map_err(StartError::Staff)?;
                staff.promote().await;
                let used = Arc::new(Used::recorded_in(record_grants.as_deref())?);
                let endpoints = endpoints.clone();
                let parts = Parts { config, meter, endpoints, used, clock, outbox, faults };
                let stored = Stored { database, tables, buckets };
                parts.router(stored, staff, Cors::new(settings.cors_origins())).await?
            }
        };
        let mut api = Servers::new();
        api.serve(listeners.api, router);
        Ok(Self {
            base_url,
            endpoints,
            sdk,
            dynamodb,
            product_sdk,
            table_prefix,
            api,
            services,
            _data: data,
        })
    }

    /// Where the API is: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Where the services are.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What clients of the services are made from. Their calls are not measured and meet no faults.
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.sdk
    }

    /// What the functions' own clients are made from: measured, and with faults on demand.
    pub fn product_sdk_config(&self) -> &SdkConfig {
        &self.product_sdk
    }

    /// A client of DynamoDB. Its calls are not measured and meet no faults.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb.clone()
    }

    /// The name of a table or bucket, such as `users`, in this stack.
    pub fn table_name(&self, name: &str) -> String {
        format!("{}{name}", self.table_prefix)
    }

    /// Ends the stack: requests under way finish first, for a few seconds at most.
    pub async fn stop(self) {
        self.api.stop().await;
        self.services.stop().await;
    }
}

/// What the gateway and the control have in common.
struct Parts {
    config: Arc<Config>,
    /// On the road from the functions to the services.
    meter: Meter,
    endpoints: Endpoints,
    used: Arc<Used>,
    clock: Arc<MovableClock>,
    outbox: Arc<Outbox>,
    faults: Arc<Faults>,
}

/// What is stored, as a reset empties it.
struct Stored {
    database: Database,
    tables: Vec<Table>,
    buckets: s3::Buckets,
}

impl Parts {
    /// The seven functions behind the gateway, and `/_local/`.
    async fn router(
        self,
        stored: Stored,
        staff: Staff,
        cors: Option<Cors>,
    ) -> Result<Router, StartError> {
        let Self { config, meter, endpoints, used, clock, outbox, faults } = self;
        let Stored { database, tables, buckets } = stored;
        let metrics = Arc::new(Recorder::default());
        let recorder = Arc::clone(&metrics);
        let table_prefix = config.table_prefix.clone();
        let namespace = config.metrics_namespace.clone();
        let metrics_sink = Metrics::new(namespace.as_deref(), move |line| recorder.read(line));
        let sender = config.otp.email_sender.clone();
        let schema = Schema::new(&tables, &table_prefix, sender.as_deref());
        let environment_of = |function| {
            let (schema, used) = (schema.clone(), Arc::clone(&used));
            let guard = Guard { permissions: Permissions::of(function)?, schema, used };
            Ok::<_, StartError>(Environment {
                metrics: metrics_sink.clone(),
                config: Arc::clone(&config),
                sdk: sdk_config(&endpoints, meter.clone().guarded(guard).into_client()),
                clock: clock.for_product(),
            })
        };
        let costs = Arc::new(Costs::default());
        let functions = Functions::start(environment_of).await?;
        let invoker = Invoker::new(functions, Arc::clone(&clock), Arc::clone(&costs));
        let gateway =
            Arc::new(Gateway { invoker: invoker.clone(), clock: Arc::clone(&clock), cors, staff });
        let control = Arc::new(Control {
            clock,
            outbox,
            costs,
            faults,
            metrics,
            database,
            tables,
            table_prefix,
            buckets,
            invoker,
            resetting: tokio::sync::Mutex::default(),
        });
        let gateway = Router::new().fallback(gateway::handle).with_state(gateway);
        Ok(gateway.nest("/_local", control::router(control)))
    }
}

async fn open_database(
    data: &DataDir,
    config: &Config,
    clock: Arc<MovableClock>,
) -> Result<(Database, Vec<Table>), StartError> {
    let (file, prefix) = (data.database(), config.table_prefix.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let database = dynamodb::open(file.as_deref(), clock)?;
        let tables = Table::all()?;
        tables.iter().try_for_each(|table| table.ensure(&database, &prefix))?;
        Ok::<_, StartError>((database, tables))
    });
    opened.await?
}

/// Servers that end together.
#[derive(Debug)]
struct Servers {
    tasks: JoinSet<()>,
    ended: watch::Sender<bool>,
}

impl Servers {
    fn new() -> Self {
        Self { tasks: JoinSet::new(), ended: watch::Sender::new(false) }
    }

    fn end(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.ended.subscribe();
        async move {
            // An error is a sender that is gone, which is the end as well.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    fn serve(&mut self, listener: TcpListener, router: Router) {
        let end = self.end();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        self.tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(end).await {
                tracing::error!(%error, "a server broke");
            }
        });
    }

    fn serve_dynamodb(&mut self, listener: TcpListener, database: Database) {
        let end = self.end();
        let sweep = dynamodb::sweep(database.clone());
        self.tasks.spawn(async move {
            let server = dynoxide::server::serve_with_shutdown(listener, database, end);
            tokio::select! {
                served = server => if let Err(error) = served {
                    tracing::error!(error, "DynamoDB broke");
                },
                () = sweep => {}
            }
        });
    }

    async fn stop(mut self) {
        self.ended.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_TIMEOUT, all).await.is_err() {
            tracing::warn!("requests under way were cut off");
        }
    }
}
