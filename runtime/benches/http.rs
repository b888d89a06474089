//! The engine with one run on one thread, to compare with wrk:
//! `cargo bench -p hyperscale-runtime --bench http -- http://127.0.0.1:8181 64 10 [rate]`
//! runs 64 VUs for 10 s (or `rate` arrivals per second), and prints requests per CPU-second of the
//! whole process, resident memory per million requests and per VU, and the lag of arrivals.

use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::effect::Permit;
use hyperscale_core::ids::{Fence, JobId, RunId, ShardId, ShardIx, WorkflowIx};
use hyperscale_core::input::{EngineEvent, Input};
use hyperscale_core::plan::{
    Executor, Piece, Rate, RequestStep, Share, Slice, Step, Stripe, Template, When, Workflow,
};
use hyperscale_runtime::clock;
use hyperscale_runtime::driver::EngineOrder;
use hyperscale_runtime::load::Engine;
use tokio::sync::mpsc;

fn slice(base_url: &str, executor: Executor) -> Slice {
    let target = vec![Piece::Text("/".to_owned())];
    let request = RequestStep {
        name: "get".to_owned(),
        method: "GET".to_owned(),
        target: Template(target.try_into().expect("one piece")),
        headers: BoundedVec::default(),
        body: None,
        expect_status: BoundedVec::default(),
        expect_body: None,
        captures: BoundedVec::default(),
        timeout: Duration::from_secs(30),
    };
    Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow: Workflow {
            name: "bench".to_owned(),
            after: BoundedVec::default(),
            when: When::Ok,
            executor,
            graceful_stop: Duration::from_secs(1),
            flow: vec![Step::Request(Box::new(request))].try_into().expect("one step"),
            captures: 0,
            priority: Default::default(),
            retries: 3,
        },
        share: Share { vu_first: 0, vus: executor.vus(), stripe: Stripe::plain(0, 1) },
        first: 0,
        base_url: base_url.to_owned(),
        data: BoundedVec::default(),
        seed: 1,
        index_header: false,
        late_max: Duration::from_millis(100),
    }
}

/// User and system time of this process in seconds, and its resident memory in KiB.
fn usage() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let after = stat.rsplit(')').next().unwrap_or_default();
    let field = |n: usize| -> f64 {
        after.split_whitespace().nth(n).and_then(|f| f.parse().ok()).unwrap_or_default()
    };
    ((field(11) + field(12)) / 100.0, field(21) as u64 * 4)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let url = args.first().map_or("http://127.0.0.1:8181", String::as_str);
    let number = |at: usize| args.get(at).and_then(|a| a.parse::<u64>().ok());
    let (vus, seconds) = (number(1).unwrap_or(64) as u32, number(2).unwrap_or(10));
    let duration = Duration::from_secs(seconds);
    let executor = match number(3) {
        None => Executor::ConstantVus { vus, duration },
        Some(count) => {
            let rate = Rate { count, unit: Duration::from_secs(1) };
            Executor::ConstantArrivalRate { rate, duration, max_vus: vus }
        }
    };
    let shard =
        ShardId { job: JobId::new(1), workflow: WorkflowIx::new(0), shard: ShardIx::new(0) };
    let run = RunId { shard, fence: Fence::default() };
    let (events, mut received) = mpsc::channel(1024);
    let mut engine = Engine::start(1, events).expect("threads");
    let (cpu, empty) = usage();
    engine.order(EngineOrder::Start { run, slice: Box::new(slice(url, executor)) });
    while let Some(Input::Engine(event)) = received.blocking_recv() {
        match *event {
            EngineEvent::Prepared { .. } => {
                let until = clock::now().after(Duration::from_secs(3600));
                let permit = Permit { until, ceiling: u64::MAX, zero: clock::now() };
                engine.order(EngineOrder::Permit { run, permit });
            }
            EngineEvent::Reported { second, totals, .. } => {
                let requests: u64 = totals.steps.iter().map(|step| step.requests).sum();
                println!("{second:3} s {requests:9} requests, {} KiB resident", usage().1);
            }
            EngineEvent::Ended { totals, progress, .. } => {
                let (used, full) = usage();
                let step = &totals.steps[0];
                let (done, used) = (step.requests, used - cpu);
                println!(
                    "{done} requests, {} failed, {} dropped, {:.0} per CPU-second, {:.2} CPU-s/M",
                    step.failed,
                    progress.dropped,
                    done as f64 / used,
                    used * 1e6 / done as f64,
                );
                let per_vu = full.saturating_sub(empty) as f64 / f64::from(vus);
                println!("{full} KiB resident, {per_vu:.1} KiB per VU");
                for (name, histogram) in [
                    ("duration", &step.duration),
                    ("latency", &step.latency),
                    ("lag", &totals.start_lag),
                ] {
                    let us = |q| histogram.quantile(q).unwrap_or(0);
                    println!("{name}: p50 {} us, p99 {} us", us(50_000), us(99_000));
                }
                return;
            }
            EngineEvent::PrepareFailed { reason, .. } => panic!("{reason}"),
            EngineEvent::Progressed { .. } => {}
        }
    }
}
