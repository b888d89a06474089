//! The holder's side: until when this gate's session lasts.
//!
//! Inputs: beats that are due, acknowledgements. Bounds: the beats of the last few times to live
//! are remembered; an answer to an older one is dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::LogIndex;
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::SessionAck;

/// Beats whose send is remembered.
const BEATS_MAX: usize = 64;

/// This gate's session.
#[derive(Debug)]
pub(in crate::gate) struct Tenure {
    every: Duration,
    seq: u64,
    sent: BTreeMap<u64, Instant>,
    beat_at: Instant,
    held: Option<(LogIndex, Instant)>,
}

impl Tenure {
    /// No session; the first beat is due at once.
    pub(in crate::gate) fn new(ttl: Duration) -> Self {
        Self { every: ttl / 6, seq: 0, sent: BTreeMap::new(), beat_at: Instant::ZERO, held: None }
    }

    /// Whether a beat is due.
    pub(in crate::gate) fn is_due(&self, now: Instant) -> bool {
        self.beat_at <= now
    }

    /// A beat leaves at this instant; its number.
    pub(in crate::gate) fn on_beat(&mut self, now: Instant) -> u64 {
        self.seq = self.seq.saturating_add(1);
        self.beat_at = now.after(self.every);
        if self.sent.len() >= BEATS_MAX {
            self.sent.pop_first();
        }
        self.sent.insert(self.seq, now);
        self.seq
    }

    /// The leader answered a beat of this boot.
    pub(in crate::gate) fn on_ack(&mut self, cx: &mut Cx<'_>, boot: u64, ack: &SessionAck) {
        if ack.boot != boot {
            return cx.count(Stat::BootStale);
        }
        match self.sent.get(&ack.seq) {
            Some(sent) => self.extend(ack.session, sent.after(ack.ttl)),
            None => cx.count(Stat::MessageStale),
        }
    }

    /// The session lasts until then at least. One that is older than the one held is over.
    pub(in crate::gate) fn extend(&mut self, session: LogIndex, until: Instant) {
        self.held = match self.held {
            Some((held, end)) if held == session => Some((held, end.max(until))),
            Some((held, end)) if held > session => Some((held, end)),
            Some(_) | None => Some((session, until)),
        };
    }

    /// The session that has not ended at this instant.
    pub(in crate::gate) fn session(&self, now: Instant) -> Option<LogIndex> {
        self.held.filter(|(_, until)| now < *until).map(|(session, _)| session)
    }

    /// When a beat is due, or a session that lasts at `now` ends.
    pub(in crate::gate) fn next_wake(&self, acting: bool) -> Option<Wake> {
        let beat = Wake { at: self.beat_at, why: "session beat" };
        let end = self.held.filter(|_| acting);
        Wake::earliest(Some(beat), end.map(|(_, at)| Wake { at, why: "session ends" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effects;
    use crate::ids::Lsn;
    use crate::rng::Streams;
    use crate::stat::Counters;

    const TTL: Duration = Duration::from_secs(2);

    fn at(millis: u64) -> Instant {
        Instant::ZERO.after(Duration::from_millis(millis))
    }

    fn ack(tenure: &mut Tenure, now: u64, boot: u64, seq: u64, session: u64) -> Counters {
        let (mut out, mut stats) = (Effects::new(Lsn::new(0)), Counters::default());
        let mut streams = Streams::new(1, 1, 1);
        let mut cx = Cx::new(at(now), &mut streams, &mut out, &mut stats);
        let session = LogIndex::new(session);
        tenure.on_ack(&mut cx, 7, &SessionAck { boot, seq, session, ttl: TTL });
        stats
    }

    #[test]
    fn counts_from_the_send_of_the_beat_that_was_answered() {
        let mut tenure = Tenure::new(TTL);
        assert_eq!(tenure.on_beat(at(100)), 1);
        assert_eq!(tenure.on_beat(at(500)), 2);
        ack(&mut tenure, 1_900, 7, 1, 3);
        assert_eq!(tenure.session(at(2_099)), Some(LogIndex::new(3)));
        assert_eq!(tenure.session(at(2_100)), None);
        ack(&mut tenure, 1_900, 7, 2, 3);
        ack(&mut tenure, 1_900, 7, 1, 3);
        assert_eq!(tenure.session(at(2_499)), Some(LogIndex::new(3)));
        assert_eq!(tenure.session(at(2_500)), None);
    }

    #[test]
    fn an_answer_to_another_boot_or_to_no_beat_changes_nothing() {
        let mut tenure = Tenure::new(TTL);
        tenure.on_beat(at(100));
        assert_eq!(ack(&mut tenure, 200, 6, 1, 3).count(Stat::BootStale), 1);
        assert_eq!(ack(&mut tenure, 200, 7, 2, 3).count(Stat::MessageStale), 1);
        assert_eq!(tenure.session(at(200)), None);
    }

    #[test]
    fn a_newer_session_replaces_and_an_older_one_does_not_come_back() {
        let mut tenure = Tenure::new(TTL);
        tenure.on_beat(at(100));
        ack(&mut tenure, 200, 7, 1, 3);
        tenure.on_beat(at(300));
        ack(&mut tenure, 400, 7, 2, 9);
        assert_eq!(tenure.session(at(2_299)), Some(LogIndex::new(9)));
        ack(&mut tenure, 500, 7, 2, 3);
        assert_eq!(tenure.session(at(2_299)), Some(LogIndex::new(9)));
    }
}
