//! How long to wait between attempts: doubling from 100 ms to 3 s, of which a random half is cut
//! off so that clients do not come back together.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait, at least what the server asked for.
    pub(super) fn wait(&mut self, asked: Option<Duration>, entropy: u64) -> Duration {
        let full = FIRST.saturating_mul(1 << self.attempts.min(5)).min(MOST);
        self.attempts = self.attempts.saturating_add(1);
        let half = full / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        let jittered = half + Duration::from_nanos(entropy % nanos.max(1));
        asked.map_or(jittered, |asked| asked + jittered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_honour_what_the_server_asks() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.wait(None, 0).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1500, 1500, 1500]);
        assert!(Backoff::default().wait(None, u64::MAX) < FIRST);
        let asked = Duration::from_secs(5);
        assert!(backoff.wait(Some(asked), 3) >= asked);
    }
}
