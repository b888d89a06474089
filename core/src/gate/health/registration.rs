//! How much of a datacenter was heard of: which of its configured managers speak, and whether they
//! are a quorum. Any answer counts; the leader's reachability is judged apart (`reach`).

use std::time::Duration;

use crate::gate::models::Registration;
use crate::health::HealthConfig;
use crate::time::Instant;

/// The managers of a datacenter as they were heard.
#[derive(Clone, Debug)]
pub(super) struct Roll {
    heard: Vec<Option<Instant>>,
    state: Registration,
    since: Instant,
}

impl Roll {
    pub(super) fn of(managers: usize) -> Self {
        Self { heard: vec![None; managers], state: Registration::default(), since: Instant::ZERO }
    }

    pub(super) fn state(&self) -> Registration {
        self.state
    }

    /// A manager spoke.
    pub(super) fn on_heard(&mut self, now: Instant, place: usize) {
        if let Some(heard) = self.heard.get_mut(place) {
            *heard = Some(now);
        }
    }

    /// How many are heard, and how many there are.
    pub(super) fn count(&self, now: Instant, within: Duration) -> (usize, usize) {
        let fresh = |heard: &&Instant| now.since(**heard) <= within;
        (self.heard.iter().flatten().filter(fresh).count(), self.heard.len())
    }

    /// Judges what was heard. The state it left, if that changed.
    pub(super) fn judge(&mut self, now: Instant, config: &HealthConfig) -> Option<Registration> {
        let (heard, all) = self.count(now, config.unreachable_after);
        let quorum = heard > all / 2;
        let before = self.state;
        let late = now.since(self.since) >= config.initialising_for;
        self.state = match (before, heard) {
            (_, 1..) if quorum => Registration::Ready,
            (Registration::Awaiting, 0) => before,
            (Registration::Initialising, 1..) if late => Registration::Unavailable,
            // One that had its time starts over only after a silence.
            (Registration::Unavailable, 1..) if !late => before,
            (Registration::Awaiting | Registration::Initialising, 1..) => {
                Registration::Initialising
            }
            (Registration::Unavailable, 1..) => Registration::Initialising,
            (Registration::Ready | Registration::Partial, 1..) => Registration::Partial,
            (_, _) => Registration::Unavailable,
        };
        if before == self.state {
            return None;
        }
        self.since = now;
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Registration as R;

    /// What three managers are, heard by turns at these seconds.
    fn states(heard: &[(u64, &[usize])]) -> Vec<R> {
        let config = HealthConfig::default();
        let mut roll = Roll::of(3);
        let judge = |(at, places): &(u64, &[usize])| {
            let now = Instant::ZERO.after(Duration::from_secs(*at));
            places.iter().for_each(|place| roll.on_heard(now, *place));
            roll.judge(now, &config);
            roll.state()
        };
        heard.iter().map(judge).collect()
    }

    #[test]
    fn a_quorum_of_the_configured_managers_makes_it_ready() {
        let story: &[(u64, &[usize])] = &[(1, &[]), (2, &[0]), (3, &[1]), (4, &[])];
        assert_eq!(states(story), [R::Awaiting, R::Initialising, R::Ready, R::Ready]);
        let story: &[(u64, &[usize])] = &[(1, &[0, 1]), (10, &[0]), (12, &[0]), (30, &[])];
        assert_eq!(states(story), [R::Ready, R::Ready, R::Partial, R::Unavailable]);
        let story: &[(u64, &[usize])] = &[(1, &[0, 1]), (30, &[]), (70, &[2]), (71, &[1])];
        assert_eq!(states(story), [R::Ready, R::Unavailable, R::Initialising, R::Ready]);
    }

    #[test]
    fn a_minority_has_its_time() {
        let story: &[(u64, &[usize])] = &[(1, &[0]), (20, &[0]), (31, &[0]), (40, &[0])];
        let expected = [R::Initialising, R::Initialising, R::Unavailable, R::Unavailable];
        assert_eq!(states(story), expected);
    }
}
