//! P2 over plan time: windows of what was measured add up to the totals shown, at the gate that
//! acts for the job, whenever it tells watchers.
//!
//! Sums are made here, by plain addition. A complete window is compared with what every engine
//! measured between its two plan seconds.

use std::collections::BTreeMap;

use hyperscale_core::api::Update;
use hyperscale_core::digest;
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::Line;
use hyperscale_core::ids::{JobId, WorkflowIx};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::stats::Window;

use super::accounts::merged;
use super::{Oracle, Seen, View, Wants, broken};
use crate::truth::RunTruth;

/// A workflow at a gate.
type Place = (u16, JobId, WorkflowIx);

/// The windows of a workflow, over all datacenters, are aligned and gapless, never change once
/// closed, and with what is open are the totals shown.
#[derive(Debug, Default)]
pub(super) struct WindowsSum {
    /// What a gate tells in the step that goes on, in order; of each job the newest, and that it
    /// moved.
    told: BTreeMap<u16, Vec<Update>>,
    /// Closed windows by their ends, as digests.
    closed: BTreeMap<Place, BTreeMap<(u32, u32), u64>>,
    judged: u64,
}

impl Oracle for WindowsSum {
    fn inv(&self) -> Inv {
        Inv::WindowsSum
    }
    fn wants(&self) -> Wants {
        Wants::GIVEN.and(Wants::STEPPED).and(Wants::LIVES)
    }
    fn is_wide(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Given { host, effect: Effect::Publish { update, .. } } => {
                let told = self.told.entry(*host).or_default();
                told.retain(|before| before.moved || before.view.job != update.view.job);
                told.push((**update).clone());
                Ok(())
            }
            Seen::Stepped { host } => {
                let told = self.told.remove(host).unwrap_or_default();
                told.iter().try_for_each(|update| self.on_told(view, *host, update))
            }
            Seen::Crashed { host } | Seen::Wiped { host } => {
                self.told.remove(host);
                self.closed.retain(|(of, ..), _| of != host);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl WindowsSum {
    fn on_told(&mut self, view: &View<'_>, host: u16, update: &Update) -> Result<(), Violation> {
        let job = update.view.job;
        if update.moved {
            self.closed.retain(|(of, what, _), _| (*of, *what) != (host, job));
            return Ok(());
        }
        let Some(gate) = view.gate(host) else { return Ok(()) };
        // When the last part has ended nothing is told before the job has.
        if gate.ledger().job(job).is_some_and(|job| job.verdict().is_some() && job.ended.is_none())
        {
            return Ok(());
        }
        for shown in &update.view.workflows {
            let Some(line) = gate.windows(job, shown.workflow) else { continue };
            let place = (host, job, shown.workflow);
            let windows: Vec<&Window> = line.series().windows().collect();
            self.judged += u64::from(!windows.is_empty());
            let shown = shown.totals.brief();
            if let Some(what) = unequal(line, &windows, &shown) {
                return broken(self.inv(), format!("{place:?}: {what}"));
            }
            self.on_windows(place, &windows)?;
            for window in windows.iter().filter(|window| window.is_complete()) {
                on_complete(view, place, window)?;
            }
        }
        Ok(())
    }

    fn on_windows(&mut self, place: Place, windows: &[&Window]) -> Result<(), Violation> {
        for pair in windows.windows(2) {
            if pair[0].until != pair[1].from {
                let ends = (pair[0].until, pair[1].from);
                return broken(Inv::WindowsSum, format!("{place:?}: a gap or overlap: {ends:?}"));
            }
        }
        let known = self.closed.entry(place).or_default();
        let newest = windows.last().map_or(0, |window| window.until);
        if known.keys().next_back().is_some_and(|(_, until)| *until > newest) {
            known.clear();
        }
        for window in windows {
            let ends = (window.from, window.until);
            if ends.0 >= ends.1 {
                return broken(Inv::WindowsSum, format!("{place:?}: {ends:?} is no span"));
            }
            let digest = digest::of(&*window.totals);
            if *known.entry(ends).or_insert(digest) != digest {
                return broken(Inv::WindowsSum, format!("{place:?}: closed {ends:?} changed"));
            }
        }
        Ok(())
    }
}

/// How the windows do not add up to what is shown.
fn unequal(
    line: &Line,
    windows: &[&Window],
    shown: &hyperscale_core::stats::Totals,
) -> Option<String> {
    let rest = line.rest();
    let kept = windows.iter().map(|window| &*window.totals);
    let kept = kept.chain([line.series().before(), &rest]);
    let (found, own) = (merged(kept), merged([shown, line.written_off()]));
    own.differs(&found, 0).map(|what| format!("windows are not the totals shown: {what}"))
}

/// A complete window has nothing that no engine measured in it.
fn on_complete(
    view: &View<'_>,
    (host, job, workflow): Place,
    window: &Window,
) -> Result<(), Violation> {
    let most: u64 = view.truth.runs_of(job, workflow).map(|run| within(run, window)).sum();
    let found: u64 = window.totals.steps.iter().map(|step| step.requests).sum();
    if found <= most {
        return Ok(());
    }
    let span = (window.from, window.until);
    let place = (host, job, workflow);
    let runs = view.truth.runs_of(job, workflow).map(|run| {
        let last = run.cuts.last().map_or(0, |cut| cut.second);
        (run.run.shard.shard, run.datacenter, within(run, window), last, run.end.is_some())
    });
    let runs = runs.collect::<Vec<_>>();
    let what = format!("{place:?}: {found} requests in {span:?}, {most} measured {runs:?}");
    broken(Inv::WindowsSum, what)
}

/// Requests that a run measured in a window.
fn within(run: &RunTruth, window: &Window) -> u64 {
    let before = run.cuts.iter().rev().find(|cut| cut.second <= window.from);
    let after = run.cuts.iter().find(|cut| cut.second >= window.until);
    let after = after.or(run.end.as_ref()).or(run.cuts.last());
    let requests = |cut: Option<&crate::truth::Cut>| cut.map_or(0, |cut| cut.requests);
    requests(after).saturating_sub(requests(before))
}
