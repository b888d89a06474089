//! The start of a boot, and snapshots of what is committed.
//!
//! The group starts with the first input of a boot, whatever that is; until its term's entry is
//! committed the gate answers calls with `NotReady` and drops reports, which are sent again.

use super::ledger::GateLedger;
use super::models::GateCommand;
use crate::consensus::Group;
use crate::ids::{LogIndex, Lsn};
use crate::journal::{LedgerSnapshot, Record, RecoverError, Recovered, Snapshot};
use crate::machine::{Cx, Wake};
use crate::stat::Stat;
use crate::time::Instant;

const ROLE: &str = "gate";

/// Whether this boot has begun, and what the newest snapshot holds.
#[derive(Debug, Default)]
pub(super) struct Leadership {
    started: bool,
    snapshot: LogIndex,
}

impl Leadership {
    /// Continues above a snapshot.
    pub(super) fn above(snapshot: LogIndex) -> Self {
        Self { started: false, snapshot }
    }

    /// Whether the group is still to be started; `true` once per boot.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.started, true)
    }

    /// Asks for a snapshot when enough entries were committed since the last. The ledger must hold
    /// all of them.
    pub(super) fn on_applied(
        &mut self,
        cx: &mut Cx<'_>,
        every: u64,
        group: &Group<GateCommand>,
        ledger: &GateLedger,
    ) {
        let index = group.committed();
        if index.get().saturating_sub(self.snapshot.get()) < every.max(1) {
            return;
        }
        self.snapshot = index;
        cx.count(Stat::Checkpointed);
        let ledger = LedgerSnapshot::Gate(Box::new(ledger.clone()));
        let snapshot = Snapshot { group: group.id(), term: group.term(), index, ledger };
        cx.out.checkpoint(group.committed_lsn(), snapshot);
    }

    /// A boot that has not begun wants any input.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        (!self.started).then_some(Wake { at: Instant::ZERO, why: "start" })
    }
}

/// Folds a disk into the group and the ledger.
pub(super) fn fold(
    disk: Recovered,
) -> Result<(Group<GateCommand>, GateLedger, LogIndex), RecoverError> {
    let mut group = Group::default();
    let mut ledger = GateLedger::default();
    let mut above = LogIndex::default();
    if let Some((lsn, snapshot)) = disk.snapshot {
        let Snapshot { group: id, term, index, ledger: held } = snapshot;
        let LedgerSnapshot::Gate(held) = held else { return Err(foreign(lsn)) };
        (group, ledger, above) = (Group::restore(id, term, index), *held, index);
    }
    for (lsn, record) in disk.records {
        apply(&mut group, &mut ledger, lsn, record)?;
    }
    Ok((group, ledger, above))
}

fn apply(
    group: &mut Group<GateCommand>,
    ledger: &mut GateLedger,
    lsn: Lsn,
    record: Record,
) -> Result<(), RecoverError> {
    match record {
        Record::Formed { group: id } => group.replay_formed(id),
        Record::Termed { term } => group.replay_term(term),
        Record::Gate(entry) => {
            group.replay_entry(lsn, &entry)?;
            if let Some(command) = &entry.command {
                let _ = ledger.apply(entry.index, command);
            }
        }
        Record::Manager(_) => return Err(foreign(lsn)),
    }
    Ok(())
}

fn foreign(lsn: Lsn) -> RecoverError {
    RecoverError::ForeignRecord { lsn, found: "manager", role: ROLE }
}
