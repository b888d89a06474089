//! Local health: how far this node trusts its own judgement (Lifeguard's LHA-Probe).
//!
//! Inputs: probes that failed or succeeded, nacks that did not come, accusations against this
//! node. Output: a multiplier of probe intervals and timeouts, 1 to 9. A node that hears nobody
//! slows down before it accuses everybody.

use std::time::Duration;

/// The worst score.
const SCORE_MAX: u32 = 8;

/// The score; 0 is healthy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Awareness {
    score: u32,
}

impl Awareness {
    /// Something hints at this node's own trouble, so many times.
    pub(super) fn worsen(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(SCORE_MAX);
    }

    /// A probe was answered.
    pub(super) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    pub(super) const fn score(self) -> u32 {
        self.score
    }

    /// A span as this node should take it now.
    pub(super) fn stretch(self, span: Duration) -> Duration {
        span.saturating_mul(self.score.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_between_0_and_8() {
        let mut health = Awareness::default();
        health.improve();
        assert_eq!(health.stretch(Duration::from_secs(1)), Duration::from_secs(1));
        health.worsen(3);
        health.worsen(100);
        assert_eq!(health.stretch(Duration::from_secs(1)), Duration::from_secs(9));
        health.improve();
        assert_eq!(health.score(), 7);
    }
}
