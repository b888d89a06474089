//! first-confirm-alone and fence-monotonic, by messages and effects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{LogIndex, RunId, ShardId};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::{ManagerCommand, RunOutcome};
use hyperscale_core::time::Instant;
use hyperscale_core::wire::{Message, VerdictKind};

use super::book::Book;
use super::{Oracle, Seen, View, Wants, broken};
use crate::faults::MANAGER;

/// A run's first confirmation is sent only when every earlier run of its shard has ended.
#[derive(Debug, Default)]
pub(super) struct FirstConfirmAlone {
    assigned: Book<(ShardId, LogIndex)>,
    ended: Book<(ShardId, LogIndex)>,
    lost: Book<(ShardId, LogIndex)>,
    /// When each run was last confirmed, by the manager's clock.
    granted: BTreeMap<(ShardId, LogIndex), Instant>,
    confirmed: BTreeSet<RunId>,
    judged: u64,
}

impl Oracle for FirstConfirmAlone {
    fn inv(&self) -> Inv {
        Inv::FirstConfirmAlone
    }
    fn wants(&self) -> Wants {
        Wants::APPENDED.and(Wants::LEFT).and(Wants::LIVES)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Appended { lsn, record: Record::Manager(entry), .. } => match entry.command() {
                Some(ManagerCommand::Assign { shard, .. }) => {
                    self.assigned.write(*lsn, (*shard, entry.index));
                }
                Some(ManagerCommand::EndRun { run, outcome, .. }) => {
                    self.ended.write(*lsn, (run.shard, run.fence.index));
                    if *outcome == RunOutcome::Lost {
                        self.lost.write(*lsn, (run.shard, run.fence.index));
                    }
                }
                _ => {}
            },
            Seen::Booted { host: MANAGER, last } => {
                self.assigned.cut(*last);
                self.ended.cut(*last);
                self.lost.cut(*last);
            }
            Seen::Left { effect: Effect::Send { msg, .. }, .. } => {
                let Message::Confirm(confirm) = &**msg else { return Ok(()) };
                for verdict in &confirm.verdicts {
                    if let VerdictKind::Issue { .. } = verdict.kind {
                        self.on_issue(view, verdict.run)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl FirstConfirmAlone {
    fn on_issue(&mut self, view: &View<'_>, run: RunId) -> Result<(), Violation> {
        let now = view.hosts[usize::from(MANAGER)].local(view.now);
        self.granted.insert((run.shard, run.fence.index), now);
        if !self.confirmed.insert(run) {
            return Ok(());
        }
        let first = (run.shard, LogIndex::new(0));
        for other in self.assigned.range(first..(run.shard, run.fence.index)) {
            self.judged += 1;
            if !self.ended.holds(other) {
                return broken(
                    Inv::FirstConfirmAlone,
                    format!("{run:?} confirmed before {other:?} has ended"),
                );
            }
            let now = view.hosts[usize::from(MANAGER)].local(view.now);
            let lost = self.lost.holds(other);
            if let Some(expires) = self.expires(view, other).filter(|at| lost && *at > now) {
                return broken(
                    Inv::FirstConfirmAlone,
                    format!("{run:?} confirmed at {now:?}, {other:?} expires at {expires:?}"),
                );
            }
        }
        Ok(())
    }

    /// The latest end of any confirmation of `run` by the manager's own clock: the wait is computed
    /// here, too.
    fn expires(&self, view: &View<'_>, run: &(ShardId, LogIndex)) -> Option<Instant> {
        let lease = view.case.lease;
        let (drift, million) = (u128::from(lease.drift_ppm), 1_000_000);
        let wait = (lease.ttl.as_nanos() * (million + drift)).div_ceil(million - drift);
        Some(self.granted.get(run)?.after(Duration::from_nanos(wait as u64)))
    }
}

/// Fences of a shard rise in commit order, and no worker's life obeys a lower one than it has seen.
#[derive(Debug, Default)]
pub(super) struct FenceMonotonic {
    committed: BTreeMap<ShardId, LogIndex>,
    obeyed: BTreeMap<(u16, u32, ShardId), LogIndex>,
    judged: u64,
}

impl Oracle for FenceMonotonic {
    fn inv(&self) -> Inv {
        Inv::FenceMonotonic
    }
    fn wants(&self) -> Wants {
        Wants::LEFT
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Left { host, effect } = seen else { return Ok(()) };
        match effect {
            Effect::Start { run, .. } | Effect::Permit { run, .. } => {
                self.judged += 1;
                let life = view.hosts[usize::from(*host)].life;
                let highest = self.obeyed.entry((*host, life, run.shard)).or_default();
                if run.fence.index < *highest {
                    return broken(
                        Inv::FenceMonotonic,
                        format!("host {host} obeys {run:?} after fence {highest:?}"),
                    );
                }
                *highest = run.fence.index;
            }
            Effect::Send { msg, .. } => {
                if let Message::Prepare(prepare) = &**msg {
                    let run = prepare.run;
                    let highest = self.committed.entry(run.shard).or_default();
                    if run.fence.index < *highest {
                        return broken(
                            Inv::FenceMonotonic,
                            format!("{run:?} is prepared after fence {highest:?}"),
                        );
                    }
                    *highest = run.fence.index;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
