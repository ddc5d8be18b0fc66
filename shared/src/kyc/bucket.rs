//! The S3 bucket of identity documents.
//!
//! An object's key begins with the id of the person it is of, so that all of a person's objects
//! are found without the table. Files do not pass through here on their way in or out: clients
//! send and fetch them with presigned requests, which say whose, what and until when.

use std::{sync::Arc, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client,
    config::ResponseChecksumValidation,
    error::{ProvideErrorMetadata, SdkError},
    operation::get_object::{GetObjectError, GetObjectOutput},
    presigning::PresigningConfig,
    primitives::DateTime,
    types::{Delete, ObjectIdentifier},
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::{
    http::problem::Problem,
    kyc::document::{ContentType, Document, ExpectedFile, FileDigest},
    runtime::clock::after,
    runtime::{clock::whole_second, config::Config},
    value::UserId,
};

/// How long a presigned upload lives, seconds.
pub const UPLOAD_SECONDS: i64 = 10 * 60;
/// A file that was promised so shortly ago may be of a submission that nobody has read yet, seconds.
const NEW_SECONDS: i64 = 30 * 60;
/// How much of a picture's beginning tells what it is, bytes.
const HEAD_BYTES: usize = 512;

/// A request that a client may send to the bucket by itself.
#[derive(Clone)]
pub struct Presigned {
    /// Its method.
    pub method: &'static str,
    /// Its URL, which is all that is needed to be let in.
    pub url: String,
    /// The headers that it must be sent with, exactly.
    pub headers: Vec<(String, String)>,
    /// When it is refused.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Presigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presigned").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What is in the bucket under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// The type that it is stored with.
    pub content_type: Option<String>,
    /// Its length, bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: FileDigest,
    /// Its first bytes; of what is to be a PDF all of them, since the end says whether it is
    /// encrypted.
    pub bytes: Vec<u8>,
    /// Whether headers are stored with it that were not signed: an encoding, a language, how long it
    /// may be cached, metadata.
    pub has_other_headers: bool,
}

impl UploadedFile {
    /// Whether it is what was promised, as far as length, digest and stored type tell.
    pub fn matches(&self, document: &Document) -> bool {
        let expected = &document.expected;
        self.size == expected.size
            && self.sha256 == expected.sha256
            && self.content_type.as_deref() == Some(expected.content_type.as_str())
    }
}

/// The bucket.
#[derive(Debug, Clone)]
pub struct Documents {
    client: Client,
    bucket: Arc<str>,
}

impl Documents {
    /// The bucket that `config` names, reached as `sdk` says. A call is tried for 6 seconds.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_secs(4))
            .operation_timeout(Duration::from_secs(6))
            .build();
        let retries = RetryConfig::standard().with_max_attempts(4);
        // A file's digest is computed here, whatever the bucket says of it.
        let client = aws_sdk_s3::config::Builder::from(sdk)
            .timeout_config(timeouts)
            .retry_config(retries)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let bucket = Arc::from(config.kyc_bucket.as_str());
        Self { client: Client::from_conf(client.build()), bucket }
    }

    /// Lets somebody upload a file within the next ten minutes: this one and no other, since type,
    /// length and checksum are signed.
    pub async fn presign_upload(
        &self,
        document: &Document,
        now: Timestamp,
    ) -> Result<Presigned, Problem> {
        let expected = &document.expected;
        let call = self
            .client
            .put_object()
            .bucket(&*self.bucket)
            .key(&document.key)
            .content_type(expected.content_type.as_str())
            .content_length(i64::try_from(expected.size).map_err(Problem::internal)?)
            .checksum_sha256(expected.sha256.base64());
        let signed = call.presigned(presigning(UPLOAD_SECONDS, now)?).await;
        let signed = signed.map_err(|error| problem("PutObject", error))?;
        let headers = signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Presigned {
            method: "PUT",
            url: signed.uri().to_owned(),
            headers: headers.collect(),
            expires_at: after(whole_second(now), UPLOAD_SECONDS),
        })
    }

    /// Lets somebody fetch a file within the next `seconds`: to save, not to show in place, and as
    /// the type that was checked, so that nothing in it runs. The other headers are replaced too: the
    /// same file may be uploaded again, with headers of the uploader's, after it was checked.
    pub async fn presign_view(
        &self,
        document: &Document,
        seconds: i64,
        now: Timestamp,
    ) -> Result<Presigned, Problem> {
        let disposition = format!("attachment; filename=\"{}\"", document.file_name());
        let call = self
            .client
            .get_object()
            .bucket(&*self.bucket)
            .key(&document.key)
            .response_content_disposition(disposition)
            .response_content_encoding("identity")
            .response_content_language("und")
            .response_cache_control("private, no-store")
            .response_expires(DateTime::from_secs(0))
            .response_content_type(document.expected.content_type.as_str());
        let signed = call.presigned(presigning(seconds, now)?).await;
        let signed = signed.map_err(|error| problem("GetObject", error))?;
        let headers = signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Presigned {
            method: "GET",
            url: signed.uri().to_owned(),
            headers: headers.collect(),
            expires_at: after(whole_second(now), seconds),
        })
    }

    /// Looks at what arrived for a file, if anything did. Length and digest are those of the bytes
    /// themselves, read through piece by piece: not what the bucket says of them. Of a file that is
    /// longer than promised no more is read than shows that. S3 only says that an object is not
    /// there to who may list the bucket: to others it is `AccessDenied`, a fault of ours.
    pub async fn inspect(&self, document: &Document) -> Result<Option<UploadedFile>, Problem> {
        let call = self.client.get_object().bucket(&*self.bucket).key(&document.key).send().await;
        let object = match call {
            Ok(object) => object,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(problem("GetObject", error)),
        };
        read_through(object, &document.expected).await.map(Some)
    }

    /// Deletes every object of a person. Nothing to delete is success: the same call finishes what
    /// a failed one began.
    pub async fn delete_all(&self, user_id: UserId) -> Result<(), Problem> {
        self.delete_all_except(user_id, &[]).await
    }

    /// Deletes every object of a person but those of these keys. It can be repeated.
    pub async fn delete_all_except(&self, user_id: UserId, kept: &[&str]) -> Result<(), Problem> {
        self.delete_where(user_id, |key| !kept.contains(&key)).await
    }

    /// The same, for whoever may be at work meanwhile: what was promised in the half hour before
    /// `now` stays too. It can be repeated.
    pub async fn delete_old_except(
        &self,
        user_id: UserId,
        kept: &[&str],
        now: Timestamp,
    ) -> Result<(), Problem> {
        let is_old = |key: &str| {
            let age = Document::upload_requested_at(key).map(|at| now.as_second() - at.as_second());
            age.is_none_or(|age| age > NEW_SECONDS)
        };
        self.delete_where(user_id, |key| is_old(key) && !kept.contains(&key)).await
    }

    async fn delete_where(
        &self,
        user_id: UserId,
        goes: impl Fn(&str) -> bool,
    ) -> Result<(), Problem> {
        let (prefix, mut after) = (prefix(user_id), None);
        loop {
            let call = self.client.list_objects_v2().bucket(&*self.bucket).prefix(&prefix);
            let listed = call.set_start_after(after).send().await;
            let listed = listed.map_err(|error| problem("ListObjectsV2", error))?;
            let keys: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
            let going: Vec<_> = keys.iter().copied().filter(|key| goes(key)).collect();
            if !going.is_empty() {
                self.delete(&going).await?;
            }
            if listed.is_truncated() != Some(true) {
                return Ok(());
            }
            after = keys.last().map(|key| (*key).to_owned());
        }
    }

    /// Deletes these objects, at most 1,000.
    pub async fn delete(&self, keys: &[&str]) -> Result<(), Problem> {
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(*key).build());
        let objects: Result<Vec<_>, _> = objects.collect();
        let delete =
            Delete::builder().quiet(true).set_objects(Some(objects.map_err(Problem::internal)?));
        let delete = delete.build().map_err(Problem::internal)?;
        let call = self.client.delete_objects().bucket(&*self.bucket).delete(delete);
        let done = call.send().await.map_err(|error| problem("DeleteObjects", error))?;
        match done.errors().first() {
            None => Ok(()),
            Some(error) => {
                let code = error.code().unwrap_or("an object stayed");
                Err(Problem::unavailable(format!("DeleteObjects: {code}")))
            }
        }
    }
}

/// Keeps no more of a file than `expected` allows.
async fn read_through(
    mut object: GetObjectOutput,
    expected: &ExpectedFile,
) -> Result<UploadedFile, Problem> {
    let promised_bytes = usize::try_from(expected.size).map_err(Problem::internal)?;
    let kept_bytes = match expected.content_type {
        ContentType::Pdf => promised_bytes,
        ContentType::Jpeg | ContentType::Png => HEAD_BYTES.min(promised_bytes),
    };
    let mut bytes = Vec::with_capacity(kept_bytes);
    let (mut hash, mut size) = (Sha256::new(), 0);
    while size <= expected.size {
        let piece = object.body.try_next().await;
        // What broke may quote the key.
        let piece = piece.map_err(|_| Problem::unavailable("GetObject: the body broke off"))?;
        let Some(piece) = piece else { break };
        hash.update(&piece);
        size += piece.len() as u64;
        bytes.extend_from_slice(&piece[..piece.len().min(kept_bytes - bytes.len())]);
    }
    let sha256 = FileDigest::from_bytes(hash.finalize().into());
    let has_other_headers = has_other_headers(&object);
    Ok(UploadedFile { content_type: object.content_type, size, sha256, bytes, has_other_headers })
}

/// S3 stores what it is sent of these, signed or not.
fn has_other_headers(object: &GetObjectOutput) -> bool {
    let headers = [
        object.cache_control(),
        object.content_disposition(),
        object.content_encoding(),
        object.content_language(),
        object.expires_string(),
        object.website_redirect_location(),
    ];
    let is_set = |header: Option<&str>| header.is_some_and(|value| !value.is_empty());
    headers.into_iter().any(is_set) || object.metadata().is_some_and(|all| !all.is_empty())
}

fn is_missing(error: &SdkError<GetObjectError>) -> bool {
    error.as_service_error().is_some_and(GetObjectError::is_no_such_key)
}

/// Valid from `now` on the clock that was handed in.
fn presigning(seconds: i64, now: Timestamp) -> Result<PresigningConfig, Problem> {
    let seconds = u64::try_from(seconds).map_err(Problem::internal)?;
    let config =
        PresigningConfig::builder().start_time(now.into()).expires_in(Duration::from_secs(seconds));
    config.build().map_err(Problem::internal)
}

/// What the keys of a person's objects begin with.
fn prefix(user_id: UserId) -> String {
    format!("{user_id}/")
}

/// The answer to a call that failed. Of a service's error the code is told, not the message, which
/// may name a key.
fn problem<E>(operation: &'static str, error: SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match code {
        Some(code @ ("AccessDenied" | "NoSuchBucket" | "InvalidRequest")) => {
            Problem::internal(format!("{operation}: {code}"))
        }
        Some(code) => Problem::unavailable(format!("{operation}: {code}")),
        None => Problem::unavailable(format!("{operation}: {error}")),
    }
}
