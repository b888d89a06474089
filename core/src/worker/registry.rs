//! Registry: the managers a worker knows, which of them leads, and the heartbeats it sent them.
//!
//! Reports go to the manager that confirmed last. While leadership moves some are lost; the next
//! one contains them.
//!
//! A heartbeat goes out at once when something changed and otherwise every interval: to the manager
//! that leads, and to every manager when something changed, when no leader is known, when it does
//! not answer, and every third time. So each manager can confirm at once when it comes to lead, and
//! who follows costs a third. A manager that answers for the first time came to lead, and is told
//! at once.
//!
//! Its sequence number names the instant of its send, from which a confirmation that echoes it
//! counts. The newest `HEARTBEATS_MAX` instants are kept.

use std::collections::VecDeque;
use std::time::Duration;

use crate::bounded::BoundedVec;
use crate::config::WorkerConfig;
use crate::ids::{BootId, NodeId};
use crate::invariant::{Inv, Violation};
use crate::lease::{FOLLOWERS_HEAR_EVERY, IDLE_ANSWERED_EVERY};
use crate::limits::{HEARTBEATS_MAX, RUNS_PER_WORKER_MAX};
use crate::machine::{Cx, Wake};
use crate::time::Instant;
use crate::wire::{Heartbeat, Message, RunBeat};

/// What a heartbeat says.
#[derive(Debug)]
pub(super) struct Beat {
    pub(super) cores: u16,
    pub(super) free: u16,
    pub(super) draining: bool,
    pub(super) runs: BoundedVec<RunBeat, RUNS_PER_WORKER_MAX>,
}

/// Who is told, and when it was told last.
#[derive(Debug)]
pub(super) struct Registry {
    boot: BootId,
    managers: Vec<NodeId>,
    /// The manager that confirmed last: it leads, or did a moment ago.
    leader: Option<NodeId>,
    /// The newest send that was answered.
    answered: Instant,
    /// Heartbeats to the leader alone since one to every manager.
    alone: u32,
    interval: Duration,
    seq: u64,
    /// When the newest heartbeats were sent; the last is that of `seq`.
    sent: VecDeque<Instant>,
    next_beat: Instant,
    hurry: bool,
}

impl Registry {
    /// Nothing sent; the first heartbeat is due at once.
    pub(super) fn new(config: &WorkerConfig, boot: BootId) -> Self {
        Self {
            boot,
            managers: config.managers.clone(),
            leader: None,
            answered: Instant::ZERO,
            alone: 0,
            interval: config.lease.heartbeat_interval(),
            seq: 0,
            sent: VecDeque::new(),
            next_beat: Instant::ZERO,
            hurry: false,
        }
    }

    pub(super) const fn boot(&self) -> BootId {
        self.boot
    }

    pub(super) fn knows(&self, manager: NodeId) -> bool {
        self.managers.contains(&manager)
    }

    /// When a heartbeat was sent; `None` if it was not, or too long ago.
    pub(super) fn sent_at(&self, seq: u64) -> Option<Instant> {
        let back = usize::try_from(self.seq.checked_sub(seq)?).ok()?;
        let place = self.sent.len().checked_sub(back.checked_add(1)?)?;
        self.sent.get(place).copied()
    }

    /// A heartbeat is due in this step.
    pub(super) fn hasten(&mut self) {
        self.hurry = true;
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.hurry || self.next_beat <= now
    }

    /// Sends a heartbeat.
    pub(super) fn beat(&mut self, cx: &mut Cx<'_>, beat: Beat) {
        self.seq = self.seq.saturating_add(1);
        if self.sent.len() >= HEARTBEATS_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(cx.now());
        let leader = self.leader.filter(|_| !self.must_tell_all(cx.now(), beat.runs.is_empty()));
        self.alone = if leader.is_some() { self.alone.saturating_add(1) } else { 0 };
        self.hurry = false;
        self.next_beat = cx.now().after(self.interval);
        let Beat { cores, free, draining, runs } = beat;
        let heartbeat = Heartbeat { boot: self.boot, seq: self.seq, cores, free, draining, runs };
        for manager in self.managers.iter().filter(|to| leader.is_none_or(|leader| leader == **to))
        {
            cx.out.send_volatile(*manager, heartbeat.clone());
        }
    }

    /// A manager answers the heartbeat that was sent then: only one that leads does.
    pub(super) fn on_answered(&mut self, manager: NodeId, sent: Instant) {
        if self.leader.replace(manager).is_some_and(|before| before != manager) {
            self.hasten();
        }
        self.answered = self.answered.max(sent);
    }

    fn must_tell_all(&self, now: Instant, is_idle: bool) -> bool {
        let answered_every = if is_idle { IDLE_ANSWERED_EVERY } else { 1 };
        let patience = self.interval.saturating_mul(answered_every) + self.interval / 2;
        let is_silent = now >= self.answered.after(patience);
        self.hurry || is_silent || self.alone >= FOLLOWERS_HEAR_EVERY - 1
    }

    /// Tells every manager; of what the next message contains again only the one that leads,
    /// because the others drop it.
    pub(super) fn tell(&self, cx: &mut Cx<'_>, msg: &Message) {
        let is_repeated = matches!(msg, Message::Report(_));
        let leader = self.leader.filter(|_| is_repeated);
        let told = |manager: &&NodeId| leader.is_none_or(|leader| leader == **manager);
        for manager in self.managers.iter().filter(told) {
            cx.out.send(*manager, msg.clone());
        }
    }

    pub(super) fn next_wake(&self) -> Option<Wake> {
        Some(Wake { at: self.next_beat, why: "a heartbeat is due" })
    }

    pub(super) fn check(&self) -> Result<(), Violation> {
        if self.sent.len() <= HEARTBEATS_MAX {
            return Ok(());
        }
        Err(Violation::new(Inv::Bounded, format!("{} heartbeats kept", self.sent.len())))
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::input::Progress;
    use crate::wire::{Capacity, Report, RunState};
    use crate::worker::samples::{Bench, config, run};

    fn beat() -> Beat {
        Beat { cores: 1, free: 1, draining: false, runs: BoundedVec::new() }
    }

    #[test]
    fn reports_go_to_who_confirmed_last_and_last_words_to_all() {
        let mut bench = Bench::default();
        let managers = [2, 3, 4].map(NodeId::new).to_vec();
        let config = WorkerConfig::new(NodeId::new(1), 1, managers);
        let mut registry = Registry::new(&config, BootId::new(7));
        let (boot, run) = (BootId::new(7), run(0, 5));
        let (progress, totals) = (Default::default(), Default::default());
        let report = Message::from(Report { boot, run, seq: 1, second: 1, progress, totals });
        let mut told =
            |registry: &Registry, msg: &Message| bench.step(10, |cx| registry.tell(cx, msg)).len();
        assert_eq!(told(&registry, &report), 3);
        registry.on_answered(NodeId::new(3), Instant::ZERO);
        assert_eq!(told(&registry, &report), 1);
        let last_word = Message::from(Capacity::default());
        assert_eq!(told(&registry, &last_word), 3);
    }

    /// Heartbeats of a worker with a run, one an interval: how many managers hear each.
    fn heard(registry: &mut Registry, bench: &mut Bench, beats: Range<u64>) -> Vec<usize> {
        let told = |ix: u64| {
            let run = RunBeat {
                run: run(0, 5),
                state: RunState::Running,
                progress: Progress::default(),
                ceiling: 0,
                plan_time: None,
            };
            let runs = BoundedVec::try_from(vec![run]).unwrap();
            bench.step(at(ix).as_nanos(), |cx| registry.beat(cx, Beat { runs, ..beat() })).len()
        };
        beats.map(told).collect()
    }

    fn at(ix: u64) -> Instant {
        Instant::from_nanos(ix * 500_000_000)
    }

    #[test]
    fn the_leader_hears_every_heartbeat_and_the_others_a_third_or_all_when_it_is_silent() {
        let mut bench = Bench::default();
        let managers = [2, 3, 4].map(NodeId::new).to_vec();
        let config = WorkerConfig::new(NodeId::new(1), 1, managers);
        let mut registry = Registry::new(&config, BootId::new(7));
        assert_eq!(heard(&mut registry, &mut bench, 1..4), [3, 3, 3]);
        registry.on_answered(NodeId::new(3), at(3));
        let mut told = Vec::new();
        for ix in 4..11 {
            told.extend(heard(&mut registry, &mut bench, ix..ix + 1));
            registry.on_answered(NodeId::new(3), at(ix));
        }
        assert_eq!(told, [1, 1, 3, 1, 1, 3, 1]);
        assert_eq!(heard(&mut registry, &mut bench, 11..14), [1, 3, 3]);
        registry.on_answered(NodeId::new(4), at(13));
        assert!(registry.is_due(at(13)), "who comes to lead hears at once");
        assert_eq!(heard(&mut registry, &mut bench, 14..15), [3]);
        registry.on_answered(NodeId::new(4), at(14));
        assert_eq!(heard(&mut registry, &mut bench, 15..16), [1]);
    }

    #[test]
    fn names_the_instants_of_recent_sends_only() {
        let mut bench = Bench::default();
        let mut registry = Registry::new(&config(1), BootId::new(7));
        assert_eq!(registry.sent_at(0), None);
        let last = u64::try_from(HEARTBEATS_MAX).unwrap() + 2;
        for seq in 1..=last {
            bench.step(seq * 10, |cx| registry.beat(cx, beat()));
        }
        assert_eq!(registry.sent_at(last), Some(Instant::from_nanos(last * 10)));
        assert_eq!(registry.sent_at(3), Some(Instant::from_nanos(30)));
        assert_eq!([registry.sent_at(2), registry.sent_at(last + 1)], [None, None]);
        registry.check().unwrap();
    }

    #[test]
    fn is_due_at_once_then_each_interval_or_in_a_hurry() {
        let mut bench = Bench::default();
        let mut registry = Registry::new(&config(1), BootId::new(7));
        assert!(registry.is_due(Instant::ZERO));
        bench.step(1_000, |cx| registry.beat(cx, beat()));
        assert!(!registry.is_due(Instant::from_nanos(500_000_999)));
        assert!(registry.is_due(Instant::from_nanos(500_001_000)));
        registry.hasten();
        assert!(registry.is_due(Instant::from_nanos(1_001)));
        bench.step(1_001, |cx| registry.beat(cx, beat()));
        assert!(!registry.is_due(Instant::from_nanos(1_002)));
    }
}
