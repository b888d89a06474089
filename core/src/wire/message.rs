//! Messages between nodes: a flat sum. Every message may be lost, duplicated, delayed and
//! reordered. Variants are append-only: the codec writes their index.
//!
//! | message | from -> to | promises | answered by |
//! |---|---|---|---|
//! | Offer, Begin, CancelPart, PartAck | gate -> manager | a committed gate entry | PartReport |
//! | PartReport | manager -> gate | a committed manager entry | PartAck when ended |
//! | Probe | gate -> every manager | nothing | Capacity or NotLeader |
//! | Capacity | manager -> gate | nothing | - |
//! | Prepare | manager -> worker | the committed assignment | Heartbeat that lists the run |
//! | Confirm | manager -> worker | the committed assignment | Heartbeat |
//! | Heartbeat, Report | worker -> manager | nothing durable | Confirm |
//! | Final | worker -> manager | the run has ended | a verdict `Forget` |
//! | Gates, Managers | within a group | see `consensus` | see `consensus` |
//! | NotLeader | manager -> gate | nothing | - |
//! | Claim | gate -> manager | the committed ownership | PartReport |
//! | NotOwner | gate -> manager | the committed ownership | - |
//! | SessionBeat | gate -> leader of the gates | nothing | SessionAck |
//! | SessionAck | leader of the gates -> gate | the committed session | - |
//! | Pressure | manager -> worker | nothing | - |
//! | Swim | member -> member | nothing | see `membership` |

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::consensus;
use crate::effect::Volatile;
use crate::gate::GateCommand;
use crate::ids::{BootId, DiskId, Fence, LogIndex, NodeId, PartId, RunId, Term, WorkflowIx};
use crate::input::Progress;
use crate::limits;
use crate::manager::ManagerCommand;
use crate::membership;
use crate::plan::{Plan, PlanTime, Slice};
use crate::report::{PartResult, WorkflowView};
use crate::stats::Totals;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident($inner:ty),)*) => {
        /// Everything one node says to another.
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        pub enum Message { $($(#[$doc])* $name($inner),)* }

        impl Message {
            /// How many kinds there are.
            pub const KINDS: u32 = [$(stringify!($name),)*].len() as u32;
        }

        $(impl From<$inner> for Message {
            fn from(inner: $inner) -> Self { Self::$name(inner) }
        })*
    };
}

messages! {
    /// Will you take this part?
    Offer(Offer),
    /// Run the part you accepted.
    Begin(Begin),
    /// End the part, or one of its workflows.
    CancelPart(CancelPart),
    /// The part's result is committed at the gate; the manager may forget the part.
    PartAck(PartAck),
    /// What became of an offer, begin or cancel, and how the part is doing.
    PartReport(PartReport),
    /// What a datacenter has to offer.
    Capacity(Capacity),
    /// Get ready for a run; issue nothing.
    Prepare(Prepare),
    /// Judges the runs of a heartbeat.
    Confirm(Confirm),
    /// I live, and this is what I hold.
    Heartbeat(Heartbeat),
    /// Cumulative totals of a run.
    Report(Report),
    /// A run ended.
    Final(Final),
    /// What have you got?
    Probe(Probe),
    /// Within the gates' group.
    Gates(consensus::Message<GateCommand>),
    /// Within a datacenter's group.
    Managers(consensus::Message<ManagerCommand>),
    /// Another manager leads.
    NotLeader(NotLeader),
    /// I own the part's job.
    Claim(Claim),
    /// Another gate owns the part's job.
    NotOwner(NotOwner),
    /// This gate lives.
    SessionBeat(SessionBeat),
    /// The gate's session goes on.
    SessionAck(SessionAck),
    /// Report less often.
    Pressure(Pressure),
    /// Between members.
    Swim(membership::Message),
}

/// Gate -> manager: an offer of a part. Sent again until a `PartReport` with this fence or a higher
/// one comes back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// The part.
    pub part: PartId,
    /// The placing entry in the gate ledger.
    pub fence: Fence,
    /// What to run. The share of this datacenter follows from it and the part's number
    /// (`Plan::part_share`).
    pub plan: Box<Plan>,
}

/// Gate -> manager: run the part that was accepted under `fence`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Begin {
    /// The part.
    pub part: PartId,
    /// The `Begun` entry in the gate ledger, above the offer's.
    pub fence: Fence,
    /// The fence of the offer that was accepted.
    pub offer: Fence,
    /// Load starts so long after this arrives, or as soon after as the workers are ready.
    pub start_in: Duration,
}

/// Gate -> manager: a committed cancel. Sent again until the part is reported ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CancelPart {
    /// The part.
    pub part: PartId,
    /// The cancelling entry in the gate ledger.
    pub fence: Fence,
    /// Only this workflow and what depends on it, or the whole part.
    pub workflow: Option<WorkflowIx>,
}

/// Gate -> manager, every second: asks for a `Capacity`, and tells the manager that this gate is
/// there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Probe {
    /// Counts the rounds of the gate's boot, from a number of its own.
    pub number: u64,
}

/// Gate -> manager: the part's result is committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartAck {
    /// The part.
    pub part: PartId,
}

/// Manager -> gate. Sent at once on every committed change of the part, every second while it runs,
/// and again with back-off while it has ended and is not acknowledged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PartReport {
    /// The part.
    pub part: PartId,
    /// The highest gate fence the part has obeyed.
    pub fence: Fence,
    /// Orders reports of a part: the manager's term, then a counter. The receiver keeps the
    /// highest.
    pub seq: (u64, u64),
    /// Where the part stands; committed in the manager ledger.
    pub phase: PartPhase,
    /// Live view of the workflows, volatile; empty unless running.
    pub workflows: BoundedVec<WorkflowView, { limits::WORKFLOWS_MAX }>,
}

/// Where a part stands in its datacenter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum PartPhase {
    /// Not taken; the offer may go elsewhere.
    Refused {
        /// Why, for the user.
        reason: String,
    },
    /// Accepted and waiting for `Begin`.
    Accepted,
    /// Begun.
    Running,
    /// A cancel is committed; runs are being ended.
    Cancelling,
    /// Ended, with its result.
    Ended(Box<PartResult>),
}

/// Manager -> gate: what the datacenter has, by its leader. An answer to a probe.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Capacity {
    /// The probe that this answers.
    pub probe: u64,
    /// The sender's term.
    pub term: Term,
    /// Workers alive.
    pub workers: u32,
    /// Of those, the ones that leave.
    pub leaving: u32,
    /// Cores of all workers.
    pub cores: u32,
    /// Cores that the next run could have.
    pub free: u32,
    /// Workflows that wait for a core, and parts that are accepted and not begun.
    pub waiting: u32,
    /// It takes no new parts.
    pub draining: bool,
    /// When cores that are taken now will be free by their plans, the first first.
    pub releases: BoundedVec<Release, { limits::RELEASES_MAX }>,
}

/// Cores that become free.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// So long after this was sent.
    pub after: Duration,
    /// So many.
    pub cores: u32,
}

/// Manager -> worker: get ready. Sent again until a heartbeat lists the run or its refusal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Prepare {
    /// The worker's life this is for; another life ignores it.
    pub boot: BootId,
    /// The run.
    pub run: RunId,
    /// Its share of the plan.
    pub slice: Box<Slice>,
}

/// Manager -> worker: judges runs that the heartbeat `seq` listed. May be sent more than once for
/// one heartbeat, whenever there is something new to say: the lease counts from that heartbeat's
/// send.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Confirm {
    /// The life of the worker that sent the heartbeat; another life ignores this.
    pub boot: BootId,
    /// The heartbeat this answers.
    pub seq: u64,
    /// One verdict per judged run.
    pub verdicts: BoundedVec<Verdict, { limits::RUNS_PER_WORKER_MAX }>,
}

/// What a manager decides about one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The run.
    pub run: RunId,
    /// The decision.
    pub kind: VerdictKind,
}

/// A decision about one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum VerdictKind {
    /// Issue load for `ttl` from the send of the heartbeat, below `ceiling`.
    Issue {
        /// How long, on the holder's clock.
        ttl: Duration,
        /// Local items below this.
        ceiling: u64,
        /// The workflow's plan time when this was sent; negative: load starts so much later.
        plan_time: PlanTime,
    },
    /// Known, not yet to issue (the barrier, or an earlier run of the shard may live).
    Hold,
    /// End it.
    Stop,
    /// Its end is committed here, or it is not of this ledger: drop everything about it.
    Forget,
}

/// Worker -> manager, to every known manager: every ttl/6, and at once when a run changes state.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// This life.
    pub boot: BootId,
    /// Counts heartbeats of this life.
    pub seq: u64,
    /// Cores in all.
    pub cores: u16,
    /// Cores no run holds.
    pub free: u16,
    /// Takes no new runs.
    pub draining: bool,
    /// Every run held, until it is told to forget it.
    pub runs: BoundedVec<RunBeat, { limits::RUNS_PER_WORKER_MAX }>,
}

/// One run in a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunBeat {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// Its counters.
    pub progress: Progress,
    /// The highest ceiling it was given.
    pub ceiling: u64,
    /// The workflow's plan time by this worker; `None` before the first confirmation.
    pub plan_time: Option<PlanTime>,
}

/// Where a run stands on its worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum RunState {
    /// The engine is getting ready.
    Preparing,
    /// Ready, never confirmed.
    Prepared,
    /// Holds an unexpired confirmation.
    Running,
    /// Its confirmation expired; keeps its totals.
    Parked,
    /// The engine was told to end it.
    Stopping,
    /// Ended; a `Final` is on its way.
    Ended,
    /// Not taken (no core, stale fence, engine could not prepare); holds nothing.
    Refused,
}

/// Worker -> manager: cumulative totals. The receiver keeps the highest `seq`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The worker's life.
    pub boot: BootId,
    /// The run.
    pub run: RunId,
    /// Counts reports of the run.
    pub seq: u64,
    /// Everything that ended before this plan second is in the totals.
    pub second: u32,
    /// The counters at the cut.
    pub progress: Progress,
    /// Totals since the run began.
    pub totals: Box<Totals>,
}

/// Worker -> manager: a run ended. Sent again with every heartbeat interval until told to forget.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Final {
    /// The worker's life.
    pub boot: BootId,
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub end: RunEnd,
    /// The counters at the end.
    pub progress: Progress,
    /// The workflow's plan time at the end; `None` if it was never confirmed.
    pub plan_time: Option<PlanTime>,
    /// Spans in which it was parked, in plan time, ascending.
    pub parked: BoundedVec<Parked, { limits::LOSSES_MAX }>,
    /// Its final totals.
    pub totals: Box<Totals>,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RunEnd {
    /// Did all its slice asked.
    Completed,
    /// Was told to stop.
    Stopped,
    /// Could not work; issued nothing.
    Failed {
        /// Why, for the user.
        reason: String,
    },
}

/// A span without a confirmation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parked {
    /// When it began.
    pub from: PlanTime,
    /// When it ended.
    pub until: PlanTime,
    /// Arrivals dropped in it.
    pub dropped: u64,
}

/// Manager -> whoever spoke to it as to a leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotLeader {
    /// The sender's term.
    pub term: Term,
    /// Who leads, as far as the sender knows.
    pub leader: Option<NodeId>,
}

/// Gate -> manager: reports of the part go to the sender. Sent again until one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The part.
    pub part: PartId,
    /// The entry in the gate ledger that gave the job to the sender.
    pub fence: Fence,
}

/// Gate -> manager: answers a report about a job of another gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotOwner {
    /// The part.
    pub part: PartId,
    /// The owner, as far as the sender knows.
    pub owner: Option<NodeId>,
    /// The entry in the gate ledger that gave the job to the owner.
    pub fence: Fence,
}

/// Gate -> leader of the gates, every sixth of a session's time to live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionBeat {
    /// The sender's disk.
    pub disk: DiskId,
    /// Counts the boots of that disk.
    pub boot: u64,
    /// Counts the beats of this boot.
    pub seq: u64,
    /// Takes no new jobs and wants to own none.
    pub draining: bool,
}

/// Leader of the gates -> gate: the session of this boot goes on for `ttl` from the send of the
/// beat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionAck {
    /// The boot that sent the beat.
    pub boot: u64,
    /// The beat.
    pub seq: u64,
    /// The session: its entry in the gate ledger.
    pub session: LogIndex,
    /// How long, on the holder's clock.
    pub ttl: Duration,
}

/// Manager -> worker, with every heartbeat while the level lasts: how often runs are to report.
/// Held for a few seconds, then forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pressure {
    /// The worker's life this is for; another life ignores it.
    pub boot: BootId,
    /// How much.
    pub level: PressureLevel,
}

/// How often runs report, from always to rarely.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum PressureLevel {
    /// Every plan second.
    #[default]
    None,
    /// Every second one.
    Throttle,
    /// Every fifth.
    Batch,
    /// Every tenth.
    Skip,
}

impl PressureLevel {
    /// Plan seconds between two reports of a run.
    pub const fn report_every(self) -> u32 {
        match self {
            Self::None => 1,
            Self::Throttle => 2,
            Self::Batch => 5,
            Self::Skip => 10,
        }
    }
}

impl Volatile for NotLeader {}
impl Volatile for Pressure {}
impl Volatile for SessionBeat {}
impl Volatile for Heartbeat {}
impl Volatile for Report {}
impl Volatile for Capacity {}
impl Volatile for Probe {}
