//! S3: s3s over a directory. Signatures are verified.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;

use crate::aws::CREDENTIAL;

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

    /// The service over them.
    pub(crate) fn router(&self) -> Result<Router, String> {
        let files = FileSystem::new(self.root.as_path()).map_err(|error| format!("{error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(CREDENTIAL, CREDENTIAL));
        let service = service.build();
        Ok(Router::new().fallback(async move |request: Request| -> Response {
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
