//! journal-tail: whatever a crash leaves of unsynced bytes, the disk opens and keeps everything
//! that was durable.

use hyperscale_core::ids::Lsn;
use hyperscale_core::invariant::{Inv, Violation};

use super::{Oracle, Seen, View, Wants, broken};

/// Durable positions by host.
#[derive(Debug, Default)]
pub(super) struct JournalTail {
    durable: [Lsn; 2],
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
                if let Some(durable) = self.durable.get_mut(usize::from(*host)) {
                    *durable = *lsn;
                }
            }
            Seen::Booted { host, last } => {
                let Some(durable) = self.durable.get_mut(usize::from(*host)) else { return Ok(()) };
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
