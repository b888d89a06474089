//! Timers against the obvious model: an unsorted list searched every time.

use hyperscale_core::time::Instant;
use hyperscale_core::timers::Timers;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Action {
    Set { key: u8, at: u64 },
    Cancel { key: u8 },
    Pop { now: u64 },
    PopAll { now: u64 },
}

fn action() -> impl Strategy<Value = Action> {
    // Few keys and few instants, so that moves and ties are common.
    prop_oneof![
        4 => (0..8_u8, 0..20_u64).prop_map(|(key, at)| Action::Set { key, at }),
        1 => (0..8_u8).prop_map(|key| Action::Cancel { key }),
        2 => (0..25_u64).prop_map(|now| Action::Pop { now }),
        1 => (0..25_u64).prop_map(|now| Action::PopAll { now }),
    ]
}

#[derive(Default)]
struct Model(Vec<(u64, u8)>);

impl Model {
    fn cancel(&mut self, key: u8) -> Option<Instant> {
        let found = self.0.iter().position(|(_, other)| *other == key)?;
        Some(Instant::from_nanos(self.0.remove(found).0))
    }

    fn set(&mut self, key: u8, at: u64) {
        self.cancel(key);
        self.0.push((at, key));
        self.0.sort_unstable();
    }

    fn pop(&mut self, now: u64) -> Option<u8> {
        let (at, key) = *self.0.first()?;
        (at <= now).then(|| {
            self.0.remove(0);
            key
        })
    }
}

proptest! {
    #[test]
    fn timers_agree_with_a_sorted_list(actions in vec(action(), 0..200)) {
        let mut timers = Timers::new();
        let mut model = Model::default();
        for action in actions {
            match action {
                Action::Set { key, at } => {
                    timers.set(key, Instant::from_nanos(at));
                    model.set(key, at);
                }
                Action::Cancel { key } => {
                    prop_assert_eq!(timers.cancel(&key), model.cancel(key));
                }
                Action::Pop { now } => {
                    prop_assert_eq!(timers.pop_due(Instant::from_nanos(now)), model.pop(now));
                }
                Action::PopAll { now } => {
                    while let Some(expected) = model.pop(now) {
                        let popped = timers.pop_due(Instant::from_nanos(now));
                        prop_assert_eq!(popped, Some(expected));
                    }
                    prop_assert_eq!(timers.pop_due(Instant::from_nanos(now)), None);
                }
            }
            let first = model.0.first().map(|(at, key)| (Instant::from_nanos(*at), *key));
            prop_assert_eq!(timers.next(), first);
            prop_assert_eq!(timers.len(), model.0.len());
            prop_assert_eq!(timers.is_empty(), model.0.is_empty());
            for key in 0..8 {
                let at = model.0.iter().find(|(_, other)| *other == key);
                let at = at.map(|(at, _)| Instant::from_nanos(*at));
                prop_assert_eq!(timers.deadline(&key), at);
            }
        }
    }
}
