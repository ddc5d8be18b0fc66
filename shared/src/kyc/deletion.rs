//! The deletion of a person's KYC data.

use futures_util::future::join_all;

use crate::{
    dynamodb::{Item, Store},
    http::problem::Problem,
    kyc::{cleanup, key, number_claim},
    value::UserId,
};

/// Deletes the KYC data of a user. The account must be deleted already, so that no new data is
/// written. The claims of the user's numbers are deleted before the submission, by which they are
/// found. After a failure the same call deletes the rest. The caller deletes the files.
pub async fn delete_all(store: &Store, user_id: UserId) -> Result<(), Problem> {
    let Some(submission) = store.read(key(user_id).consistent()).await? else { return Ok(()) };
    let numbers = submission.claimed_numbers();
    let claims = join_all(numbers.map(|number| number_claim::delete(store, number, user_id)));
    let clearing = cleanup::delete_clearing(store, user_id);
    let (claims, clearing) = tokio::join!(claims, clearing);
    claims.into_iter().chain([clearing]).collect::<Result<(), _>>()?;
    store.delete(key(user_id), "attribute_exists(pk)", Item::new()).await.map(drop)
}
