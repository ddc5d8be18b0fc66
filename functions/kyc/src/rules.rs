//! What becomes of a submission. Pure.

use jiff::Timestamp;
use shared::{
    crypto::{lookup::DocumentLookupDigests, secret::Digest},
    http::{
        fields::Edit,
        problem::{Code, Problem},
    },
    kyc::{
        KycStatus, Submission,
        document::{Document, ExpectedFile, SETTLED_SECONDS, Side},
        number_claim::PROVISIONAL_SECONDS,
        submit::SubmissionWrite,
    },
    runtime::clock::after,
    runtime::clock::whole_second,
    value::{SubmissionId, UploadId, UserId},
};

use crate::{
    body::{Edits, NewSubmission},
    count::{self, Counted},
};

/// Numbers that one account may hold besides the present one.
const MAX_EARLIER_NUMBERS: usize = 9;

/// A submission as it is to be, and the number that is no longer claimed for it.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) submission: Submission,
    pub(crate) released: Option<Digest>,
}

impl Next {
    /// What is to be saved of it.
    pub(crate) fn saving(&self) -> SubmissionWrite<'_> {
        SubmissionWrite { submission: &self.submission, released: self.released, request: None }
    }
}

/// A new submission in place of the one before, if there is one.
pub(crate) fn create(
    user_id: UserId,
    before: Option<&Submission>,
    asked: &NewSubmission,
    digests: &DocumentLookupDigests,
    (submission_id, upload_id): (SubmissionId, UploadId),
    now: Timestamp,
) -> Result<Next, Problem> {
    let counted = count::attempt(before, now)?;
    let NewSubmission { document_type, document_number, front, back } = asked;
    let number_digest = digests.number(*document_type, document_number);
    let numbers = Numbers::after(before, number_digest)?;
    let promised = |side, expected: &ExpectedFile| {
        Document::awaiting_upload(user_id, upload_id, side, *expected)
    };
    let back = back.as_ref().map(|expected| promised(Side::Back, expected));
    let replaced: Vec<_> =
        before.iter().flat_map(|old| old.file_keys()).map(str::to_owned).collect();
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
        replaced_until: until(&replaced, now),
        replaced,
        submitted_at: None,
        verified_at: None,
        rejection_reason: None,
        reviewed_by: None,
        viewed: before.and_then(|before| before.viewed.clone()),
        attempts_day: counted.day,
        attempts: counted.attempts,
        failed_checks: counted.failed_checks,
        expires_at: None,
        revision: before.map_or(0, |before| before.revision),
        created_at: whole_second(now),
        updated_at: whole_second(now),
    };
    Ok(Next { submission: submission.with_next_revision(), released: numbers.released })
}

/// The submission after a change; nothing where the change changes nothing, and it need not be
/// [`renewed`].
pub(crate) fn change(
    before: &Submission,
    edits: &Edits,
    digests: &DocumentLookupDigests,
    upload_id: UploadId,
    now: Timestamp,
) -> Result<Option<Next>, Problem> {
    let document_type = edits.document_type.unwrap_or(before.document_type);
    let document_number = edits.document_number.as_ref().unwrap_or(&before.document_number);
    let documents = documents_after(before, edits, upload_id);
    let is_same = (document_type, document_number, &documents)
        == (before.document_type, &before.document_number, &before.documents);
    if is_same {
        return Ok(renewed(before, now));
    }
    // Another type claims the number anew: whether it is free nobody is told who has used all up.
    let attempt = count::attempt(Some(before), now)?;
    let is_counted = *document_number != before.document_number || documents != before.documents;
    let counted = if is_counted { attempt } else { Counted::of(Some(before), now) };
    let number_digest = digests.number(document_type, document_number);
    let numbers = Numbers::after(Some(before), number_digest)?;
    let kept = |key: &str| documents.iter().any(|document| document.key == key);
    let replaced: Vec<_> = before.file_keys().filter(|key| !kept(key)).map(str::to_owned).collect();
    let submission = Submission {
        document_type,
        document_number: document_number.clone(),
        number_digest,
        is_number_firm: numbers.is_firm,
        earlier_numbers: numbers.earlier,
        status: KycStatus::AwaitingDocuments,
        documents,
        replaced_until: until(&replaced, now),
        replaced,
        submitted_at: None,
        verified_at: None,
        rejection_reason: None,
        reviewed_by: None,
        updated_at: whole_second(now),
        ..counted.within(before.clone())
    };
    Ok(Some(Next { submission: submission.with_next_revision(), released: numbers.released }))
}

/// The submission, to be awaited for another day, where it is given up within the hour: nobody is
/// told where to send a file so shortly before, since it might arrive after its deletion.
pub(crate) fn renewed(before: &Submission, now: Timestamp) -> Option<Next> {
    let age = now.as_second() - before.updated_at.as_second();
    let is_awaited = before.status == KycStatus::AwaitingDocuments;
    (is_awaited && age >= PROVISIONAL_SECONDS - SETTLED_SECONDS).then(|| {
        let submission = Submission { updated_at: whole_second(now), ..before.clone() };
        Next { submission: submission.with_next_revision(), released: None }
    })
}

/// Until when files that are replaced now may still arrive, or some that were before.
fn until(replaced: &[String], now: Timestamp) -> Option<Timestamp> {
    (!replaced.is_empty()).then(|| after(whole_second(now), SETTLED_SECONDS))
}

/// The files after a change. One that is promised again just as it was is the same file.
fn documents_after(before: &Submission, edits: &Edits, upload_id: UploadId) -> Vec<Document> {
    let of = |side| before.documents.iter().find(|document| document.side == side);
    let put = |side, expected: &ExpectedFile| match of(side) {
        Some(known) if known.expected == *expected => known.clone(),
        _ => Document::awaiting_upload(before.user_id, upload_id, side, *expected),
    };
    let front = match &edits.front {
        Some(expected) => Some(put(Side::Front, expected)),
        None => of(Side::Front).cloned(),
    };
    let back = match &edits.back {
        Edit::Set(expected) => Some(put(Side::Back, expected)),
        Edit::Keep => of(Side::Back).cloned(),
        Edit::Clear => None,
    };
    front.into_iter().chain(back).collect()
}

/// The submission handed in for review: its files are there, and what they should be.
pub(crate) fn submit(before: Submission, now: Timestamp) -> Submission {
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
    after.with_next_revision()
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
            // The claim of what was given up has lapsed, and what was refused was never claimed.
            let is_claimed = before.status != KycStatus::NotSubmitted;
            let released = is_claimed.then_some(before.number_digest);
            return Ok(Self { is_firm, earlier, released });
        }
        earlier.push(before.number_digest);
        if earlier.len() > MAX_EARLIER_NUMBERS {
            let detail = "Ten documents of this account were handed in already. Ask for help.";
            return Err(Problem::new(Code::TooManyDocuments, detail));
        }
        Ok(Self { is_firm, earlier, released: None })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use shared::kyc::document::{ContentType, DocumentNumber, DocumentType, FileDigest};

    use super::*;

    pub(crate) fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    pub(crate) fn number(name: u8) -> Digest {
        Digest::from_bytes([name; 32])
    }

    fn expected_file(name: u8) -> ExpectedFile {
        let sha256 = FileDigest::from_bytes([name; 32]);
        ExpectedFile { content_type: ContentType::Jpeg, size: 7, sha256 }
    }

    fn upload(name: u8) -> UploadId {
        UploadId::new(at("2026-01-31T00:00:00Z"), [name; 10])
    }

    /// With one file and the number 1, which was typed and not handed in.
    pub(crate) fn submission() -> Submission {
        let now = at("2026-01-31T10:00:00Z");
        let user_id = UserId::new(now, [1; 10]);
        Submission {
            user_id,
            submission_id: SubmissionId::new(now, [2; 10]),
            document_type: DocumentType::Passport,
            document_number: DocumentNumber::parse("PA0123456").unwrap(),
            number_digest: number(1),
            is_number_firm: false,
            earlier_numbers: Vec::new(),
            status: KycStatus::AwaitingDocuments,
            documents: vec![Document::awaiting_upload(
                user_id,
                upload(1),
                Side::Front,
                expected_file(1),
            )],
            replaced: Vec::new(),
            replaced_until: None,
            submitted_at: None,
            verified_at: None,
            rejection_reason: None,
            reviewed_by: None,
            viewed: None,
            attempts_day: "2026-01-31".parse().unwrap(),
            attempts: 4,
            failed_checks: 0,
            expires_at: None,
            revision: 1,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn a_typed_number_is_given_up_and_a_handed_in_one_is_kept() {
        let typed = submission();
        let same = Numbers::after(Some(&typed), number(1)).unwrap();
        assert_eq!((same.is_firm, same.earlier.len(), same.released), (false, 0, None));
        let other = Numbers::after(Some(&typed), number(2)).unwrap();
        assert_eq!((other.is_firm, other.earlier.len()), (false, 0));
        assert_eq!(other.released, Some(number(1)));
        let submitted = submit(typed, at("2026-01-31T11:00:00Z"));
        let other = Numbers::after(Some(&submitted), number(2)).unwrap();
        assert_eq!((other.is_firm, other.released), (false, None));
        assert_eq!(other.earlier, [number(1)]);
        let next = Submission {
            number_digest: number(2),
            is_number_firm: other.is_firm,
            earlier_numbers: other.earlier,
            ..submitted
        };
        let back = Numbers::after(Some(&next), number(1)).unwrap();
        assert_eq!((back.is_firm, back.earlier.len()), (true, 0));
        assert_eq!(back.released, Some(number(2)));
    }

    #[test]
    fn of_what_was_given_up_or_refused_no_number_is_freed() {
        let before = Submission { status: KycStatus::NotSubmitted, ..submission() };
        let numbers = Numbers::after(Some(&before), number(2)).unwrap();
        assert_eq!((numbers.is_firm, numbers.released), (false, None));
    }

    #[test]
    fn the_eleventh_number_that_is_handed_in_is_one_too_many() {
        let mut held = Submission { is_number_firm: true, ..submission() };
        for name in 2..=10 {
            let numbers = Numbers::after(Some(&held), number(name)).unwrap();
            held.earlier_numbers = numbers.earlier;
            held.number_digest = number(name);
        }
        let refused = Numbers::after(Some(&held), number(11)).err().unwrap();
        assert_eq!(refused.code(), Code::TooManyDocuments);
        assert!(Numbers::after(Some(&held), number(5)).unwrap().is_firm);
    }

    #[test]
    fn what_is_given_up_within_the_hour_is_renewed_before_a_file_may_be_sent() {
        let before = submission();
        assert!(renewed(&before, at("2026-02-01T08:59:59Z")).is_none());
        let late = at("2026-02-01T09:00:00.5Z");
        let Next { submission: after, released } = renewed(&before, late).unwrap();
        assert_eq!((after.updated_at, released), (at("2026-02-01T09:00:00Z"), None));
        assert_eq!((after.revision, after.attempts), (before.revision + 1, before.attempts));
        assert!(renewed(&submit(before, at("2026-01-31T11:00:00Z")), late).is_none());
    }

    #[test]
    fn a_file_that_is_promised_again_is_the_same_file() {
        let before = submission();
        let edits = |front, back| Edits { document_type: None, document_number: None, front, back };
        let after = |edits: &Edits| documents_after(&before, edits, upload(9));
        assert_eq!(after(&edits(None, Edit::Keep)), before.documents);
        assert_eq!(after(&edits(Some(expected_file(1)), Edit::Clear)), before.documents);
        let with_back = after(&edits(None, Edit::Set(expected_file(2))));
        assert_eq!(with_back[0], before.documents[0]);
        assert_eq!((with_back.len(), with_back[1].side), (2, Side::Back));
        let replaced = after(&edits(Some(expected_file(3)), Edit::Keep));
        assert_ne!(replaced[0].key, before.documents[0].key);
        assert!(!replaced[0].is_checked);
    }
}
