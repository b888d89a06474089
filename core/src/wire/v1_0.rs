//! The frozen messages of minor 1.0: what a node of that minor says and understands.
//!
//! Only what a later minor changed is written down here; the rest is shared with the present, and
//! golden bytes (`core/tests/it/versions.rs`) hold both still. A kind or a field that came later
//! does not exist here: [`Message::of`] has nothing for the kind, the field is dropped, and a
//! message of this minor is read as if its sender had said the `later` value.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounded::BoundedVec;
use crate::consensus;
use crate::gate::GateCommand;
use crate::ids::{BootId, Fence, PartId, RunId, WorkflowIx};
use crate::input::Progress;
use crate::limits;
use crate::manager::ManagerCommand;
use crate::plan::PlanTime;
use crate::report::{self, Losses, WorkflowStatus};
use crate::stats::{self, Histogram, StepTotals};
use crate::wire::{self, Parked, RunBeat, RunEnd};

/// A field of now as a field of then.
macro_rules! then {
    (same $value:expr) => {
        $value
    };
    (cast $value:expr) => {
        $value.into()
    };
    (boxed $value:expr) => {
        (*$value).into()
    };
    (list $value:expr) => {
        list($value)
    };
}

/// A field of then as a field of now.
macro_rules! now {
    (same $value:expr) => {
        $value
    };
    (cast $value:expr) => {
        $value.into()
    };
    (boxed $value:expr) => {
        Box::new($value.into())
    };
    (list $value:expr) => {
        list($value)
    };
}

macro_rules! frozen {
    ($($name:ident of $now:ty {
        $($how:ident $field:ident: $kind:ty,)*
    } later { $($later:ident: $value:expr,)* })*) => { $(
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the present type of this name has them")]
        pub struct $name { $(pub $field: $kind,)* }

        impl From<$now> for $name {
            fn from(of: $now) -> Self {
                Self { $($field: then!($how of.$field),)* }
            }
        }

        impl From<$name> for $now {
            fn from(of: $name) -> Self {
                Self { $($field: now!($how of.$field),)* $($later: $value,)* }
            }
        }
    )* };
}

fn list<A: Into<B>, B, const N: usize>(of: BoundedVec<A, N>) -> BoundedVec<B, N> {
    let mut out = BoundedVec::new();
    for item in of {
        // Both have the same cap.
        let _ = out.push(item.into());
    }
    out
}

frozen! {
    Totals of stats::Totals {
        same iterations: u64,
        same interrupted: u64,
        same dropped: u64,
        same iteration_duration: Histogram,
        same start_lag: Histogram,
        same steps: BoundedVec<StepTotals, { limits::STEPS_MAX }>,
        same coarse: u8,
    } later { watched: 0, saturated: 0, }

    Heartbeat of wire::Heartbeat {
        same boot: BootId,
        same seq: u64,
        same cores: u16,
        same free: u16,
        same draining: bool,
        same runs: BoundedVec<RunBeat, { limits::RUNS_PER_WORKER_MAX }>,
    } later {}

    Report of wire::Report {
        same boot: BootId,
        same run: RunId,
        same seq: u64,
        same second: u32,
        same progress: Progress,
        boxed totals: Totals,
    } later {}

    Final of wire::Final {
        same boot: BootId,
        same run: RunId,
        same end: RunEnd,
        same progress: Progress,
        same plan_time: Option<PlanTime>,
        same parked: BoundedVec<Parked, { limits::LOSSES_MAX }>,
        boxed totals: Totals,
    } later {}

    WorkflowView of report::WorkflowView {
        same workflow: WorkflowIx,
        same status: WorkflowStatus,
        same plan_time: PlanTime,
        same vus: u32,
        same shards_live: u16,
        same shards: u16,
        same second: u32,
        boxed totals: Totals,
        same shards_late: u16,
    } later {}

    WorkflowResult of report::WorkflowResult {
        same workflow: WorkflowIx,
        same status: WorkflowStatus,
        same reason: String,
        same ran: Duration,
        same start_skew: Duration,
        same shards: u16,
        boxed totals: Totals,
        same planned_ms: u64,
        same covered_ms: u64,
        same losses: Losses,
    } later {}

    PartResult of report::PartResult {
        same cancelled: bool,
        same workers_lost: u32,
        same workers: u32,
        list workflows: BoundedVec<WorkflowResult, { limits::WORKFLOWS_MAX }>,
    } later {}

    PartReport of wire::PartReport {
        same part: PartId,
        same fence: Fence,
        same seq: (u64, u64),
        cast phase: PartPhase,
        list workflows: BoundedVec<WorkflowView, { limits::WORKFLOWS_MAX }>,
    } later {}
}

/// Where a part stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the present type of this name has them")]
pub enum PartPhase {
    Refused { reason: String },
    Accepted,
    Running,
    Cancelling,
    Ended(Box<PartResult>),
}

impl From<wire::PartPhase> for PartPhase {
    fn from(of: wire::PartPhase) -> Self {
        match of {
            wire::PartPhase::Refused { reason } => Self::Refused { reason },
            wire::PartPhase::Accepted => Self::Accepted,
            wire::PartPhase::Running => Self::Running,
            wire::PartPhase::Cancelling => Self::Cancelling,
            wire::PartPhase::Ended(result) => Self::Ended(Box::new((*result).into())),
        }
    }
}

impl From<PartPhase> for wire::PartPhase {
    fn from(of: PartPhase) -> Self {
        match of {
            PartPhase::Refused { reason } => Self::Refused { reason },
            PartPhase::Accepted => Self::Accepted,
            PartPhase::Running => Self::Running,
            PartPhase::Cancelling => Self::Cancelling,
            PartPhase::Ended(result) => Self::Ended(Box::new((*result).into())),
        }
    }
}

macro_rules! messages {
    ($($name:ident($inner:ty),)*) => {
        /// Everything a node of this minor says.
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the present type of this name has them")]
        pub enum Message { $($name($inner),)* }

        impl Message {
            /// How many kinds there are.
            pub const KINDS: u32 = [$(stringify!($name),)*].len() as u32;

            /// The message in the form of this minor, if it has one.
            pub fn of(msg: &wire::Message) -> Option<Self> {
                match msg {
                    $(wire::Message::$name(inner) => Some(Self::$name(inner.clone().into())),)*
                    _ => None,
                }
            }
        }

        impl From<Message> for wire::Message {
            fn from(of: Message) -> Self {
                match of { $(Message::$name(inner) => Self::$name(inner.into()),)* }
            }
        }
    };
}

messages! {
    Offer(wire::Offer),
    Begin(wire::Begin),
    CancelPart(wire::CancelPart),
    PartAck(wire::PartAck),
    PartReport(PartReport),
    Capacity(wire::Capacity),
    Prepare(wire::Prepare),
    Confirm(wire::Confirm),
    Heartbeat(Heartbeat),
    Report(Report),
    Final(Final),
    Probe(wire::Probe),
    Gates(consensus::Message<GateCommand>),
    Managers(consensus::Message<ManagerCommand>),
    NotLeader(wire::NotLeader),
    Claim(wire::Claim),
    NotOwner(wire::NotOwner),
    SessionBeat(wire::SessionBeat),
    SessionAck(wire::SessionAck),
}
