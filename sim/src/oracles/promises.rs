//! journal-tail: whatever a crash leaves of unsynced bytes, the disk opens and keeps everything
//! that was durable.

use std::collections::BTreeMap;

use hyperscale_core::ids::Lsn;
use hyperscale_core::invariant::{Inv, Violation};

use super::{Oracle, Seen, View, Wants, broken};

/// Durable positions by host.
#[derive(Debug, Default)]
pub(super) struct JournalTail {
    durable: BTreeMap<u16, Lsn>,
    judged: u64,
}

impl Oracle for JournalTail {
    fn inv(&self) -> Inv {
        Inv::JournalTail
    }
    fn wants(&self) -> Wants {
        Wants::DURABLE.and(Wants::LIVES)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, _: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Durable { host, lsn } => {
                self.durable.insert(*host, *lsn);
            }
            Seen::Wiped { host } => {
                self.durable.remove(host);
            }
            Seen::Booted { host, last } => {
                let durable = self.durable.entry(*host).or_default();
                self.judged += u64::from(durable.get() > 0);
                if *last < *durable {
                    return broken(
                        Inv::JournalTail,
                        format!("host {host} was durable up to {durable:?}, opened with {last:?}"),
                    );
                }
                *durable = *last;
            }
            _ => {}
        }
        Ok(())
    }
}
