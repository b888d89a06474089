//! Prints what a cluster needs at several sizes, and whether it grows by no more than it may.

use serde_json::{Value, json};
use sim::measure::{self, Found, Limit, Size};

use crate::{Args, timed};

/// A dead worker is noticed within this, milliseconds.
const NOTICED_MS: f64 = 3_000.0;

/// Whether every limit is kept; what could not be measured.
pub(super) fn print(args: &Args, lines: &mut Vec<Value>) -> (bool, Vec<String>) {
    let per_datacenter = [5, 50, 500].into_iter().filter(|workers| *workers * 20 <= args.workers);
    let wide = per_datacenter.map(|workers| Size { datacenters: 20, workers });
    let sizes = std::iter::once(Size { datacenters: 5, workers: 5 }).chain(wide);
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    let mut is_kept = true;
    for size in sizes {
        let busy = busy_seconds();
        let (found, wall) = timed(|| measure::scale(size, 1));
        // What others run on this machine meanwhile says nothing about the simulator.
        let spent = busy.zip(busy_seconds()).map(|(from, to)| to - from);
        match found {
            Ok(found) => {
                is_kept &= table(&found, (wall as f64 / 1e9, spent), lines);
                all.push(found);
            }
            Err(what) => wrong.push(format!("{size:?}: {what}")),
        }
    }
    for pair in all.windows(2) {
        is_kept &= growth(&pair[0], &pair[1], lines);
    }
    // Step by step a worker could grow by 10 % each; from end to end it may not either.
    if let [_, smallest, _, .., largest] = all.as_slice() {
        is_kept &= growth(smallest, largest, lines);
    }
    (is_kept, wrong)
}

/// Processor time of this thread so far, where the system tells.
fn busy_seconds() -> Option<f64> {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: u64 = said.split_whitespace().next()?.parse().ok()?;
    Some(nanos as f64 / 1e9)
}

fn describe(size: Size) -> String {
    format!("{} workers in {} datacenters", size.workers_all(), size.datacenters)
}

fn mark(is_kept: bool) -> &'static str {
    if is_kept { "ok" } else { "OVER" }
}

/// One size; whether it keeps the limits that need no other.
fn table(found: &Found, (wall, busy): (f64, Option<f64>), lines: &mut Vec<Value>) -> bool {
    let size = found.size;
    println!("\n5 gates, {}, {} jobs", describe(size), size.jobs());
    println!(
        "{:<22} {:>9} {:>10} {:>7} {:>9} {:>10} {:>7} {:>10} {:>8}",
        "node", "rest m/s", "B/s", "dgram/s", "load m/s", "B/s", "dgram/s", "ledger B", "members"
    );
    for (place, (rest, load)) in found.rest.iter().zip(&found.load).enumerate() {
        let (ledger, members) = (found.ledger[place].1, found.members[place].1);
        println!(
            "{:<22} {:>9.1} {:>10.0} {:>7.2} {:>9.1} {:>10.0} {:>7.2} {:>10.0} {:>8.1}",
            format!("{} ({})", load.kind, load.nodes),
            rest.messages,
            rest.bytes,
            rest.datagrams,
            load.messages,
            load.bytes,
            load.datagrams,
            ledger,
            members
        );
        lines.push(json!({
            "workers": size.workers_all(), "datacenters": size.datacenters, "node": load.kind,
            "rest_messages_per_s": rest.messages, "rest_bytes_per_s": rest.bytes,
            "rest_datagrams_per_s": rest.datagrams, "load_messages_per_s": load.messages,
            "load_bytes_per_s": load.bytes, "load_datagrams_per_s": load.datagrams,
            "ledger_bytes": ledger, "members": members,
        }));
    }
    let ms = |place: usize| found.noticed.get(place).map_or(0.0, |span| *span as f64 / 1e6);
    let last = found.noticed.len().saturating_sub(1);
    let (median, slowest) = (ms(last / 2), ms(last));
    let busy = busy.unwrap_or(wall);
    let factor = found.simulated as f64 / 1e9 / busy;
    let (is_noticed, is_fast) = (slowest < NOTICED_MS, factor > 1.0);
    println!(
        "a dead worker is noticed after {median:.0} ms, {slowest:.0} ms at most, of {} {}; \
         every member has reached every other after {:.0} s",
        found.noticed.len(),
        mark(is_noticed),
        found.settled as f64 / 1e9
    );
    println!(
        "{:.0} s simulated in {busy:.1} s of one processor ({wall:.1} s by the clock): {factor:.2} \
         times real time {}",
        found.simulated as f64 / 1e9,
        mark(is_fast)
    );
    lines.push(json!({
        "workers": size.workers_all(), "datacenters": size.datacenters,
        "noticed_median_ms": median, "noticed_max_ms": slowest,
        "wall_s": wall, "busy_s": busy, "real_time_factor": factor,
        "settled_s": found.settled as f64 / 1e9,
    }));
    is_noticed && is_fast
}

fn growth(small: &Found, large: &Found, lines: &mut Vec<Value>) -> bool {
    println!("\ngrowth from {} to {}", describe(small.size), describe(large.size));
    let limits = measure::judge(small, large);
    for limit in &limits {
        let (kind, what, is_kept) = (limit.kind, limit.what, limit.is_kept());
        let (factor, most) = (limit.factor(), limit.most);
        println!("{kind:<17} {what:<18} {factor:>7.2} of {most:>6.2} {}", mark(is_kept));
        lines.push(json!({
            "from": small.size.workers_all(), "to": large.size.workers_all(),
            "node": kind, "what": what, "factor": factor, "limit": most, "ok": is_kept,
        }));
    }
    limits.iter().all(Limit::is_kept)
}
