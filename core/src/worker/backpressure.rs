//! Back-pressure: how often the managers want reports.
//!
//! In: a manager's word. Out: the plan seconds between reports, the worst over all managers. A word
//! holds for `HOLDS` and is then forgotten, so that a manager that falls silent slows nothing for
//! ever. Only reports wait: totals are cumulative, and heartbeats and last words are always sent.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::NodeId;
use crate::time::Instant;
use crate::wire::PressureLevel;

/// How long a manager's word holds.
const HOLDS: Duration = Duration::from_secs(5);

/// What each manager said last. Bounded by the managers that are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Backpressure {
    said: BTreeMap<NodeId, (PressureLevel, Instant)>,
}

impl Backpressure {
    /// A known manager says how much it can take.
    pub(super) fn on_said(&mut self, now: Instant, manager: NodeId, level: PressureLevel) {
        self.said.insert(manager, (level, now.after(HOLDS)));
    }

    /// The worst level that holds.
    pub(super) fn level(&self, now: Instant) -> PressureLevel {
        let holding = self.said.values().filter(|(_, until)| *until > now);
        holding.map(|(level, _)| *level).max().unwrap_or(PressureLevel::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_word_holds_until_it_is_forgotten() {
        let mut pressure = Backpressure::default();
        let at = |secs: u64| Instant::from_nanos(secs * 1_000_000_000);
        assert_eq!(pressure.level(at(0)), PressureLevel::None);
        pressure.on_said(at(0), NodeId::new(1), PressureLevel::Skip);
        pressure.on_said(at(2), NodeId::new(2), PressureLevel::Throttle);
        let seen = [4, 6, 8].map(|secs| pressure.level(at(secs)).report_every());
        assert_eq!(seen, [10, 2, 1]);
        pressure.on_said(at(8), NodeId::new(1), PressureLevel::Batch);
        pressure.on_said(at(9), NodeId::new(1), PressureLevel::None);
        assert_eq!(pressure.level(at(9)), PressureLevel::None);
    }
}
