//! One run: its state, its lease, its plan clock and its counters.

use crate::effect::Permit;
use crate::ids::{BootId, RunId};
use crate::input::Progress;
use crate::lease::{Holder, PlanClock};
use crate::plan::PlanTime;
use crate::stats::Totals;
use crate::time::Instant;
use crate::wire::{Final, RunBeat, RunEnd, RunState};
use crate::worker::models::{Grant, Move, Parks, RunView, next};

/// A run that the worker holds.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Run {
    id: RunId,
    state: RunState,
    core: Option<u16>,
    lease: Holder,
    clock: Option<PlanClock>,
    permit: Option<Permit>,
    progress: Progress,
    parks: Parks,
    /// A heartbeat told that it is starved, and the ceiling has not risen since.
    starved_told: bool,
    /// To be dropped as soon as the engine is done with it.
    pub(in crate::worker) forgotten: bool,
    ended_at: Option<PlanTime>,
}

/// What became of a confirmation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::worker) enum Confirmed {
    /// The run is in no state to be confirmed, or the confirmation has expired: nothing changed.
    Stale,
    /// It says nothing new.
    Known,
    /// A permit to hand on.
    New {
        /// The permit.
        permit: Permit,
        /// The state before.
        was: RunState,
        /// The plan clock was moved.
        slewed: bool,
    },
}

impl Run {
    /// A run that holds `core` and gets ready; its first item is `first`.
    pub(in crate::worker) fn preparing(id: RunId, core: u16, first: u64) -> Self {
        let progress = Progress { next: first, ..Progress::default() };
        Self { core: Some(core), progress, ..Self::blank(id, RunState::Preparing) }
    }

    /// A run that was not taken.
    pub(in crate::worker) fn refused(id: RunId, first: u64) -> Self {
        let progress = Progress { next: first, ..Progress::default() };
        Self { progress, ..Self::blank(id, RunState::Refused) }
    }

    /// A run that was stopped before it was heard of.
    pub(in crate::worker) fn stopped(id: RunId) -> Self {
        Self::blank(id, RunState::Ended)
    }

    fn blank(id: RunId, state: RunState) -> Self {
        Self {
            id,
            state,
            core: None,
            lease: Holder::default(),
            clock: None,
            permit: None,
            progress: Progress::default(),
            parks: Parks::default(),
            starved_told: false,
            forgotten: false,
            ended_at: None,
        }
    }

    pub(in crate::worker) const fn state(&self) -> RunState {
        self.state
    }

    pub(in crate::worker) const fn core(&self) -> Option<u16> {
        self.core
    }

    pub(in crate::worker) const fn until(&self) -> Option<Instant> {
        self.lease.until()
    }

    /// Whether the engine has it.
    pub(in crate::worker) const fn is_live(&self) -> bool {
        match self.state {
            RunState::Preparing
            | RunState::Prepared
            | RunState::Running
            | RunState::Parked
            | RunState::Stopping => true,
            RunState::Ended | RunState::Refused => false,
        }
    }

    /// Makes a move of the table. Answers whether there is such a move; if not, nothing changed.
    pub(in crate::worker) fn go(&mut self, by: Move) -> bool {
        let to = next(self.state, by);
        if let Some(to) = to {
            self.state = to;
        }
        to.is_some()
    }

    /// Takes a confirmation received at `now`.
    pub(in crate::worker) fn confirm(&mut self, grant: Grant, now: Instant) -> Confirmed {
        let was = self.state;
        if next(was, Move::Confirm).is_none() || !self.lease.take(grant.sent, grant.ttl, now) {
            return Confirmed::Stale;
        }
        let Some(until) = self.lease.until() else { return Confirmed::Stale };
        let slewed = match &mut self.clock {
            Some(clock) => clock.sync(now, grant.sent, grant.plan_time),
            None => false,
        };
        let clock = *self.clock.get_or_insert(PlanClock::start(now, grant.plan_time));
        let ceiling = self.ceiling().max(grant.ceiling);
        if ceiling > self.ceiling() {
            self.starved_told = false;
        }
        self.go(Move::Confirm);
        self.parks.close(clock.read(now));
        let permit = Permit { until, ceiling, zero: clock.zero() };
        if self.permit == Some(permit) {
            return Confirmed::Known;
        }
        self.permit = Some(permit);
        Confirmed::New { permit, was, slewed }
    }

    /// The confirmation expired at its `until`. Answers whether it was running.
    pub(in crate::worker) fn park(&mut self) -> bool {
        if !self.go(Move::Expire) {
            return false;
        }
        if let (Some(clock), Some(until)) = (&self.clock, self.lease.until()) {
            self.parks.open(clock.read(until), self.progress);
        }
        true
    }

    /// It is told to stop. Answers whether there was anything to stop.
    pub(in crate::worker) fn stop(&mut self, now: Instant) -> bool {
        let went = self.go(Move::Stop);
        if went {
            self.close_park(now);
        }
        went
    }

    /// Takes the engine's counters. Answers whether a higher ceiling is wanted at once.
    pub(in crate::worker) fn observe(&mut self, progress: Progress) -> bool {
        self.progress = progress;
        self.parks.observe(progress);
        let wants = progress.starved && self.state == RunState::Running && !self.starved_told;
        self.starved_told |= wants;
        wants
    }

    /// The engine let go of it; it must have moved to its last state. Gives the core back.
    pub(in crate::worker) fn let_go(&mut self, now: Instant) -> Option<u16> {
        self.ended_at = self.plan_time(now);
        self.core.take()
    }

    /// What is told about its end, once [`Self::let_go`] was called.
    pub(in crate::worker) fn last_word(
        &self,
        boot: BootId,
        end: RunEnd,
        totals: Box<Totals>,
    ) -> Final {
        Final {
            boot,
            run: self.id,
            end,
            progress: self.progress,
            plan_time: self.ended_at,
            parked: self.parks.clone().into_closed(),
            totals,
        }
    }

    pub(in crate::worker) fn beat(&self, now: Instant) -> RunBeat {
        RunBeat {
            run: self.id,
            state: self.state,
            progress: self.progress,
            ceiling: self.ceiling(),
            plan_time: self.ended_at.or_else(|| self.plan_time(now)),
        }
    }

    pub(in crate::worker) fn view(&self) -> RunView {
        RunView {
            run: self.id,
            state: self.state,
            until: self.until(),
            ceiling: self.ceiling(),
            core: self.core,
        }
    }

    /// A span without a confirmation ends at `now`, if there is one.
    pub(in crate::worker) fn close_park(&mut self, now: Instant) {
        if let Some(at) = self.plan_time(now) {
            self.parks.close(at);
        }
    }

    fn plan_time(&self, now: Instant) -> Option<PlanTime> {
        self.clock.map(|clock| clock.read(now))
    }

    fn ceiling(&self) -> u64 {
        self.permit.map_or(0, |permit| permit.ceiling)
    }
}
