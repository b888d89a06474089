//! When a datacenter would have a core for one more part, by the plans of what runs there.

use std::time::Duration;

use crate::wire::Capacity;

/// How long after its report the part behind `waiting` others has a core; everything that waits
/// takes one, in order, and holds it as long as what runs now does.
pub(super) fn until_free(capacity: &Capacity, waiting: u32) -> Duration {
    if waiting < capacity.free {
        return Duration::ZERO;
    }
    let mut ahead = waiting.saturating_sub(capacity.free);
    for release in &capacity.releases {
        match ahead.checked_sub(release.cores) {
            None => return release.after,
            Some(left) => ahead = left,
        }
    }
    let last = capacity.releases.last().map_or(Duration::ZERO, |release| release.after);
    let rounds = ahead.checked_div(capacity.cores).unwrap_or(0).saturating_add(1);
    last.saturating_mul(rounds.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Release;

    #[test]
    fn the_wait_follows_from_what_ends_and_who_is_ahead() {
        let release = |secs, cores| Release { after: Duration::from_secs(secs), cores };
        let mut capacity = Capacity { workers: 1, cores: 4, free: 1, ..Capacity::default() };
        let list = vec![release(10, 2), release(30, 1)];
        capacity.releases = list.try_into().unwrap();
        let secs = |waiting| until_free(&capacity, waiting).as_secs();
        assert_eq!([secs(0), secs(1), secs(2), secs(3)], [0, 10, 10, 30]);
        assert_eq!([secs(4), secs(7), secs(8)], [60, 60, 90], "a second round, and a third");
        let idle = Capacity::default();
        assert_eq!(until_free(&idle, 5), Duration::ZERO, "nothing is known");
    }
}
