//! Workers as the manager should find them, with a record of everything they issued. They obey the
//! contract of a worker; that what they do together keeps the promises is the manager's part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::{BootId, Fence, NodeId, RunId, ShardId};
use hyperscale_core::input::Progress;
use hyperscale_core::plan::{Executor, PlanTime, Slice};
use hyperscale_core::wire::{
    Confirm, Final, Heartbeat, Message, Prepare, Report, RunBeat, RunEnd, RunState, VerdictKind,
};

use super::rig::{holds_core, totals, worker};

#[derive(Clone, Debug)]
struct Held {
    slice: Option<Box<Slice>>,
    state: RunState,
    until: Duration,
    ceiling: u64,
    next: u64,
    /// When plan time was zero, in nanoseconds of the common clock.
    zero: Option<i128>,
    reports: u64,
    end: RunEnd,
}

impl Held {
    fn new(slice: Option<Box<Slice>>, state: RunState) -> Self {
        let next = slice.as_ref().map_or(0, |slice| slice.first);
        let end = RunEnd::Stopped;
        Self { slice, state, until: Duration::ZERO, ceiling: 0, next, zero: None, reports: 0, end }
    }

    fn issued(&self) -> u64 {
        let Some(slice) = &self.slice else { return 0 };
        (self.next - slice.first) * per_item(slice)
    }

    fn progress(&self) -> Progress {
        let done = self.issued();
        Progress { next: self.next, started: done, ended: done, ..Progress::default() }
    }

    fn plan_time(&self, now: Duration) -> Option<PlanTime> {
        let zero = self.zero?;
        let nanos = i128::try_from(now.as_nanos()).unwrap() - zero;
        Some(PlanTime::from_nanos(i64::try_from(nanos).unwrap()))
    }
}

pub(super) fn per_item(slice: &Slice) -> u64 {
    match slice.workflow.executor {
        Executor::PerVuIterations { .. } | Executor::ConstantVus { .. } => {
            u64::from(slice.share.vus)
        }
        Executor::SharedIterations { .. } | Executor::ConstantArrivalRate { .. } => 1,
    }
}

/// One worker.
#[derive(Clone, Debug)]
pub(super) struct Modelled {
    pub(super) node: NodeId,
    boot: BootId,
    cores: u16,
    pub(super) is_draining: bool,
    seq: u64,
    sent: BTreeMap<u64, Duration>,
    runs: BTreeMap<RunId, Held>,
    seen: BTreeMap<ShardId, Fence>,
}

/// Everything that was issued, as seen from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    /// The first item of each shard that nobody has issued.
    pub(super) frontier: BTreeMap<ShardId, u64>,
    /// Iterations issued per shard.
    pub(super) issued: BTreeMap<ShardId, u64>,
    /// When load was last issued.
    pub(super) last: Option<Duration>,
}

impl Modelled {
    pub(super) fn new(ix: u64, boot: u64, cores: u16) -> Self {
        Self {
            node: worker(ix),
            boot: BootId::new(boot),
            cores,
            is_draining: false,
            seq: 0,
            sent: BTreeMap::new(),
            runs: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    pub(super) fn beat(&mut self, now: Duration) -> Heartbeat {
        self.park(now);
        self.seq += 1;
        self.sent.insert(self.seq, now);
        let runs = self.runs.iter().map(|(run, held)| RunBeat {
            run: *run,
            state: held.state,
            progress: held.progress(),
            ceiling: held.ceiling,
            plan_time: held.plan_time(now),
        });
        let runs = runs.collect::<Vec<_>>();
        let used = runs.iter().filter(|beat| holds_core(beat.state)).count() as u16;
        Heartbeat {
            boot: self.boot,
            seq: self.seq,
            cores: self.cores,
            free: self.cores - used,
            draining: self.is_draining,
            runs: runs.try_into().unwrap(),
        }
    }

    pub(super) fn hear(&mut self, now: Duration, msg: Message) {
        match msg {
            Message::Prepare(prepare) => self.on_prepare(prepare),
            Message::Confirm(confirm) => self.on_confirm(now, confirm),
            Message::Swim(_) => {}
            other => panic!("a worker does not hear {other:?}"),
        }
    }

    fn on_prepare(&mut self, prepare: Prepare) {
        let Prepare { boot, run, slice } = prepare;
        let stale = self.seen.get(&run.shard).is_some_and(|seen| *seen >= run.fence);
        if boot != self.boot || stale {
            return;
        }
        self.seen.insert(run.shard, run.fence);
        let used = self.runs.values().filter(|held| holds_core(held.state)).count();
        let fits = used < usize::from(self.cores) && !self.is_draining;
        let state = if fits { RunState::Preparing } else { RunState::Refused };
        self.runs.insert(run, Held::new(Some(slice), state));
    }

    fn on_confirm(&mut self, now: Duration, confirm: Confirm) {
        let Some(sent) = self.sent.get(&confirm.seq).copied() else { return };
        if confirm.boot != self.boot {
            return;
        }
        for verdict in &confirm.verdicts {
            match verdict.kind {
                VerdictKind::Issue { ttl, ceiling, plan_time } => {
                    let Some(held) = self.runs.get_mut(&verdict.run) else { continue };
                    let ready = matches!(
                        held.state,
                        RunState::Prepared | RunState::Running | RunState::Parked
                    );
                    if ready && now < sent + ttl {
                        held.state = RunState::Running;
                        held.until = held.until.max(sent + ttl);
                        held.ceiling = held.ceiling.max(ceiling);
                        let now = i128::try_from(now.as_nanos()).unwrap();
                        held.zero.get_or_insert(now - i128::from(plan_time.as_nanos()));
                    }
                }
                VerdictKind::Hold => {}
                VerdictKind::Stop => {
                    let shard = verdict.run.shard;
                    let held = self.runs.get_mut(&verdict.run);
                    if let Some(held) = held {
                        if held.state != RunState::Ended && held.state != RunState::Refused {
                            held.state = RunState::Ended;
                        }
                    } else if self.seen.get(&shard).is_none_or(|seen| *seen < verdict.run.fence) {
                        self.seen.insert(shard, verdict.run.fence);
                        self.runs.insert(verdict.run, Held::new(None, RunState::Ended));
                    }
                }
                VerdictKind::Forget => {
                    self.runs.remove(&verdict.run);
                }
            }
        }
    }

    pub(super) fn prepare_all(&mut self) {
        for held in self.runs.values_mut() {
            if held.state == RunState::Preparing {
                held.state = RunState::Prepared;
            }
        }
    }

    /// Where its runs stand.
    pub(super) fn states(&self) -> Vec<(RunId, RunState)> {
        self.runs.iter().map(|(run, held)| (*run, held.state)).collect()
    }

    fn park(&mut self, now: Duration) {
        for held in self.runs.values_mut() {
            if held.state == RunState::Running && now >= held.until {
                held.state = RunState::Parked;
            }
        }
    }

    /// Shards that this worker may issue load for at this instant.
    pub(super) fn may_issue(&self, now: Duration) -> BTreeSet<ShardId> {
        let live = |held: &Held| held.state == RunState::Running && now < held.until;
        self.runs.iter().filter(|(_, held)| live(held)).map(|(run, _)| run.shard).collect()
    }

    /// Issues up to `most` items of every run that may; runs that reach their end are done.
    pub(super) fn issue(&mut self, now: Duration, most: u64, truth: &mut Truth) {
        self.park(now);
        for (run, held) in &mut self.runs {
            let Some(slice) = &held.slice else { continue };
            if held.state != RunState::Running || now >= held.until {
                continue;
            }
            let total = slice.workflow.executor.local_items(&slice.share).unwrap_or(u64::MAX);
            let end = held.ceiling.min(total).min(held.next + most);
            if end > held.next {
                let frontier = truth.frontier.entry(run.shard).or_insert(0);
                assert!(held.next >= *frontier, "{run:?} issues {} below {frontier}", held.next);
                *frontier = end;
                *truth.issued.entry(run.shard).or_insert(0) += (end - held.next) * per_item(slice);
                truth.last = Some(now);
                held.next = end;
            }
            if held.next >= total {
                held.state = RunState::Ended;
                held.end = RunEnd::Completed;
            }
        }
    }

    pub(super) fn reports(&mut self, now: Duration) -> Vec<Message> {
        let mut messages = Vec::new();
        for (run, held) in &mut self.runs {
            let plan_time = held.plan_time(now);
            match held.state {
                RunState::Running | RunState::Parked => {
                    held.reports += 1;
                    messages.push(Message::Report(Report {
                        boot: self.boot,
                        run: *run,
                        seq: held.reports,
                        second: plan_time.map_or(0, PlanTime::second),
                        progress: held.progress(),
                        totals: totals(held.issued()),
                    }));
                }
                RunState::Ended => messages.push(Message::Final(Final {
                    boot: self.boot,
                    run: *run,
                    end: held.end.clone(),
                    progress: held.progress(),
                    plan_time,
                    parked: BoundedVec::new(),
                    totals: totals(held.issued()),
                })),
                RunState::Preparing
                | RunState::Prepared
                | RunState::Stopping
                | RunState::Refused => {}
            }
        }
        messages
    }

    /// The process dies; a new one knows nothing.
    pub(super) fn crash(&mut self, boot: u64) {
        *self = Self { node: self.node, ..Self::new(0, boot, self.cores) };
    }
}
