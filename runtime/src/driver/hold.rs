//! Effects that wait for a record to become durable (persist-first).

use std::collections::BTreeMap;

use hyperscale_core::effect::Effect;
use hyperscale_core::ids::Lsn;

/// Held effects, by the record they wait for, each group in the order of the code.
#[derive(Debug, Default)]
pub(super) struct Hold {
    durable: Lsn,
    held: BTreeMap<Lsn, Vec<Effect>>,
}

impl Hold {
    /// Of a node whose disk holds every record up to `durable`.
    pub(super) fn new(durable: Lsn) -> Self {
        Self { durable, held: BTreeMap::new() }
    }

    /// Gives the effect back if it may leave at once; holds it otherwise.
    pub(super) fn admit(&mut self, effect: Effect) -> Option<Effect> {
        let after = super::after(&effect);
        if after <= self.durable {
            return Some(effect);
        }
        self.held.entry(after).or_default().push(effect);
        None
    }

    /// Everything that may leave once `durable` is on disk, oldest record first.
    pub(super) fn release(&mut self, durable: Lsn) -> Vec<Effect> {
        self.durable = self.durable.max(durable);
        let rest = self.held.split_off(&self.durable.next());
        std::mem::replace(&mut self.held, rest).into_values().flatten().collect()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use hyperscale_core::api::{Refusal, Reply};
    use hyperscale_core::ids::CallId;

    use super::*;

    fn reply(call: u64, after: u64) -> Effect {
        Effect::Reply {
            call: CallId::new(call),
            reply: Box::new(Reply::Refused(Refusal::NotReady)),
            after: Lsn::new(after),
        }
    }

    #[test]
    fn holds_until_durable_and_releases_in_order() {
        let mut hold = Hold::default();
        assert_eq!(hold.admit(reply(1, 0)), Some(reply(1, 0)));
        assert_eq!(hold.admit(reply(2, 2)), None);
        assert_eq!(hold.admit(reply(3, 1)), None);
        assert_eq!(hold.admit(reply(4, 2)), None);
        assert_eq!(hold.release(Lsn::new(1)), vec![reply(3, 1)]);
        assert!(!hold.is_empty());
        assert_eq!(hold.release(Lsn::new(2)), vec![reply(2, 2), reply(4, 2)]);
        assert!(hold.is_empty());
        assert_eq!(hold.admit(reply(5, 2)), Some(reply(5, 2)));
    }
}
