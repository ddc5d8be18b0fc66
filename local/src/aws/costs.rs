//! What each operation costs: round trips that wait for each other, capacity units, sends.
//!
//! The gateway runs each invocation under [`CURRENT`]; the meter adds to it. What a function spawns
//! in the background is nobody's.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde::Serialize;

use crate::sync::lock;

tokio::task_local! {
    /// The invocation that the running task belongs to.
    static CURRENT: Arc<Invocation>;
}

/// Capacity units of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    Read,
    Write,
}

/// What one invocation has cost so far.
#[derive(Debug, Default)]
pub(crate) struct Invocation(Mutex<Spent>);

#[derive(Debug, Default, Clone, Copy)]
struct Spent {
    /// The deepest chain of calls begun.
    hops: u32,
    /// The deepest chain of calls answered: what a call that begins now has waited for.
    answered: u32,
    rru: f64,
    wru: f64,
    sends: u32,
}

impl Invocation {
    /// The invocation that this task belongs to, if any.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// A round trip begins; answers its level, for [`Self::answered`].
    pub(crate) fn begin_hop(&self) -> u32 {
        let mut spent = lock(&self.0);
        let level = spent.answered + 1;
        spent.hops = spent.hops.max(level);
        level
    }

    /// The round trip of `level` is over.
    pub(crate) fn end_hop(&self, level: u32) {
        let mut spent = lock(&self.0);
        spent.answered = spent.answered.max(level);
    }

    pub(crate) fn add_units(&self, kind: Units, units: f64) {
        let mut spent = lock(&self.0);
        match kind {
            Units::Read => spent.rru += units,
            Units::Write => spent.wru += units,
        }
    }

    pub(crate) fn add_send(&self) {
        lock(&self.0).sends += 1;
    }
}

/// The last invocation's figure and the highest since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Figure<T> {
    /// Of the last invocation.
    pub(crate) last: T,
    /// The highest.
    pub(crate) max: T,
}

impl<T: Copy + PartialOrd> Figure<T> {
    fn add(&mut self, value: T) {
        self.last = value;
        if value > self.max {
            self.max = value;
        }
    }
}

/// What one operation has cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct OperationCosts {
    /// Invocations.
    pub(crate) calls: u64,
    /// Round trips to DynamoDB and S3 that waited for an earlier one.
    pub(crate) hops: Figure<u32>,
    /// Read request units.
    pub(crate) rru: Figure<f64>,
    /// Write request units.
    pub(crate) wru: Figure<f64>,
    /// SMS and e-mails handed to SNS and SES.
    pub(crate) sends: Figure<u32>,
}

/// The costs of every operation since the start or the last reset.
#[derive(Debug, Default)]
pub(crate) struct Costs(Mutex<BTreeMap<String, OperationCosts>>);

impl Costs {
    /// By route key.
    pub(crate) fn by_operation(&self) -> BTreeMap<String, OperationCosts> {
        lock(&self.0).clone()
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Runs `work` as an invocation of `operation` and adds up what it cost, even if it panics.
    pub(crate) async fn measure<T>(
        self: Arc<Self>,
        operation: String,
        work: impl Future<Output = T>,
    ) -> T {
        let invocation = Arc::new(Invocation::default());
        let _bill = Bill { costs: self, operation, invocation: Arc::clone(&invocation) };
        CURRENT.scope(invocation, work).await
    }
}

/// Written down when the invocation ends, however it ends.
struct Bill {
    costs: Arc<Costs>,
    operation: String,
    invocation: Arc<Invocation>,
}

impl Drop for Bill {
    fn drop(&mut self) {
        let spent = *lock(&self.invocation.0);
        let mut operations = lock(&self.costs.0);
        let costs = operations.entry(std::mem::take(&mut self.operation)).or_default();
        costs.calls += 1;
        costs.hops.add(spent.hops);
        costs.rru.add(spent.rru);
        costs.wru.add(spent.wru);
        costs.sends.add(spent.sends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn concurrent_calls_are_one_hop_and_later_ones_add() {
        let costs = Arc::new(Costs::default());
        let work = async {
            let invocation = Invocation::current().unwrap();
            let (first, beside) = (invocation.begin_hop(), invocation.begin_hop());
            invocation.end_hop(first);
            invocation.end_hop(beside);
            let second = invocation.begin_hop();
            invocation.end_hop(second);
            invocation.add_units(Units::Read, 1.5);
        };
        Arc::clone(&costs).measure("GET /a".to_owned(), work).await;
        Arc::clone(&costs).measure("GET /a".to_owned(), async {}).await;
        let figures = &costs.by_operation()["GET /a"];
        assert_eq!(figures.calls, 2);
        assert_eq!(figures.hops, Figure { last: 0, max: 2 });
        assert_eq!(figures.rru, Figure { last: 0.0, max: 1.5 });
    }

    #[tokio::test]
    async fn what_is_spawned_in_the_background_is_nobodys() {
        let costs = Arc::new(Costs::default());
        let work = async { tokio::spawn(async { Invocation::current().is_none() }).await };
        assert!(costs.measure("GET /a".to_owned(), work).await.unwrap());
        assert!(Invocation::current().is_none());
    }
}
