use super::*;
use crate::bounded::BoundedVec;
use crate::plan::{Executor, OnGateLoss, OnWorkerLoss, RequestStep, Template, When, Workflow};
use crate::stats::Recorder;

const SECOND: Duration = Duration::from_secs(1);

fn request(name: &str) -> Step {
    Step::Request(Box::new(RequestStep {
        name: name.into(),
        method: "GET".into(),
        target: Template::default(),
        headers: BoundedVec::new(),
        body: None,
        expect_status: BoundedVec::new(),
        expect_body: None,
        captures: BoundedVec::new(),
        timeout: SECOND,
    }))
}

fn workflow(name: &str, after: &[u16]) -> Workflow {
    let think = Step::Think { min: SECOND, max: SECOND };
    Workflow {
        name: name.into(),
        after: after.iter().copied().map(WorkflowIx::new).collect::<Vec<_>>().try_into().unwrap(),
        when: When::Ok,
        executor: Executor::ConstantVus { vus: 1, duration: SECOND },
        graceful_stop: SECOND,
        flow: vec![request("login"), think, request("items")].try_into().unwrap(),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    }
}

fn threshold(metric: &str, text: &str) -> Threshold {
    let (stat, op, bound_micro) = parse(text).unwrap();
    Threshold {
        metric: Metric::from_name(metric).unwrap(),
        workflow: None,
        step: None,
        stat,
        op,
        bound_micro,
        abort_on_fail: false,
        text: text.into(),
    }
}

fn plan(thresholds: Vec<Threshold>) -> Plan {
    let workflows = vec![workflow("buy", &[1]), workflow("warm", &[]), workflow("side", &[])];
    Plan {
        name: "shop".into(),
        base_url: "demo".into(),
        workflows: workflows.try_into().unwrap(),
        data: BoundedVec::new(),
        thresholds: thresholds.try_into().unwrap(),
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

fn times(of: impl IntoIterator<Item = u64>) -> Histogram {
    let mut recorder = Recorder::new();
    of.into_iter().for_each(|us| recorder.record(us));
    recorder.snapshot()
}

/// Logins take 1 ms, items 2 ms; `requests` of each, one in ten items failed.
fn totals(requests: u64) -> Totals {
    let step = |us, failed| StepTotals {
        requests,
        failed,
        checks_passed: requests - failed,
        checks_failed: failed,
        sent: 100 * requests,
        received: 1000 * requests,
        duration: times((0..requests).map(|_| us)),
        ..StepTotals::default()
    };
    Totals {
        iterations: requests,
        dropped: 3,
        iteration_duration: times([5_000]),
        steps: vec![step(1_000, 0), step(2_000, requests / 10)].try_into().unwrap(),
        ..Totals::default()
    }
}

fn of(workflow: u16, totals: &Totals, seconds: u64) -> WorkflowTotals<'_> {
    let ran = seconds * 1_000;
    WorkflowTotals {
        workflow: WorkflowIx::new(workflow),
        totals,
        ran: Duration::from_millis(ran),
        planned_ms: ran,
        covered_ms: ran - ran / 4,
    }
}

fn judge(threshold: Threshold) -> ThresholdOutcome {
    let (buy, warm, side) = (totals(100), totals(20), totals(40));
    let workflows = vec![of(0, &buy, 10), of(1, &warm, 5), of(2, &side, 12)];
    evaluate(&plan(vec![threshold]), &JobTotalsView { workflows }).remove(0)
}

#[test]
fn values_of_every_kind_are_exact() {
    let cases = [
        ("http_reqs", "count==320", 320_000_000),
        // `buy` waits for `warm`: 15 s in all.
        ("http_reqs", "rate<21.333334", 21_333_333),
        ("http_reqs", "rate>21.333333", 21_333_333),
        ("http_req_failed", "rate==0.05", 50_000),
        ("checks", "rate>=0.95", 950_000),
        ("coverage", "rate==0.75", 750_000),
        ("dropped_iterations", "count<10", 9_000_000),
        ("data_received", "count==320000", 320_000_000_000),
        ("http_req_duration", "avg==1.5", 1_500_000),
        ("http_req_duration", "med==1", 1_000_000),
        ("http_req_duration", "p(50.001)==2", 2_000_000),
        ("http_req_duration", "max<=2ms", 2_000_000),
        ("http_req_duration", "count==320", 320_000_000),
        ("iteration_duration", "min<=5", 5_000_000),
    ];
    for (metric, text, observed) in cases {
        let outcome = judge(threshold(metric, text));
        assert!(outcome.ok, "{outcome:?}");
        assert_eq!(outcome.observed_micro, Some(observed), "{outcome:?}");
        assert_eq!((outcome.metric.as_str(), outcome.text.as_str()), (metric, text));
    }
}

#[test]
fn the_other_side_of_each_bound_fails() {
    let cases = [
        ("http_reqs", "count!=320"),
        ("http_reqs", "rate<=21.333333"),
        ("http_req_failed", "rate<0.05"),
        ("coverage", "rate>0.75"),
        ("http_req_duration", "avg<1.5"),
        ("http_req_duration", "p(95)<2"),
    ];
    for (metric, text) in cases {
        let outcome = judge(threshold(metric, text));
        assert!(!outcome.ok && outcome.observed_micro.is_some(), "{outcome:?}");
    }
}

#[test]
fn selectors_narrow_the_samples() {
    let login =
        Threshold { step: Some("login".into()), ..threshold("http_req_duration", "max==1") };
    let outcome = judge(login);
    assert!(outcome.ok);
    assert_eq!(outcome.metric, "http_req_duration{step:login}");

    let items = Threshold {
        workflow: Some(WorkflowIx::new(1)),
        step: Some("items".into()),
        ..threshold("http_reqs", "count==20")
    };
    let outcome = judge(items);
    assert!(outcome.ok, "{outcome:?}");
    assert_eq!(outcome.metric, "http_reqs{workflow:warm,step:items}");

    let buy =
        Threshold { workflow: Some(WorkflowIx::new(0)), ..threshold("iterations", "rate==10") };
    assert!(judge(buy).ok);
}

#[test]
fn no_samples_fail_whatever_the_bound() {
    let none = [
        threshold("http_req_latency", "p(95)>=0"),
        threshold("http_req_latency", "count==0"),
        Threshold { step: Some("pay".into()), ..threshold("http_req_duration", "p(95)>=0") },
        Threshold { step: Some("pay".into()), ..threshold("http_req_failed", "rate<1") },
        Threshold { step: Some("login".into()), ..threshold("iterations", "count>=0") },
        threshold("http_reqs", "avg>=0"),
        threshold("checks", "count>=0"),
    ];
    for threshold in none {
        let outcome = judge(threshold);
        assert_eq!((outcome.ok, outcome.observed_micro), (false, None), "{outcome:?}");
    }
}

#[test]
fn a_counter_of_what_ran_is_zero_and_of_what_never_ran_nothing() {
    let idle = Totals::default();
    let judge = |seconds| {
        let thresholds = vec![threshold("dropped_iterations", "count==0")];
        let workflows = vec![of(0, &idle, seconds)];
        evaluate(&plan(thresholds), &JobTotalsView { workflows }).remove(0)
    };
    assert_eq!((judge(1).ok, judge(1).observed_micro), (true, Some(0)));
    assert_eq!((judge(0).ok, judge(0).observed_micro), (false, None));
}
