//! Steps and what comes of them: effects in order, held until what they rest on is durable.

use hyperscale_core::effect::Effect;
use hyperscale_core::ids::Lsn;
use hyperscale_core::input::Input;
use hyperscale_core::invariant::{Inv, Violation};

use super::World;
use crate::case::host_of;
use crate::hash::{content_digest, effect_digest};
use crate::network::{Cargo, Flight};
use crate::oracles::Seen;
use crate::queue::Event;
use crate::streams::Stream;

impl World {
    /// One input, all of its effects.
    pub(super) fn step(&mut self, host: u16, input: Input, digest: u64) {
        if self.failure.is_some() {
            return;
        }
        self.stepping = Some(host);
        self.trace(host, || format!("<- {input:?}"));
        if let Input::Durable(lsn) = input {
            self.hosts[usize::from(host)].heard = lsn;
            self.release(host, lsn);
        }
        if let Input::Received { from, .. } = &input {
            self.observe(Seen::Received { host, from: host_of(*from) });
        }
        let now = self.local(host);
        let place = &mut self.hosts[usize::from(host)];
        let Some(node) = place.node.as_mut() else { return };
        place.steps += 1;
        let step = place.steps;
        self.hash.step(self.now, u64::from(host), digest);
        let mut effects = std::mem::take(&mut self.scratch);
        let before = node.appended();
        // What is due may happen in the same step.
        let is_idle = matches!(input, Input::Unknown { .. })
            && node.next_wake().is_none_or(|wake| wake.at > now);
        effects.extend(node.step(now, input));
        self.edges.on_stepped(host, node);
        let acts_on = node.committed();
        if let Some(effect) = effects.first().filter(|_| is_idle) {
            let detail = format!("an unknown message had an effect: {effect:?}");
            self.fail(Violation::new(Inv::CompatibleOnly, detail), Some(host));
        }
        self.on_appends(host, &effects);
        self.on_commits(host, before, acts_on);
        if let Err(violation) = self.annals.judge_changes() {
            self.fail(violation, Some(host));
        }
        let dies_after = self.crash_point(host, step, &effects);
        for (place, effect) in effects.drain(..).enumerate() {
            if dies_after == Some(place) {
                break;
            }
            self.perform(host, effect);
        }
        self.scratch = effects;
        if let Some((down, class)) = dies_after.and(self.hosts[usize::from(host)].armed) {
            self.tally.crashes_between += 1;
            self.tally.crashes.push(class);
            self.crash(host, down);
            self.stepping = None;
            return;
        }
        self.after_step(host, step);
        self.stepping = None;
    }

    /// Before which effect the process dies, if it is armed and there is something to die between.
    /// A node with a journal waits for a step that writes, so that the crash finds something
    /// unsynced.
    fn crash_point(&self, host: u16, step: u64, effects: &[Effect]) -> Option<usize> {
        let place = &self.hosts[usize::from(host)];
        place.armed?;
        let writes = effects.iter().position(|effect| matches!(effect, Effect::Append { .. }));
        let from = match (place.has_journal(), writes) {
            (true, None) => return None,
            (true, Some(first)) => first as u64,
            (false, _) if effects.is_empty() => return None,
            (false, _) => 0,
        };
        let draw = self.streams.draw(Stream::Crash, 1 << 40 | u64::from(host), step);
        Some(draw.within(from, effects.len() as u64) as usize)
    }

    fn after_step(&mut self, host: u16, step: u64) {
        self.begin_sync(host);
        self.plan_wake(host);
        let checked = self.is_checked(host, step);
        let Some(node) = self.hosts[usize::from(host)].node.as_ref() else { return };
        let result =
            if checked { node.check().and_then(|()| node.check_all()) } else { node.check() };
        let leads = node.leads();
        if let Err(violation) = result {
            self.fail(violation, Some(host));
        }
        if leads {
            self.on_leads(host);
        }
        if checked {
            self.check_recovery(host);
        }
        self.observe(Seen::Stepped { host });
    }

    fn perform(&mut self, host: u16, effect: Effect) {
        let content = content_digest(&effect);
        self.hash.effect(effect_digest(&effect, content));
        self.observe(Seen::Given { host, effect: &effect });
        match effect {
            Effect::Append { lsn, record } => {
                self.trace(host, || format!("append {lsn:?} {record:?}"));
                let written = self.hosts[usize::from(host)].disk.append(lsn, &record);
                if let Err(error) = written {
                    self.fail(Violation::new(Inv::JournalTail, error), Some(host));
                }
                self.observe(Seen::Appended { host, lsn, record: &record });
            }
            Effect::Checkpoint { upto, snapshot } => {
                self.trace(host, || format!("checkpoint {upto:?}"));
                self.tally.checkpoints += 1;
                let written = self.hosts[usize::from(host)].disk.checkpoint(upto, &snapshot);
                if let Err(error) = written {
                    self.fail(Violation::new(Inv::JournalTail, error), Some(host));
                }
            }
            Effect::Halt { violation } => self.fail(*violation, Some(host)),
            effect => {
                let rests_on = after(&effect);
                let place = &mut self.hosts[usize::from(host)];
                if place.has_journal() && rests_on > place.durable() {
                    place.held.push_back(effect);
                } else {
                    self.leave(host, effect, content);
                }
            }
        }
    }

    /// Lets everything go that rests on records up to `lsn`.
    pub(super) fn release(&mut self, host: u16, lsn: Lsn) {
        let place = &mut self.hosts[usize::from(host)];
        let held = std::mem::take(&mut place.held);
        for effect in held {
            if after(&effect) <= lsn {
                let content = content_digest(&effect);
                self.leave(host, effect, content);
            } else {
                self.hosts[usize::from(host)].held.push_back(effect);
            }
        }
    }

    /// An effect reaches the outside world.
    fn leave(&mut self, host: u16, effect: Effect, digest: u64) {
        self.observe(Seen::Left { host, effect: &effect });
        match effect {
            Effect::Send { to, msg, .. } => {
                self.trace(host, || format!("-> {to} {msg:?}"));
                if let Some(traffic) = &mut self.traffic {
                    traffic[usize::from(host)].add(&msg);
                }
                let to = host_of(to);
                if to < self.case.hosts() {
                    self.converse(host, to, msg, digest);
                }
            }
            Effect::Reply { call, reply, .. } => {
                self.trace(host, || format!("reply {call} {reply:?}"));
                if let Some((client, number)) =
                    self.calls.remove(&call).map(|(_, client, number)| (client, number))
                {
                    let cargo = Cargo::Reply(number, reply);
                    self.ship(Flight { from: host, to: client, cargo, digest });
                }
            }
            Effect::Start { run, slice, .. } => {
                self.trace(host, || format!("start {run:?} first {}", slice.first));
                let now = self.local(host);
                self.with_engine(host, |engine, scene| engine.start(now, run, &slice, scene));
                self.plan_engine(host);
            }
            Effect::Permit { run, permit, .. } => {
                self.trace(host, || format!("permit {run:?} {permit:?}"));
                let now = self.local(host);
                self.with_engine(host, |engine, scene| engine.permit(now, run, permit, scene));
                self.plan_engine(host);
            }
            Effect::Stop { run } => {
                self.trace(host, || format!("stop {run:?}"));
                let now = self.local(host);
                self.with_engine(host, |engine, scene| engine.stop(now, run, scene));
                self.plan_engine(host);
            }
            Effect::Publish { .. }
            | Effect::Append { .. }
            | Effect::Checkpoint { .. }
            | Effect::Halt { .. } => {}
        }
    }

    /// Puts something on the network.
    pub(super) fn ship(&mut self, flight: Flight) {
        let from = flight.from;
        if let Err(defect) = self.network.send(self.now, flight, &mut self.queue) {
            self.fail(Violation::new(Inv::CompatibleOnly, defect.0), Some(from));
        }
    }

    /// Begins a sync if there is something to sync and none is under way.
    pub(super) fn begin_sync(&mut self, host: u16) {
        let (streams, (min, max)) = (self.streams, self.case.sync_ns);
        let place = &mut self.hosts[usize::from(host)];
        if !place.disk.begin_sync() {
            return;
        }
        place.syncs += 1;
        let mut span = streams.draw(Stream::Disk, u64::from(host), place.syncs).within(min, max);
        if let Some(slow) = place.slow_sync.take() {
            self.tally.slow_syncs += 1;
            span += slow;
        }
        let life = place.life;
        self.queue.push(self.now + span, Event::Synced { host, life });
    }

    /// A sync ended: the process hears of it, and the next may begin.
    pub(super) fn on_synced(&mut self, host: u16, life: u32) {
        let place = &mut self.hosts[usize::from(host)];
        if place.node.is_none() || place.life != life {
            return;
        }
        if let Some(down) = place.fail_sync.take() {
            self.tally.failed_syncs += 1;
            self.crash(host, Some(down));
            return;
        }
        let durable = place.disk.end_sync();
        self.trace(host, || format!("durable {durable:?}"));
        self.observe(Seen::Durable { host, lsn: durable });
        self.begin_sync(host);
        self.offer(host, Input::Durable(durable), durable.get());
    }
}

/// The record an effect waits for; 0 for none.
pub(super) fn after(effect: &Effect) -> Lsn {
    match effect {
        Effect::Send { after, .. }
        | Effect::Reply { after, .. }
        | Effect::Publish { after, .. }
        | Effect::Start { after, .. }
        | Effect::Permit { after, .. } => *after,
        Effect::Append { .. }
        | Effect::Checkpoint { .. }
        | Effect::Stop { .. }
        | Effect::Halt { .. } => Lsn::new(0),
    }
}
