//! The periods of a series. Pure.

use jiff::{ToSpan, civil::Date};
use shared::{
    http::fields::{Body, Fields},
    usage::{Granularity, day_name, month_name},
    value::{Invalid, rfc3339::date},
};

const MAX_DAYS: usize = 366;
const MAX_MONTHS: usize = 36;
const TOO_LONG: Invalid =
    Invalid { code: "too_long", detail: "A series has at most 366 days or 36 months." };
const REVERSED: Invalid = Invalid { code: "reversed", detail: "This must not be before from." };

/// The series that is asked for: the names of its periods, in order.
pub(crate) struct Series {
    pub(crate) granularity: Granularity,
    pub(crate) names: Vec<String>,
}

/// The query of the statistics: a series, or none.
pub(crate) struct StatsQuery(pub(crate) Option<Series>);

impl Body for StatsQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let from = fields.optional("from", date);
        let to = fields.optional("to", date);
        let granularity = fields.optional("granularity", |text| match text {
            "day" => Ok(Granularity::Day),
            "month" => Ok(Granularity::Month),
            _ => Err(Invalid { code: "invalid_granularity", detail: "This must be day or month." }),
        });
        let is_series = fields.has("from") || fields.has("to") || fields.has("granularity");
        for (name, value) in [("from", &from), ("to", &to)] {
            if is_series && *value == Some(None) {
                fields.refuse_missing::<()>(name);
            }
        }
        let (from, to, granularity) = (from?, to?, granularity?);
        match (from, to) {
            (Some(from), Some(to)) => {
                let granularity = granularity.unwrap_or(Granularity::Day);
                match names(from, to, granularity) {
                    Ok(names) => Some(Self(Some(Series { granularity, names }))),
                    Err(invalid) => fields.refuse("to", invalid),
                }
            }
            _ => Some(Self(None)),
        }
    }
}

/// The periods that have a day from `from` to `to`, by name.
fn names(from: Date, to: Date, granularity: Granularity) -> Result<Vec<String>, Invalid> {
    if to < from {
        return Err(REVERSED);
    }
    let (start, step, most): (_, _, usize) = match granularity {
        Granularity::Day => (from, 1.day(), MAX_DAYS),
        Granularity::Month => (from.first_of_month(), 1.month(), MAX_MONTHS),
    };
    let periods: Vec<Date> =
        start.series(step).take_while(|day| *day <= to).take(most + 1).collect();
    if periods.len() > most {
        return Err(TOO_LONG);
    }
    let name = match granularity {
        Granularity::Day => day_name,
        Granularity::Month => month_name,
    };
    Ok(periods.into_iter().map(name).collect())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date as d;

    use super::*;

    #[test]
    fn days_and_months_are_named_in_order_without_a_gap() {
        let days = names(d(2028, 2, 28), d(2028, 3, 1), Granularity::Day).unwrap();
        assert_eq!(days, ["2028-02-28", "2028-02-29", "2028-03-01"]);
        let months = names(d(2026, 11, 30), d(2027, 2, 1), Granularity::Month).unwrap();
        assert_eq!(months, ["2026-11", "2026-12", "2027-01", "2027-02"]);
    }

    #[test]
    fn a_series_has_at_most_366_days_or_36_months() {
        let from = d(2024, 1, 1);
        assert_eq!(names(from, d(2024, 12, 31), Granularity::Day).unwrap().len(), 366);
        assert_eq!(names(from, d(2025, 1, 1), Granularity::Day), Err(TOO_LONG));
        assert_eq!(names(from, d(2026, 12, 31), Granularity::Month).unwrap().len(), 36);
        assert_eq!(names(from, d(2027, 1, 1), Granularity::Month), Err(TOO_LONG));
        assert_eq!(names(from, d(9999, 12, 31), Granularity::Day), Err(TOO_LONG));
        assert_eq!(names(from, d(2023, 12, 31), Granularity::Day), Err(REVERSED));
    }
}
