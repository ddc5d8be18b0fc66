//! The product's HTTP client, with a meter on it and faults in front of it.

use std::sync::Arc;

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpClient, SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream, config_bag::ConfigBag};
use serde_json::Value;

use super::{
    Endpoints,
    call::{Call, Service},
    costs::{Invocation, Units},
    faults::{self, Faults, Kind},
    stale,
};
use crate::permission::{Permissions, Schema, Used};

/// An HTTP client that adds to the current [`Invocation`] and injects [`Faults`].
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    inner: SharedHttpClient,
    endpoints: Arc<Endpoints>,
    faults: Arc<Faults>,
    guard: Option<Arc<Guard>>,
}

/// What the callers may do.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) permissions: Permissions,
    pub(crate) schema: Schema,
    pub(crate) used: Arc<Used>,
}

impl Guard {
    /// The answer to a call that is not granted.
    fn deny(&self, call: &Call, request: &HttpRequest) -> Option<HttpResponse> {
        let accesses = self.schema.accesses(call, request);
        let missing = self.permissions.allow(&accesses, &self.used).err()?;
        tracing::error!(missing, "template.yaml does not grant this");
        Some(faults::denied(call))
    }
}

impl Meter {
    pub(crate) fn around(
        inner: SharedHttpClient,
        endpoints: Endpoints,
        faults: Arc<Faults>,
    ) -> Self {
        Self { inner, endpoints: Arc::new(endpoints), faults, guard: None }
    }

    /// The same for a caller who may do only what `guard` says.
    pub(crate) fn guarded(self, guard: Guard) -> Self {
        Self { guard: Some(Arc::new(guard)), ..self }
    }

    pub(crate) fn into_client(self) -> SharedHttpClient {
        SharedHttpClient::new(self)
    }
}

impl HttpClient for Meter {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(MeteredConnector {
            inner: self.inner.http_connector(settings, components),
            endpoints: Arc::clone(&self.endpoints),
            faults: Arc::clone(&self.faults),
            guard: self.guard.clone(),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct MeteredConnector {
    inner: SharedHttpConnector,
    endpoints: Arc<Endpoints>,
    faults: Arc<Faults>,
    guard: Option<Arc<Guard>>,
}

impl HttpConnector for MeteredConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(call) = Call::of(&request, &self.endpoints) else {
            return self.inner.call(request);
        };
        if let Some(denied) = self.guard.as_ref().and_then(|guard| guard.deny(&call, &request)) {
            return HttpConnectorFuture::ready(Ok(denied));
        }
        let fault = self.faults.take(&call);
        let (inner, faults) = (self.inner.clone(), Arc::clone(&self.faults));
        HttpConnectorFuture::new(async move {
            let invocation = Invocation::current();
            let trip = Trip::begin(&call, invocation.as_deref());
            let reading = (fault == Some(Kind::Stale))
                .then(|| stale::reading(request.body().bytes().unwrap_or_default()));
            let mut answer = carry_out(&inner, &call, fault, request, invocation.as_deref()).await;
            trip.end();
            if let (Some(reading), Ok(response)) = (reading, &mut answer) {
                repeat_old_readings(&faults, &call, &reading, response);
            }
            answer
        })
    }
}

/// A call on its way, as the costs see it.
struct Trip<'a>(Option<(&'a Invocation, u32)>);

impl<'a> Trip<'a> {
    fn begin(call: &Call, invocation: Option<&'a Invocation>) -> Self {
        let Some(invocation) = invocation else { return Self(None) };
        match call.service {
            Service::Dynamodb | Service::S3 => Self(Some((invocation, invocation.begin_hop()))),
            Service::Sns | Service::Ses => {
                invocation.add_send();
                Self(None)
            }
        }
    }

    fn end(self) {
        if let Some((invocation, level)) = self.0 {
            invocation.end_hop(level);
        }
    }
}

async fn carry_out(
    inner: &SharedHttpConnector,
    call: &Call,
    fault: Option<Kind>,
    request: HttpRequest,
    invocation: Option<&Invocation>,
) -> Result<HttpResponse, ConnectorError> {
    match fault {
        Some(Kind::Timeout) => return Err(faults::timed_out()),
        Some(kind) => {
            if let Some(answer) = faults::answer(kind, call, &request) {
                return Ok(answer);
            }
        }
        None => {}
    }
    let request = match call.service {
        Service::Dynamodb => asking_for_capacity(request, &call.operation),
        _ => request,
    };
    let mut response = inner.call(request).await?;
    if call.service == Service::Dynamodb {
        let units = consumed_units(&mut response).await?;
        if let (Some(invocation), Some(units)) = (invocation, units) {
            invocation.add_units(kind_of_units(&call.operation), units);
        }
    }
    match fault {
        Some(Kind::LostResponse) => Err(faults::timed_out()),
        _ => Ok(response),
    }
}

/// Puts the first readings in place of those in a response, which is in memory by now.
fn repeat_old_readings(faults: &Faults, call: &Call, reading: &Value, response: &mut HttpResponse) {
    let body = response.body().bytes().and_then(|body| serde_json::from_slice(body).ok());
    let Some(body) = body else { return };
    let old = faults.old_readings.repeat(&call.operation, reading, &body);
    let Some(old) = old.filter(|_| response.status().is_success()) else { return };
    let old = old.to_string();
    response.headers_mut().insert("content-length", old.len().to_string());
    response.headers_mut().remove("x-amz-crc32");
    *response.body_mut() = SdkBody::from(old);
}

fn kind_of_units(operation: &str) -> Units {
    match operation {
        "GetItem" | "BatchGetItem" | "Query" | "Scan" | "TransactGetItems" => Units::Read,
        _ => Units::Write,
    }
}

const REPORTS_CAPACITY: [&str; 10] = [
    "GetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "TransactGetItems",
    "TransactWriteItems",
];

/// Asks DynamoDB to say what the call consumes. The signature no longer fits; dynoxide checks none.
fn asking_for_capacity(mut request: HttpRequest, operation: &str) -> HttpRequest {
    if !REPORTS_CAPACITY.contains(&operation) {
        return request;
    }
    let body = request.body().bytes().and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    let Some(Value::Object(mut body)) = body else { return request };
    body.entry("ReturnConsumedCapacity").or_insert_with(|| "TOTAL".into());
    let body = Value::Object(body).to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    request
}

/// Reads the whole answer, which ends the round trip, and adds up what it says was consumed.
async fn consumed_units(response: &mut HttpResponse) -> Result<Option<f64>, ConnectorError> {
    let body = std::mem::replace(response.body_mut(), SdkBody::taken());
    let collected = ByteStream::new(body).collect().await;
    let bytes = collected.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    *response.body_mut() = SdkBody::from(bytes);
    Ok(match &answer["ConsumedCapacity"] {
        Value::Array(tables) => Some(tables.iter().filter_map(capacity_units).sum()),
        table => capacity_units(table),
    })
}

fn capacity_units(table: &Value) -> Option<f64> {
    table["CapacityUnits"].as_f64()
}

#[cfg(test)]
mod tests;
