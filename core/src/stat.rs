//! Counters: one increment per decision, refusal and retry. Operators read them as metrics, the
//! simulator as coverage.

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Stat { $($(#[$doc])* $name,)* }

        impl Stat {
            /// All of them, in order.
            pub const ALL: &[Stat] = &[$(Stat::$name,)*];

            /// The name operators see.
            pub const fn name(self) -> &'static str {
                match self { $(Stat::$name => $text,)* }
            }
        }
    };
}

stats! {
    /// An input that is not for this role.
    InputForeign = "input_foreign",
    /// A message of a kind this role does not take.
    MessageForeign = "message_foreign",
    /// A message about something unknown or older than what is known.
    MessageStale = "message_stale",
    /// A reply of an earlier boot.
    BootStale = "boot_stale",
    /// A fence at or below the highest seen.
    FenceRefused = "fence_refused",
    /// A cap was hit and the request refused.
    CapRefused = "cap_refused",
    /// A message or call sent again because no answer came.
    Resent = "resent",
    /// Journal entries proposed.
    Proposed = "proposed",
    /// Journal entries committed.
    Committed = "committed",
    /// Snapshots taken.
    Checkpointed = "checkpointed",

    /// Jobs created.
    JobCreated = "job_created",
    /// Submissions answered from their idempotency key.
    JobDeduplicated = "job_deduplicated",
    /// Submissions refused.
    JobRefused = "job_refused",
    /// Cancels committed.
    JobCancelled = "job_cancelled",
    /// Cancels of single workflows committed.
    WorkflowCancelled = "workflow_cancelled",
    /// Cancels that came after the end.
    CancelTooLate = "cancel_too_late",
    /// Jobs that reached a terminal status.
    JobEnded = "job_ended",
    /// Parts offered to a datacenter.
    PartOffered = "part_offered",
    /// Parts begun.
    PartBegun = "part_begun",
    /// Part results committed.
    PartEnded = "part_ended",
    /// A result that came after its part had one.
    PartResultLate = "part_result_late",

    /// Workflows started.
    WorkflowStarted = "workflow_started",
    /// Workflows ended.
    WorkflowEnded = "workflow_ended",
    /// Workflows that wait for free cores.
    WorkflowQueued = "workflow_queued",
    /// Shards assigned for the first time.
    ShardAssigned = "shard_assigned",
    /// Shards assigned again after a loss.
    ShardReassigned = "shard_reassigned",
    /// Runs declared lost after their last confirmation expired.
    RunLost = "run_lost",
    /// Runs confirmed.
    RunConfirmed = "run_confirmed",
    /// First confirmations held back because an earlier run of the shard may live.
    ConfirmHeld = "confirm_held",
    /// Runs told to stop.
    RunRevoked = "run_revoked",
    /// Final totals committed.
    RunFinal = "run_final",
    /// Reports that were not newer than what is known.
    ReportStale = "report_stale",
    /// Ceilings reserved in the ledger.
    CeilingReserved = "ceiling_reserved",
    /// Workers registered (a new boot).
    WorkerJoined = "worker_joined",
    /// Workers silent beyond their lease.
    WorkerLost = "worker_lost",

    /// Runs accepted by a worker.
    RunPrepared = "run_prepared",
    /// Runs refused by a worker.
    RunRefused = "run_refused",
    /// Runs that let their confirmation expire.
    RunParked = "run_parked",
    /// Parked runs confirmed again.
    RunResumed = "run_resumed",
    /// Runs that ended.
    RunEnded = "run_ended",
    /// Plan time moved by a confirmation.
    PlanTimeSlewed = "plan_time_slewed",
}

/// The counters of one boot of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; Stat::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Stat::ALL.len()])
    }
}

impl Counters {
    /// Adds to one counter, saturating.
    pub fn add(&mut self, stat: Stat, n: u64) {
        if let Some(slot) = self.0.get_mut(stat as usize) {
            *slot = slot.saturating_add(n);
        }
    }

    /// Reads one counter.
    pub fn count(&self, stat: Stat) -> u64 {
        self.0.get(stat as usize).copied().unwrap_or(0)
    }
}
