//! What an operation may cost.

use super::App;

/// The price of a million on-demand request units in US dollars: `us-east-1`, November 2026.
const RRU_USD: f64 = 0.125;
const WRU_USD: f64 = 0.625;

/// The last call and the most expensive call of an operation stay within this budget: hops, read
/// units, write units, sends.
pub async fn assert_budget(
    app: &App,
    operation: &str,
    (hops, rru, wru, sends): (u64, f64, f64, u64),
) {
    let cost = app.costs(operation).await;
    println!(
        "{operation:45} {:>2} calls  {} hops  {:>4} RRU  {:>4} WRU  {} sends  {:>6.2} USD a million",
        cost.calls,
        cost.hops_max,
        cost.rru_max,
        cost.wru_max,
        cost.sends_max,
        RRU_USD * cost.rru_max + WRU_USD * cost.wru_max,
    );
    assert!(cost.calls > 0, "{operation}");
    let last = cost.hops <= hops && cost.rru <= rru && cost.wru <= wru && cost.sends <= sends;
    let max = cost.hops_max <= hops
        && cost.rru_max <= rru
        && cost.wru_max <= wru
        && cost.sends_max <= sends;
    assert!(last && max, "{operation}: at most {hops} hops, {rru} RRU, {wru} WRU: {cost:?}");
}
