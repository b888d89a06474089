//! One run in a simulated engine: the core's pacer, drawn service times, advanced in batches.
//!
//! All instants here are local nanoseconds of the worker's clock. Between two calls of `advance`
//! nothing exists; a batch replays what happened since, in order: cuts at whole plan seconds, ends
//! of steps, what the pacer issues. Every request is compared with `until` at its own instant.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hyperscale_core::effect::Permit;
use hyperscale_core::ids::RunId;
use hyperscale_core::input::{EngineEvent, Progress};
use hyperscale_core::plan::{Executor, Issue, Pace, Pacer, PlanTime, Slice, Step};
use hyperscale_core::stats::Totals;
use hyperscale_core::time::Instant;

use super::Scene;
use super::meter::{Meter, Outcome};
use crate::streams::Stream;
use crate::truth::{Cut, measured_digest};

const SECOND: i64 = 1_000_000_000;
/// Local nanoseconds between two `Progressed`; all runs of an engine tell at the same instants.
pub const BEAT_NS: u64 = 100_000_000;
/// How often a run is advanced whose ceiling may hold it up, local nanoseconds.
const HUNGRY_NS: u64 = 10_000_000;

#[derive(Clone, Copy, Debug)]
enum Stage {
    Request(usize),
    Think { min_us: u64, max_us: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    index: u64,
    due: u64,
    began: u64,
    stage: usize,
    stage_began: u64,
    open: bool,
}

/// What a batch wants to tell the node.
pub type Told = Vec<EngineEvent>;

/// One run.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    place: usize,
    pacer: Pacer,
    stages: Vec<Stage>,
    open_loop: bool,
    graceful_ns: i64,
    permit: Option<Permit>,
    cursor: u64,
    ends: BinaryHeap<Reverse<(u64, u32)>>,
    slots: Vec<Slot>,
    waiting: Vec<u32>,
    meter: Meter,
    next_beat: u64,
    /// Nothing happens before, if nothing is said to it.
    idle_until: u64,
    next_second: i64,
    ended: u64,
    is_starved: bool,
    told_starved: bool,
    /// The counters that were told last.
    told: Progress,
    /// It has said `Ended`.
    pub is_over: bool,
}

impl Run {
    /// A prepared run. `place` is its place in the ground truth.
    pub fn new(id: RunId, slice: &Slice, place: usize, now: Instant) -> Self {
        let mut requests = 0;
        let stages = slice.workflow.flow.iter().map(|step| match step {
            Step::Request(_) => {
                requests += 1;
                Stage::Request(requests - 1)
            }
            Step::Think { min, max } => {
                Stage::Think { min_us: min.as_micros() as u64, max_us: max.as_micros() as u64 }
            }
        });
        let stages = stages.collect();
        Self {
            id,
            place,
            pacer: Pacer::new(slice),
            stages,
            open_loop: matches!(slice.workflow.executor, Executor::ConstantArrivalRate { .. }),
            graceful_ns: slice.workflow.graceful_stop.as_nanos() as i64,
            permit: None,
            cursor: now.as_nanos(),
            ends: BinaryHeap::new(),
            slots: Vec::new(),
            waiting: Vec::new(),
            meter: Meter::new(requests),
            next_beat: (now.as_nanos() / BEAT_NS + 1) * BEAT_NS,
            idle_until: 0,
            next_second: 1,
            ended: 0,
            is_starved: false,
            told_starved: false,
            told: Progress::default(),
            is_over: false,
        }
    }

    /// Its place in the ground truth.
    pub fn place(&self) -> usize {
        self.place
    }

    /// New bounds, at an instant up to which the run was advanced.
    pub fn permit(&mut self, permit: Permit) {
        self.pacer.permit(permit.ceiling);
        self.permit = Some(permit);
        self.told_starved = false;
        self.idle_until = 0;
    }

    /// When the run wants to be advanced at the latest.
    pub fn next(&self) -> u64 {
        if self.permit.is_none() {
            return u64::MAX;
        }
        if self.open_loop {
            // Before something happens there is nothing to tell.
            self.next_beat.max(self.idle_until.div_ceil(BEAT_NS).saturating_mul(BEAT_NS))
        } else {
            self.next_beat.min(self.cursor + HUNGRY_NS)
        }
    }

    /// The counters as of the cursor.
    pub fn progress(&self) -> Progress {
        Progress { starved: self.is_starved, ..self.pacer.progress() }
    }

    /// Everything that happened up to `now`.
    pub fn advance(&mut self, now: u64, scene: &mut Scene<'_>, told: &mut Told) {
        let Some(permit) = self.permit else {
            self.cursor = now;
            return;
        };
        while !self.is_over {
            self.cut_seconds(permit, scene, told);
            self.end_stages(permit, scene);
            self.resume_waiting(permit, scene);
            let wake = self.issue(permit, scene);
            let Some(wake) = wake else {
                self.finish(true, scene, told);
                return;
            };
            self.idle_until = wake.min(self.next_end()).min(self.second_ends(permit));
            let next = self.idle_until.min(now);
            if self.cursor >= now {
                break;
            }
            self.cursor = next.max(self.cursor + 1).min(now);
        }
        let is_starving = self.is_starved && !self.told_starved;
        let progress = self.progress();
        if is_starving || (now >= self.next_beat && progress != self.told) {
            self.told_starved |= is_starving;
            self.told = progress;
            told.push(EngineEvent::Progressed { run: self.id, progress });
        }
        while self.next_beat <= now {
            self.next_beat += BEAT_NS;
        }
    }

    /// Ends the run: what is open is interrupted.
    pub fn finish(&mut self, completed: bool, scene: &mut Scene<'_>, told: &mut Told) {
        for slot in self.slots.iter().filter(|slot| slot.open) {
            let waits = self.waiting.iter().any(|w| self.slots[*w as usize].index == slot.index);
            let step = match self.stages.get(slot.stage) {
                Some(Stage::Request(step)) if !waits => Some(*step),
                _ => None,
            };
            self.meter.on_interrupted(step);
        }
        self.is_over = true;
        self.is_starved = false;
        let progress = self.progress();
        self.meter.dropped = progress.dropped;
        let totals = Box::new(self.meter.totals());
        let over = scene.true_at(self.cursor);
        let cut = self.cut(u32::MAX, &totals, over);
        let truth = &mut scene.truth.runs[self.place];
        truth.end = Some(cut);
        truth.over = Some(over);
        told.push(EngineEvent::Ended { run: self.id, completed, progress, totals });
    }

    fn cut(&self, second: u32, totals: &Totals, at: u64) -> Cut {
        Cut {
            second,
            digest: measured_digest(totals),
            generator: (totals.watched, totals.saturated),
            iterations: self.meter.iterations,
            requests: self.meter.requests(),
            issued: self.pacer.progress().started,
            at,
        }
    }

    fn plan_time(&self, permit: Permit, at: u64) -> PlanTime {
        PlanTime::from_nanos(at as i64 - permit.zero.as_nanos() as i64)
    }

    fn local(permit: Permit, at: PlanTime) -> u64 {
        (permit.zero.as_nanos() as i64).saturating_add(at.as_nanos()).max(0) as u64
    }

    fn second_ends(&self, permit: Permit) -> u64 {
        Self::local(permit, PlanTime::from_nanos(self.next_second * SECOND))
    }

    fn next_end(&self) -> u64 {
        self.ends.peek().map_or(u64::MAX, |Reverse((end, _))| *end)
    }

    fn cut_seconds(&mut self, permit: Permit, scene: &mut Scene<'_>, told: &mut Told) {
        while self.second_ends(permit) <= self.cursor {
            let second = self.next_second as u32;
            self.next_second += 1;
            self.meter.watched += 1;
            let (entity, at) = (1 << 51 | self.place as u64, u64::from(second));
            let window = scene.streams.draw(Stream::Load, entity, at);
            self.meter.saturated += u64::from(window.chance(100_000));
            let progress = self.progress();
            self.meter.dropped = progress.dropped;
            let totals = Box::new(self.meter.totals());
            let at = scene.true_at(self.cursor);
            let cut = self.cut(second, &totals, at);
            scene.truth.runs[self.place].cuts.push(cut);
            told.push(EngineEvent::Reported { run: self.id, second, progress, totals });
        }
    }

    fn end_stages(&mut self, permit: Permit, scene: &mut Scene<'_>) {
        while let Some(Reverse((end, slot))) = self.ends.peek().copied() {
            if end > self.cursor {
                return;
            }
            self.ends.pop();
            self.on_stage_ended(slot, end, scene);
            self.next_stage(slot, end, permit, scene);
        }
    }

    fn on_stage_ended(&mut self, slot: u32, end: u64, scene: &mut Scene<'_>) {
        let state = self.slots[slot as usize];
        if let Stage::Request(step) = self.stages[state.stage] {
            let (_, outcome) = scene.service(self.id, state.index, state.stage);
            let us = (end - state.stage_began) / 1_000;
            let latency =
                (self.open_loop && step == 0).then(|| end.saturating_sub(state.due) / 1_000);
            self.meter.on_request(step, outcome, (us, latency));
            if outcome != Outcome::Ok {
                // A failed step ends its iteration: later steps depend on it.
                self.slots[slot as usize].stage = self.stages.len() - 1;
            }
        }
        self.slots[slot as usize].stage += 1;
    }

    /// Starts the slot's stage, or ends its iteration.
    fn next_stage(&mut self, slot: u32, at: u64, permit: Permit, scene: &mut Scene<'_>) {
        let state = &mut self.slots[slot as usize];
        let Some(stage) = self.stages.get(state.stage) else {
            state.open = false;
            let us = (at - state.began) / 1_000;
            self.meter.on_iteration(us);
            self.ended += 1;
            self.pacer.on_ended(slot);
            return;
        };
        let us = match *stage {
            Stage::Think { min_us, max_us } => scene.think(self.id, state.index, (min_us, max_us)),
            Stage::Request(_) if at >= permit.until.as_nanos() => {
                self.waiting.push(slot);
                return;
            }
            Stage::Request(_) => {
                let now = scene.true_at(at);
                scene.truth.on_request(self.place, now);
                scene.service(self.id, state.index, state.stage).0
            }
        };
        state.stage_began = at;
        self.ends.push(Reverse((at + us * 1_000, slot)));
    }

    fn resume_waiting(&mut self, permit: Permit, scene: &mut Scene<'_>) {
        if self.waiting.is_empty() || self.cursor >= permit.until.as_nanos() {
            return;
        }
        for slot in std::mem::take(&mut self.waiting) {
            self.next_stage(slot, self.cursor, permit, scene);
        }
    }

    /// Issues what is due at the cursor; when to ask again, or `None` when the run is over.
    fn issue(&mut self, permit: Permit, scene: &mut Scene<'_>) -> Option<u64> {
        loop {
            let at = self.plan_time(permit, self.cursor);
            let permitted = self.cursor < permit.until.as_nanos();
            let pace = self.pacer.next(at, permitted);
            self.is_starved = matches!(pace, Pace::Starved(_));
            return match pace {
                Pace::Issue(issue) => {
                    self.begin(issue, permit, scene);
                    continue;
                }
                Pace::WaitUntil(plan) => Some(Self::local(permit, plan)),
                Pace::Busy(plan) | Pace::Starved(plan) => {
                    Some(plan.map_or(u64::MAX, |plan| Self::local(permit, plan)))
                }
                Pace::Parked => Some(u64::MAX),
                Pace::Done => {
                    if self.ends.is_empty() && self.waiting.is_empty() {
                        return None;
                    }
                    let ends = self.pacer.issuing_ends().as_nanos() + self.graceful_ns;
                    let ends = Self::local(permit, PlanTime::from_nanos(ends));
                    (ends > self.cursor).then_some(ends)
                }
            };
        }
    }

    fn begin(&mut self, issue: Issue, permit: Permit, scene: &mut Scene<'_>) {
        let slot = issue.slot as usize;
        let fresh = Slot { index: 0, due: 0, began: 0, stage: 0, stage_began: 0, open: false };
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, fresh);
        }
        let due = Self::local(permit, issue.due);
        let began = self.cursor;
        let now = scene.true_at(began);
        scene.truth.on_issued(self.place, issue.index, now);
        if self.slots[slot].open {
            scene.slot_taken(self.id, issue.slot);
        }
        if self.open_loop {
            self.meter.on_lag(began.saturating_sub(due) / 1_000);
        }
        self.slots[slot] = Slot { index: issue.index, due, began, open: true, ..fresh };
        self.next_stage(issue.slot, began, permit, scene);
    }
}
