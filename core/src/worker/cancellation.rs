//! Ending runs before their plan does: a manager's stop, a manager's forget, a higher fence, and a
//! machine that is about to run out of memory.
//!
//! A stop is final. A run that the engine has is over when the engine says so; one that it does not
//! have is over at once, and so is one that was never heard of, so that a `Prepare` which comes
//! late finds its fence ended. Forgetting a run that the engine has stops it first.

use super::execution::{Event, Execution, Run};
use crate::ids::RunId;
use crate::machine::{Cx, Events};
use crate::stat::Stat;
use crate::wire::{RunEnd, RunState};

impl Execution {
    /// A manager wants the run ended.
    pub(super) fn on_stop(&mut self, cx: &mut Cx<'_>, id: RunId) -> Events<Event> {
        if !self.runs.contains_key(&id) {
            return self.stop_unheard(cx, id);
        }
        let now = cx.now();
        let Some(run) = self.edit(id) else { return Events::none() };
        if !run.stop(now) {
            cx.count(Stat::MessageStale);
            return Events::none();
        }
        let is_live = run.is_live();
        if is_live { self.revoke(cx, id) } else { self.end_unstarted(cx, id) }
    }

    /// A manager has the run's end, or does not know the run.
    pub(super) fn on_forget(&mut self, cx: &mut Cx<'_>, id: RunId) -> Events<Event> {
        let now = cx.now();
        let Some(run) = self.edit(id) else {
            cx.count(Stat::MessageStale);
            return Events::none();
        };
        if !run.is_live() {
            return self.drop_run(id);
        }
        run.forgotten = true;
        if run.stop(now) {
            return self.revoke(cx, id);
        }
        cx.count(Stat::MessageStale);
        Events::none()
    }

    /// The machine is about to run out of memory: the run that was assigned last ends as if a
    /// manager had stopped it. What it did not issue is declared by its manager.
    pub(super) fn on_end_newest(&mut self, cx: &mut Cx<'_>) -> Events<Event> {
        let stoppable = |run: &Run| run.is_live() && run.state() != RunState::Stopping;
        let live = self.runs.iter().filter(|(_, run)| stoppable(run)).map(|(id, _)| *id);
        let Some(id) = live.max_by_key(|id| (id.fence.index, *id)) else { return Events::none() };
        let now = cx.now();
        if !self.edit(id).is_some_and(|run| run.stop(now)) {
            return Events::none();
        }
        cx.count(Stat::RunSacrificed);
        self.revoke(cx, id)
    }

    /// A higher fence was seen for the run's shard: every lower run of it is stopped.
    pub(super) fn supersede(&mut self, cx: &mut Cx<'_>, by: RunId) -> Events<Event> {
        let now = cx.now();
        let mut events = Events::none();
        for id in self.lower(by) {
            if self.edit(id).is_some_and(|run| run.stop(now)) {
                for event in self.revoke(cx, id) {
                    events.push(event);
                }
            }
        }
        events
    }

    /// The engine ends a run that was just moved to `Stopping`.
    fn revoke(&mut self, cx: &mut Cx<'_>, id: RunId) -> Events<Event> {
        cx.count(Stat::RunRevoked);
        self.expiries.cancel(&id);
        cx.out.stop(id);
        Events::one(Event::Changed)
    }

    fn stop_unheard(&mut self, cx: &mut Cx<'_>, id: RunId) -> Events<Event> {
        if !self.admits(cx, id) {
            return Events::none();
        }
        let mut events = self.supersede(cx, id);
        self.hold(cx, id, Run::stopped(id));
        for event in self.end_unstarted(cx, id) {
            events.push(event);
        }
        events
    }

    fn end_unstarted(&mut self, cx: &mut Cx<'_>, id: RunId) -> Events<Event> {
        debug_assert!(self.runs.get(&id).is_some_and(|run| run.state() == RunState::Ended));
        cx.count(Stat::RunRevoked);
        cx.count(Stat::RunEnded);
        self.finish(cx, id, RunEnd::Stopped, Box::default())
    }
}
