//! A user's changes of their submission, each in one transaction.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    account,
    crypto::secret::Digest,
    dynamodb::{Item, Key, Store, Table, Transaction, digest, item, seconds, time},
    http::problem::Problem,
    kyc::{Submission, items::put, number_claim},
    runtime::clock::after,
    value::SubmissionId,
};

const KEEP_REQUEST_SECONDS: i64 = 24 * 60 * 60;

/// The record of an idempotency key: the request that used it, and its result. Key and request are
/// stored as keyed digests, so that the record has no personal data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The digest of the request. Equal requests have the same.
    #[serde(with = "digest")]
    pub fingerprint: Digest,
    /// The submission that the request created.
    pub submission_id: SubmissionId,
    /// When the key may be used for another request. Also the TTL.
    #[serde(with = "seconds::required")]
    pub expires_at: Timestamp,
}

impl RequestRecord {
    /// The record of a request at `now`.
    pub fn new(fingerprint: Digest, submission_id: SubmissionId, now: Timestamp) -> Self {
        Self { fingerprint, submission_id, expires_at: after(now, KEEP_REQUEST_SECONDS) }
    }
}

/// The key of the record of an idempotency key.
pub fn request_key(request: &Digest) -> Key<RequestRecord> {
    Key::new(Table::Kyc, &[("pk", &format!("REQUEST#{}", request.text()))])
}

/// A submission and what is saved with it.
#[derive(Debug, Clone)]
pub struct SubmissionWrite<'a> {
    /// The submission, with the next revision. Its number is claimed.
    pub submission: &'a Submission,
    /// A number whose provisional claim is released.
    pub released: Option<Digest>,
    /// The idempotency key's digest, and its record.
    pub request: Option<(Digest, RequestRecord)>,
}

/// The result of saving a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveOutcome {
    /// It was saved.
    Done,
    /// The submission has changed since it was read, or the idempotency key was used. Read again.
    Conflict,
    /// The number belongs to another account.
    NumberInUse,
    /// The account was deleted.
    AccountDeleted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Submission,
    Account,
    Claim,
    Release,
    Request,
}

/// Saves a submission with the claim of its number, the account's KYC status and the request's
/// record.
pub async fn save(
    store: &Store,
    saving: &SubmissionWrite<'_>,
    now: Timestamp,
) -> Result<SaveOutcome, Problem> {
    let mut released = saving.released.as_ref();
    loop {
        let transaction = transaction(saving, released, now)?;
        let Err(refusals) = store.commit(transaction).await? else { return Ok(SaveOutcome::Done) };
        let refused = |label| refusals.iter().any(|refusal| refusal.label == label);
        if refused(Write::Account) {
            return Ok(SaveOutcome::AccountDeleted);
        }
        if refused(Write::Submission) || refused(Write::Request) {
            return Ok(SaveOutcome::Conflict);
        }
        if refused(Write::Claim) {
            return Ok(SaveOutcome::NumberInUse);
        }
        // The claim expired and another account has claimed the number: there is nothing to
        // release.
        released = None;
    }
}

/// Saves a submission in which only the counts have changed, or a new one that has only counts.
pub async fn save_counts(store: &Store, counted: &Submission) -> Result<SaveOutcome, Problem> {
    let mut all = Transaction::default();
    put(&mut all, Write::Submission, counted)?;
    account::set_kyc_status(&mut all, Write::Account, counted.user_id, counted.status);
    let Err(refusals) = store.commit(all).await? else { return Ok(SaveOutcome::Done) };
    let has_no_account = refusals.iter().any(|refusal| refusal.label == Write::Account);
    Ok(if has_no_account { SaveOutcome::AccountDeleted } else { SaveOutcome::Conflict })
}

fn transaction(
    saving: &SubmissionWrite<'_>,
    released: Option<&Digest>,
    now: Timestamp,
) -> Result<Transaction<Write>, Problem> {
    let submission = saving.submission;
    let Submission { user_id, status, number_digest, is_number_firm, .. } = submission;
    let mut all = Transaction::default();
    put(&mut all, Write::Submission, submission)?;
    account::set_kyc_status(&mut all, Write::Account, *user_id, *status);
    number_claim::claim(&mut all, Write::Claim, number_digest, *user_id, *is_number_firm, now)?;
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
