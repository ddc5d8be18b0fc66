//! The operations on a submission: read, decide, write, and again if something came between.

use jiff::Timestamp;
use shared::{
    crypto::secret,
    http::{
        IdempotencyKey,
        problem::{Code, Problem},
    },
    kyc::{
        self, KycStatus, Submission,
        submit::{self, RequestRecord, SaveOutcome, SubmissionWrite},
    },
    session::{access_token::Claims, authentication},
    value::{SubmissionId, UploadId},
};

use crate::{
    app::App,
    body::{Edits, NewSubmission},
    count,
    file::{self, Fault},
    rules,
};

/// How often a change is made anew that another one overtook.
const ATTEMPTS: usize = 8;

/// Makes a submission, in place of the one before. A request that came before under the same key
/// makes nothing: the submission as it is, and that it is so.
pub(crate) async fn create(
    app: &App,
    claims: &Claims,
    key: Option<&IdempotencyKey>,
    asked: &NewSubmission,
    now: Timestamp,
) -> Result<(Submission, bool), Problem> {
    let digests = app.number_keys.digests(now).await?;
    let request = key.map(|key| digests.request(claims.user_id, key));
    let fingerprint = asked.fingerprint(&digests);
    for _ in 0..ATTEMPTS {
        let record = request.as_ref().map(|request| submit::request_key(request).consistent());
        let reads = (kyc::key(claims.user_id).consistent(), record);
        let (_, (before, record)) = app.authenticator.authenticate(claims, reads).await?;
        if let Some(record) = record.flatten().filter(|record| now < record.expires_at) {
            if record.fingerprint != fingerprint {
                let detail = "Use a new Idempotency-Key for a new request.";
                return Err(Problem::new(Code::IdempotencyKeyReused, detail));
            }
            // Another may have come in its place.
            let made = before.filter(|found| found.submission_id == record.submission_id);
            let made = made.ok_or_else(no_submission)?;
            let Some(next) = rules::renewed(&made, now) else { return Ok((made, true)) };
            match save(app, Some(&made), &next.saving(), now).await? {
                true => return Ok((next.submission, true)),
                false => continue,
            }
        }
        let before = match refuse_approved(before)? {
            Some(before) => Some(cleaned(app, before, now).await),
            None => None,
        };
        let ids = (SubmissionId::new(now, secret::random()), UploadId::new(now, secret::random()));
        let next = rules::create(claims.user_id, before.as_ref(), asked, &digests, ids, now)?;
        let record = RequestRecord::new(fingerprint, next.submission.submission_id, now);
        let request = request.map(|request| (request, record));
        let saving = SubmissionWrite { request, ..next.saving() };
        if save(app, before.as_ref(), &saving, now).await? {
            return Ok((next.submission, false));
        }
    }
    Err(conflict_exhausted())
}

/// Changes the submission. What changes nothing is answered with it as it is.
pub(crate) async fn change(
    app: &App,
    claims: &Claims,
    edits: &Edits,
    now: Timestamp,
) -> Result<Submission, Problem> {
    let digests = app.number_keys.digests(now).await?;
    for _ in 0..ATTEMPTS {
        let before = cleaned(app, present(read(app, claims).await?)?, now).await;
        let upload_id = UploadId::new(now, secret::random());
        let Some(next) = rules::change(&before, edits, &digests, upload_id, now)? else {
            return Ok(before);
        };
        if save(app, Some(&before), &next.saving(), now).await? {
            return Ok(next.submission);
        }
    }
    Err(conflict_exhausted())
}

/// Hands the submission in for review, if its files are there. One that is handed in already is
/// answered the same: the first answer may have been lost. Files are read once, whatever comes
/// between, and not at all when that was in vain too often.
pub(crate) async fn submit(
    app: &App,
    claims: &Claims,
    now: Timestamp,
) -> Result<Submission, Problem> {
    let mut kept = Vec::new();
    for _ in 0..ATTEMPTS {
        let before = present(read(app, claims).await?)?;
        match before.status {
            KycStatus::AwaitingDocuments => count::may_be_checked(&before, now)?,
            KycStatus::Pending => return Ok(before),
            _ => return Err(no_submission()),
        }
        let check = async {
            match kept == before.documents {
                true => Ok(None),
                false => file::check(&app.documents, &before).await,
            }
        };
        let (fault, before) = tokio::join!(check, cleaned(app, before.clone(), now));
        if let Some(Fault { problem, was_read }) = fault? {
            return match was_read {
                true => read_in_vain(app, claims, before, now).await.and(Err(problem)),
                false => Err(problem),
            };
        }
        kept.clone_from(&before.documents);
        let submission = rules::submit(before.clone(), now);
        let saving = SubmissionWrite { submission: &submission, released: None, request: None };
        match submit::save(&app.store, &saving, now).await? {
            SaveOutcome::Done => return Ok(submission),
            SaveOutcome::Conflict => {}
            SaveOutcome::AccountDeleted => return Err(authentication::session_ended()),
            SaveOutcome::NumberInUse => {
                return read_in_vain(app, claims, before, now).await.and(Err(in_use()));
            }
        }
    }
    Err(conflict_exhausted())
}

/// Counts that files were read in vain, in whatever the submission is by now.
async fn read_in_vain(
    app: &App,
    claims: &Claims,
    mut before: Submission,
    now: Timestamp,
) -> Result<(), Problem> {
    for _ in 0..ATTEMPTS {
        let counted = count::checked_in_vain(before, now);
        match submit::save_counts(&app.store, &counted).await? {
            SaveOutcome::Done => return Ok(()),
            SaveOutcome::AccountDeleted => return Err(authentication::session_ended()),
            SaveOutcome::Conflict | SaveOutcome::NumberInUse => {}
        }
        let found = read(app, claims).await?;
        let awaited = found.filter(|found| found.status == KycStatus::AwaitingDocuments);
        let Some(found) = awaited else { return Ok(()) };
        before = found;
    }
    Err(conflict_exhausted())
}

async fn read(app: &App, claims: &Claims) -> Result<Option<Submission>, Problem> {
    let (_, submission) =
        app.authenticator.authenticate(claims, kyc::key(claims.user_id).consistent()).await?;
    Ok(submission)
}

/// Whether it was saved; not when something came between. That a number is another's is told only
/// to whom it was counted: of many requests at once no more learn it than attempts are left.
async fn save(
    app: &App,
    before: Option<&Submission>,
    saving: &SubmissionWrite<'_>,
    now: Timestamp,
) -> Result<bool, Problem> {
    let saved = match submit::save(&app.store, saving, now).await? {
        SaveOutcome::NumberInUse => {
            let counted = count::refused(before, saving.submission, now)?;
            match submit::save_counts(&app.store, &counted).await? {
                SaveOutcome::Done => return Err(in_use()),
                uncounted => uncounted,
            }
        }
        saved => saved,
    };
    match saved {
        SaveOutcome::Done => Ok(true),
        SaveOutcome::Conflict | SaveOutcome::NumberInUse => Ok(false),
        SaveOutcome::AccountDeleted => Err(authentication::session_ended()),
    }
}

/// The submission without the files that others have replaced: they are deleted now. They stay noted
/// for the next time where they cannot be, and for as long as they may still arrive.
async fn cleaned(app: &App, submission: Submission, now: Timestamp) -> Submission {
    let keys: Vec<_> = submission.replaced.iter().map(String::as_str).collect();
    if keys.is_empty() {
        return submission;
    }
    match app.documents.delete(&keys).await {
        Ok(()) if submission.replaced_until.is_none_or(|until| until <= now) => {
            submission.without_replaced_files()
        }
        Ok(()) => submission,
        Err(problem) => {
            tracing::warn!(cause = problem.cause_chain(), "replaced files were not deleted");
            submission
        }
    }
}

fn refuse_approved(before: Option<Submission>) -> Result<Option<Submission>, Problem> {
    match before.as_ref().map(|before| before.status) {
        Some(KycStatus::Approved) => {
            let detail = "An identity that is approved is not submitted again.";
            Err(Problem::new(Code::KycApproved, detail))
        }
        _ => Ok(before),
    }
}

/// The submission, if it can still be changed. One that was given up is none.
fn present(before: Option<Submission>) -> Result<Submission, Problem> {
    let before = refuse_approved(before)?;
    before.filter(|found| found.status != KycStatus::NotSubmitted).ok_or_else(no_submission)
}

fn in_use() -> Problem {
    let detail = "Another account has submitted a document with this number.";
    Problem::field(Code::DocumentInUse, "document_number", detail)
}

fn no_submission() -> Problem {
    Problem::new(Code::NoSubmission, "Submit a document first: POST /users/kyc.")
}

fn conflict_exhausted() -> Problem {
    Problem::unavailable("a submission changed too often")
}
