//! The start of a boot, and snapshots of what is committed.
//!
//! The group starts with the first input of a boot, whatever that is. Every replica takes its own
//! snapshots, and one at once when another's replaced its ledger.

use super::ledger::GateLedger;
use super::models::GateCommand;
use crate::consensus::Group;
use crate::ids::{LogIndex, Lsn};
use crate::journal::{LedgerSnapshot, RecoverError, Recovered, Snapshot};
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;

const ROLE: &str = "gate";

/// Whether this boot has begun, and what the newest snapshot holds.
#[derive(Debug, Default)]
pub(super) struct Leadership {
    started: bool,
    snapshot: LogIndex,
    installed: bool,
}

impl Leadership {
    /// Continues above a snapshot.
    pub(super) fn above(snapshot: LogIndex) -> Self {
        Self { started: false, snapshot, installed: false }
    }

    /// Whether the group is still to be started; `true` once per boot.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.started, true)
    }

    /// Another's ledger replaced the one here: a snapshot is due.
    pub(super) fn on_installed(&mut self) {
        self.installed = true;
    }

    /// Asks for a snapshot when enough entries were committed since the last. The ledger must hold
    /// all of them.
    pub(super) fn on_applied(
        &mut self,
        cx: &mut Cx<'_>,
        every: u64,
        group: &mut Group<GateCommand>,
        ledger: &GateLedger,
    ) {
        let index = group.committed();
        let due = std::mem::take(&mut self.installed);
        if !due && index.get().saturating_sub(self.snapshot.get()) < every.max(1) {
            return;
        }
        self.snapshot = index;
        cx.count(Stat::Checkpointed);
        let ledger = LedgerSnapshot::Gate(Box::new(ledger.clone()));
        let (upto, head) = group.snapshot();
        cx.out.checkpoint(upto, Snapshot { head, ledger });
    }

    /// A boot that has not begun wants any input.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        (!self.started).then_some(Wake { at: Instant::ZERO, why: "start" })
    }
}

/// Folds a disk into the group and the ledger of its snapshot.
pub(super) fn fold(
    mut group: Group<GateCommand>,
    disk: Recovered,
) -> Result<(Group<GateCommand>, GateLedger), RecoverError> {
    let mut ledger = GateLedger::default();
    if let Some((lsn, Snapshot { head, ledger: held })) = disk.snapshot {
        ledger = *of_gates(lsn, held)?;
        group.replay_snapshot(head);
    }
    for (lsn, record) in &disk.records {
        let record = record.of_gates().ok_or_else(|| foreign(*lsn))?;
        if let Some(installed) = group.replay(*lsn, record)? {
            ledger = *of_gates(*lsn, *installed)?;
        }
    }
    Ok((group, ledger))
}

fn of_gates(lsn: Lsn, ledger: LedgerSnapshot) -> Result<Box<GateLedger>, RecoverError> {
    match ledger {
        LedgerSnapshot::Gate(held) => Ok(held),
        LedgerSnapshot::Manager(_) => Err(foreign(lsn)),
    }
}

fn foreign(lsn: Lsn) -> RecoverError {
    RecoverError::ForeignRecord { lsn, found: "manager", role: ROLE }
}
