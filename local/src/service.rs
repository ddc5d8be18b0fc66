//! The embedded AWS services, each behind a port of its own.

pub(crate) mod dynamodb;
pub(crate) mod s3;
pub(crate) mod ses;
pub(crate) mod sns;
