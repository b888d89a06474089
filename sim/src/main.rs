//! The simulator's command line: one seed, a sweep, a hunt for one broken promise, or the reference
//! cluster.
//!
//! Exit codes: 0 every promise held, 1 one was broken (or a sweep was vacuous), 2 usage. A hunt
//! (`--until`) succeeds when its promise was broken.

#![forbid(unsafe_code)]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod figures;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Parser;
use hyperscale_core::invariant::Inv;
use sim::card;
use sim::case::Case;
use sim::faults::Class;
use sim::sweep::{Row, Sweep};
use sim::world::{Verdict, World};

/// Runs whole clusters of the real machines in a deterministic world.
#[derive(Parser, Debug)]
#[command(name = "sim", disable_version_flag = true)]
struct Args {
    /// Run one seed and print its shape and verdict.
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "reference"])]
    seed: Option<u64>,
    /// Run a sweep of seeds, the end excluded.
    #[arg(long, value_name = "A..B", value_parser = range, conflicts_with = "reference")]
    seeds: Option<(u64, u64)>,
    /// Threads of a sweep.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: u64,
    /// Run every seed twice and compare the trace hashes.
    #[arg(long)]
    twice: bool,
    /// Stop at the first seed of a sweep on which this promise is broken, whatever else breaks
    /// before it. With seed-determinism every seed runs twice.
    #[arg(long, value_name = "ORACLE", value_parser = promise, requires = "seeds")]
    until: Option<Inv>,
    /// Print the trace hash of every seed of a sweep and nothing else, so that two builds can be
    /// compared.
    #[arg(long, requires = "seeds", conflicts_with = "until")]
    hash_only: bool,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// Switch a fault class off. May be given more than once.
    #[arg(long, value_name = "CLASS", value_parser = class)]
    without: Vec<Class>,
    /// Time the reference cluster: 1 gate, 1 manager, 5 workers, 500 arrivals per second for 60 s.
    #[arg(long)]
    reference: bool,
    /// Measure calm clusters: what nodes send at rest and under load, how long a killed leader or
    /// owner is missed, what members suspect and notice, and how all of it grows. Without a value
    /// everything but the growth to 10,000 workers, which takes long.
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "all",
        conflicts_with_all = ["seed", "seeds", "reference"])]
    measure: Option<figures::Topic>,
    /// Kills of each sort that are measured.
    #[arg(long, default_value_t = 200, requires = "measure")]
    kills: u64,
    /// The largest cluster of a measured scale, workers.
    #[arg(long, default_value_t = 10_000, requires = "measure")]
    workers: u16,
    /// Print every probe of a sweep, not only those that were not reached.
    #[arg(long, requires = "seeds")]
    probes: bool,
    /// Print one line of JSON at the end.
    #[arg(long)]
    json: bool,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once("..").ok_or("a range looks like 0..2000")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    let (from, to) = (number(from)?, number(to)?);
    if from < to { Ok((from, to)) } else { Err("the range is empty".to_owned()) }
}

fn class(text: &str) -> Result<Class, String> {
    Class::named(text).ok_or_else(|| {
        let all: Vec<&str> = Class::ALL.iter().map(|class| class.id()).collect();
        format!("the fault classes are {}", all.join(", "))
    })
}

fn promise(text: &str) -> Result<Inv, String> {
    let found = Inv::ALL.iter().copied().find(|inv| inv.id() == text);
    found.ok_or_else(|| "that is no id of the register".to_owned())
}

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic of a machine is reported with its node and seed; the default message would only
    // repeat it.
    std::panic::set_hook(Box::new(|_| {}));
    let ok = if let Some(topic) = args.measure {
        figures::print(&args, topic)
    } else if args.reference {
        reference(&args)
    } else if let (Some((from, to)), Some(inv)) = (args.seeds, args.until) {
        hunt(&args, from..to, inv)
    } else if let (Some((from, to)), true) = (args.seeds, args.hash_only) {
        hashes(&args, from..to)
    } else if let Some((from, to)) = args.seeds {
        sweep(&args, from, to)
    } else {
        one(&args, args.seed.unwrap_or(0))
    };
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a case, catching a panic inside a machine. With `traced` the lines of its trace come too.
fn run(case: Case, traced: bool) -> (Verdict, World) {
    let mut world = World::new(case, traced);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let what = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        world.on_panic(what);
    }
    (world.verdict(), world)
}

#[allow(clippy::disallowed_types, reason = "measures the simulator, never the simulated")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, u128) {
    let begin = std::time::Instant::now();
    let result = work();
    (result, begin.elapsed().as_nanos())
}

fn again(args: &Args, seed: u64) -> String {
    let without: String =
        args.without.iter().map(|class| format!(" --without {}", class.id())).collect();
    format!("cargo run --release -p sim -- --seed {seed}{without} --trace")
}

fn one(args: &Args, seed: u64) -> bool {
    let case = Case::drawn(seed, &args.without);
    print!("{}", card::shape(&case));
    let ((verdict, world), wall) = timed(|| run(case.clone(), args.trace));
    for line in world.lines() {
        let name = card::name(&case.layout, line.host);
        println!("{:>12.6} {name:<8} {}", card::seconds(line.at), line.text);
    }
    let same = !args.twice || same_hash(args, &verdict);
    report(args, &verdict);
    if verdict.is_ok() && same {
        println!("{}", card::passed(&verdict, wall));
    }
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "seed": seed, "ok": verdict.is_ok() && same, "events": verdict.events,
                "simulated_ns": verdict.time, "wall_ns": wall as u64,
                "hash": format!("{:016x}", verdict.hash),
            })
        );
    }
    verdict.is_ok() && same
}

/// One line per seed: its number and its hash.
fn hashes(args: &Args, seeds: Range<u64>) -> bool {
    for seed in seeds {
        let (verdict, _) = run(Case::drawn(seed, &args.without), false);
        println!("{seed} {:016x}", verdict.hash);
    }
    true
}

/// Prints the card of a failure, after replaying the seed with its trace.
fn report(args: &Args, verdict: &Verdict) {
    if verdict.is_ok() {
        return;
    }
    let (traced, world) = run(Case::drawn(verdict.seed, &args.without), true);
    let again = again(args, verdict.seed);
    match &traced.failure {
        Some(failure) => print!("{}", card::failed(&traced, failure, world.lines(), &again)),
        None => println!("FAIL seed {}: seed-determinism: the replay passed", verdict.seed),
    }
}

fn same_hash(args: &Args, verdict: &Verdict) -> bool {
    let (other, _) = run(Case::drawn(verdict.seed, &args.without), false);
    if other.hash != verdict.hash {
        println!(
            "FAIL seed {}: seed-determinism: hashes {:016x} and {:016x}",
            verdict.seed, verdict.hash, other.hash
        );
    }
    other.hash == verdict.hash
}

/// One thread's part of a sweep.
struct Part {
    sweep: Sweep,
    walls: Vec<u128>,
    failed: Vec<Verdict>,
    unequal: u64,
}

fn sweep(args: &Args, from: u64, to: u64) -> bool {
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut part =
            Part { sweep: Sweep::default(), walls: Vec::new(), failed: Vec::new(), unequal: 0 };
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= to {
                break;
            }
            let ((verdict, _), wall) = timed(|| run(Case::drawn(seed, &args.without), false));
            part.walls.push(wall);
            if args.twice && !same_hash(args, &verdict) {
                part.unequal += 1;
            }
            part.sweep.add(&verdict);
            if !verdict.is_ok() {
                part.failed.push(verdict);
                // Enough to look at; the rest of the sweep would only repeat it.
                if part.failed.len() >= 10 {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
        part
    };
    let (parts, wall) = timed(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..args.jobs).map(|_| scope.spawn(work)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<Part>>()
        })
    });
    conclude(args, parts, wall)
}

fn conclude(args: &Args, parts: Vec<Part>, wall: u128) -> bool {
    let mut sweep = Sweep::default();
    let (mut walls, mut failed, mut unequal) = (Vec::new(), Vec::new(), 0);
    for part in parts {
        sweep.merge(part.sweep);
        walls.extend(part.walls);
        failed.extend(part.failed);
        unequal += part.unequal;
    }
    walls.sort_unstable();
    failed.sort_by_key(|verdict| verdict.seed);
    for verdict in &failed {
        report(args, verdict);
    }
    let rows = if failed.is_empty() { sweep.rows(&args.without) } else { Vec::new() };
    rows.iter().for_each(line);
    let probes = if failed.is_empty() { sweep.probes() } else { Vec::new() };
    probes.iter().filter(|row| args.probes || !row.is_ok()).for_each(line);
    let reached = probes.iter().filter(|row| row.is_ok()).count();
    println!("{reached} of {} probes as expected", probes.len());
    let vacuous = sweep.is_vacuous(&rows, &probes);
    let median = walls.get(walls.len() / 2).copied().unwrap_or(0);
    let ok = failed.is_empty() && unequal == 0 && !vacuous;
    let jobs: Vec<String> = sweep.jobs.iter().map(|(s, n)| format!("{s:?} {n}")).collect();
    println!(
        "{} seeds, {} failed, {} requests, {:.0} s simulated, {} events; jobs: {}",
        sweep.seeds,
        failed.len(),
        sweep.requests,
        card::seconds(sweep.time),
        sweep.events,
        jobs.join(", ")
    );
    println!(
        "median {:.3} ms per seed, {:.1} s in all, {:.0} seeds/s{}",
        median as f64 / 1e6,
        wall as f64 / 1e9,
        sweep.seeds as f64 * 1e9 / wall.max(1) as f64,
        if vacuous { "; VACUOUS" } else { "" }
    );
    println!("{}", if ok { "PASS" } else { "FAIL" });
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "seeds": sweep.seeds, "failed": failed.len(), "unequal": unequal,
                "vacuous": vacuous, "probes": probes.len(), "reached": reached,
                "median_wall_ns": median as u64, "wall_ns": wall as u64,
                "requests": sweep.requests, "events": sweep.events, "simulated_ns": sweep.time,
                "first_failed": failed.first().map(|verdict| verdict.seed),
                "first_oracle": failed.first().and_then(|verdict| verdict.failure.as_ref())
                    .map(|failure| failure.violation.inv.id()),
                "ok": ok,
            })
        );
    }
    ok
}

fn line(row: &Row) {
    let mark = match (row.is_ok(), row.found < row.least) {
        (true, _) => "ok",
        (false, true) => "LOW",
        (false, false) => "HIGH",
    };
    println!("{:<52} {:>10} of {:>6} {mark}", row.what, row.found, row.least);
}

/// Looks for the first seed on which one promise is broken. What else breaks on the way is only
/// counted.
fn hunt(args: &Args, seeds: Range<u64>, inv: Inv) -> bool {
    let (next, others) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            let (verdict, _) = run(Case::drawn(seed, &args.without), false);
            match breaks(args, &verdict, inv) {
                Some(what) => {
                    stop.store(true, Ordering::Relaxed);
                    return Some((seed, what));
                }
                None => others.fetch_add(u64::from(!verdict.is_ok()), Ordering::Relaxed),
            };
        }
        None
    };
    let found = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.jobs).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).min()
    });
    let others = others.into_inner();
    match &found {
        Some((seed, what)) => {
            println!("FOUND seed {seed}: {what} ({others} broke another promise)")
        }
        None => println!("NOT FOUND: {} ({others} broke another promise)", inv.id()),
    }
    found.is_some()
}

/// What a seed's verdict says of one promise, if it was broken.
fn breaks(args: &Args, verdict: &Verdict, inv: Inv) -> Option<String> {
    let failure = verdict.failure.as_ref().filter(|failure| failure.violation.inv == inv);
    if failure.is_none() && inv == Inv::SeedDeterminism {
        let (other, _) = run(Case::drawn(verdict.seed, &args.without), false);
        let hashes = format!("{}: hashes {:016x} and {:016x}", inv.id(), verdict.hash, other.hash);
        return (other.hash != verdict.hash).then_some(hashes);
    }
    failure.map(|failure| failure.violation.to_string())
}

fn reference(args: &Args) -> bool {
    let mut walls = Vec::new();
    let mut last = None;
    for _ in 0..5 {
        let ((verdict, _), wall) = timed(|| run(Case::reference(1), false));
        walls.push(wall);
        if let Some(failure) = &verdict.failure {
            println!("FAIL {}: {}", failure.violation.inv.id(), failure.violation.detail);
            return false;
        }
        last = Some(verdict);
    }
    walls.sort_unstable();
    let (Some(verdict), Some(wall)) = (last, walls.get(2).copied()) else { return false };
    println!("{}", card::passed(&verdict, wall));
    let factor = u128::from(verdict.time) / wall.max(1);
    println!("reference: real-time factor {factor}, median of 5, {:.3} ms", wall as f64 / 1e6);
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "real_time_factor": factor as u64, "wall_ns": wall as u64,
                "simulated_ns": verdict.time, "events": verdict.events,
                "hash": format!("{:016x}", verdict.hash),
            })
        );
    }
    true
}
