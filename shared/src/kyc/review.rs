//! The changes of submissions by staff and by the cleanup job.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    account,
    crypto::secret,
    dynamodb::{Change, Store, Transaction},
    http::{
        etag::IfMatch,
        problem::{Code, Problem},
    },
    kyc::{
        Submission, Viewed, cleanup,
        items::{key, put, remove, revision_value},
        number_claim,
        submission::PROVISIONAL_SECONDS,
    },
    runtime::clock::{after, whole_second},
    value::{KycStatus, UserId},
};

/// The most attempts of a change that conflicts with others.
const MAX_ATTEMPTS: u32 = 8;

/// The decision of a reviewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The document proves the person's identity.
    Approve,
    /// It does not. The reason is shown to the person.
    Reject(String),
}

impl Decision {
    /// Its name in audit entries.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approve => "APPROVE",
            Self::Reject(_) => "REJECT",
        }
    }

    /// The submission after the decision.
    fn apply(&self, before: &Submission, reviewer: UserId, now: Timestamp) -> Submission {
        let now = whole_second(now);
        let before = before.clone().without_replaced_files();
        let after = Submission {
            reviewed_by: Some(reviewer),
            updated_at: now,
            verified_at: None,
            rejection_reason: None,
            ..before
        };
        match self {
            Self::Approve => {
                Submission { status: KycStatus::Approved, verified_at: Some(now), ..after }
            }
            Self::Reject(reason) => Submission {
                status: KycStatus::Rejected,
                rejection_reason: Some(reason.clone()),
                ..after
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Submission,
    Account,
    Staff,
    Claim,
    Clearing,
    Extra,
}

/// Stores that the staff member `by` views a submission, together with `extra_writes`. Returns
/// `false`, and writes nothing, if the submission has changed since it was read.
pub async fn record_view(
    store: &Store,
    submission: &Submission,
    by: UserId,
    extra_writes: Transaction<()>,
) -> Result<bool, Problem> {
    let viewed = Viewed { revision: submission.revision, by };
    let viewed = serde_dynamo::to_attribute_value(viewed).map_err(Problem::internal)?;
    let mut change = Change::new(key(submission.user_id), "SET viewed = :viewed")
        .only_if("revision = :revision")
        .with(":viewed", viewed);
    for (name, value) in revision_value(submission.revision)? {
        change = change.with(&name, value);
    }
    let mut all = Transaction::default();
    all.change(Write::Submission, change);
    account::must_exist(&mut all, Write::Account, submission.user_id);
    all.append(extra_writes, Write::Extra);
    let Err(refusals) = store.commit(all).await? else { return Ok(true) };
    if refusals.iter().any(|refusal| refusal.label == Write::Extra) {
        return Err(Problem::unavailable("an extra write of a view was refused"));
    }
    Ok(false)
}

/// Approves or rejects the submission of `user_id`, which must be `PENDING`. `if_match` names the
/// revision that the reviewer viewed: no other one is reviewed. If it is absent, the submission
/// must not have changed since staff last viewed it. `extra_writes` adds writes to the transaction,
/// which requires that `reviewer` is staff.
///
/// # Errors
/// `not_found` without an account or a submission, `kyc_not_pending`, `precondition_failed`,
/// `forbidden` for the reviewer's own submission and for a reviewer who is no longer staff, 503.
pub async fn review(
    store: &Store,
    user_id: UserId,
    reviewer: UserId,
    decision: &Decision,
    if_match: &IfMatch,
    now: Timestamp,
    extra_writes: impl Fn(&mut Transaction<()>, &Submission) -> Result<(), Problem>,
) -> Result<Submission, Problem> {
    change(store, user_id, reviewer, extra_writes, |before| {
        if before.status == KycStatus::NotSubmitted {
            return Err(submission_not_found());
        }
        if before.status != KycStatus::Pending {
            let detail = "Only a pending submission can be reviewed.";
            return Err(Problem::new(Code::KycNotPending, detail));
        }
        let is_unviewed = *if_match == IfMatch::Absent && before.has_changed_since_viewed();
        if is_unviewed || !if_match.allows(&before.etag()) {
            let detail = "The submission has changed since it was viewed. View it again.";
            return Err(Problem::new(Code::PreconditionFailed, detail));
        }
        // The user may not use the submission again, so the cleanup job deletes its replaced files.
        let mut clearing = Transaction::default();
        cleanup::schedule_clearing(&mut clearing, Write::Clearing, before, now)?;
        Ok((decision.apply(before, reviewer, now), clearing))
    })
    .await
}

/// Releases the earlier numbers of a submission, and its own number unless it is pending or
/// approved. Then another account may claim them. `extra_writes` adds writes to the transaction,
/// which requires that `actor` is staff.
///
/// # Errors
/// `not_found`, `kyc_not_rejected` if there is no number to release, `forbidden`, 503.
pub async fn release_number(
    store: &Store,
    user_id: UserId,
    actor: UserId,
    extra_writes: impl Fn(&mut Transaction<()>, &Submission) -> Result<(), Problem>,
) -> Result<Submission, Problem> {
    change(store, user_id, actor, extra_writes, |before| {
        let is_in_use = matches!(before.status, KycStatus::Pending | KycStatus::Approved);
        if is_in_use && before.earlier_numbers.is_empty() {
            let detail = "There is no number of a rejected or abandoned submission.";
            return Err(Problem::new(Code::KycNotRejected, detail));
        }
        let mut releases = Transaction::default();
        // A number that was released before may belong to another account now.
        let own = (before.is_number_firm && !is_in_use).then_some(&before.number_digest);
        for number in before.earlier_numbers.iter().chain(own) {
            number_claim::release(&mut releases, Write::Claim, number, user_id);
        }
        let is_number_firm = before.is_number_firm && is_in_use;
        let after = Submission { is_number_firm, earlier_numbers: Vec::new(), ..before.clone() };
        Ok((after, releases))
    })
    .await
}

/// Reads a submission, decides and writes; after a conflict with another change, again.
async fn change(
    store: &Store,
    user_id: UserId,
    actor: UserId,
    extra_writes: impl Fn(&mut Transaction<()>, &Submission) -> Result<(), Problem>,
    decide: impl Fn(&Submission) -> Result<(Submission, Transaction<Write>), Problem>,
) -> Result<Submission, Problem> {
    let not_staff = || Problem::new(Code::Forbidden, "This operation is for other staff.");
    if actor == user_id {
        return Err(not_staff());
    }
    for attempt in 0..MAX_ATTEMPTS {
        pause(attempt).await;
        let before = store.read(key(user_id).consistent()).await?;
        let (after, mut all) = decide(&before.ok_or_else(submission_not_found)?)?;
        let after = after.with_next_revision();
        put(&mut all, Write::Submission, &after)?;
        account::set_kyc_status(&mut all, Write::Account, user_id, after.status);
        account::must_be_staff(&mut all, Write::Staff, actor);
        let mut extra = Transaction::default();
        extra_writes(&mut extra, &after)?;
        all.append(extra, Write::Extra);
        let Err(refusals) = store.commit(all).await? else { return Ok(after) };
        let refused = |label| refusals.iter().any(|refusal| refusal.label == label);
        if refused(Write::Staff) {
            return Err(not_staff());
        }
        if refused(Write::Account) {
            return Err(submission_not_found());
        }
        if refused(Write::Extra) {
            return Err(Problem::unavailable("an extra write of a review was refused"));
        }
    }
    Err(Problem::unavailable("the change of a submission met too many conflicts"))
}

fn submission_not_found() -> Problem {
    Problem::new(Code::NotFound, "There is no such submission.")
}

async fn pause(attempt: u32) {
    if attempt > 0 {
        let [jitter] = secret::random::<1>();
        let millis = u64::from(jitter) * u64::from(attempt) / 8;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// Abandons a submission whose files were not uploaded. Returns whether it did.
///
/// The first write marks the submission as abandoned, `delete_files` deletes the user's files, and
/// the last write deletes the submission with the claim of its number. After a crash in between,
/// [`cleanup::due`] finds the submission again, and the same call continues. A submission with
/// confirmed claims is not deleted, because it lists the claimed numbers: it only leaves the index.
///
/// No upload URL is issued in the hour before, so none of its files arrives later. If the user
/// changes the submission meanwhile, it is not abandoned. Its files are new then, so `delete_files`
/// must not delete new files.
pub async fn abandon(
    store: &Store,
    submission: &Submission,
    now: Timestamp,
    delete_files: impl AsyncFnOnce() -> Result<(), Problem>,
) -> Result<bool, Problem> {
    if !submission.can_be_abandoned(now) {
        return Ok(false);
    }
    let Some(abandoned) = mark_abandoned(store, submission).await? else { return Ok(false) };
    delete_files().await?;
    delete_abandoned(store, &abandoned, now).await
}

/// Marks a submission as abandoned. Returns `None` if it has changed since it was read.
async fn mark_abandoned(
    store: &Store,
    submission: &Submission,
) -> Result<Option<Submission>, Problem> {
    let status = KycStatus::NotSubmitted;
    if submission.status == status {
        return Ok(Some(submission.clone()));
    }
    let abandoned = Submission { status, ..submission.clone() }.with_next_revision();
    let mut all = Transaction::default();
    put(&mut all, Write::Submission, &abandoned)?;
    account::set_kyc_status(&mut all, Write::Account, abandoned.user_id, status);
    Ok(store.commit(all).await?.is_ok().then_some(abandoned))
}

/// Deletes an abandoned submission that has no files any more, with the claim of its number. One
/// with confirmed claims stays, and one with attempts of the current day stays until the next.
async fn delete_abandoned(
    store: &Store,
    abandoned: &Submission,
    now: Timestamp,
) -> Result<bool, Problem> {
    let has_claims = abandoned.is_number_firm || !abandoned.earlier_numbers.is_empty();
    let today = now.to_zoned(TimeZone::UTC).date();
    let has_attempts = abandoned.attempts_day == today && abandoned.attempts > 0;
    if has_claims || has_attempts {
        let expires_at = (!has_claims).then(|| after(now, PROVISIONAL_SECONDS));
        let kept = abandoned.clone().without_replaced_files();
        let kept = Submission { documents: Vec::new(), expires_at, ..kept }.with_next_revision();
        let mut all = Transaction::default();
        put(&mut all, Write::Submission, &kept)?;
        return Ok(store.commit(all).await?.is_ok());
    }
    for with_claim in [true, false] {
        let mut all = Transaction::default();
        remove(&mut all, Write::Submission, abandoned)?;
        if with_claim {
            let Submission { number_digest, user_id, .. } = abandoned;
            number_claim::release(&mut all, Write::Claim, number_digest, *user_id);
        }
        let Err(refusals) = store.commit(all).await? else { return Ok(true) };
        if refusals.iter().any(|refusal| refusal.label == Write::Submission) {
            return Ok(false);
        }
        // The claim expired and another account has claimed the number: there is nothing to
        // release.
    }
    Err(Problem::unavailable("the deletion of a submission without its claim was refused"))
}
