//! How often one client may ask: a token bucket per client and class, as the instant at which the
//! bucket is full again.
//!
//! A bucket holds a window's worth of calls and fills evenly. A client whose buckets are all full is
//! forgotten, which changes nothing: it would start full. Bound: `CLIENTS_MAX` clients; when all
//! of them are active, those that are not known share one bucket.
//! This process itself (no name) is not limited.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Class;
use crate::api::Tenant;
use crate::invariant::{Inv, Violation};
use crate::limits::CLIENTS_MAX;
use crate::time::Instant;

/// The limits are per this span.
pub const WINDOW: Duration = Duration::from_secs(10);
/// How often clients whose buckets are full are looked for, at most.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Calls of one client within [`WINDOW`], by class; 0: as many as it likes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Submissions.
    pub dispatch: u32,
    /// Questions about one job.
    pub data: u32,
    /// Lists.
    pub telemetry: u32,
}

/// The clients that have asked lately.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    limits: Limits,
    clients: BTreeMap<Tenant, Buckets>,
    others: Buckets,
    swept_at: Instant,
}

/// When each bucket is full, by class; control has none.
type Buckets = [Instant; 4];

impl Limiter {
    pub(super) fn new(limits: Limits) -> Self {
        let others = [Instant::ZERO; 4];
        Self { limits, clients: BTreeMap::new(), others, swept_at: Instant::ZERO }
    }

    /// Takes a token, or says after how long there is one.
    pub(super) fn take(
        &mut self,
        now: Instant,
        client: &Tenant,
        class: Class,
    ) -> Result<(), Duration> {
        let Some(limit) = self.limit(class).filter(|_| !client.is_empty()) else { return Ok(()) };
        self.sweep(now);
        if !self.clients.contains_key(client) && self.clients.len() < CLIENTS_MAX {
            self.clients.insert(client.clone(), [now; 4]);
        }
        let buckets = self.clients.get_mut(client).unwrap_or(&mut self.others);
        let Some(full_at) = buckets.get_mut(class.index()) else { return Ok(()) };
        let each = WINDOW / limit;
        let missing = full_at.since(now);
        let most = WINDOW.saturating_sub(each);
        if missing > most {
            return Err(missing.saturating_sub(most));
        }
        *full_at = (*full_at).max(now).after(each);
        Ok(())
    }

    /// Clients that are known.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn check(&self) -> Result<(), Violation> {
        if self.clients.len() <= CLIENTS_MAX {
            return Ok(());
        }
        Err(Violation::new(Inv::Bounded, format!("{} clients are known", self.clients.len())))
    }

    const fn limit(&self, class: Class) -> Option<u32> {
        let limit = match class {
            Class::Control => 0,
            Class::Dispatch => self.limits.dispatch,
            Class::Data => self.limits.data,
            Class::Telemetry => self.limits.telemetry,
        };
        if limit == 0 { None } else { Some(limit) }
    }

    fn sweep(&mut self, now: Instant) {
        if now < self.swept_at.after(SWEEP_EVERY) {
            return;
        }
        self.swept_at = now;
        self.clients.retain(|_, buckets| buckets.iter().any(|full_at| *full_at > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { dispatch: 5, data: 10, telemetry: 0 };

    fn at(ms: u64) -> Instant {
        Instant::ZERO.after(Duration::from_millis(ms))
    }

    fn client(name: &str) -> Tenant {
        Tenant::truncated(name)
    }

    #[test]
    fn a_window_of_calls_passes_at_once_and_then_evenly() {
        let mut limiter = Limiter::new(LIMITS);
        let ann = client("ann");
        for _ in 0..5 {
            assert_eq!(limiter.take(at(0), &ann, Class::Dispatch), Ok(()));
        }
        let wait = Duration::from_secs(2);
        assert_eq!(limiter.take(at(0), &ann, Class::Dispatch), Err(wait));
        assert_eq!(limiter.take(at(500), &ann, Class::Dispatch), Err(wait - 500 * MS));
        assert_eq!(limiter.take(at(1_999), &ann, Class::Dispatch), Err(MS));
        assert_eq!(limiter.take(at(2_000), &ann, Class::Dispatch), Ok(()));
        assert_eq!(limiter.take(at(2_000), &ann, Class::Dispatch), Err(wait));
        assert_eq!(limiter.take(at(2_000), &ann, Class::Data), Ok(()), "another bucket");
        assert_eq!(limiter.take(at(2_000), &client("bob"), Class::Dispatch), Ok(()));
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn control_and_this_process_are_not_limited() {
        let mut limiter = Limiter::new(LIMITS);
        for _ in 0..1_000 {
            assert_eq!(limiter.take(at(0), &client("ann"), Class::Control), Ok(()));
            assert_eq!(limiter.take(at(0), &client("ann"), Class::Telemetry), Ok(()));
            assert_eq!(limiter.take(at(0), &client(""), Class::Dispatch), Ok(()));
        }
        assert_eq!(limiter.len(), 0);
    }

    #[test]
    fn the_table_is_bounded_strangers_share_and_idle_clients_are_forgotten() {
        let mut limiter = Limiter::new(LIMITS);
        for n in 0..CLIENTS_MAX {
            let name = client(&format!("c{n}"));
            assert_eq!(limiter.take(at(10_000), &name, Class::Dispatch), Ok(()));
        }
        for n in 0..5 {
            let stranger = client(&format!("s{n}"));
            assert_eq!(limiter.take(at(10_000), &stranger, Class::Dispatch), Ok(()));
        }
        assert!(limiter.take(at(10_000), &client("s9"), Class::Dispatch).is_err());
        assert_eq!(limiter.len(), CLIENTS_MAX);
        limiter.check().unwrap();
        assert_eq!(limiter.take(at(20_000), &client("s9"), Class::Dispatch), Ok(()));
        assert_eq!(limiter.len(), 1);
    }
}
