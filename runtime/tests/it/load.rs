//! The in-process cluster with the real load engine, against a server that counts.

use std::time::Duration;

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::WorkflowIx;
use hyperscale_core::plan::{
    Executor, OnGateLoss, OnWorkerLoss, Piece, Plan, Rate, RequestStep, Step, Template, When,
    Workflow,
};
use hyperscale_core::report::{JobResult, JobStatus};
use hyperscale_runtime::calls::Gate;
use hyperscale_runtime::demo::Shop;
use hyperscale_runtime::load::Engine;
use hyperscale_runtime::local::{Cluster, LocalOptions};

const CORES: u16 = 2;

pub(crate) fn get(path: &str) -> Step {
    let target = vec![Piece::Text(path.to_owned())].try_into().unwrap();
    Step::Request(Box::new(RequestStep {
        name: path.to_owned(),
        method: "GET".to_owned(),
        target: Template(target),
        headers: BoundedVec::default(),
        body: None,
        expect_status: BoundedVec::default(),
        expect_body: None,
        captures: BoundedVec::default(),
        timeout: Duration::from_secs(30),
    }))
}

fn workflow(name: &str, after: &[u16], executor: Executor, flow: Vec<Step>) -> Workflow {
    let after: Vec<_> = after.iter().map(|ix| WorkflowIx::new(*ix)).collect();
    Workflow {
        name: name.to_owned(),
        after: after.try_into().unwrap(),
        when: When::Ok,
        executor,
        graceful_stop: Duration::from_secs(30),
        flow: flow.try_into().unwrap(),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    }
}

fn plan(base_url: String) -> Plan {
    let rate = Rate { count: 400, unit: Duration::from_secs(1) };
    let duration = Duration::from_millis(1500);
    let arrivals = Executor::ConstantArrivalRate { rate, duration, max_vus: 100 };
    let max_duration = Duration::from_secs(60);
    let shared = Executor::SharedIterations { vus: 7, iterations: 1001, max_duration };
    let per_vu = Executor::PerVuIterations { vus: 3, iterations: 100, max_duration };
    let looped = Executor::ConstantVus { vus: 5, duration: Duration::from_millis(700) };
    let workflows = vec![
        workflow("arrivals", &[], arrivals, vec![get("/"), get("/items")]),
        workflow("shared", &[0], shared, vec![get("/items/1")]),
        workflow("per-vu", &[1], per_vu, vec![get("/status/404")]),
        workflow("looped", &[2], looped, vec![get("/")]),
    ];
    Plan {
        name: "all".to_owned(),
        base_url,
        workflows: workflows.try_into().unwrap(),
        data: BoundedVec::default(),
        thresholds: BoundedVec::default(),
        datacenters: Default::default(),
        placement: Default::default(),
        on_worker_loss: OnWorkerLoss::Replace,
        on_gate_loss: OnGateLoss::Finish,
        seed: 1,
        index_header: true,
        timeout: None,
        retries: 10,
    }
}

async fn ran(gate: &Gate, plan: Plan) -> JobResult {
    let submit = Command::Submit { key: "k".to_owned(), plan: Box::new(plan) };
    let job = loop {
        match gate.ask(submit.clone()).await.unwrap() {
            Reply::Submitted { job, existing: _ } => break job,
            Reply::Refused(Refusal::NotReady) => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    };
    loop {
        match gate.ask(Command::Result(job)).await.unwrap() {
            Reply::Result(result) => return *result,
            Reply::Refused(Refusal::NotEnded(_)) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_server_counts_what_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let options = LocalOptions {
        state_dir: dir.path().to_owned(),
        cores: CORES,
        record: None,
        event_log: None,
    };
    let engine = |inbox| Ok(Engine::start(CORES, inbox)?.into_orders());
    let cluster = Cluster::start(&options, engine).unwrap();
    let shop = Shop::start().unwrap();
    let plan = plan(format!("http://{}", shop.address()));
    let limit = Duration::from_secs(60);
    let result = tokio::time::timeout(limit, ran(&cluster.gate(), plan)).await.unwrap();
    assert_eq!(result.status, JobStatus::Completed, "{}", result.reason);
    assert!(!result.is_degraded());

    let [arrivals, shared, per_vu, looped] = &result.result.workflows[..] else { panic!() };
    let arrivals = &arrivals.totals;
    assert_eq!((arrivals.iterations + arrivals.dropped, arrivals.interrupted), (600, 0));
    assert_eq!(arrivals.start_lag.count(), arrivals.iterations);
    assert_eq!(arrivals.steps[0].latency.count(), arrivals.iterations);
    assert_eq!(shared.totals.iterations, 1001);
    assert_eq!((per_vu.totals.iterations, per_vu.totals.steps[0].errors.status), (300, 300));
    assert!(looped.totals.iterations > 5);
    let steps = result.result.workflows.iter().flat_map(|w| w.totals.steps.iter());
    let reported: u64 = steps.clone().map(|step| step.requests).sum();
    assert_eq!(reported, shop.requests());
    assert_eq!(steps.map(|step| step.duration.count()).sum::<u64>(), reported);
}
