//! The cut of every running workflow: its totals at a whole plan second, over all its shards.
//!
//! In: gains of open runs by plan second, ends of runs, plan time. Out: totals that have everything
//! that ended before a second and nothing later, and how many shards are late. A boundary waits for
//! every shard that somebody runs or is to run, at most `LATE_AFTER` and the report
//! interval that workers were asked for.
//! Nothing is cut early in a leadership's first `LATE_AFTER`: it knows no report yet. A late run's
//! gain is in a later cut, never lost.
//! Volatile: a new leader starts from the ended runs in the ledger and hears cumulative totals.

use std::collections::BTreeMap;

use super::Manager;
use super::ledger::shards_of;
use super::models::WorkflowKey;
use crate::ids::{ShardId, ShardIx};
use crate::machine::Cx;
use crate::plan::PlanTime;
use crate::stat::Stat;
use crate::stats::{Cutter, Totals};

/// How many plan seconds a run may lag before the others are cut without it.
const LATE_AFTER: u32 = 5;

#[derive(Clone, Debug)]
struct Cut {
    cutter: Cutter<ShardIx>,
    /// Everything in closed windows.
    totals: Box<Totals>,
    late: u32,
    /// Shards whose gain came to a cut after its own, and the last such cut. Who hears of every
    /// other cut must hear of that one.
    spilled: (u32, u32),
    /// The plan second in which this leadership first looked.
    looked: u32,
    /// The latest plan time at which a run ended, by its worker.
    furthest: PlanTime,
}

/// The cuts of all running workflows.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts(BTreeMap<WorkflowKey, Cut>);

/// A workflow's totals at a plan second.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsOf<'a> {
    pub(super) second: u32,
    pub(super) totals: &'a Totals,
    pub(super) late: u32,
}

impl Cuts {
    /// The newest cut of a workflow; `None` before its load runs.
    pub(super) fn newest(&self, key: WorkflowKey) -> Option<AsOf<'_>> {
        self.0.get(&key).map(|cut| AsOf {
            second: cut.cutter.closed(),
            totals: &cut.totals,
            late: cut.late,
        })
    }

    /// A run's totals reached a second.
    pub(super) fn credit(&mut self, shard: ShardId, second: u32, gain: &Totals) {
        if let Some(cut) = self.0.get_mut(&WorkflowKey::of(shard))
            && cut.cutter.has(shard.shard)
        {
            cut.cutter.credit(shard.shard, second, gain);
        }
    }

    /// A run's end is committed. `known`: what was heard of it before.
    pub(super) fn on_run_ended(
        &mut self,
        shard: ShardId,
        until: PlanTime,
        (totals, known): (&Totals, Option<&Totals>),
    ) {
        let Some(cut) = self.0.get_mut(&WorkflowKey::of(shard)) else { return };
        let known = known.filter(|_| cut.cutter.has(shard.shard));
        let gain = known.map_or_else(|| totals.clone(), |known| totals.since(known));
        cut.cutter.credit_end(shard.shard, until.seconds_begun(), &gain);
    }

    /// A run ended at a plan time, by its worker.
    pub(super) fn on_last_word(&mut self, shard: ShardId, at: PlanTime) {
        if let Some(cut) = self.0.get_mut(&WorkflowKey::of(shard)) {
            cut.furthest = cut.furthest.max(at);
        }
    }

    /// The latest plan time at which a run of the workflow ended, by its worker.
    pub(super) fn furthest(&self, key: WorkflowKey) -> PlanTime {
        self.0.get(&key).map_or(PlanTime::ZERO, |cut| cut.furthest)
    }

    /// The workflow has its result, or is of this ledger no more.
    pub(super) fn close(&mut self, key: WorkflowKey) {
        self.0.remove(&key);
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Cut {
    /// What ended before this leadership may have ended at any time until now, by the clock of a
    /// worker that is ahead of this one.
    fn new(ended: &Totals, now: PlanTime, until: PlanTime) -> Self {
        let mut cutter = Cutter::default();
        cutter.credit(ShardIx::new(0), until.seconds_begun().saturating_add(1), ended);
        Self {
            cutter,
            totals: Box::default(),
            late: 0,
            spilled: (0, 0),
            looked: now.second(),
            furthest: PlanTime::ZERO,
        }
    }

    fn advance(&mut self, cx: &mut Cx<'_>, second: u32, patience: u32) {
        let patient = second < self.looked.saturating_add(patience);
        let overdue = if patient { 0 } else { second.saturating_sub(patience) };
        while let Some(window) = self.cutter.pop(overdue) {
            cx.count(Stat::WindowClosed);
            if window.shards < window.of {
                cx.count(Stat::WindowIncomplete);
            }
            if window.late > 0 {
                self.spilled = (window.late, window.until);
            }
            let (spilled, at) = self.spilled;
            let spilled = if window.until < at.saturating_add(LATE_AFTER) { spilled } else { 0 };
            self.late = window.of.saturating_sub(window.shards).max(spilled).min(window.of);
            self.totals.merge(&window.totals);
        }
    }
}

impl Manager {
    /// Brings a workflow's cut up to the plan second that all its runs have reached.
    pub(super) fn cut(&mut self, cx: &mut Cx<'_>, key: WorkflowKey) {
        let Some(state) = self.ledger.workflow(key) else { return };
        let Some(now) = self.leases.plan_time(key, cx.now()) else { return };
        if state.status.is_terminal() {
            return;
        }
        let second = now.second();
        let cut = self
            .sync
            .cuts
            .0
            .entry(key)
            .or_insert_with(|| Cut::new(&state.totals, now, now.max(state.ended_until)));
        for (id, shard) in shards_of(key, state) {
            if shard.is_completed() || self.dispatch.given_up.contains(&id) {
                cut.cutter.close(id.shard);
            } else if !cut.cutter.has(id.shard) {
                let from = if cut.cutter.closed() == 0 { 0 } else { second };
                cut.cutter.open(id.shard, from, (1, 0));
                if let Some(known) = self.sync.runs.get(&id) {
                    cut.cutter.credit(id.shard, known.second, &known.totals);
                }
            }
        }
        let patience = LATE_AFTER.saturating_add(self.pressure.report_every());
        cut.advance(cx, second, patience);
    }
}
