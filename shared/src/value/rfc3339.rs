//! Times and dates as RFC 3339 writes them, and in no other form of ISO 8601.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::Offset,
};

use crate::value::Invalid;

const INVALID_TIME: Invalid = Invalid {
    code: "invalid_time",
    detail: "This must be a time, RFC 3339, like 2026-01-31T10:00:00Z.",
};
const INVALID_DATE: Invalid =
    Invalid { code: "invalid_date", detail: "This must be a date, YYYY-MM-DD." };

/// A `date-time`.
///
/// Digits of a fraction after the ninth are dropped. A leap second, `23:59:60` in UTC at the end of
/// a month, is read as the second before it, so that it stays in its day.
///
/// # Errors
/// `invalid_time`.
pub fn time(text: &str) -> Result<Timestamp, Invalid> {
    read_time(text).ok_or(INVALID_TIME)
}

/// A `full-date`.
///
/// # Errors
/// `invalid_date`.
pub fn date(text: &str) -> Result<Date, Invalid> {
    read_date(text).ok_or(INVALID_DATE)
}

fn read_date(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, "dddd-dd-dd")?;
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}

fn read_time(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked("YYYY-MM-DD".len())?;
    let date = read_date(date)?;
    let rest = rest.strip_prefix(['T', 't'])?;
    let (clock, rest) = rest.split_at_checked("HH:MM:SS".len())?;
    let [hour, minute, second] = numbers(clock, "dd:dd:dd")?;
    let (nanosecond, zone) = fraction(rest)?;
    let offset = offset(zone)?;
    let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
    let is_leap = second == 60;
    let second = if is_leap { 59 } else { i8::try_from(second).ok()? };
    let (year, month, day) = (date.year(), date.month(), date.day());
    let local = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    let time = offset.to_timestamp(local).ok()?;
    (!is_leap || ends_a_month(time)).then_some(time)
}

/// The nanoseconds of `[.d+]`, and what comes after them.
fn fraction(text: &str) -> Option<(i32, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    let kept = digits.get(..digits.len().min(9)).filter(|kept| !kept.is_empty())?;
    Some((format!("{kept:0<9}").parse().ok()?, rest))
}

/// `Z`, or hours and minutes from UTC.
fn offset(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let [hours, minutes] = numbers(&text[1..], "dd:dd")?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

/// Whether the next second begins a month in UTC.
fn ends_a_month(time: Timestamp) -> bool {
    let next = time.checked_add(SignedDuration::from_secs(1));
    next.is_ok_and(|next| {
        let next = Offset::UTC.to_datetime(next);
        (next.day(), next.hour(), next.minute(), next.second()) == (1, 0, 0, 0)
    })
}

/// The numbers in a text of this form, in which `d` is an ASCII digit.
fn numbers<const N: usize>(text: &str, form: &str) -> Option<[i32; N]> {
    let fits = text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, place)| match place {
            b'd' => byte.is_ascii_digit(),
            _ => byte == place,
        });
    let parts = fits.then(|| text.split(['-', ':']))?;
    let numbers: Option<Vec<i32>> = parts.map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_rfc_s_own_examples_are_read() {
        for (text, utc) in [
            ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.52Z"),
            ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57Z"),
            ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59Z"),
            ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.87Z"),
            ("2026-01-31t10:00:00z", "2026-01-31T10:00:00Z"),
            ("2026-01-31T10:00:00-00:00", "2026-01-31T10:00:00Z"),
            ("2026-01-31T10:00:00+23:59", "2026-01-30T10:01:00Z"),
        ] {
            assert_eq!(time(text).unwrap().to_string(), utc, "{text}");
        }
    }

    #[test]
    fn a_fraction_may_have_any_number_of_digits() {
        for digits in 1..=100 {
            let text = format!("2026-01-31T10:00:00.{}Z", "1".repeat(digits));
            let nanoseconds = "1".repeat(digits.min(9));
            let expected: i32 = format!("{nanoseconds:0<9}").parse().unwrap();
            assert_eq!(time(&text).unwrap().subsec_nanosecond(), expected, "{text}");
        }
        let last = time("2026-01-31T23:59:59.9999999999Z").unwrap();
        assert_eq!(last.to_string(), "2026-01-31T23:59:59.999999999Z", "it is not rounded up");
    }

    #[test]
    fn what_rfc_3339_does_not_have_is_refused() {
        for bad in [
            "",
            "2026-01-31",
            "2026-01-31T10:00:00",
            "2026-01-31T10:00Z",
            "2026-01-31T10Z",
            "2026-01-31T00Z",
            "2026-01-31 10:00:00Z",
            "2026-01-31T10:00:00,5Z",
            "2026-01-31T10:00:00.Z",
            "2026-01-31T10:00:00+25:00",
            "2026-01-31T10:00:00+24:00",
            "2026-01-31T10:00:00+05:60",
            "2026-01-31T10:00:00+05",
            "2026-01-31T10:00:00+0545",
            "2026-01-31T10:00:00+05:45:00",
            "2026-01-31T10:00:00\u{2212}05:45",
            "2026-01-31T10:00:00 Z",
            "2026-01-31T10:00:00Z[America/New_York]",
            "2026-01-31T10:00:00-05:00[America/New_York]",
            "2026-01-31T10:00:00[UTC]",
            "2026-01-31T10:00:00Z[u-ca=buddhist]",
            "2026-01-31T24:00:00Z",
            "2026-01-31T10:60:00Z",
            "2026-01-31T10:00:61Z",
            "2026-02-29T10:00:00Z",
            "2026-13-01T10:00:00Z",
            "2026-00-01T10:00:00Z",
            "2026-1-31T10:00:00Z",
            "20260131T100000Z",
            "2026-031T10:00:00Z",
            "2026-W05-6T10:00:00Z",
            "+002026-01-31T10:00:00Z",
            "-002026-01-31T10:00:00Z",
            "-026-01-31T10:00:00Z",
            "२०२६-०१-३१T१०:००:००Z",
            "2026-01-31T10:00:0éZ",
            "9999-12-31T23:59:59-23:59",
            "1738317600",
        ] {
            assert_eq!(time(bad), Err(INVALID_TIME), "{bad}");
        }
    }

    #[test]
    fn a_leap_second_is_where_one_can_be() {
        assert!(time("2016-12-31T23:59:60.75Z").is_ok());
        assert!(time("2017-01-01T05:44:60+05:45").is_ok());
        for bad in ["2016-12-31T22:59:60Z", "2016-12-30T23:59:60Z", "2016-12-31T23:59:60+05:45"] {
            assert_eq!(time(bad), Err(INVALID_TIME), "{bad}");
        }
    }

    #[test]
    fn a_date_is_year_month_and_day() {
        assert_eq!(date("2028-02-29").unwrap().to_string(), "2028-02-29");
        for bad in [
            "",
            "2026-02-29",
            "20260131",
            "2026-1-31",
            "2026-W05-6",
            "26-01-31",
            "31-01-2026",
            "2026/01/31",
            "2026-01-31Z",
            "2026-01-3१",
            "20260131T1",
        ] {
            assert_eq!(date(bad), Err(INVALID_DATE), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(second in 0_i64..250_000_000_000, nanosecond in 0..1_000_000_000) {
            let written = Timestamp::new(second, nanosecond).unwrap();
            prop_assert_eq!(time(&written.to_string()), Ok(written));
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), near in "[0-9TZ:+.-]{0,40}") {
            let _ = (time(&text), time(&near), date(&text), date(&near));
        }
    }
}
