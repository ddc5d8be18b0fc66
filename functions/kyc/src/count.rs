//! What is counted in a submission of what its person tries. Pure.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use shared::{
    http::problem::{Code, Problem},
    kyc::{KycStatus, Submission},
    runtime::clock::after,
};

/// Submissions and changes of their files or numbers in a UTC day, with those whose number is
/// refused.
pub(crate) const MAX_ATTEMPTS: u32 = 5;
/// How often in a UTC day files are read through that are not what was promised.
pub(crate) const MAX_FAILED_CHECKS: u32 = 10;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// What was counted on a UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) day: Date,
    pub(crate) attempts: u32,
    pub(crate) failed_checks: u32,
}

impl Counted {
    pub(crate) fn of(before: Option<&Submission>, now: Timestamp) -> Self {
        let day = now.to_zoned(TimeZone::UTC).date();
        let of_today = before.filter(|before| before.attempts_day == day);
        let counts = of_today.map(|before| (before.attempts, before.failed_checks));
        let (attempts, failed_checks) = counts.unwrap_or_default();
        Self { day, attempts, failed_checks }
    }

    pub(crate) fn within(self, submission: Submission) -> Submission {
        let Self { day: attempts_day, attempts, failed_checks } = self;
        Submission { attempts_day, attempts, failed_checks, ..submission }
    }
}

/// What is counted after one attempt more.
pub(crate) fn attempt(before: Option<&Submission>, now: Timestamp) -> Result<Counted, Problem> {
    let counted = Counted::of(before, now);
    if counted.attempts < MAX_ATTEMPTS {
        return Ok(Counted { attempts: counted.attempts + 1, ..counted });
    }
    Err(limited(now, "A submission may be made or changed five times a day."))
}

/// Until the day ends.
fn limited(now: Timestamp, detail: &'static str) -> Problem {
    let left_of_day = DAY_SECONDS - now.as_second().rem_euclid(DAY_SECONDS);
    Problem::rate_limited(Code::TooManyRequests, left_of_day, detail)
}

/// The record after the number of `asked` was refused: as it was, with one attempt more. Where there
/// was none, it counts the attempts of the day and is nothing else.
pub(crate) fn refused(
    before: Option<&Submission>,
    asked: &Submission,
    now: Timestamp,
) -> Result<Submission, Problem> {
    let counted = attempt(before, now)?;
    let expires_at = Some(after(now, DAY_SECONDS));
    let record = match before {
        Some(before) if before.expires_at.is_none() => before.clone(),
        Some(before) => Submission { expires_at, ..before.clone() },
        None => {
            let (status, documents) = (KycStatus::NotSubmitted, Vec::new());
            Submission { status, documents, expires_at, revision: 0, ..asked.clone() }
        }
    };
    Ok(counted.within(record).with_next_revision())
}

/// Refuses to read files through that were not what was promised too often.
pub(crate) fn may_be_checked(before: &Submission, now: Timestamp) -> Result<(), Problem> {
    match Counted::of(Some(before), now).failed_checks < MAX_FAILED_CHECKS {
        true => Ok(()),
        false => Err(limited(now, "The files were not what was promised ten times today.")),
    }
}

/// The submission, after its files were read through in vain.
pub(crate) fn checked_in_vain(before: Submission, now: Timestamp) -> Submission {
    let counted = Counted::of(Some(&before), now);
    let counted = Counted { failed_checks: counted.failed_checks + 1, ..counted };
    counted.within(before).with_next_revision()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::{at, submission};

    #[test]
    fn the_sixth_attempt_of_a_utc_day_waits_for_the_next() {
        let before = submission();
        let late = at("2026-01-31T23:59:58.5Z");
        assert_eq!(attempt(Some(&before), late).unwrap().attempts, 5);
        let used_up = Submission { attempts: 5, ..before };
        let refused = attempt(Some(&used_up), late).unwrap_err();
        assert_eq!(refused.code(), Code::TooManyRequests);
        assert_eq!(refused.render("r").headers()["retry-after"], "2");
        let next = attempt(Some(&used_up), at("2026-02-01T00:00:00Z")).unwrap();
        assert_eq!((next.day.to_string().as_str(), next.attempts), ("2026-02-01", 1));
        assert_eq!(attempt(None, late).unwrap().attempts, 1);
    }

    #[test]
    fn a_refused_number_counts_and_changes_nothing_else() {
        let (before, asked) = (submission(), Submission { revision: 2, ..submission() });
        let now = at("2026-01-31T12:00:00Z");
        let after = refused(Some(&before), &asked, now).unwrap();
        assert_eq!(after, Submission { attempts: 5, revision: 2, ..before });
        assert!(refused(Some(&after), &asked, now).is_err());
        let first = refused(None, &asked, now).unwrap();
        assert_eq!((first.status, first.attempts), (KycStatus::NotSubmitted, 1));
        assert_eq!((first.revision, first.file_keys().next()), (1, None));
        let next = refused(Some(&first), &asked, at("2026-02-01T12:00:00Z")).unwrap();
        assert_eq!((next.attempts, next.expires_at), (1, Some(at("2026-02-02T12:00:00Z"))));
    }

    #[test]
    fn files_are_read_in_vain_ten_times_a_day() {
        let (mut before, now) = (submission(), at("2026-01-31T12:00:00Z"));
        for _ in 0..10 {
            may_be_checked(&before, now).unwrap();
            before = checked_in_vain(before, now);
        }
        let refused = may_be_checked(&before, now).unwrap_err();
        assert_eq!(refused.render("r").headers()["retry-after"], "43200");
        assert_eq!((before.attempts, before.revision), (4, 11));
        may_be_checked(&before, at("2026-02-01T00:00:00Z")).unwrap();
    }
}
