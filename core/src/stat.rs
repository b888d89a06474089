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
    /// A message that only a newer minor understands.
    MessageUnknown = "message_unknown",
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

    /// Elections this node stood in.
    ElectionStarted = "election_started",
    /// Elections this node won.
    ElectionWon = "election_won",
    /// Votes cast for another member.
    VoteGranted = "vote_granted",
    /// Votes, and promises of votes, refused.
    VoteRefused = "vote_refused",
    /// Votes cast early because the leader handed over.
    VoteHanded = "vote_handed",
    /// Times this node led no more.
    StoodDown = "stood_down",
    /// Times a leader gave up because no quorum answered.
    QuorumLost = "quorum_lost",
    /// Entries of the log replaced by the leader's.
    LogTruncated = "log_truncated",
    /// Entries a follower did not take because those before differ.
    LogRejected = "log_rejected",
    /// Proposals dropped because this node does not lead.
    ProposalDropped = "proposal_dropped",
    /// Submissions of other members taken into the log.
    Forwarded = "forwarded",
    /// Submissions of other members that the log has, or that are out of order.
    ForwardRepeated = "forward_repeated",
    /// Committed submissions that had been committed before.
    OriginRepeated = "origin_repeated",
    /// Reads that waited for the leader and may be served.
    ReadServed = "read_served",
    /// Reads given up because no leader answered.
    ReadDropped = "read_dropped",
    /// Snapshots made for members that lag.
    SnapshotSent = "snapshot_sent",
    /// Snapshots of a leader installed.
    SnapshotInstalled = "snapshot_installed",
    /// Leaderships this node began to hand over.
    TransferStarted = "transfer_started",
    /// Leaderships handed over that nobody took in time.
    TransferFailed = "transfer_failed",
    /// Learners added to a group.
    MemberAdded = "member_added",
    /// Learners that became voters.
    MemberPromoted = "member_promoted",
    /// Members removed from a group.
    MemberRemoved = "member_removed",
    /// Nodes that asked to join and may not.
    JoinRefused = "join_refused",

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
    /// Jobs that ran for their timeout.
    JobTimedOut = "job_timed_out",
    /// Parts that ran for their job's timeout while every gate was silent.
    PartTimedOut = "part_timed_out",
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
    /// Sessions of gates enrolled.
    SessionEnrolled = "session_enrolled",
    /// Sessions of gates that ended because their lease did.
    SessionExpired = "session_expired",
    /// Sessions that a gate let lapse, or lost.
    SessionLapsed = "session_lapsed",
    /// Jobs that got another owner.
    JobMoved = "job_moved",
    /// Jobs that a gate took over from an earlier owner, or from its own earlier session.
    JobTaken = "job_taken",
    /// Decisions about a job that came from a gate which did not own it any more.
    OwnerFenced = "owner_fenced",
    /// Claims of parts sent to their datacenters.
    PartClaimed = "part_claimed",
    /// Reports sent on to the owner of their job.
    ReportRedirected = "report_redirected",
    /// Watchers sent on to the owner of their job.
    WatchRedirected = "watch_redirected",
    /// Calls refused because no quorum answered in time.
    QuorumMissed = "quorum_missed",

    /// Times the overload level changed.
    OverloadChanged = "overload_changed",
    /// Calls refused because the gate was overloaded.
    CallShed = "call_shed",
    /// Calls refused because their client asked too often.
    CallLimited = "call_limited",
    /// Jobs created that had to wait for their turn.
    JobQueued = "job_queued",
    /// Jobs that waited and got their turn.
    JobAdmitted = "job_admitted",
    /// Jobs overtaken because the datacenters they need were full.
    JobOvertaken = "job_overtaken",
    /// Datacenters kept free for a job that was overtaken for too long.
    JobAged = "job_aged",
    /// Probes that a datacenter's leader answered.
    ProbeAnswered = "probe_answered",
    /// Datacenters whose registration changed.
    RegistrationMoved = "registration_moved",
    /// Datacenters that answer, after they did not.
    DatacenterReached = "datacenter_reached",
    /// Datacenters that missed the last few probes.
    DatacenterSuspected = "datacenter_suspected",
    /// Datacenters that answered no probe for long.
    DatacenterUnreachable = "datacenter_unreachable",
    /// Datacenters that became degraded or unhealthy.
    DatacenterFailed = "datacenter_failed",
    /// Datacenters that became healthy.
    DatacenterWell = "datacenter_well",
    /// Datacenters that became full, or took a step of their recovery.
    DatacenterMoved = "datacenter_moved",
    /// Datacenters that began to flap and are held back.
    DatacenterFlaps = "datacenter_flaps",
    /// Times that several datacenters fell silent together.
    NetworkBlamed = "network_blamed",
    /// Circuits that opened.
    CircuitOpened = "circuit_opened",
    /// Circuits that closed.
    CircuitClosed = "circuit_closed",
    /// Datacenters chosen by their score.
    RouteChosen = "route_chosen",
    /// Datacenters chosen because they were the last time.
    RouteKept = "route_kept",
    /// Times that another datacenter became the first choice.
    RouteSwitched = "route_switched",
    /// Datacenters chosen because one that comes before them is full.
    RouteSpilled = "route_spilled",
    /// Parts that found no datacenter and wait for one.
    RouteNone = "route_none",
    /// Datacenters that did not take a part.
    RouteFailed = "route_failed",

    /// Workflows started.
    WorkflowStarted = "workflow_started",
    /// Workflows ended.
    WorkflowEnded = "workflow_ended",
    /// Workflows that became ready while no core was free.
    WorkflowQueued = "workflow_queued",
    /// Shards assigned for the first time.
    ShardAssigned = "shard_assigned",
    /// Shards assigned again after a loss.
    ShardReassigned = "shard_reassigned",
    /// Exclusive workflows that wait for an idle worker.
    ExclusiveAwaited = "exclusive_awaited",
    /// Decisions not to try again because a budget of retries is used up.
    RetryExhausted = "retry_exhausted",
    /// Runs of a worker that leaves, given to a peer.
    RunHandedOver = "run_handed_over",
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
    /// Workers whose runs stopped getting on.
    WorkerStuck = "worker_stuck",
    /// Workers whose runs get on again.
    WorkerRecovered = "worker_recovered",
    /// Times nothing was moved because most workers seemed stuck.
    EvictionsHeld = "evictions_held",
    /// Workflows that failed because nothing of them got on.
    WorkflowStuck = "workflow_stuck",
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

    /// Windows of plan time closed.
    WindowClosed = "window_closed",
    /// Of those, closed without a shard that was late.
    WindowIncomplete = "window_incomplete",
    /// Windows added to an older one to keep memory fixed.
    WindowFolded = "window_folded",
    /// Windows added up early because all windows together had too many buckets.
    WindowEvicted = "window_evicted",
    /// Live totals that fell because what a run had reported is lost with it.
    TotalsRestated = "totals_restated",
    /// Live views that were older than what is known.
    ViewStale = "view_stale",
    /// Windows asked for by clients.
    WindowsPulled = "windows_pulled",
    /// Times workers were to report less often.
    PressureRaised = "pressure_raised",
    /// Times workers could report more often again.
    PressureLowered = "pressure_lowered",
    /// Workers told to report less often.
    PressureTold = "pressure_told",
    /// Reports that a worker left out because its manager wanted fewer.
    ReportSkipped = "report_skipped",
    /// Times a worker's machine came near its limits.
    GuardWarned = "guard_warned",
    /// Times a worker took no new runs because its machine was at its limits.
    GuardThrottled = "guard_throttled",
    /// Times a worker's memory was about to run out.
    GuardStopping = "guard_stopping",
    /// Times a worker's machine was far from its limits again.
    GuardRelaxed = "guard_relaxed",
    /// Runs ended by their worker because memory was about to run out.
    RunSacrificed = "run_sacrificed",
    /// Members probed.
    SwimProbed = "swim_probed",
    /// Probes answered, by whatever the member said.
    SwimAnswered = "swim_answered",
    /// Probes that nobody answered.
    SwimUnanswered = "swim_unanswered",
    /// Proxies asked to probe for this node.
    SwimAsked = "swim_asked",
    /// Probes answered through a proxy.
    SwimRelayed = "swim_relayed",
    /// Proxies that had no answer either.
    SwimNacked = "swim_nacked",
    /// Probes begun early because heartbeats stopped.
    SwimHastened = "swim_hastened",
    /// Lives of members reached.
    SwimReached = "swim_reached",
    /// Members suspected.
    SwimSuspected = "swim_suspected",
    /// Suspicions confirmed by another member.
    SwimAccused = "swim_accused",
    /// Suspicions refuted by the suspect.
    SwimCleared = "swim_cleared",
    /// Members that did not refute their suspicion in time.
    SwimDied = "swim_died",
    /// Members that said goodbye.
    SwimLeft = "swim_left",
    /// Members forgotten.
    SwimRemoved = "swim_removed",
    /// Claims about this node that it refuted.
    SwimRefuted = "swim_refuted",
    /// Deaths that change no choice because most members look dead.
    SwimHeld = "swim_held",
    /// Workers passed over for a new run because they are suspected or dead.
    WorkerDoubted = "worker_doubted",
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
