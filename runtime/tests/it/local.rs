//! The in-process cluster, with an engine that ends every run as soon as it may issue.

use std::time::Duration;

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::ids::{JobId, WorkflowIx};
use hyperscale_core::input::{EngineEvent, Input, Progress};
use hyperscale_core::plan::{Executor, OnGateLoss, OnWorkerLoss, Plan, When, Workflow};
use hyperscale_core::report::{JobResult, JobStatus};
use hyperscale_core::stats::Totals;
use hyperscale_runtime::calls::Gate;
use hyperscale_runtime::driver::EngineOrder;
use hyperscale_runtime::local::{Cluster, LocalOptions};
use hyperscale_runtime::node::Orders;
use tokio::sync::mpsc;

fn workflow(name: &str, after: &[u16], iterations: u64) -> Workflow {
    let executor =
        Executor::SharedIterations { vus: 4, iterations, max_duration: Duration::from_secs(60) };
    let after: Vec<_> = after.iter().map(|ix| WorkflowIx::new(*ix)).collect();
    Workflow {
        name: name.to_owned(),
        after: after.try_into().unwrap(),
        when: When::Ok,
        executor,
        graceful_stop: Duration::from_secs(1),
        flow: vec![crate::load::get("/")].try_into().unwrap(),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    }
}

fn plan() -> Plan {
    Plan {
        name: "two".to_owned(),
        base_url: "demo".to_owned(),
        workflows: vec![workflow("first", &[], 40), workflow("second", &[0], 20)]
            .try_into()
            .unwrap(),
        data: Default::default(),
        thresholds: Default::default(),
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

fn instant_engine(inputs: mpsc::Sender<Input>) -> std::io::Result<Orders> {
    let tell = move |event| drop(inputs.try_send(Input::Engine(Box::new(event))));
    let mut items = std::collections::BTreeMap::new();
    Ok(Box::new(move |order| match order {
        EngineOrder::Start { run, slice } => {
            items.insert(run, slice.items_total().unwrap_or(0));
            tell(EngineEvent::Prepared { run });
        }
        EngineOrder::Permit { run, permit: _ } => {
            let Some(done) = items.remove(&run) else { return };
            let progress =
                Progress { next: done, started: done, ended: done, ..Progress::default() };
            let totals = Box::new(Totals { iterations: done, ..Totals::default() });
            tell(EngineEvent::Ended { run, completed: true, progress, totals });
        }
        EngineOrder::Stop { .. } => {}
    }))
}

async fn result(gate: &Gate, job: JobId) -> JobResult {
    loop {
        match gate.ask(Command::Result(job)).await.unwrap() {
            Reply::Result(result) => return *result,
            Reply::Refused(Refusal::NotEnded(_)) => {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_plan_runs_to_its_result() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        LocalOptions { state_dir: dir.path().to_owned(), cores: 2, record: None, event_log: None };
    let cluster = Cluster::start(&options, instant_engine).unwrap();
    let gate = cluster.gate();
    let plan = Box::new(plan());
    let submit = Command::Submit { key: "k".to_owned(), plan };
    let job = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            match gate.ask(submit.clone()).await.unwrap() {
                Reply::Submitted { job, existing: _ } => return job,
                Reply::Refused(Refusal::NotReady) => tokio::task::yield_now().await,
                other => panic!("{other:?}"),
            }
        }
    })
    .await
    .unwrap();
    let limit = Duration::from_secs(20);
    let result = tokio::time::timeout(limit, result(&gate, job)).await.unwrap();
    assert_eq!(result.status, JobStatus::Completed);
    let iterations: Vec<u64> =
        result.result.workflows.iter().map(|workflow| workflow.totals.iterations).collect();
    assert_eq!(iterations, vec![40, 20]);
    assert!(!result.is_degraded());
}
