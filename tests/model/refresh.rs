//! Refresh token rotation (OWASP ASVS 10.4.5, RFC 9700 4.14): reuse is detected, and a lost response
//! never ends a session.

mod world;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use shared::{
    crypto::secret::MacKey,
    session::RefreshToken,
    value::{SessionId, UserId},
};

use self::world::{Event, HolderKeys, World};

const ALL_KEYS: [HolderKeys; 3] = [HolderKeys::Always, HolderKeys::Never, HolderKeys::Sometimes];
const START: Timestamp = Timestamp::UNIX_EPOCH;

/// Every reachable state, breadth first, each with its predecessor and event.
struct Exploration {
    states: Vec<(World, Option<(usize, Event)>)>,
}

impl Exploration {
    /// Explores sessions of at most `refreshes` refreshes until no new state is found. Panics with
    /// the shortest trace if a rule is broken.
    fn run(keys: HolderKeys, thief: bool, refreshes: u64) -> Self {
        let first = World::new(keys, START);
        let mut seen = HashMap::from([(first.clone(), 0)]);
        let mut this = Self { states: vec![(first, None)] };
        let mut at = 0;
        while at < this.states.len() {
            let world = this.states[at].0.clone();
            this.check(at);
            for event in
                world.events(thief).into_iter().filter(|event| within(refreshes, &world, *event))
            {
                let mut next = world.clone();
                let result = next.apply(event);
                let index = this.states.len();
                if *seen.entry(next.clone()).or_insert(index) == index {
                    this.states.push((next, Some((at, event))));
                }
                if let Err(violation) = result {
                    this.fail(violation, at, Some(event));
                }
            }
            at += 1;
        }
        this
    }

    /// Checks the rules that hold in every state.
    fn check(&self, at: usize) {
        let world = &self.states[at].0;
        if world.session.is_some() && world.live().is_none() {
            self.fail("fork: not exactly one live token", at, None);
        }
        if !world.thief_acted() && !world.holder_can_continue() {
            self.fail("false logout: the holder cannot continue", at, None);
        }
    }

    fn fail(&self, violation: &str, at: usize, last: Option<Event>) -> ! {
        let mut trace: Vec<Event> = last.into_iter().collect();
        let mut state = at;
        while let Some((before, event)) = self.states[state].1 {
            trace.push(event);
            state = before;
        }
        trace.reverse();
        panic!("{violation}\nafter {trace:#?}\nin {:#?}", self.states[at].0);
    }

    fn any(&self, holds: impl Fn(&World) -> bool) -> bool {
        self.states.iter().any(|(world, _)| holds(world))
    }
}

/// Whether `event` keeps a session within this number of refreshes.
fn within(refreshes: u64, world: &World, event: Event) -> bool {
    match event {
        Event::HolderSends => world.holder < refreshes,
        Event::ThiefPresents { token, .. } => token < refreshes,
        _ => true,
    }
}

#[test]
fn asvs_10_4_5_without_a_thief_lost_messages_never_end_a_session() {
    for keys in ALL_KEYS {
        let exploration = Exploration::run(keys, false, 8);
        assert!(exploration.any(|world| world.holder == 8), "the last refresh was not reached");
        assert!(!exploration.any(|world| world.session.is_none()), "{keys:?}");
    }
}

#[test]
fn asvs_10_4_5_no_interleaving_with_a_thief_breaks_a_rule() {
    for keys in ALL_KEYS {
        let exploration = Exploration::run(keys, true, 5);
        println!("{keys:?}: {} states", exploration.states.len());
        assert!(exploration.any(|world| world.session.is_none()), "no theft was detected");
        assert!(
            exploration.any(|world| world.accepted_from_thief.is_some()),
            "no request of the thief succeeded"
        );
    }
}

/// The reason for idempotency keys: without them a thief that always refreshes in step with the
/// holder is not detected; with them the holder's next request detects every step of the thief.
#[test]
fn asvs_10_4_5_only_idempotency_keys_expose_a_thief_who_stays_in_step() {
    let in_step = |world: &World| {
        world.session.is_some()
            && world.accepted_from_holder >= Some(2)
            && world.accepted_from_thief >= Some(2)
    };
    assert!(Exploration::run(HolderKeys::Never, true, 3).any(in_step));
    let keyed = Exploration::run(HolderKeys::Always, true, 3);
    // A step of the thief followed by one of the holder must not be reachable.
    assert!(!keyed.any(|world| {
        world.accepted_from_thief.is_some()
            && world.accepted_from_holder >= world.accepted_from_thief
    }));
}

/// xorshift64*: good enough for faults, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        high as usize % sides
    }
}

#[test]
fn asvs_10_4_5_a_million_random_refreshes_break_no_rule() {
    const REFRESHES: usize = 1_000_000;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut refreshes, mut sessions, mut expired, mut thefts) = (0, 0, 0, 0);
    let mut longest = 0;
    while refreshes < REFRESHES {
        let keys = ALL_KEYS[random.below(3)];
        let thief = random.below(2) == 0;
        let mut world = World::new(keys, START);
        while let Some(state) = world.session {
            longest = longest.max(state.counter);
            // Up to an hour between two events, and sometimes an idle month.
            let hours = if random.below(2_000) == 0 { 31 * 24 } else { random.below(2) as i64 };
            world.wait(SignedDuration::from_hours(hours));
            let events = world.events(thief && random.below(100) == 0);
            let event = events[random.below(events.len())];
            refreshes +=
                usize::from(matches!(event, Event::RequestArrives | Event::ThiefPresents { .. }));
            if let Err(violation) = world.apply(event) {
                panic!("{violation}: {event:?} led to {world:#?}");
            }
        }
        sessions += 1;
        if world.thief_acted() { thefts += 1 } else { expired += 1 }
    }
    println!("{sessions} sessions, {expired} expired, {thefts} stolen, up to {longest} steps");
    // The test proves little if one of these is rare.
    assert!(expired > 100 && thefts > 100 && longest > 100);
}

/// The model uses counters. In a response a counter is a token, and must always be the same bytes.
#[test]
fn asvs_10_4_5_a_counter_always_encodes_to_the_same_token() {
    let token = RefreshToken {
        user_id: UserId::new(START, [1; 10]),
        session_id: SessionId::new(START, [2; 10]),
        counter: 0,
        key_slot: 694,
    };
    let key = MacKey::new([7; 32]);
    let read = |text: &str| RefreshToken::parse(text).unwrap().verify(&key).unwrap();
    let mut texts = Vec::new();
    let mut presented = token.seal(&key);
    for counter in 0..1_000 {
        assert_eq!(read(&presented).counter, counter);
        let first = read(&presented).successor().seal(&key);
        let again = read(&presented).successor().seal(&key);
        assert_eq!(first, again);
        texts.push(std::mem::replace(&mut presented, first));
    }
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 1_000);
}
