//! What a gate takes from its clients, by class and by how overloaded it is.
//!
//! Inputs: samples of the node, and every call with its client, before anything is done about it.
//! Decides, in this order: control passes; a class that the overload level sheds, or that has too
//! many calls open, is refused as busy; a client beyond its rate is limited. Each refusal says
//! after how long to come back, with a drawn half on top so that clients do not come back together.
//! Invariants: control-never-shed, bounded. Does not do: measure (the driver), judge plans and keys
//! (`gate::registry`), decide which job runs next (`gate::queue`). `retry` has back-off and budgets, for whoever tries again.

mod class;
mod credit;
mod limit;
pub mod retry;
mod shed;

pub use class::Class;
pub use credit::Credits;
pub use limit::{Limits, WINDOW};

use std::time::Duration;

use crate::api::{FlowClassView, FlowView, Refusal, Tenant};
use crate::health::Detector;
pub use crate::health::Level;
use crate::input::Sample;
use crate::invariant::Violation;
use crate::machine::Cx;
use crate::rng::Stream;
use crate::stat::Stat;
use crate::time::Instant;
use limit::Limiter;
use shed::Shed;

/// The admission of calls at a gate.
#[derive(Debug)]
pub struct Flow {
    detector: Detector,
    limiter: Limiter,
    shed: Shed,
    limited: u64,
    sample: Sample,
}

impl Flow {
    /// Nothing is known yet, and nothing is shed.
    pub fn new(limits: Limits) -> Self {
        Self {
            detector: Detector::default(),
            limiter: Limiter::new(limits),
            shed: Shed::default(),
            limited: 0,
            sample: Sample::default(),
        }
    }

    /// The node measured itself.
    pub fn on_sampled(&mut self, cx: &mut Cx<'_>, sample: Sample) {
        self.sample = sample;
        if self.detector.on_sample(cx.now(), &sample) {
            cx.count(Stat::OverloadChanged);
        }
    }

    /// A call came: why it is refused, if it is.
    pub fn on_call(
        &mut self,
        cx: &mut Cx<'_>,
        client: &Tenant,
        class: Class,
        credits: &Credits,
    ) -> Option<Refusal> {
        let level = self.detector.level(cx.now());
        if !class.passes(level) {
            cx.count(Stat::CallShed);
            return Some(self.busy(cx, class, level));
        }
        if !credits.has_room(class) {
            return Some(self.full(cx, class));
        }
        let Err(wait) = self.limiter.take(cx.now(), client, class) else { return None };
        cx.count(Stat::CallLimited);
        self.limited = self.limited.saturating_add(1);
        let retry_after = cx.rng(Stream::Backoff).between(wait, wait.saturating_add(wait / 2));
        Some(Refusal::Limited { retry_after })
    }

    /// There is no room for a call of this class.
    pub fn full(&mut self, cx: &mut Cx<'_>, class: Class) -> Refusal {
        cx.count(Stat::CapRefused);
        self.busy(cx, class, Level::Busy)
    }

    fn busy(&mut self, cx: &mut Cx<'_>, class: Class, level: Level) -> Refusal {
        self.shed.on_refused(class);
        let wait = pause(level);
        let retry_after = cx.rng(Stream::Backoff).between(wait, wait.saturating_add(wait / 2));
        Refusal::Busy { retry_after }
    }

    /// How overloaded the node is.
    pub fn level(&self, now: Instant) -> Level {
        self.detector.level(now)
    }

    /// What operators see.
    pub fn view(&self, now: Instant, credits: &Credits) -> FlowView {
        let classes = Class::ALL.map(|class| FlowClassView {
            name: class.name().to_owned(),
            open: credits.open(class),
            shed: self.shed.refused(class),
            dropped: self.sample.dropped.get(class.index()).copied().unwrap_or(0),
        });
        FlowView {
            level: self.detector.level(now).name().to_owned(),
            queued: self.sample.queued,
            delay: self.sample.delay,
            cpu: self.sample.cpu,
            memory: self.sample.memory,
            limited: self.limited,
            clients: u32::try_from(self.limiter.len()).unwrap_or(u32::MAX),
            classes: classes.to_vec(),
            ..FlowView::default()
        }
    }

    /// Checks that control was never shed, and the bounds.
    ///
    /// # Errors
    /// What is broken.
    pub fn check(&self) -> Result<(), Violation> {
        self.shed.check()?;
        self.limiter.check()
    }
}

/// How long a client of an overloaded gate stays away, at least.
const fn pause(level: Level) -> Duration {
    match level {
        Level::Healthy | Level::Busy => Duration::from_secs(1),
        Level::Stressed => Duration::from_secs(2),
        Level::Overloaded => Duration::from_secs(4),
    }
}
