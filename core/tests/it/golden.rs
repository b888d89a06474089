//! Golden bytes: one sample of every message and every kind of record. Changed bytes are a changed
//! protocol or a journal that an earlier build cannot read. `BLESS=1` rewrites the files and the
//! fuzz corpora.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::consensus::{
    self, Chunk, Entry, Head, Member, Membership, Origin, Payload, Position,
};
use hyperscale_core::ids::{
    BootId, DiskId, Fence, GroupId, JobId, LogIndex, NodeId, PartId, PartIx, RunId, ShardId,
    ShardIx, Term, WorkflowIx,
};
use hyperscale_core::input::Progress;
use hyperscale_core::journal::segment::{Header, Identity, write_header, write_record};
use hyperscale_core::journal::{LedgerSnapshot, Record, Snapshot, snapshot};
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::membership::{self, MemberRole, Standing, Update};
use hyperscale_core::plan::raw::RawPlan;
use hyperscale_core::plan::{Plan, PlanTime, Share, Slice, Stripe, check};
use hyperscale_core::report::{
    Loss, LossKind, PartResult, WorkflowResult, WorkflowStatus, WorkflowView,
};
use hyperscale_core::stats::{Recorder, StepTotals, Totals};
use hyperscale_core::wire::frame::{FRAME_MAX, encode_frame};
use hyperscale_core::wire::{
    Begin, CancelPart, Capacity, Claim, Confirm, Final, Heartbeat, Message, NotLeader, NotOwner,
    Offer, Parked, PartAck, PartPhase, PartReport, Prepare, Pressure, PressureLevel, Probe,
    Release, Report, RunBeat, RunEnd, RunState, SessionAck, SessionBeat, Verdict, VerdictKind,
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

fn capacity() -> Capacity {
    let release = |secs, cores| Release { after: Duration::from_secs(secs), cores };
    Capacity {
        probe: 77,
        term: Term::new(4),
        workers: 3,
        leaving: 1,
        cores: 12,
        free: 5,
        waiting: 2,
        draining: false,
        releases: list(vec![release(3, 2), release(60, 5)]),
    }
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
        shards_late: 2,
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
        ("capacity", capacity().into()),
        ("prepare", Prepare { boot, run, slice: slice() }.into()),
        ("confirm", Confirm { boot, seq: 5, verdicts }.into()),
        ("heartbeat", heartbeat.into()),
        ("report", report.into()),
        ("final", end.into()),
        ("probe", Probe { number: 77 }.into()),
    ]
    .into_iter()
    .chain(grouped())
    .chain(replicated())
    .collect()
}

fn replicated() -> Vec<(&'static str, Message)> {
    let term = Term::new(2);
    let (disk, session) = (DiskId::new(5), LogIndex::new(12));
    let ttl = Duration::from_secs(2);
    let owner = Some(NodeId::new(2));
    vec![
        ("not-leader", NotLeader { term, leader: owner }.into()),
        ("claim", Claim { part: part(), fence: fence(11) }.into()),
        ("not-owner", NotOwner { part: part(), owner, fence: fence(11) }.into()),
        ("session-beat", SessionBeat { disk, boot: 3, seq: 8, draining: false }.into()),
        ("session-ack", SessionAck { boot: 3, seq: 8, session, ttl }.into()),
        ("pressure", Pressure { boot: BootId::new(77), level: PressureLevel::Batch }.into()),
        ("swim", swim().into()),
    ]
}

fn swim() -> membership::Message {
    let update = |node, standing| Update {
        node: NodeId::new(node),
        role: MemberRole::Worker,
        boot: BootId::new(300),
        incarnation: 2,
        standing,
        by: NodeId::new(4),
    };
    let standings = [Standing::Unconfirmed, Standing::Suspect, Standing::Dead, Standing::Left];
    let updates = standings.map(|standing| update(7, standing));
    membership::Message {
        sender: update(5, Standing::Alive),
        kind: membership::Kind::Ask { seq: 9, target: NodeId::new(6) },
        updates: list(updates.to_vec()),
    }
}

fn chunk() -> Chunk {
    let at = Position { term: Term::new(2), index: LogIndex::new(9) };
    Chunk { at, total: 300, offset: 128, bytes: list(vec![1, 200, 0]) }
}

/// One message within a group for every body.
fn grouped() -> Vec<(&'static str, Message)> {
    use consensus::Body;
    let last = Position { term: Term::new(2), index: LogIndex::new(9) };
    let (round, index, wish) = (300, LogIndex::new(9), Term::new(3));
    let close = ManagerCommand::Close { part: part() };
    let membership = Payload::Membership(Membership::of_one(member()));
    let entries = [Payload::Opened, membership, Payload::Command(close.clone())];
    let entries = entries.map(|payload| Entry { payload, ..entry(10) }).to_vec();
    let ran = ManagerCommand::Ran { part: part(), elapsed: Duration::from_secs(3) };
    let commands = list(vec![close, ran]);
    let bodies = [
        ("group-join", Body::Join { replaces: Some(DiskId::new(6)) }),
        ("group-forward", Body::Forward { boot: 2, first: 7, commands }),
        ("group-pre-vote", Body::PreVote { wish, last }),
        ("group-pre-voted", Body::PreVoted { wish, granted: true }),
        ("group-vote", Body::Vote { last, handed: None }),
        ("group-vote-handed", Body::Vote { last, handed: Some(Term::new(2)) }),
        ("group-voted", Body::Voted { granted: false }),
        ("group-append", Body::Append { round, prev: last, commit: index, entries: list(entries) }),
        ("group-appended", Body::Appended { round, matched: index }),
        ("group-rejected", Body::Rejected { round, prev: index, hint: last }),
        ("group-chunk", Body::Chunk { round, chunk: chunk() }),
        ("group-chunked", Body::Chunked { round, index, wanted: 131 }),
        ("group-transfer-now", Body::TransferNow),
        ("group-read", Body::Read { boot: 2, number: 4 }),
        ("group-read-at", Body::ReadAt { boot: 2, number: 4, index }),
    ];
    let (group, from, to, term) = (GroupId::new(7), member(), DiskId::new(8), Term::new(2));
    let message = |(name, body)| {
        bodied(&body);
        (name, consensus::Message { group, from, to, term, body }.into())
    };
    let gates = consensus::Message { group, from, to, term, body: Body::TransferNow };
    bodies.into_iter().map(message).chain([("gates", Message::Gates(gates))]).collect()
}

/// Fails to compile when a body is added; give it a sample above.
fn bodied<C>(body: &consensus::Body<C>) {
    use consensus::Body;
    match body {
        Body::Join { .. }
        | Body::Forward { .. }
        | Body::PreVote { .. }
        | Body::PreVoted { .. }
        | Body::Vote { .. }
        | Body::Voted { .. }
        | Body::Append { .. }
        | Body::Appended { .. }
        | Body::Rejected { .. }
        | Body::Chunk { .. }
        | Body::Chunked { .. }
        | Body::TransferNow
        | Body::Read { .. }
        | Body::ReadAt { .. } => {}
    }
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
        | Message::Gates(_)
        | Message::Managers(_)
        | Message::NotLeader(_)
        | Message::Claim(_)
        | Message::NotOwner(_)
        | Message::SessionBeat(_)
        | Message::SessionAck(_)
        | Message::Pressure(_)
        | Message::Swim(_)
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

fn entry<C>(index: u64) -> Entry<C> {
    let origin = Some(Origin { disk: DiskId::new(5), boot: 1, seq: 4 });
    Entry { term: Term::new(2), index: LogIndex::new(index), origin, payload: Payload::Opened }
}

fn member() -> Member {
    Member { node: NodeId::new(4), disk: DiskId::new(5) }
}

fn records() -> Vec<Record> {
    vec![
        Record::Formed { group: GroupId::new(7), membership: Membership::of_one(member()) },
        Record::Joining { replaces: Some(DiskId::new(6)) },
        Record::Booted,
        Record::Ballot { term: Term::new(2), vote: Some(DiskId::new(5)) },
        Record::Manager(entry(1)),
        Record::Gate(entry(2)),
        Record::Joined { group: GroupId::new(7) },
        Record::Chunk(chunk()),
    ]
}

#[test]
fn records_have_their_golden_bytes() {
    let found: Vec<String> =
        records().iter().map(|record| hex(&codec::encode(record, FRAME_MAX).unwrap())).collect();
    let golden = [
        "000701040500",
        "010106",
        "02",
        "03020105",
        "0502010105010400",
        "0402020105010400",
        "0607",
        "070209fb2c01800301c800",
    ];
    assert_eq!(found, golden);
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
            head: Head { group: GroupId::new(7), index: LogIndex::new(2), ..Head::default() },
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
    fn hostile_harmless(which in 0..messages().len(), byte: u8, places: [prop::sample::Index; 2]) {
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
