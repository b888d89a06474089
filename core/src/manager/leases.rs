//! Confirmations: which runs may issue load, up to which item, and when the last one they can have
//! had has expired.
//!
//! Inputs: runs opened and closed by the ledger, what heartbeats list, plan time, the clock.
//! Outputs: `Issue` verdicts, reservations to propose, runs whose leases expired.
//! The grantor counts `lease::grantor_wait(ttl)` from when it sends a confirmation; the holder
//! counts `ttl` from when it sent the heartbeat. After a restart every open run that may have
//! issued counts as confirmed at the moment of leading, up to its reserved ceiling; a heartbeat
//! that lists it is answered at once.
//!
//! Invariants: run-exclusive, first-confirm-alone (a shard has one open run, see the ledger),
//! plan-ceiling and index-once (no ceiling above the reservation). Does not do: deciding whether a
//! run is still wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ceilings::{self, Demand, Want};
use super::models::{Run, WorkflowKey};
use crate::config::LeaseConfig;
use crate::ids::{BootId, JobId, NodeId, RunId, ShardId};
use crate::input::Progress;
use crate::invariant::Inv;
use crate::lease::{Grantor, grantor_wait};
use crate::machine::{Cx, Wake};
use crate::plan::{Executor, PlanTime, Share};
use crate::stat::Stat;
use crate::time::Instant;
use crate::timers::Timers;
use crate::wire::{RunBeat, RunState, VerdictKind};

/// A running workflow's plan time is replicated so often, and reservations are renewed with it.
/// Whatever was reserved counts as issued when leader and worker die together, so it is little and
/// often.
const ADVANCE_EVERY: Duration = Duration::from_secs(1);

/// An engine has so long to stop a run after its last confirmation expired.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// An open run.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    /// The run.
    pub(super) run: RunId,
    /// Who holds it.
    pub(super) worker: NodeId,
    /// In which life.
    pub(super) boot: BootId,
    /// The workflow's executor.
    pub(super) executor: Executor,
    /// The shard's share.
    pub(super) share: Share,
    /// The first item it may issue.
    first: u64,
    /// The highest ceiling it was given; its first item before that.
    pub(super) given: u64,
    /// It had a confirmation, or may have had one of an earlier life of this node.
    was_confirmed: bool,
    /// The first plan time at which a heartbeat listed it as running.
    pub(super) seen_from: Option<PlanTime>,
    /// What a heartbeat of this boot of ours said of it last.
    listed: Option<Listed>,
    /// Items per second it issued lately.
    rate: u64,
    /// It gets no higher ceiling: its worker leaves.
    is_frozen: bool,
    /// It would get a higher ceiling if more were reserved.
    limited: bool,
    /// Opened before plan time was fixed, so that its start counts for the skew.
    is_original: bool,
    /// Its worker was stopping it when its last confirmation expired.
    is_doubted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Listed {
    at: Instant,
    state: RunState,
    progress: Progress,
    has_plan_time: bool,
}

/// Plan time of a running workflow on this node's clock.
#[derive(Clone, Debug)]
struct PlanClock {
    at: Instant,
    plan: PlanTime,
    /// Taken over from an earlier life, which may have known better than the ledger.
    is_recovered: bool,
    /// By how much reported plan times were behind ours: lowest, highest.
    behind: Option<(i64, i64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    /// The last confirmation of the shard's run expired while its worker still listed it.
    Doubt(ShardId),
    Advance(WorkflowKey),
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// The last possible confirmation of this shard's open run has expired and its worker is silent
    /// about it.
    Lost(ShardId),
    /// Plan time of this workflow is to be replicated.
    Advance(WorkflowKey),
}

/// Every open run and every running workflow's clock.
#[derive(Clone, Debug)]
pub(super) struct Leases {
    config: LeaseConfig,
    wait: Duration,
    grants: Grantor,
    runs: BTreeMap<ShardId, Lease>,
    clocks: BTreeMap<WorkflowKey, PlanClock>,
    timers: Timers<Key>,
}

impl Leases {
    /// None yet.
    pub(super) fn new(config: LeaseConfig) -> Self {
        Self {
            config,
            wait: grantor_wait(config.ttl, config.drift_ppm),
            grants: Grantor::new(config),
            runs: BTreeMap::new(),
            clocks: BTreeMap::new(),
            timers: Timers::new(),
        }
    }

    /// A run was committed in this life: it never had a confirmation.
    pub(super) fn open(&mut self, id: RunId, run: &Run, executor: Executor, share: Share) {
        let lease = Lease {
            run: id,
            worker: run.worker,
            boot: run.boot,
            executor,
            share,
            first: run.first,
            given: run.first,
            was_confirmed: false,
            seen_from: None,
            listed: None,
            rate: 0,
            is_frozen: false,
            limited: false,
            is_doubted: false,
            is_original: !self.clocks.contains_key(&WorkflowKey::of(id.shard)),
        };
        self.runs.insert(id.shard, lease);
    }

    /// A run of an earlier life: if it may have issued, it counts as confirmed just now.
    pub(super) fn recover(&mut self, cx: &Cx<'_>, id: RunId, run: &Run, slice: (Executor, Share)) {
        self.open(id, run, slice.0, slice.1);
        if let Some(lease) = self.runs.get_mut(&id.shard)
            && run.may_have_issued()
        {
            lease.given = run.reserved;
            lease.was_confirmed = true;
            self.grants.grant(id, cx.now());
        }
    }

    /// The shard's run ended.
    pub(super) fn close(&mut self, shard: ShardId) -> Option<Lease> {
        self.timers.cancel(&Key::Doubt(shard));
        let lease = self.runs.remove(&shard)?;
        self.grants.forget(lease.run);
        Some(lease)
    }

    /// A workflow ended.
    pub(super) fn close_workflow(&mut self, key: WorkflowKey) {
        self.clocks.remove(&key);
        self.timers.cancel(&Key::Advance(key));
    }

    /// Fixes plan time: it is `plan` now.
    pub(super) fn start_clock(&mut self, now: Instant, key: WorkflowKey, plan: PlanTime) {
        self.timers.set(Key::Advance(key), now.after(ADVANCE_EVERY));
        let clock = PlanClock { at: now, plan, is_recovered: false, behind: None };
        self.clocks.insert(key, clock);
    }

    /// Takes over plan time from an earlier life.
    pub(super) fn recover_clock(&mut self, now: Instant, key: WorkflowKey, plan: PlanTime) {
        self.start_clock(now, key, plan);
        if let Some(clock) = self.clocks.get_mut(&key) {
            clock.is_recovered = true;
        }
    }

    /// Plan time of a workflow; `None` before its start and after its end.
    pub(super) fn plan_time(&self, key: WorkflowKey, now: Instant) -> Option<PlanTime> {
        self.clocks.get(&key).map(|clock| clock.plan.after(now.since(clock.at)))
    }

    /// How far apart the shards of a workflow started, as far as their heartbeats showed.
    pub(super) fn start_skew_ns(&self, key: WorkflowKey) -> u64 {
        let behind = self.clocks.get(&key).and_then(|clock| clock.behind);
        behind.map_or(0, |(least, most)| most.abs_diff(least))
    }

    /// The open run of a shard.
    pub(super) fn lease(&self, shard: ShardId) -> Option<&Lease> {
        self.runs.get(&shard)
    }

    /// Every open run.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.runs.values()
    }

    /// Whether a run may hold a confirmation.
    pub(super) fn is_live(&self, run: RunId, now: Instant) -> bool {
        !self.grants.expired(run, now)
    }

    /// The open runs of a workflow.
    pub(super) fn of_workflow(&self, key: WorkflowKey) -> impl Iterator<Item = &Lease> {
        self.runs.range(key.shards()).map(|(_, lease)| lease)
    }

    /// The open runs of a job.
    pub(super) fn of_job(&self, job: JobId) -> impl Iterator<Item = &Lease> {
        let keys = WorkflowKey::of_job(job);
        let shards = *keys.start().shards().start()..=*keys.end().shards().end();
        self.runs.range(shards).map(|(_, lease)| lease)
    }

    /// A heartbeat of the run's worker that arrived at `at`, the newest, lists it.
    pub(super) fn on_listed(&mut self, now: Instant, at: Instant, beat: &RunBeat) {
        let Some(lease) = self.runs.get_mut(&beat.run.shard) else { return };
        let before = lease.listed;
        if let Some(before) = before {
            let items = beat.progress.next.saturating_sub(before.progress.next);
            lease.rate = ceilings::rate_between(lease.rate, items, at.since(before.at));
        }
        if beat.state == RunState::Running {
            lease.seen_from = lease.seen_from.or(beat.plan_time);
        }
        let is_first = beat.plan_time.is_some() && before.is_none_or(|last| !last.has_plan_time);
        lease.listed = Some(Listed {
            at,
            state: beat.state,
            progress: beat.progress,
            has_plan_time: beat.plan_time.is_some(),
        });
        let is_original = lease.is_original;
        let clock = self.clocks.get_mut(&WorkflowKey::of(beat.run.shard));
        if let (true, Some(clock), Some(reported)) = (is_first, clock, beat.plan_time) {
            clock.on_first_reported(now, reported.after(now.since(at)), is_original);
        }
    }

    /// Confirms a run as far as `reserved` allows; `None` when nothing was ever reserved for it.
    pub(super) fn grant(
        &mut self,
        cx: &mut Cx<'_>,
        shard: ShardId,
        run: &Run,
    ) -> Option<VerdictKind> {
        let plan_time = self.plan_time(WorkflowKey::of(shard), cx.now())?;
        let want = self.want(shard, plan_time)?;
        let lease = self.runs.get_mut(&shard)?;
        lease.limited = want.ceiling > run.reserved || !run.may_have_issued();
        if !run.may_have_issued() {
            cx.count(Stat::ConfirmHeld);
            return None;
        }
        lease.given = lease.given.max(want.ceiling.min(run.reserved));
        crate::ensure!(
            cx,
            lease.given <= run.reserved,
            Inv::PlanCeiling,
            "{:?} given {} of {}",
            lease.run,
            lease.given,
            run.reserved
        );
        lease.was_confirmed = true;
        self.grants.grant(lease.run, cx.now());
        cx.count(Stat::RunConfirmed);
        Some(VerdictKind::Issue { ttl: self.config.ttl, ceiling: lease.given, plan_time })
    }

    /// The shard's run gets no higher ceiling from here on, or does again.
    pub(super) fn freeze(&mut self, shard: ShardId, is_frozen: bool) {
        if let Some(lease) = self.runs.get_mut(&shard) {
            lease.is_frozen = is_frozen;
        }
    }

    /// Whether a run needs a longer reservation than it has.
    pub(super) fn is_short(&self, shard: ShardId, run: &Run, now: Instant) -> bool {
        let plan_time = self.plan_time(WorkflowKey::of(shard), now);
        let want = plan_time.and_then(|at| self.want(shard, at));
        want.is_some_and(|want| run.reserved < want.low || !run.may_have_issued())
    }

    /// What to reserve for a run at a plan time. Always more than its first item, so that a
    /// reservation shows in the ledger that the run may have been confirmed.
    pub(super) fn reserve(&self, shard: ShardId, run: &Run, at: PlanTime) -> Option<u64> {
        Some(self.want(shard, at)?.reserve.max(run.reserved).max(run.first.saturating_add(1)))
    }

    /// Whether a ready run would get more from a confirmation than it has.
    pub(super) fn is_wanting(&self, shard: ShardId) -> bool {
        self.runs.get(&shard).is_some_and(|lease| {
            lease.may_be_confirmed() && (lease.limited || !lease.was_confirmed)
        })
    }

    fn want(&self, shard: ShardId, plan_time: PlanTime) -> Option<Want> {
        let lease = self.runs.get(&shard)?;
        let listed = lease.listed.map_or(0, |listed| listed.progress.next);
        let demand = Demand {
            executor: &lease.executor,
            share: &lease.share,
            plan_time,
            next: listed.max(lease.first),
            rate: lease.rate,
        };
        let want = ceilings::want(demand, &self.config);
        let frozen = Want { ceiling: lease.given, low: 0, reserve: 0 };
        Some(if lease.is_frozen { frozen } else { want })
    }

    /// Takes what is due. A worker that still lists a run has not lost it.
    pub(super) fn on_wake(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                Key::Advance(workflow) => {
                    self.timers.set(key, now.after(ADVANCE_EVERY));
                    due.push(Due::Advance(workflow));
                }
                Key::Doubt(shard) => due.extend(self.doubt(now, shard)),
            }
        }
        while let Some((end, run)) = self.grants.next()
            && end <= now
        {
            self.grants.forget(run);
            due.extend(self.doubt(now, run.shard));
        }
        due
    }

    /// A run holds no confirmation: it is lost, unless its worker was heard of it lately or it is
    /// confirmed again.
    fn doubt(&mut self, now: Instant, shard: ShardId) -> Option<Due> {
        let lease = self.runs.get(&shard)?;
        if self.grants.expires(lease.run).is_some() {
            return None;
        }
        // It may not issue any more, whether or not its engine ever says that it stopped.
        let is_stopping = lease.listed.is_some_and(|listed| listed.state == RunState::Stopping);
        if is_stopping && lease.is_doubted {
            return Some(Due::Lost(shard));
        }
        let silent_from = lease.listed.map(|listed| listed.at.after(self.wait));
        if let Some(lease) = self.runs.get_mut(&shard).filter(|_| is_stopping) {
            lease.is_doubted = true;
            self.timers.set(Key::Doubt(shard), now.after(STOP_WITHIN));
            return None;
        }
        match silent_from.filter(|end| *end > now) {
            Some(end) => {
                self.timers.set(Key::Doubt(shard), end);
                None
            }
            None => Some(Due::Lost(shard)),
        }
    }

    /// When the next of these is due.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        let timer = self.timers.next().map(|(at, key)| {
            let why = match key {
                Key::Doubt(_) => "a worker is silent about its run",
                Key::Advance(_) => "replicate plan time",
            };
            Wake { at, why }
        });
        let expiry = self.grants.next().map(|(at, _)| Wake { at, why: "a confirmation expires" });
        Wake::earliest(timer, expiry)
    }

    /// Whether nothing of any job is held.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
            && self.clocks.is_empty()
            && self.timers.is_empty()
            && self.grants.is_empty()
    }
}

impl Lease {
    /// Whether its worker said that it is ready and has not ended.
    pub(super) fn may_be_confirmed(&self) -> bool {
        self.listed.is_some_and(|listed| match listed.state {
            RunState::Prepared | RunState::Running | RunState::Parked => true,
            RunState::Preparing | RunState::Stopping | RunState::Ended | RunState::Refused => false,
        })
    }

    /// The next item of a run that its worker said is running, and when it said so.
    pub(super) fn running_next(&self) -> Option<(u64, Instant)> {
        let listed = self.listed.filter(|listed| listed.state == RunState::Running)?;
        Some((listed.progress.next, listed.at))
    }

    /// Whether it may ever have been confirmed.
    pub(super) fn was_confirmed(&self) -> bool {
        self.was_confirmed
    }
}

impl PlanClock {
    fn on_first_reported(&mut self, now: Instant, reported: PlanTime, is_original: bool) {
        let ours = self.plan.after(now.since(self.at));
        if self.is_recovered {
            if reported > ours {
                self.plan = reported;
                self.at = now;
            }
        } else if is_original {
            let behind = ours.as_nanos().saturating_sub(reported.as_nanos());
            let (least, most) = self.behind.unwrap_or((behind, behind));
            self.behind = Some((least.min(behind), most.max(behind)));
        }
    }
}
