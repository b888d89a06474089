use std::time::{Duration, UNIX_EPOCH};

use hyperscale_core::ids::{JobId, NodeId, PartIx, ShardIx, WorkflowIx};
use hyperscale_core::plan::PlanTime;
use hyperscale_core::report::{
    self, JobResult, JobStatus, LossKind, PartResult, ThresholdOutcome, WorkflowNames,
    WorkflowResult, WorkflowStatus,
};
use hyperscale_core::stats::{Errors, Histogram, Recorder, StepTotals, Totals};

use super::*;

fn histogram(samples: &[(u64, u64)]) -> Histogram {
    let mut recorder = Recorder::default();
    for (value, count) in samples {
        (0..*count).for_each(|_| recorder.record(*value));
    }
    recorder.snapshot()
}

fn step(requests: u64, failed: u64) -> StepTotals {
    let slow = requests / 100;
    let mut step = StepTotals {
        requests,
        failed,
        interrupted: 1,
        errors: Errors { timeout: failed, ..Errors::default() },
        checks_passed: requests - failed,
        checks_failed: failed,
        sent: requests * 120,
        received: requests * 2048,
        duration: histogram(&[(350, requests - slow), (12_340, slow)]),
        waiting: histogram(&[(300, requests)]),
        ..StepTotals::default()
    };
    step.statuses.insert(200, requests - failed).expect("few statuses");
    step
}

fn workflow(place: u16, status: WorkflowStatus, totals: Totals) -> WorkflowResult {
    WorkflowResult {
        workflow: WorkflowIx::new(place),
        status,
        reason: String::new(),
        ran: Duration::from_millis(30_000),
        start_skew: Duration::from_micros(1500),
        shards: 2,
        totals: Box::new(totals),
        planned_ms: 60_000,
        covered_ms: 60_000,
        losses: Default::default(),
    }
}

fn part() -> report::PartRow {
    report::PartRow {
        datacenter: "east".to_owned(),
        outcome: report::PartOutcome::Completed,
        reason: String::new(),
        workers: 3,
        workers_lost: 1,
        planned_ms: 60_000,
        covered_ms: 57_001,
    }
}

/// Two workflows, one of them open loop on a worker that was lost.
fn result() -> JobResult {
    let mut login = workflow(
        0,
        WorkflowStatus::Completed,
        Totals {
            iterations: 59_990,
            interrupted: 2,
            dropped: 8,
            iteration_duration: histogram(&[(800, 59_990)]),
            start_lag: histogram(&[(20, 59_000), (90, 990)]),
            steps: vec![step(60_000, 12), step(59_990, 0)].try_into().expect("two steps"),
            coarse: 0,
            watched: 240,
            saturated: 12,
        },
    );
    login.totals.steps[0].latency = histogram(&[(400, 60_000)]);
    login.covered_ms = 57_001;
    for (kind, items) in [(LossKind::Unreported, 40), (LossKind::Unserved, 8)] {
        let loss = report::Loss {
            part: PartIx::new(0),
            shard: ShardIx::new(1),
            worker: NodeId::new(12),
            kind,
            from: PlanTime::at(Duration::from_secs(9)),
            until: PlanTime::at(Duration::from_millis(11_500)),
            items,
        };
        login.losses.push(loss).expect("two losses");
    }
    let mut browse = workflow(1, WorkflowStatus::Skipped, Totals::default());
    browse.reason = "login did not complete".to_owned();
    (browse.planned_ms, browse.covered_ms, browse.ran) = (0, 0, Duration::ZERO);
    let names = |name: &str, steps: &[&str]| WorkflowNames {
        name: name.to_owned(),
        steps: steps.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>().try_into().expect("few"),
    };
    let threshold = |metric: &str, text: &str, ok, observed_micro| ThresholdOutcome {
        metric: metric.to_owned(),
        text: text.to_owned(),
        ok,
        observed_micro,
    };
    JobResult {
        job: JobId::new(17),
        name: "checkout".to_owned(),
        status: JobStatus::Completed,
        reason: String::new(),
        ran: Duration::from_secs(30),
        result: PartResult {
            cancelled: false,
            workers_lost: 1,
            workers: 3,
            workflows: vec![login, browse].try_into().expect("two"),
        },
        parts: vec![part()].try_into().expect("one"),
        names: vec![names("login", &["login", "cart"]), names("browse", &["items"])]
            .try_into()
            .expect("two"),
        thresholds: vec![
            threshold("http_req_duration", "p(95)<200", true, Some(350_000)),
            threshold("http_req_duration", "p(99) < 10", false, Some(12_340_000)),
            threshold("http_req_failed", "rate<0.01", true, Some(100)),
            threshold("http_req_duration{step:items}", "avg<5", false, None),
            threshold("http_reqs", "count>=500", true, Some(119_990_000_000)),
        ]
        .try_into()
        .expect("five"),
    }
}

fn summary() -> Summary {
    Summary::of(&result(), UNIX_EPOCH + Duration::from_secs(1_767_225_599))
}

/// With `BLESS` set the file is written, so that a wanted change is reviewed as a diff.
fn check_golden(name: &str, actual: &str) {
    let path = format!("{}/src/summary/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file");
    assert_eq!(actual, expected, "{name} differs");
}

#[test]
fn the_text_is_golden() {
    check_golden("summary.txt", &summary().text(false));
}

#[test]
fn the_document_is_golden_and_reads_back_to_the_same_text() {
    let summary = summary();
    let text = serde_json::to_string_pretty(&summary).expect("serialises");
    check_golden("summary.json", &(text.clone() + "\n"));
    let back: Summary = serde_json::from_str(&text).expect("parses");
    assert_eq!(back, summary);
    assert_eq!(back.text(true), summary.text(true));
}

#[test]
fn color_marks_outcomes_only_when_asked() {
    assert!(!summary().text(false).contains('\x1b'));
    let text = summary().text(true);
    assert!(text.contains("\x1b[32m✓\x1b[0m 'p(95)<200'"), "{text}");
    assert!(text.contains("\x1b[31m✗\x1b[0m 'p(99) < 10'"), "{text}");
}

#[test]
fn counters_are_exact_above_the_precision_of_a_float() {
    let mut result = result();
    let exact = (1 << 53) + 1;
    result.result.workflows[0].totals.iterations = exact;
    let document = serde_json::to_value(Summary::of(&result, UNIX_EPOCH)).expect("serialises");
    let metrics = document["results"]["metrics"].as_array().expect("metrics");
    let iterations = metrics.iter().find(|one| one["name"] == "iterations").expect("iterations");
    assert_eq!(iterations["values"]["count"].as_u64(), Some(exact));
}

#[test]
fn coverage_below_one_is_never_rounded_up() {
    let mut result = result();
    result.result.workflows[0].covered_ms = 59_999_999;
    result.result.workflows[0].planned_ms = 60_000_000;
    let text = Summary::of(&result, UNIX_EPOCH).text(false);
    assert!(text.contains("coverage: 99.99%"), "{text}");
}

#[test]
fn several_datacenters_have_a_row_each_and_the_missing_one_its_loss() {
    let mut result = result();
    result.status = JobStatus::Partial;
    result.reason = "no result from datacenter west in time".to_owned();
    let missing = report::PartRow {
        datacenter: "west".to_owned(),
        outcome: report::PartOutcome::Missing,
        reason: "no result in time".to_owned(),
        workers: 0,
        workers_lost: 0,
        planned_ms: 60_000,
        covered_ms: 0,
    };
    result.parts.push(missing).expect("two parts");
    let loss = report::Loss {
        part: PartIx::new(1),
        shard: ShardIx::new(0),
        worker: NodeId::new(0),
        kind: LossKind::Unreported,
        from: PlanTime::ZERO,
        until: PlanTime::at(Duration::from_secs(30)),
        items: u64::MAX,
    };
    result.result.workflows[0].losses.push(loss).expect("three losses");
    let text = Summary::of(&result, UNIX_EPOCH).text(false);
    let lines = [
        "  reason: no result from datacenter west in time",
        "  datacenter east: completed   coverage: 95.00%   workers: 3   lost: 1",
        "  datacenter west: missing   coverage: 0.00%   workers: 0   lost: 0   no result in time",
        "    unreported: login shard 1 on worker n12 in datacenter east from 9s until 11.5s: 40 \
         iterations may have been issued and are not in the totals",
        "    unreported: login in datacenter west from 0s until 30s: unknown many iterations may \
         have been issued and are not in the totals",
    ];
    for line in lines {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let document = serde_json::to_value(Summary::of(&result, UNIX_EPOCH)).expect("serialises");
    assert_eq!(document["cluster"]["datacenters"][1]["outcome"], "missing");
    assert!(document["cluster"]["losses"][2]["items"].is_null());
}

#[test]
fn a_saturated_generator_says_so() {
    let summary = Summary::of(&result(), std::time::UNIX_EPOCH);
    let generator = summary.cluster.generator;
    assert_eq!((generator.saturated_seconds, generator.watched_seconds), (12, 240));
    let text = summary.text(false);
    let line = "SATURATED: the load generator was at its limit in 12 of 240 core-seconds: what was";
    assert!(text.contains(line), "{text}");
    let mut fine = result();
    for workflow in &mut fine.result.workflows {
        workflow.totals.saturated = 0;
    }
    assert!(!Summary::of(&fine, std::time::UNIX_EPOCH).text(false).contains("SATURATED"));
}
