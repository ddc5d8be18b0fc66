//! What becomes of a submission. Pure.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use shared::{
    clock::whole_second,
    document::{Document, Promise, Side},
    fields::Edit,
    id::{SubmissionId, UploadId, UserId},
    index::DocumentDigests,
    problem::{Code, Problem},
    secret::Digest,
    table::kyc::{KycStatus, Submission},
};

use crate::body::{Edits, NewSubmission};

/// Submissions and changes of them in a UTC day.
pub(crate) const MAX_ATTEMPTS: u32 = 5;
/// Numbers that one account may hold besides the present one.
const MAX_EARLIER_NUMBERS: usize = 9;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A submission as it is to be, and the number that is no longer claimed for it.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) submission: Submission,
    pub(crate) released: Option<Digest>,
}

/// A new submission in place of the one before, if there is one.
pub(crate) fn create(
    user_id: UserId,
    before: Option<&Submission>,
    asked: &NewSubmission,
    digests: &DocumentDigests,
    (submission_id, upload_id): (SubmissionId, UploadId),
    now: Timestamp,
) -> Result<Next, Problem> {
    let (attempts_day, attempts) = attempt(before, now)?;
    let NewSubmission { document_type, document_number, front, back } = asked;
    let number_digest = digests.number(*document_type, document_number);
    let numbers = Numbers::after(before, number_digest)?;
    let promised = |side, promise: &Promise| Document::promised(user_id, upload_id, side, *promise);
    let back = back.as_ref().map(|promise| promised(Side::Back, promise));
    let submission = Submission {
        user_id,
        submission_id,
        document_type: *document_type,
        document_number: document_number.clone(),
        number_digest,
        is_number_firm: numbers.is_firm,
        earlier_numbers: numbers.earlier,
        status: KycStatus::AwaitingDocuments,
        documents: [promised(Side::Front, front)].into_iter().chain(back).collect(),
        replaced: before.iter().flat_map(|old| old.file_keys()).map(str::to_owned).collect(),
        submitted_at: None,
        verified_at: None,
        rejection_reason: None,
        reviewed_by: None,
        attempts_day,
        attempts,
        revision: before.map_or(0, |before| before.revision),
        created_at: whole_second(now),
        updated_at: whole_second(now),
    };
    Ok(Next { submission: submission.revised(), released: numbers.released })
}

/// The submission after a change; nothing where the change changes nothing.
pub(crate) fn change(
    before: &Submission,
    edits: &Edits,
    digests: &DocumentDigests,
    upload_id: UploadId,
    now: Timestamp,
) -> Result<Option<Next>, Problem> {
    let document_type = edits.document_type.unwrap_or(before.document_type);
    let document_number = edits.document_number.as_ref().unwrap_or(&before.document_number);
    let documents = documents_after(before, edits, upload_id);
    let is_same = (document_type, document_number, &documents)
        == (before.document_type, &before.document_number, &before.documents);
    if is_same {
        return Ok(None);
    }
    let (attempts_day, attempts) = attempt(Some(before), now)?;
    let number_digest = digests.number(document_type, document_number);
    let numbers = Numbers::after(Some(before), number_digest)?;
    let kept = |key: &str| documents.iter().any(|document| document.key == key);
    let replaced = before.file_keys().filter(|key| !kept(key)).map(str::to_owned).collect();
    let submission = Submission {
        document_type,
        document_number: document_number.clone(),
        number_digest,
        is_number_firm: numbers.is_firm,
        earlier_numbers: numbers.earlier,
        status: KycStatus::AwaitingDocuments,
        documents,
        replaced,
        submitted_at: None,
        verified_at: None,
        rejection_reason: None,
        reviewed_by: None,
        attempts_day,
        attempts,
        updated_at: whole_second(now),
        ..before.clone()
    };
    Ok(Some(Next { submission: submission.revised(), released: numbers.released }))
}

/// The files after a change. One that is promised again just as it was is the same file.
fn documents_after(before: &Submission, edits: &Edits, upload_id: UploadId) -> Vec<Document> {
    let of = |side| before.documents.iter().find(|document| document.side == side);
    let put = |side, promise: &Promise| match of(side) {
        Some(known) if known.promise == *promise => known.clone(),
        _ => Document::promised(before.user_id, upload_id, side, *promise),
    };
    let front = match &edits.front {
        Some(promise) => Some(put(Side::Front, promise)),
        None => of(Side::Front).cloned(),
    };
    let back = match &edits.back {
        Edit::Set(promise) => Some(put(Side::Back, promise)),
        Edit::Keep => of(Side::Back).cloned(),
        Edit::Clear => None,
    };
    front.into_iter().chain(back).collect()
}

/// The submission handed in for review: its files are there, and what they should be.
pub(crate) fn hand_in(before: Submission, now: Timestamp) -> Submission {
    let documents = before.documents.iter().cloned();
    let documents = documents.map(|document| Document { is_checked: true, ..document }).collect();
    let after = Submission {
        status: KycStatus::Pending,
        is_number_firm: true,
        documents,
        submitted_at: Some(whole_second(now)),
        updated_at: whole_second(now),
        ..before
    };
    after.revised()
}

/// Counts an attempt.
fn attempt(before: Option<&Submission>, now: Timestamp) -> Result<(Date, u32), Problem> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let used = before.filter(|before| before.attempts_day == today);
    let used = used.map_or(0, |before| before.attempts);
    if used < MAX_ATTEMPTS {
        return Ok((today, used + 1));
    }
    let left_of_day = DAY_SECONDS - now.as_second().rem_euclid(DAY_SECONDS);
    let detail = "A submission may be made or changed five times a day.";
    Err(Problem::limited(Code::TooManyRequests, left_of_day, detail))
}

/// The numbers that are claimed for a submission.
struct Numbers {
    is_firm: bool,
    earlier: Vec<Digest>,
    released: Option<Digest>,
}

impl Numbers {
    /// A number that was handed in stays claimed when another takes its place; one that was not is
    /// given up.
    fn after(before: Option<&Submission>, number: Digest) -> Result<Self, Problem> {
        let Some(before) = before else {
            return Ok(Self { is_firm: false, earlier: Vec::new(), released: None });
        };
        let mut earlier = before.earlier_numbers.clone();
        if before.number_digest == number {
            return Ok(Self { is_firm: before.is_number_firm, earlier, released: None });
        }
        let is_firm = earlier.contains(&number);
        earlier.retain(|held| *held != number);
        if !before.is_number_firm {
            return Ok(Self { is_firm, earlier, released: Some(before.number_digest) });
        }
        earlier.push(before.number_digest);
        if earlier.len() > MAX_EARLIER_NUMBERS {
            let detail = "Ten documents of this account were handed in already. Ask for help.";
            return Err(Problem::new(Code::TooManyDocuments, detail));
        }
        Ok(Self { is_firm, earlier, released: None })
    }
}
