//! Oracles: each watches the whole simulation from outside for one promise and counts how often it
//! had something to judge. They read a view, draw nothing, and change nothing.
//!
//! Promises that rest on clocks (P1) are waived in a case whose clocks run beyond the bound;
//! everything else holds there.

mod accounts;
mod admission;
mod authority;
mod ballots;
mod budgets;
mod cancel;
mod gate_jobs;
mod issuance;
mod leases;
mod linear;
mod liveness;
mod loss;
mod members;
mod minority;
mod owners;
mod parts;
mod persist_first;
mod priorities;
mod promises;
mod replicas;
mod resources;
mod resume;
mod routes;
mod shares;
mod timeouts;
mod windows;
mod workflows;

use std::fmt;

use hyperscale_core::api::Command;
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::Gate;
use hyperscale_core::ids::{CallId, LogIndex, Lsn};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::Manager;

use crate::annals::{Annals, Chosen};
use crate::case::Case;
use crate::faults::Class;
use crate::host::Host;
use crate::layout::Group;
use crate::patron::Patron;
use crate::reach::Reach;
use crate::truth::Truth;

pub use liveness::leftover;
pub use members::astray;
pub use replicas::disagreement;

/// What an oracle may read.
pub struct View<'a> {
    /// True time, nanoseconds.
    pub now: u64,
    /// What was drawn.
    pub case: &'a Case,
    /// Every machine.
    pub hosts: &'a [Host],
    /// What engines really did.
    pub truth: &'a Truth,
    /// Which gates are cut off.
    pub reach: &'a Reach,
    /// What is in the groups' logs.
    pub annals: &'a Annals,
    /// Every client.
    pub patrons: &'a [Patron],
    /// Whether faults have stopped.
    pub is_calm: bool,
}

impl<'a> View<'a> {
    /// The gate at a place, if one lives there.
    pub fn gate(&self, host: u16) -> Option<&'a Gate> {
        self.hosts.get(usize::from(host))?.node.as_ref()?.gate()
    }

    /// The manager at a place, if one lives there, and its datacenter.
    pub fn manager(&self, host: u16) -> Option<(u16, &'a Manager)> {
        let manager = self.hosts.get(usize::from(host))?.node.as_ref()?.manager()?;
        Some((self.case.layout.datacenter_of(host)?, manager))
    }

    /// Every living gate, with the last entry it acts on.
    pub fn gates(&self) -> impl Iterator<Item = (LogIndex, &'a Gate)> {
        let gates = self.case.layout.gates();
        gates.filter_map(|host| self.gate(host).map(|gate| (gate.group().committed(), gate)))
    }
}

/// What an oracle is shown.
pub enum Seen<'a> {
    /// A node appended a record.
    Appended {
        /// Which node.
        host: u16,
        /// Where.
        lsn: Lsn,
        /// What.
        record: &'a Record,
    },
    /// A disk is durable up to here.
    Durable {
        /// Which node.
        host: u16,
        /// The newest durable record.
        lsn: Lsn,
    },
    /// A node's step gave an effect, which may have to wait for a record.
    Given {
        /// Which node.
        host: u16,
        /// What.
        effect: &'a Effect,
    },
    /// An effect reached the world outside a node.
    Left {
        /// Which node.
        host: u16,
        /// What.
        effect: &'a Effect,
    },
    /// A node has taken a step.
    Stepped {
        /// Which node.
        host: u16,
    },
    /// A message is about to be taken.
    Received {
        /// By which node.
        host: u16,
        /// From which node.
        from: u16,
    },
    /// A process died.
    Crashed {
        /// Which node.
        host: u16,
    },
    /// A node has another disk, which is empty.
    Wiped {
        /// Which node.
        host: u16,
    },
    /// A process started from its disk.
    Booted {
        /// Which node.
        host: u16,
        /// The newest record on its disk.
        last: Lsn,
    },
    /// An entry of a group's log is chosen: a member acts on it for the first time.
    Committed {
        /// Which group.
        group: Group,
        /// What.
        chosen: &'a Chosen,
    },
    /// A member has acted on its group's log up to here.
    Applied {
        /// Which node.
        host: u16,
        /// The last entry.
        index: LogIndex,
    },
    /// A client's question reached a gate.
    Called {
        /// Which gate.
        host: u16,
        /// The question.
        call: CallId,
        /// What it asks.
        command: &'a Command,
    },
    /// Time passed.
    Looked,
    /// The case is over.
    Over,
}

/// What kinds of things an oracle wants to be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wants(u16);

impl Wants {
    /// `Appended`.
    pub const APPENDED: Wants = Wants(1);
    /// `Durable`.
    pub const DURABLE: Wants = Wants(2);
    /// `Left`.
    pub const LEFT: Wants = Wants(4);
    /// `Stepped`.
    pub const STEPPED: Wants = Wants(8);
    /// `Crashed`, `Wiped` and `Booted`.
    pub const LIVES: Wants = Wants(16);
    /// `Looked`.
    pub const LOOKED: Wants = Wants(32);
    /// `Over`.
    pub const OVER: Wants = Wants(64);
    /// `Committed`.
    pub const COMMITTED: Wants = Wants(128);
    /// `Applied`.
    pub const APPLIED: Wants = Wants(256);
    /// `Called`.
    pub const CALLED: Wants = Wants(512);
    /// `Given`.
    pub const GIVEN: Wants = Wants(1024);
    /// `Received`.
    pub const RECEIVED: Wants = Wants(2048);

    /// Both.
    pub const fn and(self, other: Wants) -> Wants {
        Wants(self.0 | other.0)
    }
}

impl Seen<'_> {
    const fn kind(&self) -> usize {
        match self {
            Seen::Appended { .. } => 0,
            Seen::Durable { .. } => 1,
            Seen::Left { .. } => 2,
            Seen::Stepped { .. } => 3,
            Seen::Crashed { .. } | Seen::Wiped { .. } | Seen::Booted { .. } => 4,
            Seen::Looked => 5,
            Seen::Over => 6,
            Seen::Committed { .. } => 7,
            Seen::Applied { .. } => 8,
            Seen::Called { .. } => 9,
            Seen::Given { .. } => 10,
            Seen::Received { .. } => 11,
        }
    }
}

/// One promise, watched.
pub trait Oracle: fmt::Debug {
    /// Which.
    fn inv(&self) -> Inv;
    /// What it wants to see.
    fn wants(&self) -> Wants;
    /// Judges.
    ///
    /// # Errors
    /// The promise was broken.
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation>;
    /// How often it judged a case that could have been broken.
    fn judged(&self) -> u64;
    /// Whether one look takes as long as the cluster is large. A measured world takes fewer.
    fn is_wide(&self) -> bool {
        false
    }
    /// Whether it holds only while clocks keep the bound.
    fn rests_on_clocks(&self) -> bool {
        false
    }
}

/// All oracles of a case.
#[derive(Debug)]
pub struct Panel {
    oracles: Vec<Box<dyn Oracle>>,
    by_kind: [Vec<usize>; 12],
    /// Wide oracles are shown one step in so many, all of it.
    thinned: u64,
    steps: u64,
}

impl Panel {
    /// The oracles of this case.
    pub fn new(case: &Case) -> Self {
        let mut oracles: Vec<Box<dyn Oracle>> = vec![
            Box::new(issuance::RunExclusive::default()),
            Box::new(issuance::IndexOnce::default()),
            Box::new(issuance::PlanCeiling::default()),
            Box::new(shares::SharesExact::default()),
            Box::new(accounts::CountedOnce::default()),
            Box::new(accounts::TotalsExact::default()),
            Box::new(loss::LossDeclared::default()),
            Box::new(loss::CoverageHonest::default()),
            Box::new(gate_jobs::JobOnce::default()),
            Box::new(gate_jobs::JobDurable::default()),
            Box::new(gate_jobs::JobTerminal::default()),
            Box::new(cancel::CancelBeats::default()),
            Box::new(cancel::CancelBounded::default()),
            Box::new(workflows::NoResurrection::default()),
            Box::new(workflows::DagOrder::default()),
            Box::new(workflows::LifecycleLegal::default()),
            Box::new(resources::CoresConserved::default()),
            Box::new(leases::FirstConfirmAlone::default()),
            Box::new(leases::FenceMonotonic::default()),
            Box::new(persist_first::PersistFirst::default()),
            Box::new(promises::JournalTail::default()),
            Box::new(resources::Bounded::default()),
            Box::new(liveness::TerminalEventually::default()),
            Box::new(liveness::CleanSlate::default()),
            Box::new(resume::LoadResumes::default()),
            Box::new(ballots::LeaderPerTerm::default()),
            Box::new(ballots::VoteDurable::default()),
            Box::new(ballots::IdentityOnce::default()),
            Box::new(ballots::WipedNeverVotes::default()),
            Box::new(replicas::LedgerEqual::default()),
            Box::new(replicas::ForwardOnce::default()),
            Box::new(replicas::Converge::default()),
            Box::new(parts::PartPlacedOnce::default()),
            Box::new(routes::RouteSane::default()),
            Box::new(routes::RouteSteady::default()),
            Box::new(routes::NetworkHeld::default()),
            Box::new(owners::OwnerSingle::default()),
            Box::new(owners::LeaseExclusive::default()),
            Box::new(authority::LeaderLease::default()),
            Box::new(linear::LedgerLinear::default()),
            Box::new(minority::MinorityRefuses::default()),
            Box::new(admission::ControlNeverShed::default()),
            Box::new(admission::RetryAfter::default()),
            Box::new(admission::QueueFair::default()),
            Box::new(windows::WindowsSum::default()),
            Box::new(budgets::RetryBudget::default()),
            Box::new(priorities::ExclusiveAlone::default()),
            Box::new(priorities::PriorityOrder::default()),
            Box::new(timeouts::TimeoutHonest::default()),
            Box::new(members::PeerConfirmed::default()),
            Box::new(members::SuspicionExpires::default()),
        ];
        let beyond = case.has(Class::DriftBeyond);
        oracles.retain(|oracle| !(beyond && oracle.rests_on_clocks()));
        let mut by_kind: [Vec<usize>; 12] = Default::default();
        for (place, oracle) in oracles.iter().enumerate() {
            for (kind, list) in by_kind.iter_mut().enumerate() {
                if oracle.wants().0 >> kind & 1 == 1 {
                    list.push(place);
                }
            }
        }
        Self { oracles, by_kind, thinned: 1, steps: 0 }
    }

    /// Shows wide oracles only one step in so many.
    pub fn thin(&mut self, one_in: u64) {
        self.thinned = one_in.max(1);
    }

    /// Shows something to every oracle that wants it.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn observe(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let is_thin = !self.steps.is_multiple_of(self.thinned);
        self.steps += u64::from(matches!(seen, Seen::Stepped { .. }));
        for place in &self.by_kind[seen.kind()] {
            let oracle = &mut self.oracles[*place];
            if is_thin && oracle.is_wide() {
                continue;
            }
            oracle.see(view, seen)?;
        }
        Ok(())
    }

    /// Every oracle and how often it judged.
    pub fn judged(&self) -> Vec<(Inv, u64)> {
        self.oracles.iter().map(|oracle| (oracle.inv(), oracle.judged())).collect()
    }
}

/// A broken promise.
fn broken<T>(inv: Inv, detail: String) -> Result<T, Violation> {
    Err(Violation::new(inv, detail))
}
