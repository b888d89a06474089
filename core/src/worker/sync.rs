//! Sync: what runs have measured goes to the managers; who of them is told, `registry` says.
//!
//! A report is sent once and not kept: the next one contains it. Under back-pressure only one of
//! several plan seconds is told. A last word is kept, and sent
//! again every heartbeat interval, until a manager says that it has the run's end. Bounded by the
//! runs that are held.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::WorkerConfig;
use crate::ids::{BootId, RunId};
use crate::input::Progress;
use crate::invariant::{Inv, Violation};
use crate::limits::RUNS_PER_WORKER_MAX;
use crate::machine::{Cx, Events, Machine, Wake};
use crate::stat::Stat;
use crate::stats::Totals;
use crate::timers::Timers;
use crate::wire::{Final, Message, Report};

/// What can happen to results.
#[derive(Debug)]
pub(super) enum Input {
    /// Something may be due to be sent again.
    Wake,
    /// The engine cut a live run's totals at a plan second; managers want one cut of so many.
    Reported { run: RunId, second: u32, every: u32, progress: Progress, totals: Box<Totals> },
    /// A run's last word.
    Finished(Box<Final>),
    /// Nothing of the run is held any more.
    Dropped(RunId),
}

/// What the worker must do with results.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// Tell the managers.
    Tell(Box<Message>),
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    seq: u64,
    second: u32,
}

/// Reports told and last words kept.
#[derive(Debug)]
pub(super) struct Sync {
    boot: BootId,
    interval: Duration,
    told: BTreeMap<RunId, Told>,
    finals: BTreeMap<RunId, Final>,
    resends: Timers<RunId>,
}

impl Sync {
    pub(super) fn new(config: &WorkerConfig, boot: BootId) -> Self {
        Self {
            boot,
            interval: config.lease.heartbeat_interval(),
            told: BTreeMap::new(),
            finals: BTreeMap::new(),
            resends: Timers::new(),
        }
    }

    /// The runs whose last word is kept.
    pub(super) fn finals(&self) -> impl Iterator<Item = RunId> {
        self.finals.keys().copied()
    }

    /// Whether a run's last word is kept.
    pub(super) fn has_final(&self, run: RunId) -> bool {
        self.finals.contains_key(&run)
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>) -> Events<Event> {
        let mut events = Events::none();
        while let Some(run) = self.resends.pop_due(cx.now()) {
            let Some(last_word) = self.finals.get(&run) else { continue };
            cx.count(Stat::Resent);
            events.push(Event::Tell(Box::new(last_word.clone().into())));
            self.resends.set(run, cx.now().after(self.interval));
        }
        events
    }

    fn on_reported(&mut self, cx: &mut Cx<'_>, mut report: Report, every: u32) -> Events<Event> {
        let told = self.told.entry(report.run).or_default();
        if told.seq > 0 && report.second <= told.second {
            cx.count(Stat::ReportStale);
            return Events::none();
        }
        // Whole multiples, so that the seconds of all runs meet.
        let is_due = report.second.is_multiple_of(every)
            || report.second >= told.second.saturating_add(every);
        if told.seq > 0 && !is_due {
            cx.count(Stat::ReportSkipped);
            return Events::none();
        }
        report.totals.fit();
        *told = Told { seq: told.seq.saturating_add(1), second: report.second };
        report.seq = told.seq;
        Events::one(Event::Tell(Box::new(report.into())))
    }

    fn on_finished(&mut self, cx: &mut Cx<'_>, mut last_word: Final) -> Events<Event> {
        let run = last_word.run;
        last_word.totals.fit();
        if self.finals.contains_key(&run) {
            cx.count(Stat::ReportStale);
            return Events::none();
        }
        self.resends.set(run, cx.now().after(self.interval));
        self.finals.insert(run, last_word.clone());
        Events::one(Event::Tell(Box::new(last_word.into())))
    }

    fn on_dropped(&mut self, run: RunId) {
        self.told.remove(&run);
        self.finals.remove(&run);
        self.resends.cancel(&run);
    }
}

impl Machine for Sync {
    type Input = Input;
    type Event = Event;

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input) -> Events<Event> {
        match input {
            Input::Wake => self.on_wake(cx),
            Input::Reported { run, second, every, progress, totals } => {
                let boot = self.boot;
                let report = Report { boot, run, seq: 0, second, progress, totals };
                self.on_reported(cx, report, every)
            }
            Input::Finished(last_word) => self.on_finished(cx, *last_word),
            Input::Dropped(run) => {
                self.on_dropped(run);
                Events::none()
            }
        }
    }

    fn next_wake(&self) -> Option<Wake> {
        let (at, _) = self.resends.next()?;
        Some(Wake { at, why: "a last word is sent again" })
    }

    fn check(&self) -> Result<(), Violation> {
        let kept = self.told.len().max(self.finals.len());
        if kept > RUNS_PER_WORKER_MAX || self.resends.len() != self.finals.len() {
            let detail = format!("{kept} results kept, {} resends", self.resends.len());
            return Err(Violation::new(Inv::Bounded, detail));
        }
        Ok(())
    }
}
