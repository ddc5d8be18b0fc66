//! What `/_local/` shows and turns.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, App};

/// How often a race is tried before the test fails because it never happened.
const RACE_TRIES: u32 = 5;

/// Runs a race until it has happened, which `race` returns. A race that never happens fails.
pub async fn until_it_happens(name: &str, race: impl AsyncFn() -> bool) {
    for _ in 0..RACE_TRIES {
        if race().await {
            return;
        }
        println!("the race did not happen, again: {name}");
    }
    panic!("the race did not happen in {RACE_TRIES} tries: {name}");
}

/// What an operation has cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    pub calls: u64,
    pub hops: u64,
    pub hops_max: u64,
    pub rru: f64,
    pub rru_max: f64,
    pub wru: f64,
    pub wru_max: f64,
    pub sends: u64,
    pub sends_max: u64,
}

impl Cost {
    fn of(figures: &Value) -> Self {
        let whole = |name: &str, which: &str| figures[name][which].as_u64().unwrap();
        let units = |name: &str, which: &str| figures[name][which].as_f64().unwrap();
        Self {
            calls: figures["calls"].as_u64().unwrap(),
            hops: whole("hops", "last"),
            hops_max: whole("hops", "max"),
            rru: units("rru", "last"),
            rru_max: units("rru", "max"),
            wru: units("wru", "last"),
            wru_max: units("wru", "max"),
            sends: whole("sends", "last"),
            sends_max: whole("sends", "max"),
        }
    }

    /// What the last call cost, but for the sends.
    pub fn last(&self) -> (u64, f64, f64) {
        (self.hops, self.rru, self.wru)
    }
}

impl App {
    /// Moves the product's clock.
    pub async fn advance(&self, seconds: u32) {
        self.post("/_local/clock", &json!({ "advance_seconds": seconds })).send().await.ok();
    }

    /// The product's time.
    pub async fn now(&self) -> Timestamp {
        self.get("/_local/clock").send().await.text("now").parse().unwrap()
    }

    /// Moves the clock to `seconds` after the next full `period`, so that no boundary comes by
    /// chance.
    pub async fn advance_into(&self, period: u32, seconds: u32) {
        let now = u32::try_from(self.now().await.as_second() % i64::from(period)).unwrap();
        self.advance(period - now + seconds).await;
    }

    /// Moves the clock to `seconds` before the end of the present `period`, if it is not there.
    pub async fn advance_to_end(&self, period: u32, seconds: u32) {
        let now = u32::try_from(self.now().await.as_second() % i64::from(period)).unwrap();
        self.advance((period - now).saturating_sub(seconds)).await;
    }

    /// What an operation has cost.
    pub async fn costs(&self, operation: &str) -> Cost {
        let answer = self.get("/_local/costs").send().await;
        Cost::of(&answer.ok()["operations"][operation])
    }

    /// How often an operation was called.
    pub async fn calls(&self, operation: &str) -> u64 {
        let answer = self.get("/_local/costs").send().await;
        answer.ok()["operations"][operation]["calls"].as_u64().unwrap_or(0)
    }

    /// Lets the next `times` calls of an operation of AWS go wrong.
    pub async fn fault(&self, service: &str, operation: &str, kind: &str, times: u32) {
        let fault =
            json!({"service": service, "operation": operation, "kind": kind, "times": times});
        assert_eq!(self.post("/_local/faults", &fault).send().await.status, 204);
    }

    /// Lets all calls of a service go wrong after the next `after`.
    pub async fn fault_after(&self, service: &str, after: u32, kind: &str) {
        let fault = json!({"service": service, "kind": kind, "after": after, "times": 1_000_000});
        assert_eq!(self.post("/_local/faults", &fault).send().await.status, 204);
    }

    /// Nothing goes wrong any more.
    pub async fn clear_faults(&self) {
        assert_eq!(self.request("DELETE", "/_local/faults").send().await.status, 204);
    }

    /// Makes `change` after `request` has tried its transaction and before the transaction goes
    /// through. `None` where that did not happen: the request ended before.
    pub async fn overtake(
        &self,
        request: impl Future<Output = Answer> + Send + 'static,
        change: impl AsyncFnOnce(),
    ) -> Option<Answer> {
        const TIMES: u32 = 1_000_000;
        self.fault("dynamodb", "TransactWriteItems", "conflict", TIMES).await;
        let request = tokio::spawn(request);
        let has_tried = loop {
            let pending = self.get("/_local/faults").send().await;
            if pending.ok()["faults"][0]["times"].as_u64().unwrap() < u64::from(TIMES) {
                break !request.is_finished();
            }
            if request.is_finished() {
                break false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        if has_tried {
            change().await;
        }
        self.clear_faults().await;
        let answer = request.await.unwrap();
        // One that gave up may have done so before the change.
        (has_tried && answer.status != 503).then_some(answer)
    }

    /// Eventually consistent reads find what the first of them finds, until the faults are cleared.
    pub async fn repeat_old_readings(&self) {
        for operation in ["BatchGetItem", "GetItem", "Query"] {
            self.fault("dynamodb", operation, "stale", 1_000_000).await;
        }
    }

    /// The messages to somebody, newest first.
    pub async fn messages(&self, to: &str) -> Vec<Value> {
        let path = format!("/_local/messages?to={}", to.replace('+', "%2B"));
        self.get(&path).send().await.ok().as_array().unwrap().clone()
    }

    /// The messages to everybody, newest first.
    pub async fn all_messages(&self) -> Vec<Value> {
        self.get("/_local/messages").send().await.ok().as_array().unwrap().clone()
    }

    /// The newest code that was sent to this E.164 number or address.
    #[track_caller]
    pub fn code_for(&self, to: &str) -> impl Future<Output = String> {
        let (app, to) = (self.clone(), to.to_owned());
        async move {
            let messages = app.messages(&to).await;
            let newest = messages.first().unwrap_or_else(|| panic!("nothing was sent to {to}"));
            newest["code"].as_str().unwrap().to_owned()
        }
    }
}
