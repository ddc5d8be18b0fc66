//! What events come to, given what was counted before. Pure.

use std::collections::{BTreeMap, btree_map::Entry};

use jiff::tz::TimeZone;
use shared::{
    crypto::secret::Digest,
    usage::{Period, Station, Totals, day_name, day_of, month_name},
};

use crate::events::{Event, Kind};

/// What is to be written for the events of one user.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// The events that count, each once, with their content.
    pub(crate) counted: BTreeMap<String, Digest>,
    pub(crate) totals: Totals,
    pub(crate) days: BTreeMap<String, Period>,
    pub(crate) months: BTreeMap<String, Period>,
    /// What is now said of each station that an event spoke of.
    pub(crate) stations: BTreeMap<String, Station>,
}

/// The content of known events by id; `None` where it was not remembered.
pub(crate) type Known = BTreeMap<String, Option<Digest>>;

/// Adds up the events that are not among `known`, days and months being those of `zone`. Per station
/// what was said last counts, whatever order the events come in. Of events with the same id the first
/// counts.
pub(crate) fn tally(
    events: &[Event],
    known: &Known,
    stations: &BTreeMap<String, Station>,
    zone: &TimeZone,
) -> Tally {
    let mut tally = Tally::default();
    for event in events.iter().filter(|event| !known.contains_key(&event.event_id)) {
        if let Entry::Vacant(new) = tally.counted.entry(event.event_id.clone()) {
            new.insert(event.content());
            tally.add(event, stations, zone);
        }
    }
    tally
}

impl Tally {
    fn add(&mut self, event: &Event, stations: &BTreeMap<String, Station>, zone: &TimeZone) {
        match &event.kind {
            Kind::RentalCompleted { amount, on_time } => {
                self.add_rental(event, amount.minor(), *on_time, zone);
            }
            Kind::StationFavorited { station_id } => self.say(event, station_id, true, stations),
            Kind::StationUnfavorited { station_id } => {
                self.say(event, station_id, false, stations);
            }
        }
    }

    fn add_rental(&mut self, event: &Event, spent_minor: i64, on_time: bool, zone: &TimeZone) {
        let day = day_of(event.occurred_at, zone);
        let periods = [
            self.days.entry(day_name(day)).or_default(),
            self.months.entry(month_name(day)).or_default(),
        ];
        for period in periods {
            period.rentals += 1;
            period.spent_minor += spent_minor;
        }
        self.totals.rentals += 1;
        self.totals.spent_minor += spent_minor;
        match on_time {
            true => self.totals.timely_returns += 1,
            false => self.totals.late_returns += 1,
        }
        self.totals.last_rental_at = self.totals.last_rental_at.max(Some(event.occurred_at));
    }

    fn say(
        &mut self,
        event: &Event,
        station_id: &str,
        is_favorite: bool,
        stations: &BTreeMap<String, Station>,
    ) {
        let before = self.stations.get(station_id).or_else(|| stations.get(station_id)).copied();
        let said_at_us = event.occurred_at.as_microsecond();
        if before.is_some_and(|before| said_at_us <= before.said_at_us) {
            return;
        }
        let was_favorite = before.is_some_and(|before| before.is_favorite);
        self.totals.favorite_stations_count += i64::from(is_favorite) - i64::from(was_favorite);
        self.stations.insert(station_id.to_owned(), Station { is_favorite, said_at_us });
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan};
    use proptest::prelude::*;
    use shared::value::{Amount, UserId};

    use super::*;

    fn event(number: usize, at: i64, kind: Kind) -> Event {
        let occurred_at = Timestamp::from_second(1_800_000_000 + at).unwrap();
        let user_id = UserId::new(occurred_at, [1; 10]);
        Event { event_id: format!("e{number}"), user_id, occurred_at, kind }
    }

    fn rental(number: usize, at: i64) -> Event {
        let amount = Amount::from_minor(2_500).unwrap();
        event(number, at, Kind::RentalCompleted { amount, on_time: at % 2 == 0 })
    }

    fn none() -> (Known, BTreeMap<String, Station>) {
        Default::default()
    }

    #[test]
    fn an_event_counts_once() {
        let (known, stations) = none();
        let twice = tally(&[rental(1, 0), rental(1, 0)], &known, &stations, &TimeZone::UTC);
        assert_eq!(twice.totals.rentals, 1);
        let known = Known::from([("e1".to_owned(), None)]);
        let again = tally(&[rental(1, 0)], &known, &stations, &TimeZone::UTC);
        assert_eq!(again, Tally::default());
    }

    #[test]
    fn the_first_of_two_events_with_one_id_counts() {
        let (known, stations) = none();
        let tally = tally(&[rental(1, 0), rental(1, 1)], &known, &stations, &TimeZone::UTC);
        assert_eq!(tally.counted, [("e1".to_owned(), rental(1, 0).content())].into());
        assert_eq!((tally.totals.timely_returns, tally.totals.late_returns), (1, 0));
    }

    /// Half past midnight in Kathmandu is a quarter to seven in the evening before, in UTC.
    #[test]
    fn days_and_months_are_those_of_the_time_zone() {
        let kathmandu = TimeZone::fixed(jiff::tz::offset(5).saturating_add(45.minutes()));
        let at: Timestamp = "2026-01-31T18:45:00Z".parse().unwrap();
        let event = Event { occurred_at: at, ..rental(1, 0) };
        let (known, stations) = none();
        for (zone, day, month) in
            [(kathmandu, "2026-02-01", "2026-02"), (TimeZone::UTC, "2026-01-31", "2026-01")]
        {
            let tally = tally(std::slice::from_ref(&event), &known, &stations, &zone);
            assert!(tally.days.keys().eq([day]) && tally.months.keys().eq([month]), "{tally:?}");
        }
    }

    #[test]
    fn rentals_are_added_in_all_periods() {
        let (known, stations) = none();
        let tally = tally(&[rental(1, 0), rental(2, 86_401)], &known, &stations, &TimeZone::UTC);
        assert_eq!((tally.totals.rentals, tally.totals.spent_minor), (2, 5_000));
        assert_eq!((tally.totals.timely_returns, tally.totals.late_returns), (1, 1));
        assert_eq!(tally.totals.last_rental_at, Some(rental(2, 86_401).occurred_at));
        assert_eq!(tally.days.len(), 2);
        assert_eq!(tally.months.values().map(|month| month.rentals).sum::<i64>(), 2);
    }

    proptest! {
        #[test]
        fn what_was_said_last_of_a_station_counts_in_any_order(
            said in prop::collection::vec((0_i64..50, any::<bool>()), 1..25),
            shuffled in any::<prop::sample::Index>(),
        ) {
            let (known, stations) = none();
            let station_id = || "s".to_owned();
            let mut events: Vec<_> = said.iter().enumerate().map(|(number, (at, is_favorite))| {
                // Two things said at one moment have no order: every moment is used once.
                let at = at * 25 + number as i64;
                let kind = match is_favorite {
                    true => Kind::StationFavorited { station_id: station_id() },
                    false => Kind::StationUnfavorited { station_id: station_id() },
                };
                event(number, at, kind)
            }).collect();
            let last = events.iter().max_by_key(|event| event.occurred_at).unwrap();
            let expected = i64::from(matches!(last.kind, Kind::StationFavorited { .. }));
            let middle = shuffled.index(events.len());
            events.rotate_left(middle);
            let tally = tally(&events, &known, &stations, &TimeZone::UTC);
            prop_assert_eq!(tally.totals.favorite_stations_count, expected);
        }
    }
}
