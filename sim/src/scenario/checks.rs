//! What holds in every scenario, whatever it breaks.

use std::time::Duration;

use hyperscale_core::report::JobStatus;

use super::{Arrival, Cluster, Found, Load, Outcome, ensure, gap};

/// Arrivals are counted in windows of this length.
const WINDOW: Duration = Duration::from_secs(10);

/// No index twice; never more load than planned; what was served is reported or declared.
///
/// # Errors
/// What does not hold.
pub fn judge(cluster: &mut dyn Cluster, key: &str, load: &Load, outcome: &Outcome) -> Found {
    let arrivals = cluster.served(key);
    cluster.note(&format!(
        "{key}: {:?}, served {}, reported {}, interrupted {}, dropped {}, unreported {}, parked \
         {}, unserved {}, longest gap {:?}",
        outcome.status,
        arrivals.len(),
        outcome.reported,
        outcome.interrupted,
        outcome.dropped,
        outcome.unreported,
        outcome.parked,
        outcome.unserved,
        gap(&arrivals),
    ));
    bounded(&arrivals, load)?;
    let missing = |dc: u16| outcome.parts.iter().any(|p| p.datacenter == dc && !p.is_counted);
    let is_counted =
        |index| (0..load.datacenters).all(|dc| !(load.is_of(dc, index) && missing(dc)));
    let served = arrivals.iter().filter(|arrival| is_counted(arrival.index)).count() as u64;
    ensure(outcome.reported <= served, || {
        format!("{} reported, but only {served} served", outcome.reported)
    })?;
    let most = (outcome.reported + outcome.interrupted).saturating_add(outcome.unreported);
    ensure(served <= most, || {
        format!("{served} served, but only {most} reported, interrupted or declared: {outcome:?}")
    })
}

/// No index twice, none beyond the plan, and no window with more than planned.
///
/// # Errors
/// Which, and how often.
pub fn bounded(arrivals: &[Arrival], load: &Load) -> Found {
    let mut indexes: Vec<u64> = arrivals.iter().map(|arrival| arrival.index).collect();
    indexes.sort_unstable();
    if let Some(pair) = indexes.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("index {} was served twice", pair[0]));
    }
    let last = indexes.last().copied().unwrap_or(0);
    ensure(last < load.planned(), || format!("index {last} is not in the plan"))?;
    let most = busiest(arrivals);
    let planned = u64::from(load.rate) * WINDOW.as_secs() * 101 / 100;
    ensure(most <= planned, || format!("{most} arrivals in {WINDOW:?}, planned {planned}"))
}

/// Nothing failed as far as the result shows, and every planned arrival is in it.
///
/// # Errors
/// What is missing.
pub fn exact(cluster: &mut dyn Cluster, key: &str, load: &Load, outcome: &Outcome) -> Found {
    judge(cluster, key, load, outcome)?;
    let served = cluster.served(key).len() as u64;
    ensure(outcome.status == JobStatus::Completed, || format!("not completed: {outcome:?}"))?;
    ensure(outcome.reported == served, || format!("{served} served: {outcome:?}"))?;
    let accounted = outcome.reported + outcome.dropped;
    ensure(accounted == load.planned(), || format!("{accounted} accounted: {outcome:?}"))?;
    if cluster.is_exact() {
        ensure(outcome.dropped == 0, || format!("some were dropped: {outcome:?}"))?;
        ensure(!outcome.is_degraded, || format!("degraded: {outcome:?}"))?;
    }
    Ok(())
}

/// The most arrivals in any window.
fn busiest(arrivals: &[Arrival]) -> u64 {
    let (mut first, mut most) = (0, 0);
    for (last, arrival) in arrivals.iter().enumerate() {
        while arrival.at - arrivals[first].at >= WINDOW {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(ms: u64, index: u64) -> Arrival {
        Arrival { at: Duration::from_millis(ms), index }
    }

    #[test]
    fn a_repeated_index_one_beyond_the_plan_and_a_burst_are_found() {
        let load = Load { rate: 1, seconds: 20, datacenters: 0 };
        let spread: Vec<Arrival> = (0..20).map(|n| arrival(n * 1_000, n)).collect();
        assert_eq!(bounded(&spread, &load), Ok(()));
        assert!(bounded(&[arrival(0, 3), arrival(9, 3)], &load).is_err());
        assert!(bounded(&[arrival(0, 20)], &load).is_err());
        let burst: Vec<Arrival> = (0..20).map(|n| arrival(n * 100, n)).collect();
        assert!(bounded(&burst, &load).is_err());
    }
}
