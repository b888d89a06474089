//! What is printed about a case: its shape, its verdict, and on failure a card that is enough to
//! start looking.

use std::fmt::Write as _;

use crate::case::Case;
use crate::layout::{Layout, Role};
use crate::world::{Failure, Line, Verdict};

const LINES: usize = 24;
const LINE_CHARS: usize = 240;

/// The shape of a case in a few lines.
pub fn shape(case: &Case) -> String {
    let classes: Vec<&str> = case.classes.iter().map(|class| class.id()).collect();
    let clocks: Vec<i32> = case.clocks.iter().map(|clock| clock.drift_ppm).collect();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "seed {}: {}; cores {:?}, {} clients",
        case.seed,
        layout(&case.layout),
        case.cores,
        case.clients
    );
    let _ = writeln!(text, "faults: {}", classes.join(" "));
    let _ = writeln!(
        text,
        "lease: ttl {:?}, drift bound {} ppm, clocks {clocks:?} ppm",
        case.lease.ttl, case.lease.drift_ppm
    );
    for job in &case.jobs {
        let _ = write!(text, "job {} at {} ms", job.key, job.at / 1_000_000);
        if let Some(at) = job.cancel_at {
            let _ = write!(text, ", cancelled at {} ms", at / 1_000_000);
        }
        let _ = writeln!(text, ", {:?}:", job.plan.on_worker_loss);
        for workflow in &job.plan.workflows {
            let _ = writeln!(
                text,
                "  {} after {:?} {:?} {:?}",
                workflow.name, workflow.after, workflow.when, workflow.executor
            );
        }
    }
    text
}

/// One line about a verdict that passed.
pub fn passed(verdict: &Verdict, wall_ns: u128) -> String {
    let per_second = u128::from(verdict.events) * 1_000_000_000 / wall_ns.max(1);
    let factor = u128::from(verdict.time) / wall_ns.max(1);
    format!(
        "{:.3} s simulated, {} events, {} steps, {} requests, \
         {per_second} events/s, {factor} x real time\n\
         jobs {:?}, {} re-assigned, {} parked, {} resumed, {} recoveries\nhash {:016x}\nPASS",
        seconds(verdict.time),
        verdict.events,
        verdict.steps,
        verdict.requests,
        verdict.jobs,
        verdict.reassigned,
        verdict.parked.0,
        verdict.parked.1,
        verdict.recoveries,
        verdict.hash
    )
}

/// The card of a failure: the promise, the seed, what led to it, and how to see it again.
pub fn failed(verdict: &Verdict, failure: &Failure, lines: &[Line], again: &str) -> String {
    let layout = &verdict.layout;
    let mut text = String::new();
    let _ = writeln!(text, "FAIL seed {} hash {:016x}", verdict.seed, verdict.hash);
    let _ = writeln!(text, "oracle   {}", failure.violation.inv.id());
    let _ = writeln!(text, "found    {}", failure.violation.detail);
    let _ = writeln!(text, "at       {:.6} s, node {:?}", seconds(failure.at), failure.host);
    let _ = writeln!(text, "repeat   {again}");
    let _ = writeln!(text, "last events of the node and of those it talked to:");
    let near: Vec<&Line> = lines.iter().filter(|line| is_near(line, failure)).collect();
    for line in near.iter().skip(near.len().saturating_sub(LINES)) {
        let short: String = line.text.chars().take(LINE_CHARS).collect();
        let _ =
            writeln!(text, "  {:>11.6} {:<8} {short}", seconds(line.at), name(layout, line.host));
    }
    text
}

/// Who stands where, in words.
pub fn layout(layout: &Layout) -> String {
    let mut text = format!("{} gates", layout.gates().len());
    for datacenter in layout.datacenters() {
        let (managers, workers) = (layout.managers(datacenter), layout.workers(datacenter));
        let name = Layout::name(datacenter);
        let _ = write!(text, ", {name}: {} managers, {} workers", managers.len(), workers.len());
    }
    text
}

/// What a place is called.
pub fn name(layout: &Layout, host: u16) -> String {
    let node = host + 1;
    if host >= layout.hosts() {
        return format!("client-{}", host - layout.hosts());
    }
    match layout.role(host) {
        Role::Gate => format!("gate-{node}"),
        Role::Manager(dc) => format!("{}-m{node}", Layout::name(dc)),
        Role::Worker(dc) => format!("{}-w{node}", Layout::name(dc)),
    }
}

/// A true time in seconds, for people.
pub fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Routine heartbeats of other nodes are left out.
fn is_near(line: &Line, failure: &Failure) -> bool {
    let own = failure.host.is_none_or(|host| host == line.host);
    let routine = ["<- Wake", "<- Engine(Progressed", "-> n2 Heartbeat"];
    own || !routine.iter().any(|start| line.text.starts_with(start))
}
