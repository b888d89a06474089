//! Drawn plans: small DAGs over all executors, short enough for many seeds and long enough for a
//! loss.

use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::WorkflowIx;
use hyperscale_core::plan::{
    Datacenters, Executor, OnGateLoss, OnWorkerLoss, Piece, Placement, Plan, Priority, Rate,
    RequestStep, Site, Step, Template, When, Workflow,
};

use crate::layout::Layout;
use crate::streams::{Cursor, Stream, Streams};

/// The plan of the `n`-th job of a seed.
pub fn drawn(streams: Streams, n: u64) -> Plan {
    let mut cursor = streams.cursor(Stream::Plan, n);
    let count = cursor.pick(&[1, 1, 2, 2, 3, 4]);
    let workflows = (0..count).map(|ix| workflow(&mut cursor, ix)).collect::<Vec<_>>();
    let on_worker_loss = match cursor.draw().below(10) {
        0 => OnWorkerLoss::Shrink,
        1 => OnWorkerLoss::Abort,
        _ => OnWorkerLoss::Replace,
    };
    let seed = cursor.draw().bits();
    let on_gate_loss = match cursor.draw().below(8) {
        0 => OnGateLoss::StopAfter(Duration::from_secs(3 + cursor.draw().below(6))),
        _ => OnGateLoss::Finish,
    };
    let mut plan = Plan {
        name: format!("plan-{n}"),
        base_url: "http://target".to_owned(),
        workflows: bounded(workflows),
        data: BoundedVec::default(),
        thresholds: BoundedVec::default(),
        datacenters: Default::default(),
        placement: Default::default(),
        on_worker_loss,
        on_gate_loss,
        seed,
        index_header: false,
        timeout: None,
        retries: 10,
    };
    rank(&mut plan, &mut streams.cursor(Stream::Plan, n + RANKS));
    plan
}

/// Where the draws of priorities and budgets begin.
const RANKS: u64 = 1 << 32;

/// Priorities, budgets of retries, a timeout.
fn rank(plan: &mut Plan, cursor: &mut Cursor) {
    use Priority::{Auto, Exclusive, High, Low, Normal};
    plan.retries = cursor.pick(&[10, 10, 10, 10, 10, 10, 10, 10, 10, 3, 1]);
    let timeout = Duration::from_millis(cursor.within(2_000, 12_000));
    plan.timeout = cursor.chance(50_000).then_some(timeout);
    for workflow in plan.workflows.iter_mut() {
        workflow.priority = cursor.pick(&[Auto, Auto, Auto, Low, Normal, High, High, Exclusive]);
        workflow.retries = cursor.pick(&[3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 1]);
    }
}

/// The same plan with its load in one or several datacenters of the layout, as the seed draws.
pub fn spread(mut plan: Plan, streams: Streams, n: u64, layout: Layout) -> Plan {
    let known: Vec<u16> = layout.datacenters().collect();
    if known.len() < 2 {
        return plan;
    }
    let mut cursor = streams.cursor(Stream::Plan, (1 << 32) + n);
    let few = plan.workflows.iter().map(|workflow| workflow.executor.vus()).min().unwrap_or(1);
    let most = known.len().min(few as usize) as u64;
    let count = cursor.within(1, most.max(1));
    let way = cursor.draw().below(3);
    let first = cursor.within(0, known.len() as u64 - 1) as usize;
    let weights: Vec<u32> = known.iter().map(|_| cursor.pick(&[1, 1, 2, 5])).collect();
    plan.datacenters = match way {
        0 => Datacenters::default(),
        1 => Datacenters::Any(count as u16),
        _ => {
            let chosen = known.iter().zip(weights).cycle().skip(first).take(count as usize);
            let site = |(dc, weight): (&u16, u32)| Site { name: Layout::name(*dc), weight };
            Datacenters::Named(bounded(chosen.map(site).collect()))
        }
    };
    if let Datacenters::Any(_) = plan.datacenters {
        plan.placement = placement(streams, n, &known);
    }
    plan
}

/// Wishes about where the gate places parts: most plans have none, some cannot be granted.
fn placement(streams: Streams, n: u64, known: &[u16]) -> Placement {
    let mut cursor = streams.cursor(Stream::Plan, (1 << 33) + n);
    let first = cursor.within(0, known.len() as u64 - 1) as usize;
    let count = cursor.pick(&[0, 0, 0, 1, 1, 2]);
    let names = known.iter().cycle().skip(first).take(count);
    let rtt = cursor.pick(&[0, 0, 0, 0, 1_000, 200, 40]);
    Placement {
        prefer: bounded(names.map(|dc| Layout::name(*dc)).collect()),
        max_rtt: (rtt > 0).then(|| Duration::from_millis(rtt)),
    }
}

/// One open-loop workflow: `rate` arrivals per second for so many seconds.
pub fn steady(rate: u64, seconds: u64) -> Plan {
    let executor = Executor::ConstantArrivalRate {
        rate: Rate { count: rate, unit: Duration::from_secs(1) },
        duration: Duration::from_secs(seconds),
        max_vus: 500,
    };
    let workflow = Workflow {
        name: "steady".to_owned(),
        after: BoundedVec::default(),
        when: When::Ok,
        executor,
        graceful_stop: Duration::from_secs(5),
        flow: bounded(vec![request(0)]),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    };
    Plan {
        name: "steady".to_owned(),
        base_url: "http://target".to_owned(),
        workflows: bounded(vec![workflow]),
        data: BoundedVec::default(),
        thresholds: BoundedVec::default(),
        datacenters: Default::default(),
        placement: Default::default(),
        on_worker_loss: OnWorkerLoss::Replace,
        on_gate_loss: OnGateLoss::Finish,
        seed: 1,
        index_header: false,
        timeout: None,
        retries: 10,
    }
}

fn workflow(cursor: &mut Cursor, ix: u16) -> Workflow {
    let mut after = Vec::new();
    for earlier in 0..ix {
        if cursor.chance(500_000) {
            after.push(WorkflowIx::new(earlier));
        }
    }
    let when = match cursor.draw().below(10) {
        0 => When::Failed,
        1..=3 => When::Always,
        _ => When::Ok,
    };
    let when = if after.is_empty() { When::Ok } else { when };
    let mut flow: Vec<Step> = (0..cursor.within(1, 3)).map(request).collect();
    if cursor.chance(250_000) {
        let min = Duration::from_millis(cursor.within(1, 20));
        flow.push(Step::Think { min, max: min + Duration::from_millis(80) });
    }
    Workflow {
        name: format!("workflow-{ix}"),
        after: bounded(after),
        when,
        executor: executor(cursor),
        graceful_stop: Duration::from_millis(cursor.within(0, 2_000)),
        flow: bounded(flow),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    }
}

fn executor(cursor: &mut Cursor) -> Executor {
    let vus = cursor.pick(&[1, 2, 5, 8, 20, 70]);
    let duration = Duration::from_millis(cursor.within(2_500, 9_000));
    let kind = cursor.draw().below(8);
    let count = cursor.within(20, 300);
    match kind {
        0 | 1 => Executor::ConstantVus { vus: vus.min(20), duration },
        2 => Executor::PerVuIterations {
            vus: vus.min(20),
            iterations: count,
            max_duration: duration * 2,
        },
        3 | 4 => {
            Executor::SharedIterations { vus, iterations: count * 8, max_duration: duration * 2 }
        }
        _ => Executor::ConstantArrivalRate {
            rate: Rate { count, unit: Duration::from_secs(1) },
            duration,
            max_vus: vus.max(8),
        },
    }
}

fn request(n: u64) -> Step {
    Step::Request(Box::new(RequestStep {
        name: format!("step-{n}"),
        method: "GET".to_owned(),
        target: Template(bounded(vec![Piece::Text(format!("/{n}"))])),
        headers: BoundedVec::default(),
        body: None,
        expect_status: BoundedVec::default(),
        expect_body: None,
        captures: BoundedVec::default(),
        timeout: Duration::from_secs(30),
    }))
}

fn bounded<T, const N: usize>(items: Vec<T>) -> BoundedVec<T, N> {
    BoundedVec::try_from(items).unwrap_or_default()
}
