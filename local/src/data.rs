//! Where data is kept: a directory of the developer's, or a temporary one.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::stack::StartError;

/// The data of one stack. Held as long as it runs.
#[derive(Debug)]
pub(crate) struct DataDir {
    kept: Option<Kept>,
    /// Holds S3's objects where nothing is kept.
    temporary: Option<TempDir>,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    /// Locked: one stack at a time. The system lets go when the process ends, however it ends.
    _lock: File,
}

impl DataDir {
    /// Opens `path`, which is made if need be, or a temporary directory.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, StartError> {
        let Some(path) = path else {
            let temporary =
                tempfile::tempdir().map_err(|source| failed(Path::new("temp"), source))?;
            return Ok(Self { kept: None, temporary: Some(temporary) });
        };
        fs::create_dir_all(path).map_err(|source| failed(path, source))?;
        let lock = File::create(path.join("lock")).map_err(|source| failed(path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StartError::DataInUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(path, source)),
        }
        Ok(Self { kept: Some(Kept { path: path.to_owned(), _lock: lock }), temporary: None })
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.kept.as_ref().map(|kept| kept.path.join(name))
    }

    /// DynamoDB's database, where one is kept.
    pub(crate) fn database(&self) -> Option<PathBuf> {
        self.file("dynamodb.sqlite")
    }

    /// The clock's offset, where one is kept.
    pub(crate) fn clock(&self) -> Option<PathBuf> {
        self.file("clock-offset-seconds")
    }

    /// The directory of S3's buckets.
    pub(crate) fn buckets(&self) -> PathBuf {
        let temporary = || self.temporary.as_ref().map(|directory| directory.path().to_owned());
        self.file("s3").or_else(temporary).unwrap_or_default()
    }
}

fn failed(path: &Path, source: std::io::Error) -> StartError {
    StartError::Data { path: path.to_owned(), source }
}
