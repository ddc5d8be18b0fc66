//! S3: s3s over a directory. Signatures are verified.
//!
//! s3s compares presigned requests with the wall clock, while the product signs them with a clock
//! that a developer has moved ahead: to s3s they are of the future. So it is told to take any
//! future for a clock that is wrong, and whether a request has expired is decided here, by the
//! product's clock.
//!
//! s3s-fs stores a body before it compares its checksums, so that a refused upload would replace a
//! good object. S3 does not do that: here a body is tried in a scratch directory first.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use s3s::{
    S3, S3Request, S3Result,
    access::S3Access,
    auth::SimpleAuth,
    config::{S3Config, StaticConfigProvider},
    dto::{PutObjectInput, StreamingBlob},
    s3_error,
    service::S3ServiceBuilder,
};
use s3s_fs::FileSystem;
use tempfile::TempDir;

use crate::{aws::CREDENTIAL, clock::MovableClock};

/// Buckets as directories.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    root: Arc<PathBuf>,
    /// The bucket of identity documents.
    bucket: Arc<str>,
}

impl Buckets {
    /// The buckets under `root`, which is made if need be.
    pub(crate) fn open(root: &Path, bucket: &str) -> io::Result<Self> {
        fs::create_dir_all(root.join(bucket))?;
        Ok(Self { root: Arc::new(root.to_owned()), bucket: bucket.into() })
    }

    /// Empties everything.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.root.as_path())? {
            let path = entry?.path();
            match path.is_dir() {
                true => fs::remove_dir_all(path)?,
                false => fs::remove_file(path)?,
            }
        }
        fs::create_dir_all(self.root.join(&*self.bucket))
    }

    /// The service over them, at the time of `clock`.
    pub(crate) fn router(&self, clock: Arc<MovableClock>) -> Result<Router, String> {
        let files = FileSystem::new(self.root.as_path()).map_err(|error| format!("{error:?}"))?;
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(CREDENTIAL, CREDENTIAL));
        service.set_access(Rehearsal::new()?);
        service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let service = service.build();
        Ok(Router::new().fallback(async move |request: Request| -> Response {
            if has_expired(request.uri().query().unwrap_or_default(), clock.now()) {
                return access_denied();
            }
            let request = request.map(s3s::Body::http_body_unsync);
            match service.call(request).await {
                Ok(response) => response.map(Body::new),
                Err(error) => {
                    tracing::error!(?error, "S3 broke");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            }
        }))
    }
}

/// The longest body, bytes. The product's uploads have at most 10 MiB.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Stores every upload in a scratch directory first: what is refused there changes nothing.
struct Rehearsal {
    files: FileSystem,
    directory: TempDir,
}

impl Rehearsal {
    fn new() -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let files = FileSystem::new(directory.path()).map_err(|error| format!("{error:?}"))?;
        Ok(Self { files, directory })
    }
}

#[async_trait::async_trait]
impl S3Access for Rehearsal {
    /// Called when the signature has been verified, before anything is stored.
    async fn put_object(&self, request: &mut S3Request<PutObjectInput>) -> S3Result<()> {
        let Some(body) = request.input.body.take() else { return Ok(()) };
        let body = Limited::new(s3s::Body::from(body), MAX_BODY_BYTES).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => s3_error!(EntityTooLarge),
            false => s3_error!(IncompleteBody),
        });
        let body = body?.to_bytes();
        take_trailers(request);
        let name = crate::random::uuid();
        let rehearsed = self.files.put_object(rehearsed(request, &name, body.clone())).await;
        for entry in fs::read_dir(self.directory.path()).into_iter().flatten().flatten() {
            // The object, and the files about it that are named after it.
            if entry.file_name().to_string_lossy().contains(&name) {
                let path = entry.path();
                let _ =
                    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        }
        request.input.body = Some(s3s::Body::from(body).into());
        rehearsed.map(drop)
    }
}

/// Checksums that came after the body are checked like those that came before it.
fn take_trailers(request: &mut S3Request<PutObjectInput>) {
    let Some(trailers) = request.trailing_headers.take().and_then(|trailers| trailers.take())
    else {
        return;
    };
    let value = |name: &str| Some(trailers.get(name)?.to_str().ok()?.to_owned());
    let input = &mut request.input;
    for (checksum, name) in [
        (&mut input.checksum_crc32, "x-amz-checksum-crc32"),
        (&mut input.checksum_crc32c, "x-amz-checksum-crc32c"),
        (&mut input.checksum_crc64nvme, "x-amz-checksum-crc64nvme"),
        (&mut input.checksum_sha1, "x-amz-checksum-sha1"),
        (&mut input.checksum_sha256, "x-amz-checksum-sha256"),
    ] {
        if let Some(value) = value(name) {
            *checksum = Some(value);
        }
    }
}

/// The same upload to another bucket, with all that a body is compared with.
fn rehearsed(
    request: &S3Request<PutObjectInput>,
    bucket: &str,
    body: Bytes,
) -> S3Request<PutObjectInput> {
    let asked = &request.input;
    let input = PutObjectInput {
        body: Some(StreamingBlob::from(s3s::Body::from(body))),
        bucket: bucket.to_owned(),
        key: "object".to_owned(),
        checksum_algorithm: asked.checksum_algorithm.clone(),
        checksum_crc32: asked.checksum_crc32.clone(),
        checksum_crc32c: asked.checksum_crc32c.clone(),
        checksum_crc64nvme: asked.checksum_crc64nvme.clone(),
        checksum_sha1: asked.checksum_sha1.clone(),
        checksum_sha256: asked.checksum_sha256.clone(),
        content_length: asked.content_length,
        content_md5: asked.content_md5.clone(),
        storage_class: asked.storage_class.clone(),
        ..PutObjectInput::default()
    };
    S3Request {
        input,
        method: request.method.clone(),
        uri: request.uri.clone(),
        headers: request.headers.clone(),
        extensions: http::Extensions::default(),
        credentials: request.credentials.clone(),
        region: request.region.clone(),
        service: request.service.clone(),
        trailing_headers: None,
    }
}

/// Whether the query is that of a presigned request whose time is over. What it does not say in
/// the right form is left to s3s, which verifies the signature over it.
fn has_expired(query: &str, now: Timestamp) -> bool {
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let signed_at = value("X-Amz-Date").and_then(|date| {
        let date = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    });
    let seconds = value("X-Amz-Expires").and_then(|seconds| seconds.parse::<u32>().ok());
    let (Some(signed_at), Some(seconds)) = (signed_at, seconds) else { return false };
    now.as_second() > signed_at + i64::from(seconds)
}

/// As S3 answers it.
fn access_denied() -> Response {
    const BODY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/xml")], BODY).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_request_lives_as_long_as_it_says() {
        let query = "X-Amz-Date=20260131T101112Z&X-Amz-Expires=60&X-Amz-Signature=0";
        let at = |time: &str| has_expired(query, time.parse().unwrap());
        assert!(!at("2026-01-31T10:11:12Z"));
        assert!(!at("2026-01-31T10:12:12Z"));
        assert!(at("2026-01-31T10:12:13Z"));
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        for other in ["", "list-type=2", "X-Amz-Date=x&X-Amz-Expires=60", "X-Amz-Expires=60"] {
            assert!(!has_expired(other, now), "{other}");
        }
    }
}
