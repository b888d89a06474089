//! Pacing: decides for one run what may be issued now. The engine and the simulator's load model
//! drive this one type and nothing else decides issuance.
//!
//! Inputs: the plan time and whether a permit is unexpired ([`Pacer::next`]), raised ceilings
//! ([`Pacer::permit`]), ended iterations ([`Pacer::on_ended`]). Output: one [`Pace`] per question.
//! It reads no clock and holds no timer.
//!
//! - An item at or above the ceiling is never issued, and none is issued twice (the run's half of
//!   P1).
//! - Open loop: an arrival is issued between its due time and `late_max` after, or dropped and
//!   counted; what was missed while parked, starved or busy is skipped by arithmetic and never
//!   caught up.
//! - Closed loop: an idle VU iterates at once; nothing is ever dropped.
//! - At most `share.vus` items are open.

use std::collections::VecDeque;
use std::time::Duration;

use super::cursor::Cursor;
use super::model::Executor;
use super::schedule::Schedule;
use super::share::{Share, Stripe};
use super::slice::Slice;
use super::time::PlanTime;
use crate::input::Progress;
use crate::limits;

/// What the pacer decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Start this item now. Every `Issue` must be followed by one `Pacer::on_ended` for its slot.
    Issue(Issue),
    /// Nothing before this plan time; a VU is free.
    WaitUntil(PlanTime),
    /// Every VU has an open iteration: ask again when one ended, or at this plan time: something is
    /// late then, or issuing ends.
    Busy(Option<PlanTime>),
    /// There is no unexpired permit; ask again when there is one. Asking earlier counts what is
    /// late.
    Parked,
    /// The ceiling is reached; ask again when it was raised, or at this plan time: something is
    /// late then, or issuing ends.
    Starved(Option<PlanTime>),
    /// Nothing will be issued any more; the run ends when its open iterations have.
    Done,
}

/// One item to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Issue {
    /// The local VU that does it: `0..share.vus`.
    pub slot: u32,
    /// The global number of that VU.
    pub vu: u64,
    /// The local item (see `plan::share`).
    pub item: u64,
    /// The global index, unique over the workflow: the arrival, the iteration, or `round x VUs +
    /// vu`.
    pub index: u64,
    /// The planned instant; the current one for closed loops.
    pub due: PlanTime,
}

/// Paces one run.
#[derive(Clone, Debug)]
pub struct Pacer {
    work: Work,
    vu_first: u64,
    ends: PlanTime,
    ceiling: u64,
    /// VUs that may take an item.
    idle: VecDeque<u32>,
    /// Per VU, whether it has an open item.
    open: Vec<bool>,
    started: u64,
    ended: u64,
    dropped: u64,
    starved: bool,
    done: bool,
}

#[derive(Clone, Debug)]
enum Work {
    Arrivals { cursor: Cursor, late_max: Duration },
    Shared { stripe: Stripe, next: u64, total: u64 },
    Rounds(Rounds),
}

/// Every VU has its own next round.
#[derive(Clone, Debug)]
struct Rounds {
    next: Vec<u64>,
    /// Rounds of each VU.
    total: u64,
    /// VUs of the whole workflow.
    vus: u64,
    /// Idle VUs whose next round is at the ceiling.
    blocked: Vec<u32>,
    /// VUs that have rounds left.
    unfinished: u32,
}

impl Pacer {
    /// Of a run that begins at `slice.first`, with no permit and ceiling zero.
    pub fn new(slice: &Slice) -> Self {
        let executor = slice.workflow.executor;
        // A share is from a peer, and memory is taken per VU.
        let vus_max = executor.vus().min(limits::VUS_MAX);
        let share = Share { vus: slice.share.vus.min(vus_max), ..slice.share };
        let total = slice.items_total().unwrap_or(u64::MAX);
        let vus = usize::try_from(share.vus).unwrap_or(usize::MAX);
        let mut idle: VecDeque<u32> = (0..share.vus).collect();
        let work = match executor {
            Executor::ConstantArrivalRate { rate, duration, .. } => {
                let schedule = Schedule::new(rate, duration);
                let cursor = Cursor::new(schedule, share.stripe, slice.first);
                Work::Arrivals { cursor, late_max: slice.late_max }
            }
            Executor::SharedIterations { .. } => {
                Work::Shared { stripe: share.stripe, next: slice.first, total }
            }
            Executor::PerVuIterations { .. } | Executor::ConstantVus { .. } => {
                let blocked = idle.drain(..).collect();
                let unfinished = if slice.first < total { share.vus } else { 0 };
                let vus_all = u64::from(executor.vus());
                let next = vec![slice.first; vus];
                Work::Rounds(Rounds { next, total, vus: vus_all, blocked, unfinished })
            }
        };
        Self {
            work,
            vu_first: u64::from(share.vu_first),
            ends: PlanTime::at(executor.planned_duration()),
            ceiling: 0,
            idle,
            open: vec![false; vus],
            started: 0,
            ended: 0,
            dropped: 0,
            starved: false,
            done: false,
        }
    }

    /// Raises the ceiling: local items below it may be issued. A lower one changes nothing.
    pub fn permit(&mut self, ceiling: u64) {
        if ceiling <= self.ceiling {
            return;
        }
        self.ceiling = ceiling;
        self.starved = false;
        if let Work::Rounds(rounds) = &mut self.work {
            rounds.unblock(ceiling, &mut self.idle);
        }
    }

    /// What to do at plan time `at`. Ask until the answer is not [`Pace::Issue`]. Every call,
    /// whatever its answer, first drops the arrivals that are late.
    pub fn next(&mut self, at: PlanTime, permitted: bool) -> Pace {
        let pace = self.decide(at, permitted);
        self.starved = matches!(pace, Pace::Starved(_));
        pace
    }

    /// The iteration on `slot` ended. A slot without an open iteration changes nothing.
    pub fn on_ended(&mut self, slot: u32) {
        let open = usize::try_from(slot).ok().and_then(|at| self.open.get_mut(at));
        let Some(open) = open.filter(|open| **open) else { return };
        *open = false;
        self.ended = self.ended.saturating_add(1);
        match &mut self.work {
            // The VU that was busy last has the warmest connection.
            Work::Arrivals { .. } => self.idle.push_front(slot),
            Work::Shared { .. } => self.idle.push_back(slot),
            Work::Rounds(rounds) => rounds.on_idle(slot, self.ceiling, &mut self.idle),
        }
    }

    /// Counters as of the last call of [`Pacer::next`]. Takes time in proportion to the VUs.
    pub fn progress(&self) -> Progress {
        let next = match &self.work {
            Work::Arrivals { cursor, .. } => cursor.item(),
            Work::Shared { next, .. } => *next,
            Work::Rounds(rounds) => rounds.next.iter().copied().min().unwrap_or(0),
        };
        Progress {
            next,
            started: self.started,
            ended: self.ended,
            dropped: self.dropped,
            starved: self.starved,
        }
    }

    /// When the plan stops starting iterations. An arrival due before may still start up to
    /// `late_max` after.
    pub const fn issuing_ends(&self) -> PlanTime {
        self.ends
    }

    fn decide(&mut self, at: PlanTime, permitted: bool) -> Pace {
        if self.done {
            return Pace::Done;
        }
        if at < PlanTime::ZERO {
            return Pace::WaitUntil(PlanTime::ZERO);
        }
        match &mut self.work {
            Work::Arrivals { .. } => self.next_arrival(at, permitted),
            Work::Shared { .. } => self.next_shared(at, permitted),
            Work::Rounds(_) => self.next_round(at, permitted),
        }
    }

    fn next_arrival(&mut self, at: PlanTime, permitted: bool) -> Pace {
        let Work::Arrivals { cursor, late_max } = &mut self.work else { return Pace::Done };
        let late = cursor.skip_before(at.before(*late_max));
        self.dropped = self.dropped.saturating_add(late);
        if cursor.is_done() {
            self.done = true;
            return Pace::Done;
        }
        if !permitted {
            return Pace::Parked;
        }
        let (item, due) = (cursor.item(), cursor.due());
        let late_at = due.after(*late_max).after(Duration::from_nanos(1));
        let Some(&slot) = self.idle.front() else { return Pace::Busy(Some(late_at)) };
        if due > at {
            return Pace::WaitUntil(due);
        }
        if item >= self.ceiling {
            return Pace::Starved(Some(late_at));
        }
        let index = cursor.index();
        cursor.advance();
        self.issue(slot, item, index, due)
    }

    fn next_shared(&mut self, at: PlanTime, permitted: bool) -> Pace {
        let Work::Shared { stripe, next, total } = &mut self.work else { return Pace::Done };
        if at >= self.ends || *next >= *total {
            self.done = true;
            return Pace::Done;
        }
        if !permitted {
            return Pace::Parked;
        }
        let Some(&slot) = self.idle.front() else { return Pace::Busy(Some(self.ends)) };
        let item = *next;
        if item >= self.ceiling {
            return Pace::Starved(Some(self.ends));
        }
        *next = item.saturating_add(1);
        let index = stripe.global(item);
        self.issue(slot, item, index, at)
    }

    fn next_round(&mut self, at: PlanTime, permitted: bool) -> Pace {
        let Work::Rounds(rounds) = &mut self.work else { return Pace::Done };
        if at >= self.ends || rounds.unfinished == 0 {
            self.done = true;
            return Pace::Done;
        }
        if !permitted {
            return Pace::Parked;
        }
        let Some(&slot) = self.idle.front() else {
            let blocked = !rounds.blocked.is_empty();
            let ends = Some(self.ends);
            return if blocked { Pace::Starved(ends) } else { Pace::Busy(ends) };
        };
        let item = rounds.take(slot);
        let vu = self.vu_first.saturating_add(u64::from(slot));
        let index = item.saturating_mul(rounds.vus).saturating_add(vu);
        self.issue(slot, item, index, at)
    }

    fn issue(&mut self, slot: u32, item: u64, index: u64, due: PlanTime) -> Pace {
        self.idle.pop_front();
        if let Some(open) = usize::try_from(slot).ok().and_then(|at| self.open.get_mut(at)) {
            *open = true;
        }
        self.started = self.started.saturating_add(1);
        let vu = self.vu_first.saturating_add(u64::from(slot));
        Pace::Issue(Issue { slot, vu, item, index, due })
    }
}

impl Rounds {
    /// The next round of a VU, which is then behind it.
    fn take(&mut self, slot: u32) -> u64 {
        let next = usize::try_from(slot).ok().and_then(|at| self.next.get_mut(at));
        let Some(next) = next else { return self.total };
        let round = *next;
        *next = round.saturating_add(1);
        if *next >= self.total {
            self.unfinished = self.unfinished.saturating_sub(1);
        }
        round
    }

    fn next_of(&self, slot: u32) -> u64 {
        usize::try_from(slot).ok().and_then(|at| self.next.get(at)).copied().unwrap_or(self.total)
    }

    fn on_idle(&mut self, slot: u32, ceiling: u64, idle: &mut VecDeque<u32>) {
        let next = self.next_of(slot);
        if next >= self.total {
            return;
        }
        if next < ceiling { idle.push_back(slot) } else { self.blocked.push(slot) }
    }

    fn unblock(&mut self, ceiling: u64, idle: &mut VecDeque<u32>) {
        for slot in std::mem::take(&mut self.blocked) {
            self.on_idle(slot, ceiling, idle);
        }
    }
}
