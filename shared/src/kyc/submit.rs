//! What a person does to their submission, as one transaction.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account,
    crypto::secret::Digest,
    dynamodb::{Item, Key, Store, Table, Transaction, digest, item, seconds, time},
    http::problem::Problem,
    kyc::{Submission, number_claim, submission::put},
    otp::after,
    value::SubmissionId,
};

const KEEP_REQUEST_SECONDS: i64 = 24 * 60 * 60;

/// The record of an idempotency key: what was asked for under it, and what was made. Both key and
/// request are keyed digests, so that it names nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Equal for requests that ask for the same.
    #[serde(with = "digest")]
    pub fingerprint: Digest,
    /// What was made.
    pub submission_id: SubmissionId,
    /// When the key may name another request. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

impl Request {
    /// The record of a request that is carried out now.
    pub fn new(fingerprint: Digest, submission_id: SubmissionId, now: Timestamp) -> Self {
        Self { fingerprint, submission_id, expires_at: after(now, KEEP_REQUEST_SECONDS) }
    }
}

/// Where the record of an idempotency key is.
pub fn request_key(request: &Digest) -> Key<Request> {
    Key::new(Table::Kyc, &[("pk", &format!("REQUEST#{}", request.text()))])
}

/// What is to be saved together.
#[derive(Debug, Clone)]
pub struct Saving<'a> {
    /// The submission, as [`Submission::revised`] has it. Its number is claimed.
    pub submission: &'a Submission,
    /// A number that was claimed for it provisionally and is freed.
    pub released: Option<Digest>,
    /// The idempotency key's digest, and its record.
    pub request: Option<(Digest, Request)>,
}

/// What became of a saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It was carried out.
    Done,
    /// The submission has changed since it was read, or the key was used: read again.
    Overtaken,
    /// The number belongs to another account.
    InUse,
    /// There is no such account any more.
    NoAccount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Submission,
    Account,
    Claim,
    Release,
    Request,
}

/// Saves a submission with its number's claim, its account's status and its request's record.
pub async fn save(store: &Store, saving: &Saving<'_>, now: Timestamp) -> Result<Saved, Problem> {
    let mut released = saving.released.as_ref();
    loop {
        let transaction = transaction(saving, released, now)?;
        let Err(refusals) = store.commit(transaction).await? else { return Ok(Saved::Done) };
        let refused = |label| refusals.iter().any(|refusal| refusal.label == label);
        if refused(Write::Account) {
            return Ok(Saved::NoAccount);
        }
        if refused(Write::Submission) || refused(Write::Request) {
            return Ok(Saved::Overtaken);
        }
        if refused(Write::Claim) {
            return Ok(Saved::InUse);
        }
        // The claim had lapsed, and the number is another's by now: there is nothing to free.
        released = None;
    }
}

/// Saves what was counted in a submission, which is otherwise as it was, or none yet.
pub async fn count(store: &Store, counted: &Submission) -> Result<Saved, Problem> {
    let mut all = Transaction::default();
    put(&mut all, Write::Submission, counted)?;
    account::set_kyc_status(&mut all, Write::Account, counted.user_id, counted.status);
    let Err(refusals) = store.commit(all).await? else { return Ok(Saved::Done) };
    match refusals.iter().any(|refusal| refusal.label == Write::Account) {
        true => Ok(Saved::NoAccount),
        false => Ok(Saved::Overtaken),
    }
}

fn transaction(
    saving: &Saving<'_>,
    released: Option<&Digest>,
    now: Timestamp,
) -> Result<Transaction<Write>, Problem> {
    let submission = saving.submission;
    let Submission { user_id, status, number_digest, is_number_firm, .. } = submission;
    let mut all = Transaction::default();
    put(&mut all, Write::Submission, submission)?;
    account::set_kyc_status(&mut all, Write::Account, *user_id, *status);
    number_claim::take(&mut all, Write::Claim, number_digest, *user_id, *is_number_firm, now)?;
    if let Some(number) = released {
        number_claim::release(&mut all, Write::Release, number, *user_id);
    }
    if let Some((key, record)) = &saving.request {
        let mut new = item("idempotency_key", record)?;
        new.extend(request_key(key).key);
        let values = Item::from([(":now".to_owned(), time(now))]);
        let condition = "attribute_not_exists(pk) OR expires_at <= :now";
        all.put_if(Write::Request, Table::Kyc, new, condition, values);
    }
    Ok(all)
}
