//! Invariants: the rows of `core/INVARIANTS.md` as an enum, and what a broken one looks like.

use std::fmt;

macro_rules! invariants {
    ($($name:ident = $id:literal,)*) => {
        /// A row of `core/INVARIANTS.md`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[allow(missing_docs, reason = "the register states them")]
        pub enum Inv { $($name,)* }

        impl Inv {
            /// All of them.
            pub const ALL: &[Inv] = &[$(Inv::$name,)*];

            /// The id in the register.
            pub const fn id(self) -> &'static str {
                match self { $(Inv::$name => $id,)* }
            }
        }
    };
}

invariants! {
    RunExclusive = "run-exclusive",
    PlanCeiling = "plan-ceiling",
    IndexOnce = "index-once",
    PartPlacedOnce = "part-placed-once",
    SharesExact = "shares-exact",
    TotalsExact = "totals-exact",
    CountedOnce = "counted-once",
    LossDeclared = "loss-declared",
    CoverageHonest = "coverage-honest",
    JobOnce = "job-once",
    JobDurable = "job-durable",
    JobTerminal = "job-terminal",
    CancelBeats = "cancel-beats",
    CancelBounded = "cancel-bounded",
    NoResurrection = "no-resurrection",
    DagOrder = "dag-order",
    LifecycleLegal = "lifecycle-legal",
    CoresConserved = "cores-conserved",
    FirstConfirmAlone = "first-confirm-alone",
    FenceMonotonic = "fence-monotonic",
    LeaseExclusive = "lease-exclusive",
    OwnerSingle = "owner-single",
    IdentityOnce = "identity-once",
    WipedNeverVotes = "wiped-never-votes",
    LeaderPerTerm = "leader-per-term",
    VoteDurable = "vote-durable",
    LogMatching = "log-matching",
    LedgerEqual = "ledger-equal",
    ForwardOnce = "forward-once",
    LedgerLinear = "ledger-linear",
    PersistFirst = "persist-first",
    RecoverEqual = "recover-equal",
    JournalTail = "journal-tail",
    QuorumConfigured = "quorum-configured",
    MinorityRefuses = "minority-refuses",
    Bounded = "bounded",
    RouteSane = "route-sane",
    RouteSteady = "route-steady",
    NetworkHeld = "network-held",
    PeerConfirmed = "peer-confirmed",
    CompatibleOnly = "compatible-only",
    HostileHarmless = "hostile-harmless",
    TerminalEventually = "terminal-eventually",
    Converge = "converge",
    CleanSlate = "clean-slate",
    SuspicionExpires = "suspicion-expires",
    LoadResumes = "load-resumes",
    SeedDeterminism = "seed-determinism",
    StreamIndependence = "stream-independence",
    RetryBudget = "retry-budget",
    ExclusiveAlone = "exclusive-alone",
    TimeoutHonest = "timeout-honest",
    PriorityOrder = "priority-order",
    NodeSettles = "node-settles",
    ControlNeverShed = "control-never-shed",
    RetryAfter = "retry-after",
    QueueFair = "queue-fair",
    WindowsSum = "windows-sum",
}

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub inv: Inv,
    /// What was seen.
    pub detail: String,
}

impl Violation {
    /// States what was seen.
    pub fn new(inv: Inv, detail: impl Into<String>) -> Self {
        Self { inv, detail: detail.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inv.id(), self.detail)
    }
}

impl std::error::Error for Violation {}
