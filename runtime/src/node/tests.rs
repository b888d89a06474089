use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::{Fence, GroupId, LogIndex, RunId, ShardId, ShardIx, WorkflowIx};
use hyperscale_core::input::{EngineEvent, Progress};
use hyperscale_core::plan::{Share, Slice, Stripe};
use hyperscale_core::wire::{Confirm, Heartbeat, Prepare, Verdict, VerdictKind};

use super::*;

const MANAGER: NodeId = NodeId::new(2);
const WORKER: NodeId = NodeId::new(3);
const PLAN: &str = "
base_url: demo
workflows:
  a: {executor: constant-vus, vus: 1, duration: 60s, flow: [{name: a, get: /}]}
";

/// A worker with one core, and the manager that the test plays.
struct Rig {
    worker: Option<Running>,
    inbox: mpsc::Sender<Input>,
    boot: hyperscale_core::ids::BootId,
    inputs: mpsc::Receiver<Input>,
    orders: mpsc::UnboundedReceiver<EngineOrder>,
}

impl Rig {
    fn new() -> Self {
        Self::with(&Options::default())
    }

    fn with(options: &Options) -> Self {
        let seat = Seat::new(WORKER);
        let (manager, inputs) = mpsc::channel(64);
        seat.peers.connect_inbox(MANAGER, manager);
        let (ordered, orders) = mpsc::unbounded_channel();
        let engine = move |_| {
            let order: Orders = Box::new(move |order| drop(ordered.send(order)));
            Ok(order)
        };
        let config = WorkerConfig::new(WORKER, 1, vec![MANAGER]);
        let worker = start_worker(seat, ClusterId::new(1), config, engine, options);
        let worker = worker.expect("started");
        let (inbox, boot) = (worker.inbox.clone(), worker.hello.boot);
        Self { worker: Some(worker), inbox, boot, inputs, orders }
    }

    /// Has a run and is prepared for it.
    async fn with_a_run() -> (Self, RunId) {
        Self::new().given_a_run().await
    }

    async fn given_a_run(mut self) -> (Self, RunId) {
        let rig = &mut self;
        let shard =
            ShardId { job: JobId::new(1), workflow: WorkflowIx::new(0), shard: ShardIx::new(0) };
        let fence = Fence { group: GroupId::new(9), index: LogIndex::new(5) };
        let run = RunId { shard, fence };
        rig.hear(Prepare { boot: rig.boot, run, slice: slice() }).await;
        assert!(matches!(rig.orders.recv().await, Some(EngineOrder::Start { .. })));
        rig.engine(EngineEvent::Prepared { run }).await;
        (self, run)
    }

    async fn hear(&self, msg: impl Into<Message>) {
        let input = Input::Received { from: MANAGER, msg: Box::new(msg.into()) };
        self.inbox.send(input).await.expect("it runs");
    }

    async fn engine(&self, event: EngineEvent) {
        self.inbox.send(Input::Engine(Box::new(event))).await.expect("it runs");
    }

    async fn beat(&mut self, wanted: impl Fn(&Heartbeat) -> bool) -> Heartbeat {
        loop {
            match self.inputs.recv().await.expect("it runs") {
                Input::Received { msg, .. } => match *msg {
                    Message::Heartbeat(beat) if wanted(&beat) => return beat,
                    _ => {}
                },
                other => panic!("{other:?}"),
            }
        }
    }

    async fn judge(&mut self, run: RunId, kind: VerdictKind) {
        let listed = |beat: &Heartbeat| beat.draining && beat.runs.iter().any(|at| at.run == run);
        let seq = self.beat(listed).await.seq;
        let verdicts = BoundedVec::try_from(vec![Verdict { run, kind }]).expect("one");
        self.hear(Confirm { boot: self.boot, seq, verdicts }).await;
    }

    /// Stops the worker as the first SIGTERM does.
    fn stopped(&mut self, patience: Duration) -> JoinHandle<Result<(), NodeError>> {
        let mut first = true;
        let stop = move || {
            let asked = std::mem::take(&mut first);
            async move {
                if !asked {
                    std::future::pending::<()>().await;
                }
            }
        };
        let worker = self.worker.take().expect("once");
        tokio::spawn(until_stopped(worker, patience, stop))
    }
}

fn slice() -> Box<Slice> {
    let plan = crate::plan_text::parse_and_check(PLAN, "plan").expect("a good plan");
    Box::new(Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow: plan.workflows.iter().next().expect("one").clone(),
        share: Share { vu_first: 0, vus: 1, stripe: Stripe::plain(0, 1) },
        first: 0,
        base_url: plan.base_url.clone(),
        data: BoundedVec::new(),
        seed: 1,
        index_header: false,
        late_max: Duration::from_millis(100),
    })
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_idle_worker_leaves_at_once() {
    let stopped = Rig::new().stopped(LONG);
    within(stopped).await.expect("joined").expect("drained");
}

#[tokio::test]
async fn a_worker_leaves_when_its_last_run_is_acknowledged() {
    let (mut rig, run) = Rig::with_a_run().await;
    let stopped = rig.stopped(LONG);
    within(rig.judge(run, VerdictKind::Stop)).await;
    assert_eq!(rig.orders.recv().await, Some(EngineOrder::Stop { run }));
    let (progress, totals) = (Progress::default(), Box::default());
    rig.engine(EngineEvent::Ended { run, completed: false, progress, totals }).await;
    let ended = |beat: &Heartbeat| beat.free == 1;
    within(rig.beat(ended)).await;
    assert!(!stopped.is_finished(), "its last word may be lost");
    within(rig.judge(run, VerdictKind::Forget)).await;
    within(stopped).await.expect("joined").expect("drained");
}

#[tokio::test]
async fn a_shutdown_goes_stage_by_stage_and_the_event_log_is_the_last_to_close() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("events.jsonl");
    let event_log = Some(EventLog::open(&path, WORKER).expect("opens"));
    let options = Options { event_log, ..Options::default() };
    let (mut rig, run) = Rig::with(&options).given_a_run().await;
    let stopped = rig.stopped(LONG);
    within(rig.judge(run, VerdictKind::Stop)).await;
    assert_eq!(rig.orders.recv().await, Some(EngineOrder::Stop { run }));
    let (progress, totals) = (Progress::default(), Box::default());
    rig.engine(EngineEvent::Ended { run, completed: false, progress, totals }).await;
    within(rig.judge(run, VerdictKind::Forget)).await;
    within(stopped).await.expect("joined").expect("drained");
    drop(options);
    let text = std::fs::read_to_string(path).expect("the log");
    let event = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["event"].as_str().expect("an event").to_owned()
    };
    let events: Vec<_> = text.lines().map(event).filter(|event| event != "counted").collect();
    let stages =
        ["started", "run_started", "run_prepared", "draining", "run_stopped", "run_ended", "ended"];
    assert_eq!(events, stages);
}

#[tokio::test]
async fn a_worker_that_cannot_drain_leaves_when_patience_ends() {
    let (mut rig, run) = Rig::with_a_run().await;
    let stopped = rig.stopped(Duration::from_millis(50));
    let holds = |beat: &Heartbeat| beat.draining && beat.runs.iter().any(|at| at.run == run);
    within(rig.beat(holds)).await;
    within(stopped).await.expect("joined").expect("ended all the same");
}

#[tokio::test]
async fn a_node_with_peers_begins_no_group_by_itself() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("state");
    let cluster = ClusterId::new(1);
    let start = |peers: Vec<NodeId>| {
        let mut config = ManagerConfig::new(MANAGER, "dc");
        config.consensus.peers = peers;
        start_manager(Seat::new(MANAGER), cluster, config, &state, &Options::default())
    };
    let error = start(vec![WORKER]).expect_err("not formed");
    assert!(matches!(error, NodeError::Store(StoreError::Unformed { .. })), "{error}");
    assert!(!state.exists(), "nothing was written");
    let owner = Owner { cluster, role: RoleName::Manager, node: MANAGER };
    let founding = crate::formation::Founding::Init;
    let founded = crate::formation::found(&state, owner, founding).expect("founded");
    let running = start(vec![WORKER]).expect("formed");
    assert_eq!(running.hello.disk, founded.disk);
    assert_eq!(running.hello.datacenter.as_deref(), Some("dc"));
}
