//! The control operations under `/_local/`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{App, Response};

/// The number of attempts at a race; the test fails if the race happens in none of them.
const MAX_RACE_ATTEMPTS: u32 = 5;

/// Runs `race` until it returns that the race happened. Panics if it never does.
pub async fn repeat_until_race_happens(name: &str, race: impl AsyncFn() -> bool) {
    for _ in 0..MAX_RACE_ATTEMPTS {
        if race().await {
            return;
        }
        println!("the race did not happen, next attempt: {name}");
    }
    panic!("the race did not happen in {MAX_RACE_ATTEMPTS} attempts: {name}");
}

/// The cost of an operation.
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

    /// Hops, read units and write units of the last call.
    pub fn last(&self) -> (u64, f64, f64) {
        (self.hops, self.rru, self.wru)
    }
}

impl App {
    /// Moves the clock of the functions forward.
    pub async fn advance(&self, seconds: u32) {
        self.post("/_local/clock", &json!({ "advance_seconds": seconds })).send().await.ok();
    }

    /// The time of the functions.
    pub async fn now(&self) -> Timestamp {
        self.get("/_local/clock").send().await.text("now").parse().unwrap()
    }

    /// Moves the clock to `seconds` after the start of the next `period`, so that the test does not
    /// cross a boundary by chance.
    pub async fn advance_into(&self, period: u32, seconds: u32) {
        let now = u32::try_from(self.now().await.as_second() % i64::from(period)).unwrap();
        self.advance(period - now + seconds).await;
    }

    /// Moves the clock to `seconds` before the end of the current `period`, unless it is later.
    pub async fn advance_to_end(&self, period: u32, seconds: u32) {
        let now = u32::try_from(self.now().await.as_second() % i64::from(period)).unwrap();
        self.advance((period - now).saturating_sub(seconds)).await;
    }

    /// The cost of an operation.
    pub async fn costs(&self, operation: &str) -> Cost {
        let response = self.get("/_local/costs").send().await;
        Cost::of(&response.ok()["operations"][operation])
    }

    /// The number of calls of an operation.
    pub async fn calls(&self, operation: &str) -> u64 {
        let response = self.get("/_local/costs").send().await;
        response.ok()["operations"][operation]["calls"].as_u64().unwrap_or(0)
    }

    /// Makes the next `times` calls of an AWS operation fail.
    pub async fn inject_fault(&self, service: &str, operation: &str, kind: &str, times: u32) {
        let fault =
            json!({"service": service, "operation": operation, "kind": kind, "times": times});
        assert_eq!(self.post("/_local/faults", &fault).send().await.status, 204);
    }

    /// Makes all calls of a service fail after the next `after` calls.
    pub async fn inject_faults_after(&self, service: &str, after: u32, kind: &str) {
        let fault = json!({"service": service, "kind": kind, "after": after, "times": 1_000_000});
        assert_eq!(self.post("/_local/faults", &fault).send().await.status, 204);
    }

    /// Removes all faults.
    pub async fn clear_faults(&self) {
        assert_eq!(self.request("DELETE", "/_local/faults").send().await.status, 204);
    }

    /// Runs `change` after `request` has attempted its transaction and before the transaction
    /// succeeds. `None` if that did not happen, because the request ended earlier.
    pub async fn with_concurrent_change(
        &self,
        request: impl Future<Output = Response> + Send + 'static,
        change: impl AsyncFnOnce(),
    ) -> Option<Response> {
        const TIMES: u32 = 1_000_000;
        self.inject_fault("dynamodb", "TransactWriteItems", "conflict", TIMES).await;
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
        let response = request.await.unwrap();
        // A request that gave up (503) may have done so before the change.
        (has_tried && response.status != 503).then_some(response)
    }

    /// Makes every eventually consistent read return the result of its first execution, until the
    /// faults are removed.
    pub async fn serve_stale_reads(&self) {
        for operation in ["BatchGetItem", "GetItem", "Query"] {
            self.inject_fault("dynamodb", operation, "stale", 1_000_000).await;
        }
    }

    /// The messages to this recipient, newest first.
    pub async fn messages(&self, to: &str) -> Vec<Value> {
        let path = format!("/_local/messages?to={}", to.replace('+', "%2B"));
        self.get(&path).send().await.ok().as_array().unwrap().clone()
    }

    /// All messages, newest first.
    pub async fn all_messages(&self) -> Vec<Value> {
        self.get("/_local/messages").send().await.ok().as_array().unwrap().clone()
    }

    /// The newest code sent to this E.164 number or address.
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
