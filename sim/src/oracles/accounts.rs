//! P2: what is reported equals what engines measured, run by run and summed, each run once.
//!
//! The sums are made here, by plain addition, not by the core's merge.

use std::collections::BTreeMap;

use hyperscale_core::effect::Effect;
use hyperscale_core::gate::GateCommand;
use hyperscale_core::ids::{JobId, LogIndex, PartId, RunId, ShardId, WorkflowIx};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::{ManagerCommand, RunOutcome};
use hyperscale_core::report::{LossKind, PartResult, WorkflowResult};
use hyperscale_core::stats::{Histogram, Totals};
use hyperscale_core::wire::{Message, PartPhase};

use super::{Oracle, Seen, View, Wants, broken};
use crate::faults::Class;
use crate::truth::{Cut, RunTruth, measured_digest};

/// A sum of totals: every counter and every bucket by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Sum(BTreeMap<(usize, &'static str, u64), u64>);

impl Sum {
    fn count(&mut self, step: usize, what: &'static str, n: u64) {
        if n > 0 {
            *self.0.entry((step, what, u64::MAX)).or_default() += n;
        }
    }

    fn histogram(&mut self, step: usize, what: &'static str, histogram: &Histogram) {
        for (bucket, count) in histogram.buckets() {
            *self.0.entry((step, what, *bucket)).or_default() += count;
        }
        self.count(step, what, histogram.sum_us());
    }

    /// Adds the totals of a run.
    pub(super) fn add(&mut self, totals: &Totals) {
        self.count(0, "iterations", totals.iterations);
        self.count(0, "interrupted iterations", totals.interrupted);
        self.count(0, "dropped", totals.dropped);
        self.count(0, "watched", totals.watched);
        self.count(0, "saturated", totals.saturated);
        self.histogram(0, "iteration duration", &totals.iteration_duration);
        self.histogram(0, "start lag", &totals.start_lag);
        for (step, of) in totals.steps.iter().enumerate() {
            self.count(step, "requests", of.requests);
            self.count(step, "failed", of.failed);
            self.count(step, "interrupted", of.interrupted);
            self.count(step, "refused", of.errors.refused);
            self.count(step, "reset", of.errors.reset);
            self.count(step, "timeout", of.errors.timeout);
            self.count(step, "bad status", of.errors.status);
            self.count(step, "bad body", of.errors.body);
            self.count(step, "checks passed", of.checks_passed);
            self.count(step, "checks failed", of.checks_failed);
            self.count(step, "sent", of.sent);
            self.count(step, "received", of.received);
            for (status, count) in of.statuses.iter() {
                *self.0.entry((step, "status", u64::from(*status))).or_default() += count;
            }
            self.histogram(step, "duration", &of.duration);
            self.histogram(step, "latency", &of.latency);
            self.histogram(step, "blocked", &of.blocked);
            self.histogram(step, "connecting", &of.connecting);
            self.histogram(step, "sending", &of.sending);
            self.histogram(step, "waiting", &of.waiting);
            self.histogram(step, "receiving", &of.receiving);
        }
    }

    /// Leaves counters out.
    fn forget(&mut self, names: [&str; 2]) {
        self.0.retain(|(_, what, _), _| !names.contains(what));
    }

    /// The first difference, in words; `more` items were dropped without a run to report them.
    pub(super) fn differs(&self, reported: &Sum, more: u64) -> Option<String> {
        let dropped = (0, "dropped", u64::MAX);
        let read = |sum: &Sum, key| sum.0.get(key).copied().unwrap_or(0);
        self.0
            .keys()
            .chain(reported.0.keys())
            .find_map(|key| {
                let own = read(self, key) + if *key == dropped { more } else { 0 };
                let found = read(reported, key);
                (own != found)
                    .then(|| format!("step {} {}: {found} reported, {own} true", key.0, key.1))
            })
            .or_else(|| {
                let found = read(reported, &dropped);
                let own = read(self, &dropped) + more;
                (found != own).then(|| format!("dropped: {found} reported, {own} true"))
            })
    }
}

/// The sum of these totals.
pub(super) fn merged<'a>(totals: impl IntoIterator<Item = &'a Totals>) -> Sum {
    let mut sum = Sum::default();
    for one in totals {
        sum.add(one);
    }
    sum
}

/// By datacenter, shard and fence.
type Ends = BTreeMap<(u16, ShardId, LogIndex), Totals>;

/// The committed ends of runs, each once, and workflow results as datacenters report them.
#[derive(Debug, Default)]
pub(super) struct TotalsExact {
    ends: Ends,
    /// The datacenter of each offer of a part.
    offers: BTreeMap<(PartId, LogIndex), u16>,
    judged: u64,
}

impl Oracle for TotalsExact {
    fn inv(&self) -> Inv {
        Inv::TotalsExact
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Committed { group, chosen } = seen else { return Ok(()) };
        match (&chosen.record, group.datacenter()) {
            (Record::Manager(entry), Some(datacenter)) => {
                if let Some(ManagerCommand::EndRun { run, outcome, totals, .. }) = entry.command() {
                    let key = (datacenter, run.shard, run.fence.index);
                    self.ends.entry(key).or_insert_with(|| (**totals).clone());
                    self.on_end(view, *run, outcome, totals)?;
                }
            }
            (Record::Gate(entry), None) => match entry.command() {
                Some(GateCommand::Place { part, datacenter, .. }) => {
                    if let Some(datacenter) = view.case.layout.named(datacenter) {
                        self.offers.insert((*part, entry.index), datacenter);
                    }
                }
                Some(GateCommand::EndPart { part, offer, result: Some(result), .. }) => {
                    let Some(datacenter) = self.offers.get(&(*part, *offer)) else {
                        let what = format!("{part:?} has a result without an offer {offer:?}");
                        return broken(self.inv(), what);
                    };
                    let datacenter = *datacenter;
                    for workflow in &result.workflows {
                        self.on_result(view, datacenter, part.job, workflow)?;
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}

impl TotalsExact {
    fn on_end(
        &mut self,
        view: &View<'_>,
        run: RunId,
        outcome: &RunOutcome,
        totals: &Totals,
    ) -> Result<(), Violation> {
        let (digest, generator) = (measured_digest(totals), (totals.watched, totals.saturated));
        let is_final = matches!(outcome, RunOutcome::Completed | RunOutcome::Stopped);
        // What the generator saw of itself may be lost as a whole by a node of an older minor.
        let is_lost = view.case.has(Class::Skew) && generator == (0, 0);
        let is = |cut: &Cut| cut.digest == digest && (is_lost || cut.generator == generator);
        let matches = |life: &RunTruth| {
            let cut = !is_final && life.cuts.iter().any(is);
            cut || life.end.as_ref().is_some_and(is)
        };
        self.judged += 1;
        let nothing = *totals == Totals::default()
            && (!is_final || view.truth.lives_of(run).all(|life| life.issued == 0));
        if nothing || view.truth.lives_of(run).any(matches) {
            return Ok(());
        }
        broken(Inv::TotalsExact, format!("the totals of {run:?} ({outcome:?}) are no engine's"))
    }

    fn on_result(
        &mut self,
        view: &View<'_>,
        datacenter: u16,
        job: JobId,
        result: &WorkflowResult,
    ) -> Result<(), Violation> {
        self.judged += 1;
        let mut own = Sum::default();
        let is_lost = view.case.has(Class::Skew) && result.totals.watched == 0;
        for ((dc, shard, _), totals) in &self.ends {
            if *dc == datacenter && shard.job == job && shard.workflow == result.workflow {
                own.add(totals);
            }
        }
        if is_lost {
            own.forget(["watched", "saturated"]);
        }
        let unserved = result.losses.iter().filter(|loss| loss.kind == LossKind::Unserved);
        let unserved = unserved.map(|loss| loss.items).sum();
        match own.differs(&merged([&*result.totals]), unserved) {
            None => Ok(()),
            Some(what) => broken(
                Inv::TotalsExact,
                format!("{job:?}/{:?}: {what} ({} losses)", result.workflow, result.losses.len()),
            ),
        }
    }
}

/// Nothing is counted twice: neither live views nor results exceed what engines did, and what a
/// datacenter says is a part's result never changes.
#[derive(Debug, Default)]
pub(super) struct CountedOnce {
    /// By datacenter: one that a part was taken from says that nothing came of it.
    results: BTreeMap<(u16, PartId), PartResult>,
    judged: u64,
}

impl Oracle for CountedOnce {
    fn inv(&self) -> Inv {
        Inv::CountedOnce
    }
    fn wants(&self) -> Wants {
        Wants::LEFT
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Left { host, effect: Effect::Send { msg, .. } } = seen else { return Ok(()) };
        let Some(datacenter) = view.case.layout.datacenter_of(*host) else { return Ok(()) };
        let Message::PartReport(report) = &**msg else { return Ok(()) };
        for live in &report.workflows {
            let workflow = (report.part.job, live.workflow);
            self.on_totals(view, datacenter, workflow, &live.totals)?;
        }
        let PartPhase::Ended(result) = &report.phase else { return Ok(()) };
        for workflow in &result.workflows {
            let key = (report.part.job, workflow.workflow);
            self.on_totals(view, datacenter, key, &workflow.totals)?;
        }
        let key = (datacenter, report.part);
        let first = self.results.entry(key).or_insert_with(|| (**result).clone());
        if *first != **result {
            return broken(self.inv(), format!("the result of {:?} changed", report.part));
        }
        Ok(())
    }
}

impl CountedOnce {
    fn on_totals(
        &mut self,
        view: &View<'_>,
        datacenter: u16,
        (job, workflow): (JobId, WorkflowIx),
        totals: &Totals,
    ) -> Result<(), Violation> {
        if totals.iterations == 0 {
            return Ok(());
        }
        self.judged += 1;
        let runs = view.truth.runs_in(datacenter, (job, workflow));
        let known =
            |run: &RunTruth| run.end.or(run.cuts.last().copied()).map_or(0, |cut| cut.iterations);
        let most: u64 = runs.map(known).sum();
        if totals.iterations > most {
            return broken(
                Inv::CountedOnce,
                format!("{job:?}/{workflow:?}: {} iterations of {most}", totals.iterations),
            );
        }
        Ok(())
    }
}
