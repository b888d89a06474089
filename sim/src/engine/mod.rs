//! The load model of a worker: runs driven by the core's `Pacer` with drawn service times.
//!
//! It obeys `Start`, `Permit` and `Stop` as the real engine does: it compares its own clock with
//! `until` before every request, needs no node task to stop, lives on while the task is paused, and
//! dies with the process. Nothing here decides what is issued.

pub mod meter;
pub mod run;

use std::collections::{BTreeMap, VecDeque};

use hyperscale_core::effect::Permit;
use hyperscale_core::ids::RunId;
use hyperscale_core::input::EngineEvent;
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::plan::Slice;
use hyperscale_core::time::Instant;

use crate::clock::Clock;
use crate::streams::{Stream, Streams};
use crate::truth::Truth;
use meter::Outcome;
use run::Run;

/// Service times in microseconds; few, so that histograms stay small.
const SERVICE_US: [u64; 16] = [
    300, 500, 800, 1_200, 2_000, 3_000, 5_000, 8_000, 12_000, 20_000, 35_000, 60_000, 100_000,
    180_000, 400_000, 1_500_000,
];

/// What the target does, drawn per case.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The fastest answer, a place in the table of service times.
    pub fastest: u8,
    /// How many places above that are used.
    pub spread: u8,
    /// Requests that fail, millionths.
    pub failing_ppm: u32,
    /// Runs that cannot be prepared, millionths.
    pub unprepared_ppm: u32,
    /// Engines that are stuck for a time.
    pub stall: Option<Stall>,
}

/// Engines take no permits for a time, as threads that hang: they issue what they were permitted
/// before.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Of which workers: the first, and the first that is not.
    pub hosts: (u16, u16),
    /// From when, true time.
    pub from: u64,
    /// For how long.
    pub span: u64,
}

/// What a run needs of the world while it is advanced.
pub struct Scene<'a> {
    /// The worker's clock.
    pub clock: Clock,
    /// Where everything that is issued is written down.
    pub truth: &'a mut Truth,
    /// Where service times come from.
    pub streams: Streams,
    /// How the target behaves.
    pub target: Target,
}

impl Scene<'_> {
    /// The true time of a local instant.
    pub fn true_at(&self, local: u64) -> u64 {
        self.clock.true_at(Instant::from_nanos(local))
    }

    /// How long a request takes and how it ends: a function of job, workflow, index and stage only.
    pub fn service(&self, run: RunId, index: u64, stage: usize) -> (u64, Outcome) {
        let entity = run.shard.job.get() << 16 | u64::from(run.shard.workflow.get());
        let bits = self.streams.bits(Stream::Load, entity, index << 6 | stage as u64);
        let fails = (bits >> 32) % 1_000_000 < u64::from(self.target.failing_ppm);
        let place = u64::from(self.target.fastest) + bits % (u64::from(self.target.spread) + 1);
        let us = SERVICE_US[(place as usize).min(SERVICE_US.len() - 1)];
        let outcome = match (fails, (bits >> 16) % 3) {
            (false, _) => Outcome::Ok,
            (true, 0) => Outcome::Status,
            (true, 1) => Outcome::Reset,
            (true, _) => Outcome::Timeout,
        };
        (us, outcome)
    }

    /// How long a think step takes, at steps that keep histograms small.
    pub fn think(&self, run: RunId, index: u64, span_us: (u64, u64)) -> u64 {
        let entity = run.shard.job.get() << 16 | u64::from(run.shard.workflow.get());
        let draw = self.streams.draw(Stream::Load, entity, index << 6 | 63);
        span_us.0 + (span_us.1 - span_us.0) / 8 * draw.below(9)
    }

    /// The pacer gave a VU that is busy.
    pub fn slot_taken(&mut self, run: RunId, slot: u32) {
        self.truth.broken.push(Violation::new(
            Inv::PlanCeiling,
            format!("{run:?} started an iteration on VU slot {slot}, which has one open"),
        ));
    }
}

/// The engine of one life of a worker.
#[derive(Debug, Default)]
pub struct Engine {
    host: u16,
    datacenter: u16,
    life: u32,
    runs: BTreeMap<RunId, Run>,
    outbox: VecDeque<(u64, EngineEvent)>,
    told: Vec<EngineEvent>,
    ordinal: u64,
}

impl Engine {
    /// The engine of this life of this worker of a datacenter.
    pub fn new(host: u16, datacenter: u16, life: u32) -> Self {
        Self { host, datacenter, life, ..Self::default() }
    }

    /// Runs that it holds.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Prepares a run; the answer comes after a drawn delay.
    pub fn start(&mut self, now: Instant, run: RunId, slice: &Slice, scene: &mut Scene<'_>) {
        let entity = 1 << 50 | u64::from(self.host) << 32 | u64::from(self.life);
        let draw = |n| scene.streams.draw(Stream::Load, entity, n);
        let fails = draw(self.ordinal).chance(scene.target.unprepared_ppm);
        let delay = draw(self.ordinal + 1).within(100_000, 30_000_000);
        self.ordinal += 2;
        let event = if fails {
            let reason = "the target's name does not resolve".to_owned();
            EngineEvent::PrepareFailed { run, reason }
        } else {
            let at = scene.true_at(now.as_nanos());
            let place =
                scene.truth.on_prepared(run, slice, (self.host, self.datacenter, self.life), at);
            self.runs.insert(run, Run::new(run, slice, place, now));
            EngineEvent::Prepared { run }
        };
        self.outbox.push_back((now.as_nanos() + delay, event));
    }

    /// New bounds for a run.
    pub fn permit(&mut self, now: Instant, run: RunId, permit: Permit, scene: &mut Scene<'_>) {
        let Some(held) = self.runs.get_mut(&run) else { return };
        held.advance(now.as_nanos(), scene, &mut self.told);
        let at = scene.true_at(now.as_nanos());
        let is_mine = |stall: &Stall| (stall.hosts.0..stall.hosts.1).contains(&self.host);
        let stall = scene.target.stall.filter(is_mine);
        if stall.is_some_and(|stall| (stall.from..stall.from + stall.span).contains(&at)) {
            scene.truth.stalled += 1;
            return self.post(now.as_nanos());
        }
        if !held.is_over {
            held.permit(permit);
            let (from, until) = (scene.true_at(now.as_nanos()), scene.clock.true_at(permit.until));
            scene.truth.on_permitted(held.place(), from, until);
        }
        self.post(now.as_nanos());
    }

    /// Ends a run.
    pub fn stop(&mut self, now: Instant, run: RunId, scene: &mut Scene<'_>) {
        let Some(held) = self.runs.get_mut(&run) else { return };
        held.advance(now.as_nanos(), scene, &mut self.told);
        if !held.is_over {
            held.finish(false, scene, &mut self.told);
        }
        self.outbox
            .retain(|(_, event)| !matches!(event, EngineEvent::Prepared { run: r } if *r == run));
        self.post(now.as_nanos());
    }

    /// Everything that happened up to `now`.
    pub fn advance(&mut self, now: Instant, scene: &mut Scene<'_>) {
        for run in self.runs.values_mut() {
            run.advance(now.as_nanos(), scene, &mut self.told);
        }
        self.post(now.as_nanos());
    }

    /// The process dies at `now`: what was issued before was issued.
    pub fn die(&mut self, now: Instant, scene: &mut Scene<'_>) {
        self.advance(now, scene);
        let over = scene.true_at(now.as_nanos());
        for run in self.runs.values() {
            scene.truth.runs[run.place()].over.get_or_insert(over);
        }
        self.runs.clear();
        self.outbox.clear();
    }

    /// When the engine has something to do or to say.
    pub fn next(&self) -> Option<Instant> {
        let runs = self.runs.values().map(Run::next).min().unwrap_or(u64::MAX);
        let said = self.outbox.front().map_or(u64::MAX, |(at, _)| *at);
        let at = runs.min(said);
        (at < u64::MAX).then(|| Instant::from_nanos(at))
    }

    /// The next thing it says, if it is time.
    pub fn hear(&mut self, now: Instant) -> Option<EngineEvent> {
        let due = self.outbox.front().is_some_and(|(at, _)| *at <= now.as_nanos());
        if due { self.outbox.pop_front().map(|(_, event)| event) } else { None }
    }

    fn post(&mut self, now: u64) {
        for event in self.told.drain(..) {
            self.outbox.push_back((now, event));
        }
        self.runs.retain(|_, run| !run.is_over);
        self.outbox.make_contiguous().sort_by_key(|(at, _)| *at);
    }
}
