//! What of a node's life goes into the event log: the lives of its runs, its end, and once a second
//! the counters that grew.

use std::time::Duration;

use hyperscale_core::effect::Effect;
use hyperscale_core::input::{EngineEvent, Input};
use hyperscale_core::stat::{Counters, Stat};
use hyperscale_core::time::Instant;

use crate::events::{Event, EventLog};

/// How often counters are written.
const EVERY: Duration = Duration::from_secs(1);

/// Watches one node.
#[derive(Debug)]
pub(super) struct Observer {
    log: EventLog,
    told: Counters,
    next: Instant,
}

impl Observer {
    pub(super) fn new(log: EventLog) -> Self {
        log.add(Event::Started { build: env!("CARGO_PKG_VERSION") });
        Self { log, told: Counters::default(), next: Instant::ZERO }
    }

    /// An input is about to be taken.
    pub(super) fn on_input(&mut self, now: Instant, input: &Input, counters: &Counters) {
        if now >= self.next {
            self.next = now.after(EVERY);
            self.count(counters);
        }
        match input {
            Input::Drain => self.log.add(Event::Draining),
            Input::Engine(event) => self.on_engine(event),
            _ => {}
        }
    }

    fn on_engine(&self, event: &EngineEvent) {
        self.log.add(match event {
            EngineEvent::Prepared { run } => Event::RunPrepared { run: format!("{run:?}") },
            EngineEvent::PrepareFailed { run, reason } => {
                Event::RunFailed { run: format!("{run:?}"), reason: reason.clone() }
            }
            EngineEvent::Ended { run, completed, totals, .. } => Event::RunEnded {
                run: format!("{run:?}"),
                completed: *completed,
                iterations: totals.iterations,
                dropped: totals.dropped,
                saturated: totals.saturated,
            },
            EngineEvent::Progressed { .. } | EngineEvent::Reported { .. } => return,
        });
    }

    /// An effect was given.
    pub(super) fn on_effect(&self, effect: &Effect) {
        match effect {
            Effect::Start { run, .. } => {
                self.log.add(Event::RunStarted { run: format!("{run:?}") })
            }
            Effect::Stop { run } => self.log.add(Event::RunStopped { run: format!("{run:?}") }),
            Effect::Halt { violation } => {
                self.log.add(Event::Halted { violation: violation.to_string() });
            }
            _ => {}
        }
    }

    fn count(&mut self, counters: &Counters) {
        let grown = |stat: &Stat| {
            let more = counters.count(*stat).saturating_sub(self.told.count(*stat));
            (more > 0).then_some((stat.name(), more))
        };
        let counters_grown: std::collections::BTreeMap<_, _> =
            Stat::ALL.iter().filter_map(grown).collect();
        if !counters_grown.is_empty() {
            self.told = counters.clone();
            self.log.add(Event::Counted { counters: counters_grown });
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.log.add(Event::Ended);
    }
}
