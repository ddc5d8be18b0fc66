//! How the product's AWS clients reach the embedded services, and what is measured on the way.

pub(crate) mod call;
pub(crate) mod costs;
pub(crate) mod faults;
pub(crate) mod meter;
pub(crate) mod stale;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

/// Where the region is said to be.
pub(crate) const REGION: &str = "us-east-1";
/// The access key and its secret, which S3 verifies and the others ignore.
pub(crate) const CREDENTIAL: &str = "local";

/// The URLs of the embedded services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// DynamoDB.
    pub dynamodb: String,
    /// S3.
    pub s3: String,
    /// SNS.
    pub sns: String,
    /// SES v2.
    pub ses: String,
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        match key.service_id() {
            "DynamoDB" => Some(self.dynamodb.clone()),
            "S3" => Some(self.s3.clone()),
            "SNS" => Some(self.sns.clone()),
            "SESv2" => Some(self.ses.clone()),
            _ => None,
        }
    }
}

/// The product's HTTP client without TLS, which nothing here speaks: reading 146 CA certificates, for
/// each of the clients of each stack, is a tenth of a stack's start.
pub(crate) fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// What clients are made from: as deployed, but for region, credentials, endpoints and HTTP client.
pub(crate) fn sdk_config(endpoints: &Endpoints, http_client: SharedHttpClient) -> SdkConfig {
    let credentials = Credentials::new(CREDENTIAL, CREDENTIAL, None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .service_config(endpoints.clone())
        .http_client(http_client)
        .build()
}
