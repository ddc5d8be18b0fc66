//! What staff and the sweep do to submissions.

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
        KycStatus, Submission, Viewed, cleanup, key, number_claim,
        submission::{of_revision, put, remove},
    },
    otp::after,
    runtime::clock::whole_second,
    value::UserId,
};

/// How often a change is made anew that another one overtook.
const ATTEMPTS: u32 = 8;

/// What a member of staff decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The person is who they say.
    Approve,
    /// They are not, or it cannot be told: the reason is shown to them.
    Reject(String),
}

impl Decision {
    /// The word for it, in an audit entry.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approve => "APPROVE",
            Self::Reject(_) => "REJECT",
        }
    }

    fn apply(&self, before: &Submission, reviewer: UserId, now: Timestamp) -> Submission {
        let now = whole_second(now);
        let before = before.clone().settled();
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
    Beside,
}

/// Notes that `by` looks at a submission, together with what `beside` writes: whether it is still as
/// it was read. Otherwise nothing is noted.
pub async fn view(
    store: &Store,
    submission: &Submission,
    by: UserId,
    beside: Transaction<()>,
) -> Result<bool, Problem> {
    let viewed = Viewed { revision: submission.revision, by };
    let viewed = serde_dynamo::to_attribute_value(viewed).map_err(Problem::internal)?;
    let mut change = Change::new(key(submission.user_id), "SET viewed = :viewed")
        .only_if("revision = :revision")
        .with(":viewed", viewed);
    for (name, value) in of_revision(submission.revision)? {
        change = change.with(&name, value);
    }
    let mut all = Transaction::default();
    all.change(Write::Submission, change);
    account::must_exist(&mut all, Write::Account, submission.user_id);
    all.append(beside, Write::Beside);
    let Err(refusals) = store.commit(all).await? else { return Ok(true) };
    match refusals.iter().any(|refusal| refusal.label == Write::Beside) {
        true => Err(Problem::unavailable("what belongs to a look was refused")),
        false => Ok(false),
    }
}

/// Judges the submission of `user_id`, which must be `PENDING`. `if_match` names the state that
/// the member of staff looked at: another one is not judged. Where it names none, nothing is judged
/// that has changed since the last look of anybody. `beside` adds what is to be written in the same
/// transaction, which holds that `reviewer` is staff.
///
/// # Errors
/// `not_found` without an account or a submission, `kyc_not_pending`, `precondition_failed`,
/// `forbidden` for one's own and for who is no longer staff, 503.
pub async fn review(
    store: &Store,
    user_id: UserId,
    (reviewer, decision): (UserId, &Decision),
    if_match: &IfMatch,
    now: Timestamp,
    beside: impl Fn(&mut Transaction<()>, &Submission) -> Result<(), Problem>,
) -> Result<Submission, Problem> {
    change(store, user_id, reviewer, beside, |before| {
        if before.status == KycStatus::NotSubmitted {
            return Err(nothing());
        }
        if before.status != KycStatus::Pending {
            let detail = "Only a submission that waits for a review can be judged.";
            return Err(Problem::new(Code::KycNotPending, detail));
        }
        let is_unseen = *if_match == IfMatch::Absent && before.has_changed_since_viewed();
        if is_unseen || !if_match.allows(&before.etag()) {
            let detail = "The submission has changed since it was looked at. Look again.";
            return Err(Problem::new(Code::PreconditionFailed, detail));
        }
        // Nobody may come back to it: what the record has noted is the sweep's from here on.
        let mut clearing = Transaction::default();
        cleanup::clear_later(&mut clearing, Write::Clearing, before, now)?;
        Ok((decision.apply(before, reviewer, now), clearing))
    })
    .await
}

/// Frees the numbers that were handed in and are not the present submission's any more, and its own
/// unless it waits for a review or was approved: another account may claim them. `beside` adds what
/// is to be written in the same transaction, which holds that `actor` is staff.
///
/// # Errors
/// `not_found`, `kyc_not_rejected` where there is nothing to free, `forbidden`, 503.
pub async fn free_number(
    store: &Store,
    user_id: UserId,
    actor: UserId,
    beside: impl Fn(&mut Transaction<()>, &Submission) -> Result<(), Problem>,
) -> Result<Submission, Problem> {
    change(store, user_id, actor, beside, |before| {
        let is_in_use = matches!(before.status, KycStatus::Pending | KycStatus::Approved);
        if is_in_use && before.earlier_numbers.is_empty() {
            let detail = "There is no number of a submission that was rejected or given up.";
            return Err(Problem::new(Code::KycNotRejected, detail));
        }
        let mut releases = Transaction::default();
        // A number that was freed before may be another's by now.
        let own = (before.is_number_firm && !is_in_use).then_some(&before.number_digest);
        for number in before.earlier_numbers.iter().chain(own) {
            number_claim::release(&mut releases, Write::Claim, number, user_id);
        }
        let is_number_firm = before.is_number_firm && is_in_use;
        let freed = Submission { is_number_firm, earlier_numbers: Vec::new(), ..before.clone() };
        Ok((freed, releases))
    })
    .await
}

/// Reads, decides and writes, and does it again if another change came between.
async fn change(
    store: &Store,
    user_id: UserId,
    actor: UserId,
    beside: impl Fn(&mut Transaction<()>, &Submission) -> Result<(), Problem>,
    decide: impl Fn(&Submission) -> Result<(Submission, Transaction<Write>), Problem>,
) -> Result<Submission, Problem> {
    let not_staff = || Problem::new(Code::Forbidden, "This operation is for other staff.");
    if actor == user_id {
        return Err(not_staff());
    }
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let before = store.read(key(user_id).consistent()).await?;
        let (after, mut all) = decide(&before.ok_or_else(nothing)?)?;
        let after = after.revised();
        put(&mut all, Write::Submission, &after)?;
        account::set_kyc_status(&mut all, Write::Account, user_id, after.status);
        account::must_be_staff(&mut all, Write::Staff, actor);
        let mut others = Transaction::default();
        beside(&mut others, &after)?;
        all.append(others, Write::Beside);
        let Err(refusals) = store.commit(all).await? else { return Ok(after) };
        let refused = |label| refusals.iter().any(|refusal| refusal.label == label);
        if refused(Write::Staff) {
            return Err(not_staff());
        }
        if refused(Write::Account) {
            return Err(nothing());
        }
        if refused(Write::Beside) {
            return Err(Problem::unavailable("what belongs to a review was refused"));
        }
    }
    Err(Problem::unavailable("a submission changed too often"))
}

fn nothing() -> Problem {
    Problem::new(Code::NotFound, "There is no such submission.")
}

async fn pause(attempt: u32) {
    if attempt > 0 {
        let [jitter] = secret::random::<1>();
        let millis = u64::from(jitter) * u64::from(attempt) / 8;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// Gives up a submission whose files did not come: whether it did.
///
/// First the record says so, in place; then `delete_files` deletes the person's files; then the
/// record goes, with the claim of its number. A crash between leaves it where [`cleanup::due`] finds it
/// again, and the same call goes on. Where numbers are firmly claimed because they were handed in
/// once, the record stays to hold them, and leaves the index.
///
/// No place for a file was given out in the hour before, so none of its files arrives afterwards. A
/// submission that moves on in the meantime is left alone: its files are new, and `delete_files` must
/// leave such alone too.
pub async fn abandon(
    store: &Store,
    submission: &Submission,
    now: Timestamp,
    delete_files: impl AsyncFnOnce() -> Result<(), Problem>,
) -> Result<bool, Problem> {
    if !submission.is_abandoned(now) {
        return Ok(false);
    }
    let Some(given_up) = give_up(store, submission).await? else { return Ok(false) };
    delete_files().await?;
    forget(store, &given_up, now).await
}

/// Marks a submission as given up, if it is not already and has not moved on.
async fn give_up(store: &Store, submission: &Submission) -> Result<Option<Submission>, Problem> {
    let status = KycStatus::NotSubmitted;
    if submission.status == status {
        return Ok(Some(submission.clone()));
    }
    let given_up = Submission { status, ..submission.clone() }.revised();
    let mut all = Transaction::default();
    put(&mut all, Write::Submission, &given_up)?;
    account::set_kyc_status(&mut all, Write::Account, given_up.user_id, status);
    Ok(store.commit(all).await?.is_ok().then_some(given_up))
}

/// Ends what was given up and has no files any more. A record that counts attempts of this day stays
/// until the next.
async fn forget(store: &Store, given_up: &Submission, now: Timestamp) -> Result<bool, Problem> {
    let is_claiming = given_up.is_number_firm || !given_up.earlier_numbers.is_empty();
    let today = now.to_zoned(TimeZone::UTC).date();
    let is_counting = given_up.attempts_day == today && given_up.attempts > 0;
    if is_claiming || is_counting {
        let expires_at = (!is_claiming).then(|| after(now, number_claim::PROVISIONAL_SECONDS));
        let held = given_up.clone().settled();
        let held = Submission { documents: Vec::new(), expires_at, ..held }.revised();
        let mut all = Transaction::default();
        put(&mut all, Write::Submission, &held)?;
        return Ok(store.commit(all).await?.is_ok());
    }
    for with_claim in [true, false] {
        let mut all = Transaction::default();
        remove(&mut all, Write::Submission, given_up)?;
        if with_claim {
            number_claim::release(
                &mut all,
                Write::Claim,
                &given_up.number_digest,
                given_up.user_id,
            );
        }
        let Err(refusals) = store.commit(all).await? else { return Ok(true) };
        if refusals.iter().any(|refusal| refusal.label == Write::Submission) {
            return Ok(false);
        }
        // The claim had lapsed, and the number is another's by now: there is nothing to free.
    }
    Err(Problem::unavailable("a claim changed hands twice"))
}
