//! What pacing costs: nanoseconds for one `Issue` and its `on_ended`, against the goal of 20.
//! Nothing is asserted; run with `cargo bench -p hyperscale-core --bench pace`.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::WorkflowIx;
use hyperscale_core::plan::{
    Executor, Pace, Pacer, PartShare, PlanTime, Rate, Slice, When, Workflow, shares,
};

const GOAL_NS: u128 = 20;
const ROUNDS: usize = 200;
const ISSUES: u64 = 50_000;

fn slice(executor: Executor) -> Slice {
    Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow: Workflow {
            name: String::new(),
            after: BoundedVec::new(),
            when: When::Ok,
            executor,
            graceful_stop: Duration::ZERO,
            flow: BoundedVec::new(),
            captures: 0,
            priority: Default::default(),
            retries: 3,
        },
        share: shares(&executor, &PartShare::whole(&executor), 3).swap_remove(1),
        first: 0,
        base_url: String::new(),
        data: BoundedVec::new(),
        seed: 0,
        index_header: false,
        late_max: Duration::from_millis(100),
    }
}

/// The best of many short rounds, as other load on the machine only ever adds time.
fn run(name: &str, executor: Executor) {
    let mut pacer = Pacer::new(&slice(executor));
    pacer.permit(u64::MAX);
    let mut ms = 0;
    let picos = (0..ROUNDS).map(|_| round(&mut pacer, &mut ms)).min().unwrap_or_default();
    println!(
        "{name:>22}: {}.{} ns per issue, {} % of the goal",
        picos / 1_000,
        picos % 1_000 / 100,
        picos / 10 / GOAL_NS,
    );
}

/// Issues in batches of one millisecond, and ends each batch before the next. Picoseconds per
/// issue.
fn round(pacer: &mut Pacer, ms: &mut i64) -> u128 {
    let mut open = Vec::with_capacity(1024);
    let mut issued = 0u64;
    let start = Instant::now();
    while issued < ISSUES {
        let at = PlanTime::from_nanos(black_box(*ms) * 1_000_000);
        while let Pace::Issue(issue) = pacer.next(at, true) {
            open.push(black_box(issue).slot);
        }
        issued += open.len() as u64;
        open.drain(..).for_each(|slot| pacer.on_ended(slot));
        *ms += 1;
    }
    start.elapsed().as_nanos() * 1_000 / u128::from(issued)
}

fn main() {
    let day = Duration::from_secs(24 * 3600);
    let second = Duration::from_secs(1);
    for count in [300_000, 299_993] {
        let rate = Rate { count, unit: second };
        run(
            "constant-arrival-rate",
            Executor::ConstantArrivalRate { rate, duration: day, max_vus: 3_000 },
        );
    }
    run("constant-vus", Executor::ConstantVus { vus: 300, duration: day });
    run(
        "per-vu-iterations",
        Executor::PerVuIterations { vus: 300, iterations: 1 << 40, max_duration: day },
    );
    run(
        "shared-iterations",
        Executor::SharedIterations { vus: 300, iterations: 1 << 50, max_duration: day },
    );
}
