use std::time::Duration;

use crate::ids::WorkflowIx;
use crate::limits;
use crate::plan::raw::RawPlan;
use crate::plan::{
    Capture, CaptureFrom, Comparison, DataSource, Executor, JsonKey, Metric, OnGateLoss, Piece,
    Plan, Rate, RequestStep, RowOrder, Step, Template, Threshold, ThresholdStat, When, Workflow,
    check,
};

fn request(name: &str, pieces: Vec<Piece>, captures: Vec<Capture>) -> Step {
    Step::Request(Box::new(RequestStep {
        name: name.to_owned(),
        method: "GET".to_owned(),
        target: Template(pieces.try_into().unwrap()),
        headers: Vec::new().try_into().unwrap(),
        body: None,
        expect_status: vec![(200, 299)].try_into().unwrap(),
        expect_body: None,
        captures: captures.try_into().unwrap(),
        timeout: Duration::from_secs(1),
    }))
}

fn workflow(name: &str, after: Vec<WorkflowIx>) -> Workflow {
    let token = CaptureFrom::Json(vec![JsonKey::Key("token".to_owned())].try_into().unwrap());
    let text = |text: &str| Piece::Text(text.to_owned());
    let flow = vec![
        request("one", vec![text("/")], vec![Capture { slot: 0, from: token }]),
        Step::Think { min: Duration::ZERO, max: Duration::from_secs(1) },
        request(
            "two",
            vec![text("/"), Piece::Captured(0), Piece::Row { source: 0, column: 1 }],
            vec![],
        ),
    ];
    Workflow {
        name: name.to_owned(),
        after: after.try_into().unwrap(),
        when: When::Ok,
        executor: Executor::ConstantArrivalRate {
            rate: Rate { count: 5, unit: Duration::from_secs(1) },
            duration: Duration::from_secs(1),
            max_vus: 1,
        },
        graceful_stop: Duration::ZERO,
        flow: flow.try_into().unwrap(),
        captures: 1,
        priority: Default::default(),
        retries: 3,
    }
}

fn good() -> Plan {
    let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()].try_into().unwrap();
    let source = DataSource {
        name: "row".to_owned(),
        columns: row("user", "n"),
        rows: vec![row("ann", "1"), row("bob", "2")].try_into().unwrap(),
        order: RowOrder::Random,
    };
    let threshold = Threshold {
        metric: Metric::HttpReqDuration,
        workflow: Some(WorkflowIx::new(1)),
        step: Some("two".to_owned()),
        stat: ThresholdStat::Max,
        op: Comparison::Less,
        bound_micro: 5_000_000,
        abort_on_fail: false,
        text: "max<5".to_owned(),
    };
    let second = workflow("b", vec![WorkflowIx::new(0)]);
    Plan {
        name: "plan".to_owned(),
        base_url: "http://[::1]:80/shop".to_owned(),
        workflows: vec![workflow("a", vec![]), second].try_into().unwrap(),
        data: vec![source].try_into().unwrap(),
        thresholds: vec![threshold].try_into().unwrap(),
        datacenters: Default::default(),
        placement: Default::default(),
        on_worker_loss: Default::default(),
        on_gate_loss: OnGateLoss::Finish,
        seed: 0,
        index_header: false,
        timeout: None,
        retries: 10,
    }
}

fn first_request(plan: &mut Plan) -> &mut RequestStep {
    let Step::Request(step) = &mut plan.workflows[0].flow[0] else { panic!("a request") };
    step
}

type Spoil = fn(&mut Plan);

/// What is refused, and the edit that makes it so.
const SPOILT: &[(&str, Spoil)] = &[
    ("name: a name has", |p| p.name.clear()),
    ("base_url: not a base URL", |p| p.base_url = "http://a:0".to_owned()),
    ("base_url: not a base URL", |p| p.base_url = "http://a b".to_owned()),
    ("base_url: not a base URL", |p| p.base_url = "http://a/?q".to_owned()),
    ("workflows: there is no workflow", |p| p.workflows.clear()),
    ("workflows.: a name has", |p| p.workflows[1].name.clear()),
    ("workflows.a: `a` is given twice", |p| p.workflows[1].name = "a".to_owned()),
    ("workflows.b.after.0: there is no such workflow", |p| {
        p.workflows[1].after[0] = WorkflowIx::new(2);
    }),
    ("workflows.b.after: a cycle: b after b", |p| {
        p.workflows[1].after[0] = WorkflowIx::new(1);
    }),
    ("workflows.b.after.1: `a` is given twice", |p| {
        p.workflows[1].after.push(WorkflowIx::new(0)).unwrap();
    }),
    ("workflows.a.vus: `vus` must be above zero", |p| {
        let second = Duration::from_secs(1);
        p.workflows[0].executor = Executor::ConstantVus { vus: 0, duration: second };
    }),
    ("workflows.a.iterations: too many", |p| {
        let max_duration = Duration::from_secs(1);
        p.workflows[0].executor =
            Executor::PerVuIterations { vus: 2, iterations: u64::MAX, max_duration };
    }),
    ("workflows.a.graceful_stop: longer than 7 days", |p| {
        p.workflows[0].graceful_stop = Duration::MAX;
    }),
    ("workflows.a.flow: there is no request", |p| {
        p.workflows[0].flow.retain(|step| matches!(step, Step::Think { .. }));
    }),
    ("workflows.a.flow: slots and captures differ", |p| p.workflows[0].captures = 2),
    ("workflows.a.flow.0.capture: there is no such slot", |p| p.workflows[0].captures = 0),
    ("workflows.a.flow.0.get: a hole refers to nothing", |p| p.workflows[0].flow.swap(0, 2)),
    ("workflows.a.flow.2.get: a hole refers to nothing", |p| p.data.clear()),
    ("workflows.a.flow.0.get: a path starts with", |p| first_request(p).target.0.clear()),
    ("workflows.a.flow.0.method: not a method", |p| first_request(p).method.push(' ')),
    ("workflows.a.flow.0.expect.status: status codes", |p| {
        first_request(p).expect_status[0] = (299, 200);
    }),
    ("workflows.a.flow.0.headers.a: a header has no line break", |p| {
        let value = Template(vec![Piece::Text("x\r\ny".to_owned())].try_into().unwrap());
        first_request(p).headers.push(("a".to_owned(), value)).unwrap();
    }),
    ("workflows.a.flow.0.timeout: `timeout` must be above zero", |p| {
        first_request(p).timeout = Duration::ZERO;
    }),
    ("data.row.rows: there is no row", |p| p.data[0].rows.clear()),
    ("data.row.rows.1: 1 values in a row", |p| {
        p.data[0].rows[1].pop();
    }),
    ("data.row.columns.1: `user` is given twice", |p| {
        p.data[0].columns[1] = "user".to_owned();
    }),
    ("thresholds.http_req_duration{step:two}: there is no such workflow", |p| {
        p.thresholds[0].workflow = Some(WorkflowIx::new(9));
    }),
    ("thresholds.http_req_duration{workflow:b,step:two}: the expression and", |p| {
        p.thresholds[0].bound_micro = 1;
    }),
    ("thresholds.http_req_failed{workflow:b,step:two}: the metric does not", |p| {
        p.thresholds[0].metric = Metric::HttpReqFailed;
    }),
    ("thresholds.iteration_duration{workflow:b,step:two}: `iteration_duration` is not", |p| {
        p.thresholds[0].metric = Metric::IterationDuration;
    }),
    ("thresholds.http_req_duration{workflow:b,step:x}: unknown step", |p| {
        p.thresholds[0].step = Some("x".to_owned());
    }),
    ("timeout: `timeout` must be above zero", |p| p.timeout = Some(Duration::ZERO)),
    ("timeout: longer than 7 days", |p| p.timeout = Some(Duration::MAX)),
    ("retries: at most 50", |p| p.retries = 51),
    ("workflows.a.retries: at most 5", |p| p.workflows[0].retries = 6),
    ("on_gate_loss.stop_after: `stop_after` must be above zero", |p| {
        p.on_gate_loss = OnGateLoss::StopAfter(Duration::ZERO);
    }),
    ("the plan with its rows has more than", |p| {
        p.data[0].rows[0][0] = "x".repeat(limits::PLAN_BYTES_MAX);
    }),
];

#[test]
fn every_promise_of_a_plan_is_checked_again() {
    assert_eq!(good().check_again(), Ok(()));
    for (expected, spoil) in SPOILT {
        let mut plan = good();
        spoil(&mut plan);
        let refused = plan.check_again().expect_err(expected).to_string();
        assert!(refused.starts_with(expected), "{refused}\n{expected}");
    }
}

#[test]
fn a_long_cycle_is_named_without_what_leads_to_it() {
    let mut plan = good();
    plan.workflows.push(workflow("c", vec![WorkflowIx::new(1)])).unwrap();
    plan.workflows.push(workflow("d", vec![WorkflowIx::new(2)])).unwrap();
    plan.workflows[0].after.push(WorkflowIx::new(3)).unwrap();
    plan.workflows[1].after = vec![WorkflowIx::new(2)].try_into().unwrap();
    let refused = plan.check_again().unwrap_err().to_string();
    let expected = "workflows.c.after: a cycle: c after b after c";
    assert_eq!(refused, expected);
}

#[test]
fn an_empty_raw_plan_lacks_a_base_url() {
    assert_eq!(check(&RawPlan::default()).unwrap_err().to_string(), "`base_url` is missing");
}
