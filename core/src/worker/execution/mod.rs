//! Execution: which runs are held, on which cores, and what each may do.
//!
//! In: what managers decide about runs (prepare, issue, stop, forget), what the engine tells, the
//! passing of a confirmation's end. Out: `Start`, `Permit` and `Stop` effects; events: a heartbeat
//! is due, a run has its last word, a run is dropped.
//!
//! A run is taken only under a fence above all seen for its shard, and ends every lower one. It is
//! permitted only while it holds the highest. Its core is given back when the engine let go of it.
//! Keeps `cores-conserved`, `fence-monotonic`, `lifecycle-legal`, `bounded`. Totals are not kept
//! here, messages are not sent from here; how runs are ended early is in `cancellation`.

mod cores;
mod run;

use std::collections::BTreeSet;
use std::time::Duration;

pub(super) use cores::Cores;
use run::Confirmed;
pub(super) use run::Run;

use super::models::{Ending, Grant, Move, RunView};
use crate::bounded::{BoundedMap, BoundedVec};
use crate::config::WorkerConfig;
use crate::ensure;
use crate::ids::{BootId, Fence, GroupId, LogIndex, RunId, ShardId, ShardIx, WorkflowIx};
use crate::input::Progress;
use crate::invariant::{Inv, Violation};
use crate::lease::{FenceRefusal, Fences};
use crate::limits::{FENCES_MAX, RUNS_PER_WORKER_MAX};
use crate::machine::{Cx, Events, Machine, Wake};
use crate::plan::Slice;
use crate::stat::Stat;
use crate::stats::Totals;
use crate::time::Instant;
use crate::timers::Timers;
use crate::wire::{Final, RunBeat, RunEnd, RunState};

/// What can happen to the runs of a worker.
#[derive(Debug)]
pub(super) enum Input {
    /// Confirmations may have ended.
    Wake,
    /// Take no new runs.
    Drain,
    /// Take no new runs for the time being, or take them again.
    Throttle(bool),
    /// The newest run must end.
    EndNewest,
    /// A manager assigned a run.
    Prepare { run: RunId, slice: Box<Slice> },
    /// A manager confirmed a run.
    Issue { run: RunId, grant: Grant },
    /// A manager wants it ended.
    Stop(RunId),
    /// A manager has its end committed, or does not know it.
    Forget(RunId),
    /// The engine is ready.
    Ready(RunId),
    /// The engine could not prepare, and has forgotten it.
    Broken { run: RunId, reason: String },
    /// The engine's counters.
    Progressed { run: RunId, progress: Progress },
    /// The engine issues nothing more, and has forgotten it.
    Ended(Ending),
}

/// What the worker must know.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// A heartbeat is due at once.
    Changed,
    /// A run's last word.
    Finished(Box<Final>),
    /// Nothing of the run is held any more.
    Dropped(RunId),
}

/// The runs, their cores and the fences seen.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) boot: BootId,
    pub(super) cores: Cores,
    pub(super) fences: Fences,
    pub(super) runs: BoundedMap<RunId, Run, RUNS_PER_WORKER_MAX>,
    pub(super) expiries: Timers<RunId>,
    ttl_max: Duration,
    draining: bool,
    throttled: bool,
    /// The runs that the current step touched.
    touched: BTreeSet<RunId>,
}

impl Execution {
    pub(super) fn new(config: &WorkerConfig, boot: BootId) -> Self {
        let cap = u16::try_from(RUNS_PER_WORKER_MAX).unwrap_or(u16::MAX);
        Self {
            boot,
            cores: Cores::new(config.cores.min(cap)),
            fences: Fences::new(FENCES_MAX),
            runs: BoundedMap::new(),
            expiries: Timers::new(),
            ttl_max: config.lease.ttl,
            draining: false,
            throttled: false,
            touched: BTreeSet::new(),
        }
    }

    /// A new step begins: nothing is touched.
    pub(super) fn begin_step(&mut self) {
        self.touched.clear();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the machine is at its limits.
    pub(super) fn is_throttled(&self) -> bool {
        self.throttled
    }

    /// Whether the engine has the run.
    pub(super) fn is_live(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(Run::is_live)
    }

    /// Whether nothing is held but refusals.
    pub(super) fn is_idle(&self) -> bool {
        self.runs.values().all(|run| run.state() == RunState::Refused)
    }

    pub(super) fn views(&self) -> impl Iterator<Item = RunView> {
        self.runs.values().map(Run::view)
    }

    /// Every run held, for a heartbeat.
    pub(super) fn beats(&self, now: Instant) -> BoundedVec<RunBeat, RUNS_PER_WORKER_MAX> {
        let mut beats = BoundedVec::new();
        for run in self.runs.values() {
            // Both have the same cap.
            if beats.push(run.beat(now)).is_err() {
                break;
            }
        }
        beats
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) -> Events<Event> {
        let mut events = Events::none();
        while let Some(id) = self.expiries.pop_due(cx.now()) {
            let Some(run) = self.edit(id) else { continue };
            if run.park() {
                cx.count(Stat::RunParked);
                events.push(Event::Changed);
            }
        }
        events
    }

    fn on_prepare(&mut self, cx: &mut Cx<'_>, id: RunId, slice: Box<Slice>) -> Events<Event> {
        if self.runs.contains_key(&id) {
            cx.count(Stat::MessageStale);
            return Events::none();
        }
        if !self.admits(cx, id) {
            return Events::none();
        }
        let mut events = self.supersede(cx, id);
        let full = self.draining || self.throttled;
        let core = if full { None } else { self.cores.assign(id) };
        match core {
            Some(core) => {
                cx.count(Stat::RunPrepared);
                self.hold(cx, id, Run::preparing(id, core, slice.first));
                cx.out.start(id, slice);
            }
            None => {
                cx.count(Stat::RunRefused);
                self.hold(cx, id, Run::refused(id, slice.first));
            }
        }
        events.push(Event::Changed);
        events
    }

    fn on_issue(&mut self, cx: &mut Cx<'_>, id: RunId, mut grant: Grant) -> Events<Event> {
        // A shorter lease than the one granted is always safe; a longer one than configured here
        // would outlast what this worker's operator agreed to.
        grant.ttl = grant.ttl.min(self.ttl_max);
        if !self.runs.contains_key(&id) {
            cx.count(Stat::MessageStale);
            return Events::none();
        }
        if !self.fences.is_current(id) {
            cx.count(Stat::FenceRefused);
            return Events::none();
        }
        let Some(run) = self.edit(id) else { return Events::none() };
        match run.confirm(grant, cx.now()) {
            Confirmed::Stale | Confirmed::Known => {
                cx.count(Stat::MessageStale);
                Events::none()
            }
            Confirmed::New { permit, was, slewed } => {
                self.expiries.set(id, permit.until);
                cx.count(Stat::RunConfirmed);
                if slewed {
                    cx.count(Stat::PlanTimeSlewed);
                }
                if was == RunState::Parked {
                    cx.count(Stat::RunResumed);
                }
                cx.out.permit(id, permit);
                if was == RunState::Running { Events::none() } else { Events::one(Event::Changed) }
            }
        }
    }

    fn on_ready(&mut self, cx: &mut Cx<'_>, id: RunId) -> Events<Event> {
        if self.edit(id).is_some_and(|run| run.go(Move::Ready)) {
            return Events::one(Event::Changed);
        }
        cx.count(Stat::MessageStale);
        Events::none()
    }

    fn on_broken(&mut self, cx: &mut Cx<'_>, id: RunId, reason: String) -> Events<Event> {
        let Some(run) = self.edit(id) else {
            cx.count(Stat::MessageStale);
            return Events::none();
        };
        let was = run.state();
        if !run.go(Move::Broken) {
            cx.count(Stat::MessageStale);
            return Events::none();
        }
        if was == RunState::Stopping {
            cx.count(Stat::RunEnded);
            return self.finish(cx, id, RunEnd::Stopped, Box::default());
        }
        cx.count(Stat::RunRefused);
        self.finish(cx, id, RunEnd::Failed { reason }, Box::default())
    }

    fn on_progressed(&mut self, cx: &mut Cx<'_>, id: RunId, progress: Progress) -> Events<Event> {
        match self.edit(id) {
            Some(run) if run.is_live() => {
                if run.observe(progress) {
                    return Events::one(Event::Changed);
                }
            }
            Some(_) | None => cx.count(Stat::MessageStale),
        }
        Events::none()
    }

    fn on_ended(&mut self, cx: &mut Cx<'_>, ending: Ending) -> Events<Event> {
        let Ending { run: id, completed, progress, totals } = ending;
        let Some(run) = self.edit(id) else {
            cx.count(Stat::MessageStale);
            return Events::none();
        };
        if !run.go(Move::End) {
            cx.count(Stat::MessageStale);
            return Events::none();
        }
        cx.count(Stat::RunEnded);
        run.close_park(cx.now());
        run.observe(progress);
        let end = if completed { RunEnd::Completed } else { RunEnd::Stopped };
        self.finish(cx, id, end, totals)
    }

    /// The engine has let go of a run: its core is free, its fence is over, its last word is told.
    pub(super) fn finish(
        &mut self,
        cx: &mut Cx<'_>,
        id: RunId,
        end: RunEnd,
        totals: Box<Totals>,
    ) -> Events<Event> {
        let boot = self.boot;
        self.expiries.cancel(&id);
        self.fences.end(id);
        let Some(run) = self.edit(id) else { return Events::none() };
        let core = run.let_go(cx.now());
        let forgotten = run.forgotten;
        let last_word = run.last_word(boot, end, totals);
        if let Some(core) = core {
            let holder = self.cores.free(core);
            ensure!(cx, holder == Some(id), Inv::CoresConserved, "{holder:?} on {id:?}'s {core}");
        }
        if forgotten {
            return self.drop_run(id);
        }
        let mut events = Events::one(Event::Finished(Box::new(last_word)));
        events.push(Event::Changed);
        events
    }

    /// Drops everything about a run but its fence.
    pub(super) fn drop_run(&mut self, id: RunId) -> Events<Event> {
        self.fences.end(id);
        self.touched.insert(id);
        self.runs.remove(&id);
        let shard = ShardId { workflow: WorkflowIx::new(0), shard: ShardIx::new(0), ..id.shard };
        let mut same_or_later = self.runs.range(RunId { shard, fence: Fence::default() }..);
        if same_or_later.next().is_none_or(|(run, _)| run.shard.job != id.shard.job) {
            self.fences.close(id.shard.job);
        }
        let mut events = Events::one(Event::Dropped(id));
        events.push(Event::Changed);
        events
    }

    /// Whether there is room for a run and its fence is obeyed. If not, nothing changed.
    pub(super) fn admits(&mut self, cx: &mut Cx<'_>, id: RunId) -> bool {
        if self.runs.is_full() {
            cx.count(Stat::CapRefused);
            return false;
        }
        match self.fences.obey(id) {
            Ok(()) => true,
            Err(FenceRefusal::Stale) => {
                cx.count(Stat::FenceRefused);
                false
            }
            Err(FenceRefusal::Full) => {
                cx.count(Stat::CapRefused);
                false
            }
        }
    }

    pub(super) fn hold(&mut self, cx: &mut Cx<'_>, id: RunId, run: Run) {
        self.touched.insert(id);
        let held = self.runs.insert(id, run);
        ensure!(cx, matches!(held, Ok(None)), Inv::Bounded, "{id:?} held twice, or too many runs");
    }

    /// A run to be changed in this step.
    pub(super) fn edit(&mut self, id: RunId) -> Option<&mut Run> {
        let run = self.runs.value_mut(&id)?;
        self.touched.insert(id);
        Some(run)
    }

    /// The live runs of a shard below a fence.
    pub(super) fn lower(&self, run: RunId) -> Vec<RunId> {
        let first = RunId { fence: Fence::default(), ..run };
        let below = self.runs.range(first..run);
        below.filter(|(_, run)| run.is_live()).map(|(id, _)| *id).collect()
    }

    fn check_run(&self, id: RunId) -> Result<(), Violation> {
        let expiry = self.expiries.deadline(&id);
        let Some(run) = self.runs.get(&id) else {
            let core = self.cores.iter().find(|(_, holder)| *holder == id);
            return held(core.is_none(), Inv::CoresConserved, || format!("{id:?} left {core:?}"))
                .and(held(expiry.is_none(), Inv::LifecycleLegal, || {
                    format!("{id:?} left a timer")
                }));
        };
        let (state, core) = (run.state(), run.core());
        let holder = core.and_then(|core| self.cores.holder(core));
        let right = if run.is_live() { holder == Some(id) } else { core.is_none() };
        held(right, Inv::CoresConserved, || format!("{id:?} {state:?} core {core:?} {holder:?}"))?;
        let timed = if state == RunState::Running { run.until() } else { None };
        held(expiry == timed, Inv::LifecycleLegal, || {
            format!("{id:?} {state:?} timer {expiry:?}")
        })?;
        let highest = self.fences.highest(id.shard);
        let lower = highest.is_none_or(|highest| highest < id.fence);
        held(!lower, Inv::FenceMonotonic, || format!("{id:?} above {highest:?}"))?;
        let may = matches!(state, RunState::Running | RunState::Parked);
        let alone = !may || self.fences.is_current(id);
        held(alone, Inv::FenceMonotonic, || format!("{id:?} {state:?} is not current"))
    }

    fn check_shard(&self, shard: ShardId) -> Result<(), Violation> {
        let last = Fence { group: GroupId::new(u64::MAX), index: LogIndex::new(u64::MAX) };
        let first = RunId { shard, fence: Fence::default() };
        let of_shard = self.runs.range(first..=RunId { shard, fence: last });
        let mut live =
            of_shard.filter(|(_, run)| matches!(run.state(), RunState::Running | RunState::Parked));
        let second = live.nth(1);
        held(second.is_none(), Inv::RunExclusive, || format!("two runs of {shard:?} may issue"))
    }

    /// Walks everything.
    pub(super) fn check_all(&self) -> Result<(), Violation> {
        for id in self.runs.keys() {
            self.check_run(*id)?;
            self.check_shard(id.shard)?;
        }
        let live = self.runs.values().filter(|run| run.is_live()).count();
        let taken = usize::from(self.cores.count() - self.cores.free_count());
        held(live == taken, Inv::CoresConserved, || format!("{live} runs on {taken} cores"))?;
        let strays = self.expiries.iter().filter(|(id, _)| !self.runs.contains_key(id)).count();
        held(strays == 0, Inv::LifecycleLegal, || format!("{strays} timers of runs not held"))?;
        let fences = self.fences.len();
        held(fences <= FENCES_MAX, Inv::Bounded, || format!("{fences} fences"))
    }
}

fn held(holds: bool, inv: Inv, detail: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::new(inv, detail())) }
}

impl Machine for Execution {
    type Input = Input;
    type Event = Event;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Event> {
        match input {
            Input::Wake => self.on_wake(cx),
            Input::Drain => {
                let news = !core::mem::replace(&mut self.draining, true);
                if news { Events::one(Event::Changed) } else { Events::none() }
            }
            Input::Throttle(on) => {
                let news = core::mem::replace(&mut self.throttled, on) != on;
                if news { Events::one(Event::Changed) } else { Events::none() }
            }
            Input::EndNewest => self.on_end_newest(cx),
            Input::Prepare { run, slice } => self.on_prepare(cx, run, slice),
            Input::Issue { run, grant } => self.on_issue(cx, run, grant),
            Input::Stop(run) => self.on_stop(cx, run),
            Input::Forget(run) => self.on_forget(cx, run),
            Input::Ready(run) => self.on_ready(cx, run),
            Input::Broken { run, reason } => self.on_broken(cx, run, reason),
            Input::Progressed { run, progress } => self.on_progressed(cx, run, progress),
            Input::Ended(ending) => self.on_ended(cx, ending),
        }
    }

    fn next_wake(&self) -> Option<Wake> {
        let (at, _) = self.expiries.next()?;
        Some(Wake { at, why: "a confirmation ends" })
    }

    fn check(&self) -> Result<(), Violation> {
        for id in &self.touched {
            self.check_run(*id)?;
            self.check_shard(id.shard)?;
        }
        Ok(())
    }
}
