//! Golden bytes: one sample of every message and every kind of record. Changed bytes are a changed
//! protocol or a journal that an earlier build cannot read. `BLESS=1` rewrites the files and the
//! fuzz corpora.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::consensus::Entry;
use hyperscale_core::ids::{
    BootId, Fence, GroupId, JobId, LogIndex, NodeId, PartId, PartIx, RunId, ShardId, ShardIx, Term,
    WorkflowIx,
};
use hyperscale_core::input::Progress;
use hyperscale_core::journal::segment::{Header, Identity, write_header, write_record};
use hyperscale_core::journal::{LedgerSnapshot, Record, Snapshot, snapshot};
use hyperscale_core::plan::raw::RawPlan;
use hyperscale_core::plan::{Plan, PlanTime, Share, Slice, Stripe, check};
use hyperscale_core::report::{
    Loss, LossKind, PartResult, WorkflowResult, WorkflowStatus, WorkflowView,
};
use hyperscale_core::stats::{Recorder, StepTotals, Totals};
use hyperscale_core::wire::frame::{FRAME_MAX, encode_frame};
use hyperscale_core::wire::{
    Begin, CancelPart, Capacity, Confirm, Final, Heartbeat, Message, Offer, Parked, PartAck,
    PartPhase, PartReport, Prepare, Probe, Report, RunBeat, RunEnd, RunState, Verdict, VerdictKind,
    codec,
};
use proptest::prelude::*;

const PLAN: &str = r#"{"name":"golden","base_url":"http://127.0.0.1:8080/shop","seed":42,
  "data":{"row":{"columns":["u"],"rows":[["ann"],["bob"]],"order":"random"}},
  "thresholds":{"http_req_duration":["p(95)<200"]},
  "workflows":{
    "login":{"executor":"constant-arrival-rate","rate":"500/s","duration":"2s","max_vus":40,
      "flow":[{"name":"login","post":"/login","json":{"u":"${row.u}"},
        "capture":{"token":"$.token"},"expect":{"status":200}},{"think":"1s..3s"}]},
    "browse":{"after":["login"],"executor":"shared-iterations","vus":3,"iterations":10,
      "flow":[{"name":"items","get":"/items"}]}}}"#;

fn plan() -> Plan {
    let raw: RawPlan = serde_json::from_str(PLAN).unwrap();
    check(&raw).unwrap()
}

fn fence(index: u64) -> Fence {
    Fence { group: GroupId::new(7), index: LogIndex::new(index) }
}

fn part() -> PartId {
    PartId { job: JobId::new(3), part: PartIx::new(0) }
}

fn run() -> RunId {
    let shard =
        ShardId { job: JobId::new(3), workflow: WorkflowIx::new(1), shard: ShardIx::new(2) };
    RunId { shard, fence: fence(9) }
}

fn list<T: std::fmt::Debug, const N: usize>(items: Vec<T>) -> BoundedVec<T, N> {
    BoundedVec::try_from(items).unwrap()
}

fn totals() -> Box<Totals> {
    let mut duration = Recorder::new();
    for us in [120, 130, 5_000, 7_000_000_000] {
        duration.record(us);
    }
    let mut step =
        StepTotals { requests: 4, failed: 1, duration: duration.snapshot(), ..Default::default() };
    step.errors.timeout = 1;
    step.on_status(200, 3);
    Box::new(Totals {
        iterations: 3,
        interrupted: 1,
        dropped: 2,
        steps: list(vec![step]),
        ..Default::default()
    })
}

fn progress() -> Progress {
    Progress { next: 12, started: 10, ended: 9, dropped: 2, starved: true }
}

fn result() -> PartResult {
    let loss = Loss {
        part: PartIx::new(0),
        shard: ShardIx::new(2),
        worker: NodeId::new(21),
        kind: LossKind::Unreported,
        from: PlanTime::at(Duration::from_secs(1)),
        until: PlanTime::at(Duration::from_secs(2)),
        items: 500,
    };
    let workflow = WorkflowResult {
        workflow: WorkflowIx::new(0),
        status: WorkflowStatus::Completed,
        reason: String::new(),
        ran: Duration::from_secs(2),
        start_skew: Duration::from_millis(3),
        shards: 4,
        totals: totals(),
        planned_ms: 8000,
        covered_ms: 7000,
        losses: list(vec![loss]),
    };
    PartResult { cancelled: false, workers_lost: 1, workers: 3, workflows: list(vec![workflow]) }
}

fn slice() -> Box<Slice> {
    let plan = plan();
    let workflow = plan.workflows.first().unwrap().clone();
    Box::new(Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow,
        share: Share { vu_first: 10, vus: 10, stripe: Stripe::plain(1, 4) },
        first: 100,
        base_url: plan.base_url,
        data: plan.data,
        seed: plan.seed,
        index_header: true,
        late_max: Duration::from_millis(100),
    })
}

fn part_report(phase: PartPhase) -> PartReport {
    let view = WorkflowView {
        workflow: WorkflowIx::new(0),
        status: WorkflowStatus::Running,
        plan_time: PlanTime::from_nanos(-5),
        vus: 40,
        shards_live: 3,
        shards: 4,
        second: 1,
        totals: totals(),
    };
    PartReport { part: part(), fence: fence(5), seq: (2, 8), phase, workflows: list(vec![view]) }
}

fn messages() -> Vec<(&'static str, Message)> {
    let (boot, run) = (BootId::new(77), run());
    let beat = RunBeat {
        run,
        state: RunState::Parked,
        progress: progress(),
        ceiling: 40,
        plan_time: Some(PlanTime::from_nanos(1_000_000)),
    };
    let heartbeat =
        Heartbeat { boot, seq: 5, cores: 4, free: 3, draining: true, runs: list(vec![beat]) };
    let issue = VerdictKind::Issue {
        ttl: Duration::from_secs(3),
        ceiling: 44,
        plan_time: PlanTime::from_nanos(-100_000_000),
    };
    let kinds = [issue, VerdictKind::Hold, VerdictKind::Stop, VerdictKind::Forget];
    let verdicts = list(kinds.map(|kind| Verdict { run, kind }).to_vec());
    let report = Report { boot, run, seq: 2, second: 2, progress: progress(), totals: totals() };
    let parked = Parked { from: PlanTime::ZERO, until: PlanTime::from_nanos(9), dropped: 1 };
    let end = Final {
        boot,
        run,
        end: RunEnd::Failed { reason: "no such host".to_owned() },
        progress: progress(),
        plan_time: None,
        parked: list(vec![parked]),
        totals: totals(),
    };
    let begin =
        Begin { part: part(), fence: fence(6), offer: fence(5), start_in: Duration::from_secs(1) };
    let cancel = CancelPart { part: part(), fence: fence(8), workflow: Some(WorkflowIx::new(1)) };
    let refused = PartPhase::Refused { reason: "full".to_owned() };
    vec![
        ("offer", Offer { part: part(), fence: fence(5), plan: Box::new(plan()) }.into()),
        ("begin", begin.into()),
        ("cancel-part", cancel.into()),
        ("part-ack", PartAck { part: part() }.into()),
        ("part-report-refused", part_report(refused).into()),
        ("part-report-accepted", part_report(PartPhase::Accepted).into()),
        ("part-report-running", part_report(PartPhase::Running).into()),
        ("part-report-cancelling", part_report(PartPhase::Cancelling).into()),
        ("part-report-ended", part_report(PartPhase::Ended(Box::new(result()))).into()),
        ("capacity", Capacity { workers: 3, cores: 12, free: 5 }.into()),
        ("prepare", Prepare { boot, run, slice: slice() }.into()),
        ("confirm", Confirm { boot, seq: 5, verdicts }.into()),
        ("heartbeat", heartbeat.into()),
        ("report", report.into()),
        ("final", end.into()),
        ("probe", Probe {}.into()),
    ]
}

/// Fails to compile when a message is added; give it a sample above.
fn sampled(message: &Message) {
    match message {
        Message::Offer(_)
        | Message::Begin(_)
        | Message::CancelPart(_)
        | Message::PartAck(_)
        | Message::PartReport(_)
        | Message::Capacity(_)
        | Message::Prepare(_)
        | Message::Confirm(_)
        | Message::Heartbeat(_)
        | Message::Report(_)
        | Message::Final(_)
        | Message::Probe(_) => {}
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn bless() -> bool {
    std::env::var_os("BLESS").is_some()
}

fn corpus(target: &str, name: &str, bytes: &[u8]) {
    let dir = root().join("../fuzz/corpus").join(target);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(name), bytes).unwrap();
}

#[test]
fn every_message_has_its_golden_bytes_and_survives_a_round_trip() {
    let mut lines = String::new();
    for (name, message) in messages() {
        sampled(&message);
        let bytes = codec::encode(&message, FRAME_MAX).unwrap();
        assert_eq!(codec::decode::<Message>(&bytes).unwrap(), message, "{name}");
        writeln!(lines, "{name} {}", hex(&bytes)).unwrap();
        if bless() {
            let mut framed = Vec::new();
            encode_frame(1, &bytes, &mut framed).unwrap();
            corpus("wire_decode", name, &bytes);
            corpus("wire_decode", &format!("{name}-framed"), &framed);
        }
    }
    let path = root().join("tests/it/golden/messages.txt");
    if bless() {
        fs::write(&path, &lines).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    for (found, expected) in lines.lines().zip(golden.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(lines.lines().count(), golden.lines().count());
}

fn entry<C>(index: u64, command: Option<C>) -> Entry<C> {
    Entry { term: Term::new(2), index: LogIndex::new(index), command }
}

fn records() -> Vec<Record> {
    vec![
        Record::Formed { group: GroupId::new(7) },
        Record::Termed { term: Term::new(2) },
        Record::Manager(entry(1, None)),
        Record::Gate(entry(2, None)),
    ]
}

#[test]
fn records_have_their_golden_bytes() {
    let found: Vec<String> =
        records().iter().map(|record| hex(&codec::encode(record, FRAME_MAX).unwrap())).collect();
    assert_eq!(found, ["0007", "0102", "03020100", "02020200"]);
    if bless() {
        let identity = Identity { cluster: 1, node: 2, disk: 3 };
        let header = Header { identity, sequence: 1, first_lsn: 1 };
        let mut segment = Vec::new();
        write_header(&header, &mut segment);
        for (lsn, record) in (1..).zip(records()) {
            let payload = codec::encode(&record, FRAME_MAX).unwrap();
            write_record(&header, lsn, lsn - 1, &payload, &mut segment).unwrap();
        }
        corpus("journal_decode", "segment", &[&[0x0f], &segment[..]].concat());
        let state = Snapshot {
            group: GroupId::new(7),
            term: Term::new(2),
            index: LogIndex::new(2),
            ledger: LedgerSnapshot::Manager(Box::default()),
        };
        let payload = codec::encode(&state, FRAME_MAX).unwrap();
        let mut whole = Vec::new();
        snapshot::write_snapshot(&identity, 2, &payload, &mut whole);
        corpus("journal_decode", "snapshot", &[&[0xff], &whole[..]].concat());
        corpus("journal_decode", "torn", &[&[0x0f], &segment[..segment.len() - 3]].concat());
    }
}

proptest! {
    /// Damaged messages either do not decode or are messages again.
    #[test]
    fn hostile_harmless(which in 0usize..16, byte: u8, places: [prop::sample::Index; 2]) {
        let [at, cut] = places;
        let (_, message) = messages().swap_remove(which);
        let mut bytes = codec::encode(&message, FRAME_MAX).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(decoded) = codec::decode::<Message>(&bytes) {
            let again = codec::encode(&decoded, FRAME_MAX).unwrap();
            prop_assert_eq!(codec::decode::<Message>(&again).unwrap(), decoded);
        }
    }
}
