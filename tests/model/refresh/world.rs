//! A session, the phone that holds it, a thief, and a network that loses messages.
//!
//! The holder's requests and their responses arrive in the order in which they were sent, or never.
//! A duplicate that arrives two steps late would count as reuse and is not modelled. The thief may
//! copy any token, and its requests arrive at any time.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use shared::{
    crypto::secret::Digest,
    session::rotation::{ABSOLUTE, IDLE, RefreshDecision, SessionState, decide},
};

/// The maximum number of requests, and of responses, in transit.
const IN_FLIGHT: usize = 3;
/// The maximum number of tokens that the thief remembers, the newest ones.
const REMEMBERED: usize = 6;

/// The text of a broken rule.
pub(crate) type Violation = &'static str;

/// Which of the holder's requests have an `Idempotency-Key`. A repeat always has the same key, or
/// none, as the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HolderKeys {
    Always,
    Never,
    /// With every other token: an app that was updated between two refreshes.
    Sometimes,
}

/// The sender of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    Holder,
    Thief,
}

/// An event that may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The holder sends its token, for the first time or again.
    HolderSends,
    /// The oldest of its requests is lost.
    RequestLost,
    /// The oldest of its requests reaches the server.
    RequestArrives,
    /// The oldest response to the holder is lost.
    ResponseLost,
    /// The oldest response reaches the holder.
    ResponseArrives,
    /// The thief copies the token of the phone.
    Steal,
    /// The thief copies the oldest response in transit.
    Intercept,
    /// The thief presents a token that it knows, with a key of its own or without.
    ThiefPresents { token: u64, keyed: bool, response_lost: bool },
}

/// A session, its holder, a thief and the messages in transit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// The record; `None` after the session has ended.
    pub(crate) session: Option<SessionState>,
    pub(crate) now: Timestamp,
    pub(crate) holder: u64,
    keys: HolderKeys,
    requests: VecDeque<u64>,
    responses: VecDeque<u64>,
    stolen: Vec<u64>,
    opened_at: Timestamp,
    stepped_at: Timestamp,
    thief_acted: bool,
    /// The newest token that was accepted from each.
    pub(crate) accepted_from_holder: Option<u64>,
    pub(crate) accepted_from_thief: Option<u64>,
}

impl World {
    pub(crate) fn new(keys: HolderKeys, now: Timestamp) -> Self {
        Self {
            session: Some(SessionState::new(now)),
            now,
            holder: 0,
            keys,
            requests: VecDeque::new(),
            responses: VecDeque::new(),
            stolen: Vec::new(),
            opened_at: now,
            stepped_at: now,
            thief_acted: false,
            accepted_from_holder: None,
            accepted_from_thief: None,
        }
    }

    /// The events that may happen next, with or without a thief.
    pub(crate) fn events(&self, thief: bool) -> Vec<Event> {
        let mut events = Vec::new();
        if self.requests.len() < IN_FLIGHT {
            events.push(Event::HolderSends);
        }
        if !self.requests.is_empty() {
            events.push(Event::RequestLost);
            if self.responses.len() < IN_FLIGHT {
                events.push(Event::RequestArrives);
            }
        }
        if !self.responses.is_empty() {
            events.extend([Event::ResponseLost, Event::ResponseArrives]);
        }
        if thief {
            if !self.stolen.contains(&self.holder) {
                events.push(Event::Steal);
            }
            if self.responses.front().is_some_and(|response| !self.stolen.contains(response)) {
                events.push(Event::Intercept);
            }
            for &token in &self.stolen {
                for (keyed, response_lost) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    events.push(Event::ThiefPresents { token, keyed, response_lost });
                }
            }
        }
        events
    }

    /// Lets `event`, one of [`World::events`], happen.
    pub(crate) fn apply(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::HolderSends => self.requests.push_back(self.holder),
            Event::RequestLost => {
                self.requests.pop_front();
            }
            Event::RequestArrives => {
                if let Some(token) = self.requests.pop_front() {
                    let key = self.holder_key(token);
                    let response = self.serve(Party::Holder, token, key)?;
                    self.responses.extend(response);
                }
            }
            Event::ResponseLost => {
                self.responses.pop_front();
            }
            // The phone stores the token of the last response.
            Event::ResponseArrives => {
                self.holder = self.responses.pop_front().unwrap_or(self.holder)
            }
            Event::Steal => self.remember(self.holder),
            Event::Intercept => {
                self.responses.front().copied().into_iter().for_each(|t| self.remember(t))
            }
            Event::ThiefPresents { token, keyed, response_lost } => {
                self.thief_acted = true;
                let key = keyed.then(|| key_of(Party::Thief, token));
                let response = self.serve(Party::Thief, token, key)?;
                response.filter(|_| !response_lost).into_iter().for_each(|t| self.remember(t));
            }
        }
        Ok(())
    }

    /// The server: one conditional write, and `decide` if it fails. Returns the token of the response.
    fn serve(
        &mut self,
        party: Party,
        presented: u64,
        key: Option<Digest>,
    ) -> Result<Option<u64>, Violation> {
        let Some(state) = self.session else { return Ok(None) };
        let now = self.now;
        let condition =
            state.counter == presented && state.idle_end > now && state.absolute_end > now;
        let verdict = decide(&state, presented, key, now);
        if condition != matches!(verdict, RefreshDecision::Advance { .. }) {
            return Err("the condition of the write and `decide` differ");
        }
        if condition {
            self.session = Some(state.refreshed(key, now));
        }
        self.check(party, state, presented, verdict)?;
        match verdict {
            RefreshDecision::Advance { next } => {
                self.stepped_at = now;
                Ok(Some(next))
            }
            RefreshDecision::Repeat => Ok(Some(state.counter)),
            RefreshDecision::Theft | RefreshDecision::Expired | RefreshDecision::Invalid => {
                self.session = None;
                Ok(None)
            }
        }
    }

    /// Checks a verdict against the rules. `before` is the state before it.
    fn check(
        &mut self,
        party: Party,
        before: SessionState,
        presented: u64,
        verdict: RefreshDecision,
    ) -> Result<(), Violation> {
        let over = self.now >= self.opened_at.saturating_add(ABSOLUTE).unwrap_or(Timestamp::MAX)
            || self.now >= self.stepped_at.saturating_add(IDLE).unwrap_or(Timestamp::MAX);
        if over || verdict == RefreshDecision::Expired {
            let right = over && verdict == RefreshDecision::Expired;
            return if right { Ok(()) } else { Err("a session must end exactly at its limits") };
        }
        let issued = match verdict {
            RefreshDecision::Advance { next } => next,
            RefreshDecision::Repeat => before.counter,
            RefreshDecision::Theft if self.thief_acted => return Ok(()),
            RefreshDecision::Theft | RefreshDecision::Expired => return Err("false logout"),
            RefreshDecision::Invalid => return Err("a token was presented that was never issued"),
        };
        if presented + 2 <= before.counter {
            return Err("a token two steps old was accepted");
        }
        if issued != presented + 1 || self.live() != Some(issued) {
            return Err("fork: a token other than the one valid successor was issued");
        }
        let (own, other) = match party {
            Party::Holder => (&mut self.accepted_from_holder, self.accepted_from_thief),
            Party::Thief => (&mut self.accepted_from_thief, self.accepted_from_holder),
        };
        *own = (*own).max(Some(presented));
        if self.keys == HolderKeys::Always && other >= Some(presented) {
            return Err("with keys, a token that the other party had used was accepted");
        }
        Ok(())
    }

    /// The one token that would take a step now; `None` if there is none, or more than one.
    pub(crate) fn live(&self) -> Option<u64> {
        let state = self.session?;
        let from = state.counter.saturating_sub(3);
        let steps = |token: &u64| {
            [None, Some(key_of(Party::Holder, *token)), Some(key_of(Party::Thief, *token))]
                .into_iter()
                .any(|key| {
                    matches!(decide(&state, *token, key, self.now), RefreshDecision::Advance { .. })
                })
        };
        let mut live = (from..=state.counter + 3).filter(steps);
        live.next().filter(|_| live.next().is_none())
    }

    /// Whether the phone stays signed in if it sends its token until it gets a response.
    pub(crate) fn holder_can_continue(&self) -> bool {
        self.session.is_some_and(|state| {
            let verdict = decide(&state, self.holder, self.holder_key(self.holder), self.now);
            matches!(verdict, RefreshDecision::Advance { .. } | RefreshDecision::Repeat)
        })
    }

    pub(crate) fn thief_acted(&self) -> bool {
        self.thief_acted
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, time: SignedDuration) {
        self.now = self.now.saturating_add(time).unwrap_or(Timestamp::MAX);
    }

    fn remember(&mut self, token: u64) {
        if let Err(place) = self.stolen.binary_search(&token) {
            self.stolen.insert(place, token);
        }
        if self.stolen.len() > REMEMBERED {
            self.stolen.remove(0);
        }
    }

    fn holder_key(&self, token: u64) -> Option<Digest> {
        let keyed = match self.keys {
            HolderKeys::Always => true,
            HolderKeys::Never => false,
            HolderKeys::Sometimes => token % 2 == 1,
        };
        keyed.then(|| key_of(Party::Holder, token))
    }
}

/// The idempotency key of a party for a token.
fn key_of(party: Party, token: u64) -> Digest {
    let mut key = [party as u8; 32];
    key[24..].copy_from_slice(&token.to_be_bytes());
    Digest::from_bytes(key)
}
