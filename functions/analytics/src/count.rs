//! Counting the events of a batch: those of one user in one transaction, users side by side.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use jiff::Timestamp;
use shared::{
    crypto::secret::Digest,
    dynamodb::{Refusal, Transaction},
    http::problem::Problem,
    runtime::clock::after,
    usage::{self, Granularity, REMEMBER_SECONDS, Station, Totals},
    value::UserId,
};

use crate::{
    app::App,
    events::{Event, Kind},
    tally::{Known, Tally, tally},
};

/// How often a user's events are counted anew when something came between.
const ATTEMPTS: usize = 6;

/// What became of the events of one user, or why none of them could be counted.
pub(crate) type Outcome = Result<Settled, &'static str>;

/// The content of a user's events by id.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Those that were counted now.
    pub(crate) counted: BTreeMap<String, Digest>,
    /// Those that had been counted before.
    pub(crate) known: Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Totals,
    Other,
}

/// Counts all events. A user whose events cannot be counted now does not hold up the others.
///
/// # Errors
/// 503 when nobody's could be.
pub(crate) async fn count_all(
    app: &App,
    by_user: &BTreeMap<UserId, Vec<Event>>,
    now: Timestamp,
) -> Result<BTreeMap<UserId, Outcome>, Problem> {
    let counting = by_user.iter().map(|(user_id, events)| count_user(app, *user_id, events, now));
    let mut outcomes = BTreeMap::new();
    let mut failure = None;
    for (user_id, counted) in by_user.keys().zip(join_all(counting).await) {
        match counted {
            Ok(outcome) => drop(outcomes.insert(*user_id, outcome)),
            Err(problem) => failure = Some(problem),
        }
    }
    match failure {
        Some(problem) if outcomes.is_empty() => Err(problem),
        Some(problem) => {
            tracing::warn!(cause = problem.cause_chain(), "some events were not counted");
            Ok(outcomes)
        }
        None => Ok(outcomes),
    }
}

/// Reads what the events bear on, adds them up, and writes it all if nothing came between.
async fn count_user(
    app: &App,
    user_id: UserId,
    events: &[Event],
    now: Timestamp,
) -> Result<Outcome, Problem> {
    for attempt in 0..ATTEMPTS {
        let seen = look(app, user_id, events, attempt > 0).await?;
        let tally = tally(events, &seen.known, &seen.stations, &app.config.time_zone);
        if tally.counted.is_empty() {
            return Ok(Ok(Settled { counted: BTreeMap::new(), known: seen.known }));
        }
        let transaction = transaction(user_id, &tally, &seen, now)?;
        match app.store.commit(transaction).await? {
            Ok(()) => return Ok(Ok(Settled { counted: tally.counted, known: seen.known })),
            Err(refusals) if is_unknown(&refusals) => return Ok(Err("unknown_user")),
            Err(_) => {}
        }
    }
    Err(Problem::unavailable("a user's statistics were too busy"))
}

/// There are totals for as long as there is an account.
fn is_unknown(refusals: &[Refusal<Write>]) -> bool {
    refusals.iter().any(|refusal| refusal.label == Write::Totals && refusal.item.is_none())
}

/// What stands of the events of a user, and of what they bear on.
struct UsageSnapshot {
    known: Known,
    totals: Totals,
    stations: BTreeMap<String, Station>,
}

async fn look(
    app: &App,
    user_id: UserId,
    events: &[Event],
    consistent: bool,
) -> Result<UsageSnapshot, Problem> {
    let ids: BTreeSet<_> = events.iter().map(|event| event.event_id.clone()).collect();
    let stations: BTreeSet<_> = events.iter().filter_map(station_of).collect();
    let has_rental = events.iter().any(|event| station_of(event).is_none());
    let reads = (
        ids.iter()
            .map(|id| usage::event_key(user_id, id).consistent_if(consistent))
            .collect::<Vec<_>>(),
        has_rental.then(|| usage::totals_key(user_id).consistent_if(consistent)),
        stations.iter().map(|id| usage::station_key(user_id, id)).collect::<Vec<_>>(),
    );
    let (counted, totals, states) = app.store.read(reads).await?;
    let known = ids.into_iter().zip(counted);
    let known = known.filter_map(|(id, counted)| Some((id, counted?.content)));
    let said = stations.into_iter().zip(states);
    Ok(UsageSnapshot {
        known: known.collect(),
        totals: totals.flatten().unwrap_or_default(),
        stations: said.filter_map(|(id, state)| Some((id, state?))).collect(),
    })
}

fn station_of(event: &Event) -> Option<String> {
    match &event.kind {
        Kind::RentalCompleted { .. } => None,
        Kind::StationFavorited { station_id } | Kind::StationUnfavorited { station_id } => {
            Some(station_id.clone())
        }
    }
}

fn transaction(
    user_id: UserId,
    tally: &Tally,
    seen: &UsageSnapshot,
    now: Timestamp,
) -> Result<Transaction<Write>, Problem> {
    let mut all = Transaction::default();
    usage::add_to_totals(&mut all, Write::Totals, user_id, &seen.totals, &tally.totals);
    for (event_id, content) in &tally.counted {
        let expires_at = after(now, REMEMBER_SECONDS);
        usage::remember(&mut all, Write::Other, user_id, (event_id, *content), expires_at)?;
    }
    let periods = [(Granularity::Day, &tally.days), (Granularity::Month, &tally.months)];
    for (kind, periods) in periods {
        for (name, more) in periods {
            usage::add_to_period(&mut all, Write::Other, user_id, kind, name, *more);
        }
    }
    for (station_id, said) in &tally.stations {
        let before = seen.stations.get(station_id).copied();
        usage::set_station(&mut all, Write::Other, user_id, station_id, before, *said)?;
    }
    Ok(all)
}
