//! Prints what `measure` finds, as a table and as one line of JSON. The exit code
//! says whether everything could be measured; of the scale, whether its limits hold.

mod scale;

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use sim::measure::{self, Failover, Rate, Shape, Suspicions, Victim};

use crate::Args;

/// Workers where voters grow.
const WORKERS: u16 = 10;

/// What is measured.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    /// Everything but the scale.
    All,
    /// What nodes send.
    Traffic,
    /// How long a killed leader or owner is missed.
    Failover,
    /// What members send, suspect and notice.
    Members,
    /// How it grows from 100 to 10,000 workers; judged, and takes long.
    Scale,
}

pub(crate) fn print(args: &Args, topic: Topic) -> bool {
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    let is_on = |wanted| topic == wanted || topic == Topic::All;
    if is_on(Topic::Traffic) {
        wrong.extend(traffic(&mut lines));
    }
    if is_on(Topic::Failover) {
        wrong.extend(failover(args, &mut lines));
    }
    if is_on(Topic::Members) {
        wrong.extend(members(args, &mut lines));
    }
    let mut is_kept = true;
    if topic == Topic::Scale {
        let (kept, failed) = scale::print(args, &mut lines);
        is_kept = kept;
        wrong.extend(failed);
    }
    for what in &wrong {
        println!("NOT MEASURED: {what}");
    }
    if args.json {
        println!("{}", json!({ "ok": is_kept && wrong.is_empty(), "rows": lines }));
    }
    is_kept && wrong.is_empty()
}

fn shapes_of_voters() -> impl Iterator<Item = Shape> {
    [1, 3, 5].into_iter().map(|voters| Shape { voters, workers: WORKERS })
}

/// What nodes send; what could not be measured.
fn traffic(lines: &mut Vec<Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    println!("sent per second and node, over 20 s; load: 1,000 arrivals per second");
    println!(
        "{:>6} {:>7}  {:<17} {:>10} {:>11} {:>10} {:>11}",
        "voters", "workers", "node", "rest msg/s", "rest B/s", "load msg/s", "load B/s"
    );
    let wide = [100, 1_000].map(|workers| Shape { voters: 3, workers });
    for shape in shapes_of_voters().chain(wide) {
        let rates = [false, true].map(|is_loaded| measure::traffic(shape, is_loaded));
        let [Ok(rest), Ok(load)] = rates else {
            wrong.extend(rates.into_iter().filter_map(Result::err));
            continue;
        };
        lines.extend(rest.iter().zip(&load).map(|(rest, load)| sent(shape, rest, load)));
        all.push((shape, rest, load));
    }
    growth(&all);
    wrong
}

/// How long what was killed is missed; what could not be measured.
fn failover(args: &Args, lines: &mut Vec<Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    println!("\nmissing after a kill under load, milliseconds of simulated time");
    println!(
        "{:>6}  {:<18} {:<26} {:>5} {:>9} {:>9} {:>9}",
        "voters", "killed", "what", "n", "p50", "p99", "max"
    );
    for shape in shapes_of_voters() {
        for victim in Victim::ALL {
            if shape.voters == 1 && victim == Victim::Owner {
                continue;
            }
            let (found, failed) = kills(args, shape, victim);
            wrong.extend(failed);
            lines.extend(missed(shape, victim, &found));
        }
    }
    wrong
}

fn sent(shape: Shape, rest: &Rate, load: &Rate) -> Value {
    let Shape { voters, workers } = shape;
    println!(
        "{voters:>6} {workers:>7}  {:<17} {:>10.1} {:>11.0} {:>10.1} {:>11.0}",
        format!("{} ({})", rest.kind, rest.nodes),
        rest.messages,
        rest.bytes,
        load.messages,
        load.bytes
    );
    json!({
        "voters": voters, "workers": workers, "node": rest.kind, "nodes": rest.nodes,
        "rest_messages_per_s": rest.messages, "rest_bytes_per_s": rest.bytes,
        "load_messages_per_s": load.messages, "load_bytes_per_s": load.bytes,
    })
}

/// How what a node sends grows, shape by shape: factors.
fn growth(all: &[(Shape, Vec<Rate>, Vec<Rate>)]) {
    println!("\ngrowth of the same, as factors");
    let of = |voters, workers| {
        all.iter().find(|(shape, ..)| *shape == Shape { voters, workers }).map(|(_, r, l)| (r, l))
    };
    let steps = [(1, WORKERS, 3, WORKERS), (3, WORKERS, 5, WORKERS)];
    for (voters, workers, voters_to, workers_to) in
        steps.into_iter().chain([(3, WORKERS, 3, 100), (3, 100, 3, 1_000)])
    {
        let (Some(small), Some(large)) = (of(voters, workers), of(voters_to, workers_to)) else {
            continue;
        };
        for place in 0..large.0.len() {
            let kind = large.0[place].kind;
            let find = |rates: &[Rate]| rates.iter().find(|rate| rate.kind == kind).copied();
            let (Some(rest), Some(load)) = (find(small.0), find(small.1)) else { continue };
            let (rest_to, load_to) = (large.0[place], large.1[place]);
            println!(
                "{voters} -> {voters_to} voters, {workers:>3} -> {workers_to:>4} workers  \
                 {kind:<17} {:>10.2} {:>11.2} {:>10.2} {:>11.2}",
                rest_to.messages / rest.messages,
                rest_to.bytes / rest.bytes,
                load_to.messages / load.messages,
                load_to.bytes / load.bytes
            );
        }
    }
}

/// What members of a datacenter send, suspect and notice; what could not be measured.
fn members(args: &Args, lines: &mut Vec<Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    println!("\ndatagrams per second and member, at rest");
    for count in [10, 100, 1_000] {
        match measure::datagrams(count) {
            Ok((sent, bytes)) => {
                println!("{count:>6} members {sent:>10.2} datagrams/s {bytes:>10.0} B/s");
                lines.push(
                    json!({ "members": count, "datagrams_per_s": sent, "bytes_per_s": bytes }),
                );
            }
            Err(what) => wrong.push(what),
        }
    }
    let shape = Shape { voters: 3, workers: WORKERS };
    let (found, failed) = over_seeds(args, |seed| measure::suspicions(shape, seed));
    wrong.extend(failed);
    let sum = |of: fn(&Suspicions) -> u64| found.iter().map(of).sum::<u64>();
    let minutes = sum(|one| one.node_seconds) as f64 / 60.0;
    let (raised, believed) = (sum(|one| one.refuted), sum(|one| one.believed));
    let deaths = sum(|one| one.deaths);
    println!(
        "\nfalse suspicions at 5 % loss and 200 ms jitter, in {minutes:.0} node-minutes: \
         {raised} refuted by their suspect, believed {believed} times; {deaths} deaths believed"
    );
    let rate = |n: u64| n as f64 * 10_000.0 / minutes.max(1.0);
    println!(
        "  per 10,000 node-minutes: {:.2} suspicions (goal: below 1), {:.2} deaths (goal: none)",
        rate(raised.max(believed)),
        rate(deaths)
    );
    lines.push(json!({
        "node_minutes": minutes, "false_suspicions": raised, "believed": believed,
        "false_deaths": deaths,
    }));
    println!("\nmissing a dead worker, milliseconds of simulated time (goal: p99 below 3,000)");
    for shape in [1, 3, 5].map(|voters| Shape { voters, workers: WORKERS }) {
        let (mut found, failed) = over_seeds(args, |seed| measure::detection(shape, seed));
        wrong.extend(failed);
        found.sort_unstable();
        let rank = |percent: usize| {
            let place = (found.len() * percent).div_ceil(100).saturating_sub(1);
            found.get(place).map_or(0.0, |value| *value as f64 / 1e6)
        };
        let (p50, p99, max) = (rank(50), rank(99), rank(100));
        println!(
            "{:>6} managers, n {:>4}: p50 {p50:>8.0} p99 {p99:>8.0} max {max:>8.0}",
            shape.voters,
            found.len()
        );
        lines.push(json!({
            "voters": shape.voters, "what": "a dead worker", "n": found.len(),
            "p50_ms": p50, "p99_ms": p99, "max_ms": max,
        }));
    }
    wrong
}

fn kills(args: &Args, shape: Shape, victim: Victim) -> (Vec<Failover>, Vec<String>) {
    let (found, failed) = over_seeds(args, |seed| measure::failover(shape, victim, seed));
    (found, failed.into_iter().map(|what| format!("{shape:?} {victim:?} {what}")).collect())
}

/// Measures over seeds on the threads that were asked for.
fn over_seeds<T: Send + Clone>(
    args: &Args,
    measure: impl Fn(u64) -> Result<T, String> + Sync,
) -> (Vec<T>, Vec<String>) {
    let next = AtomicU64::new(0);
    let work = || {
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= args.kills {
                return (found, failed);
            }
            match measure(seed) {
                Ok(one) => found.push(one),
                Err(what) => failed.push(format!("seed {seed}: {what}")),
            }
        }
    };
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.jobs).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    let (found, failed): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    (found.concat(), failed.concat())
}

fn missed(shape: Shape, victim: Victim, found: &[Failover]) -> Vec<Value> {
    let voters = shape.voters;
    let row = |what: &str, values: Vec<u64>| {
        let mut values = values;
        values.sort_unstable();
        let rank = |percent: usize| {
            let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
            values.get(place).map_or(0.0, |value| *value as f64 / 1e6)
        };
        let (p50, p99, max) = (rank(50), rank(99), rank(100));
        println!(
            "{voters:>6}  {:<18} {what:<26} {:>5} {p50:>9.2} {p99:>9.2} {max:>9.2}",
            victim.name(),
            values.len()
        );
        json!({
            "voters": voters, "killed": victim.name(), "what": what, "n": values.len(),
            "p50_ms": p50, "p99_ms": p99, "max_ms": max,
        })
    };
    let mut rows = Vec::new();
    let led: Vec<u64> = found.iter().filter_map(|one| one.led).collect();
    if !led.is_empty() {
        rows.push(row("a leader", led));
    }
    let owned: Vec<u64> = found.iter().filter_map(|one| one.owned).collect();
    if !owned.is_empty() {
        rows.push(row("an owner that acts", owned));
    }
    rows.push(row("load, longest gap", found.iter().map(|one| one.gap).collect()));
    let calm = found.iter().map(|one| one.gap_undisturbed).collect();
    rows.push(row("load, same without kill", calm));
    rows
}
