//! The life of a function: what it starts with, and how it meets the Lambda runtime.

use std::{convert::Infallible, sync::Arc};

use aws_config::SdkConfig;
use axum::Router;
use lambda_http::{
    Adapter, LambdaEvent, Service, aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    request::LambdaRequest, service_fn,
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use crate::{
    http::{
        operation::{self, Operation},
        problem::Problem,
    },
    runtime::{
        aws,
        clock::Clock,
        config::{Config, ConfigError},
        metrics::Metrics,
    },
};

/// What a function is built from. Everything that differs between deployments is in here.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The settings.
    pub config: Arc<Config>,
    /// Region, credentials, endpoints and HTTP client of every AWS client.
    pub sdk: SdkConfig,
    /// The time.
    pub clock: Clock,
    /// Where metrics go.
    pub metrics: Metrics,
}

impl Environment {
    async fn of_deployment() -> Result<Self, StartError> {
        let config = Arc::new(Config::from_environment()?);
        Ok(Self {
            metrics: Metrics::new(config.metrics_namespace.as_deref(), |line| println!("{line}")),
            config,
            sdk: aws::load().await,
            clock: Clock::system(),
        })
    }
}

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings are missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys could not be read or made.
    #[error("the keys table could not be read or written")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Runs a function: reads the environment, lets `build` make its router, serves invocations.
pub async fn serve<F>(build: F) -> Result<(), lambda_http::Error>
where
    F: AsyncFnOnce(&Environment) -> Result<Router, StartError>,
{
    crate::runtime::log::install();
    let environment = Environment::of_deployment().await?;
    let router = build(&environment).await?;
    let invoked = |event| {
        let response = respond(router.clone(), event);
        async move { Ok::<_, Infallible>(response.await) }
    };
    lambda_http::lambda_runtime::run(service_fn(invoked)).await
}

/// The response of `router` to a request's event.
pub fn respond(
    router: Router,
    LambdaEvent { mut payload, context }: LambdaEvent<LambdaRequest>,
) -> impl Future<Output = impl Serialize> + Send {
    if let LambdaRequest::ApiGatewayV2(event) = &mut payload {
        let path = request_path(event).unwrap_or_else(|| "/".to_owned());
        event.raw_path = Some(path);
        let query = event.raw_query_string.take().unwrap_or_default();
        event.raw_query_string = Some(utf8_percent_encode(&query, NOT_IN_A_QUERY).to_string());
    }
    // The adapter is not `Send`; its future is.
    let response = Adapter::from(router).call(LambdaEvent::new(payload, context));
    async move {
        let Ok(response) = response.await;
        response
    }
}

/// All that RFC 3986 does not call unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What a URI's query cannot hold as it is. A `%` stays: a query is encoded already.
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
/// The same for a path, with what a URL parser would take for something else.
const NOT_IN_A_PATH: &AsciiSet =
    &NOT_IN_A_QUERY.add(b'?').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// The path of a request, percent-encoded, so that it is decoded exactly once from here on.
///
/// API Gateway has decoded `rawPath` and `pathParameters` already, and lambda_http parses `rawPath`
/// as a URL: a `#`, `%41` or blank that was meant literally would change the path, and with it what
/// the request names. The route key and the parameters, encoded again, say exactly what was asked
/// for. By `$default` nothing is named: such a path is either encoded still (where nothing in front
/// of the function decodes) or of no operation.
///
/// `None` for a path that would change under normalisation (`.`, `..`, an empty parameter).
fn request_path(event: &ApiGatewayV2httpRequest) -> Option<String> {
    let key = event.request_context.route_key.as_deref().unwrap_or_default();
    let Some(operation) = Operation::with_route_key(key) else {
        let path = event.raw_path.as_deref().filter(|path| path.starts_with('/'))?;
        let path = utf8_percent_encode(path, NOT_IN_A_PATH).to_string();
        return path.split('/').all(is_stable).then_some(path);
    };
    let segments = operation.path.split('/').map(|segment| match operation::parameter(segment) {
        None => Some(segment.to_owned()),
        Some(name) => {
            let value = event.path_parameters.get(name).filter(|value| !value.is_empty())?;
            Some(utf8_percent_encode(value, RESERVED).to_string()).filter(|value| is_stable(value))
        }
    });
    Some(segments.collect::<Option<Vec<_>>>()?.join("/"))
}

/// Whether a URL parser keeps an encoded segment. It reads `%2e` as a dot.
fn is_stable(segment: &str) -> bool {
    !matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
}

/// Runs a function that EventBridge also invokes, at intervals: `build` makes its router and the
/// work of such an invocation.
pub async fn serve_with_schedule<F, W, D>(build: F) -> Result<(), lambda_http::Error>
where
    F: AsyncFnOnce(&Environment) -> Result<(Router, W), StartError>,
    W: Fn() -> D + Clone,
    D: Future<Output = Result<Value, Problem>>,
{
    crate::runtime::log::install();
    let environment = Environment::of_deployment().await?;
    let (router, work) = build(&environment).await?;
    let invoked = |event| invoke(router.clone(), work.clone(), event);
    lambda_http::lambda_runtime::run(service_fn(invoked)).await
}

/// Answers one invocation of such a function: a scheduled event by what `work` says it has done,
/// any other as a request.
///
/// # Errors
/// When the event is neither, and when the work failed: Lambda then invokes it again.
pub fn invoke<W, D>(
    router: Router,
    work: W,
    LambdaEvent { payload, context }: LambdaEvent<Value>,
) -> impl Future<Output = Result<Value, lambda_http::Error>>
where
    W: FnOnce() -> D,
    D: Future<Output = Result<Value, Problem>>,
{
    let answer = match is_scheduled(&payload) {
        true => None,
        false => Some(
            serde_json::from_value(payload)
                .map(|request: LambdaRequest| respond(router, LambdaEvent::new(request, context))),
        ),
    };
    async move {
        match answer {
            None => work().await.map_err(|problem| {
                let cause = problem.cause_chain().unwrap_or_default();
                tracing::error!(code = problem.code().as_str(), cause, "scheduled work failed");
                problem.code().as_str().into()
            }),
            Some(response) => Ok(serde_json::to_value(response?.await)?),
        }
    }
}

/// Whether EventBridge, its rules or its scheduler, says that it is time.
pub fn is_scheduled(event: &Value) -> bool {
    let is_of_eventbridge =
        matches!(event["source"].as_str(), Some("aws.events" | "aws.scheduler"));
    is_of_eventbridge && event["detail-type"] == "Scheduled Event"
}

#[cfg(test)]
mod tests {
    use axum::{
        extract::Path,
        routing::{delete, get},
    };
    use lambda_http::Context;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::http::problem::Code;

    async fn answer(event: Value) -> Result<Value, lambda_http::Error> {
        let router = Router::new().route("/hello", get(async || "hello"));
        let work = async || Ok(json!({ "done": 3 }));
        invoke(router, work, LambdaEvent::new(event, Context::default())).await
    }

    #[tokio::test]
    async fn a_scheduled_event_is_work_and_any_other_a_request() {
        for source in ["aws.events", "aws.scheduler"] {
            let event = json!({"source": source, "detail-type": "Scheduled Event", "detail": {}});
            assert_eq!(answer(event).await.unwrap(), json!({ "done": 3 }));
        }
        let request = json!({
            "version": "2.0",
            "rawPath": "/hello",
            "headers": {},
            "requestContext": {"http": {"method": "GET", "path": "/hello"}},
            "isBase64Encoded": false,
        });
        let answer = answer(request).await.unwrap();
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!("hello")));
    }

    /// A request's event, as API Gateway makes it.
    fn event_of(key: &str, path: &str, parameters: Value) -> LambdaRequest {
        let method = key.split(' ').next().filter(|_| key != "$default").unwrap_or("DELETE");
        serde_json::from_value(json!({
            "version": "2.0",
            "routeKey": key,
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"host": "api.example", "x-forwarded-proto": "https"},
            "requestContext": {"routeKey": key, "http": {"method": method, "path": path}},
            "pathParameters": parameters,
            "isBase64Encoded": false,
        }))
        .unwrap()
    }

    /// The status, and the parameter that the handler sees.
    async fn named(event: LambdaRequest) -> (u16, String) {
        let named = async |Path(id): Path<String>| id;
        let router = Router::new()
            .route("/auth/devices/{device_id}", delete(named))
            .route("/admin/users/{user_id}", get(named))
            .route("/admin/users/{user_id}/sessions", delete(named));
        let response = respond(router, LambdaEvent::new(event, Context::default())).await;
        let response = serde_json::to_value(response).unwrap();
        let status = response["statusCode"].as_u64().unwrap().try_into().unwrap();
        (status, response["body"].as_str().unwrap_or_default().to_owned())
    }

    const DEVICE: &str = "DELETE /auth/devices/{device_id}";

    async fn device(id: &str) -> (u16, String) {
        // API Gateway cuts `rawPath` at a decoded `?`.
        let path = format!("/auth/devices/{}", id.split('?').next().unwrap());
        named(event_of(DEVICE, &path, json!({ "device_id": id }))).await
    }

    #[tokio::test]
    async fn a_parameter_is_what_api_gateway_has_decoded() {
        for id in [
            "phone",
            "phone ",
            " phone",
            "#x",
            "?x",
            "phone?x",
            "phon%65",
            "%2e%2e",
            "%2F",
            "a/b",
            "a\\b",
            "a/../b",
            "\tx\n",
            "...",
            ".a",
            "~a:b;c@d!",
            "\"'<>^`{|}",
            "ग",
            "\u{fffd}",
            "a+b",
            "a&b=c",
            "%",
            "%zz",
            "//",
            "/",
        ] {
            assert_eq!(device(id).await, (200, id.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_path_that_normalisation_would_change_is_of_nothing() {
        for id in [".", "..", "%2e", "%2E%2e", ".%2E", ""] {
            let found = device(id).await;
            let is_literal = id.contains('%');
            assert_eq!(found.0, if is_literal { 200 } else { 404 }, "{id} {found:?}");
            let path = format!("/admin/users/{id}/sessions");
            let key = "DELETE /admin/users/{user_id}/sessions";
            let found = named(event_of(key, &path, json!({ "user_id": id }))).await;
            assert_eq!(found.0, if is_literal { 200 } else { 404 }, "{id} {found:?}");
        }
        assert_eq!(named(event_of(DEVICE, "/auth/devices/x", Value::Null)).await.0, 404);
        for path in [
            "/x/../auth/devices/phone",
            "/auth/devices/./phone",
            "/auth/devices/x/%2e%2E/phone",
            "/auth\\devices\\phone",
            "auth/devices/phone",
            "*",
            "",
            "/auth/devices/phone/..",
        ] {
            assert_eq!(named(event_of("$default", path, Value::Null)).await.0, 404, "{path}");
        }
    }

    /// As under `cargo lambda watch`, which does not decode paths.
    #[tokio::test]
    async fn a_path_that_nothing_has_decoded_is_decoded_once() {
        for (path, id) in [("a%20b", "a b"), ("%2541", "%41"), ("%23x", "#x"), ("a b", "a b")] {
            let event = event_of("$default", &format!("/auth/devices/{path}"), Value::Null);
            assert_eq!(named(event).await, (200, id.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_query_that_is_no_uri_is_read_all_the_same() {
        let LambdaRequest::ApiGatewayV2(mut event) =
            event_of(DEVICE, "/auth/devices/a", json!({"device_id": "a"}))
        else {
            panic!("a request");
        };
        event.raw_query_string = Some("a=b c#d&e=<\">\u{7}é%20".to_owned());
        let router = Router::new().fallback(async |uri: http::Uri| uri.query().unwrap().to_owned());
        let event = LambdaEvent::new(LambdaRequest::ApiGatewayV2(event), Context::default());
        let response = serde_json::to_value(respond(router, event).await).unwrap();
        assert_eq!(response["body"], "a=b%20c%23d&e=%3C%22%3E%07%C3%A9%20");
    }

    proptest! {
        #[test]
        fn any_parameter_is_read_as_it_is_or_is_of_nothing(id in "\\PC{1,30}|[ -~]{1,10}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(device(&id));
            let expected = if id == "." || id == ".." { 404 } else { 200 };
            prop_assert_eq!(found.0, expected);
            prop_assert!(expected == 404 || found.1 == id);
        }

        #[test]
        fn any_raw_path_is_answered(path in "\\PC{0,30}|[ -~]{0,20}|(/|[.]|%2e|%|a){0,12}") {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(named(event_of("$default", &path, Value::Null)));
        }
    }

    #[tokio::test]
    async fn an_event_that_is_neither_is_an_error() {
        let others = [
            json!(null),
            json!({}),
            json!([]),
            json!({"source": "aws.events", "detail-type": "Object Created"}),
            json!({"source": "aws.s3", "detail-type": "Scheduled Event"}),
            json!({"Records": []}),
        ];
        for event in others {
            assert!(answer(event.clone()).await.is_err(), "{event}");
        }
    }

    #[tokio::test]
    async fn work_that_failed_is_an_error() {
        let event = json!({"source": "aws.events", "detail-type": "Scheduled Event"});
        let work = async || Err(Problem::unavailable("a table is busy"));
        let event = LambdaEvent::new(event, Context::default());
        let failed = invoke(Router::new(), work, event).await.unwrap_err();
        assert_eq!(failed.to_string(), Code::Unavailable.as_str());
    }
}
