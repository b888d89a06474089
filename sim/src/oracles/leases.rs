//! first-confirm-alone and fence-monotonic, by messages and effects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyperscale_core::effect::Effect;
use hyperscale_core::ids::{LogIndex, RunId, ShardId, Term};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::{ManagerCommand, RunOutcome};
use hyperscale_core::time::Instant;
use hyperscale_core::wire::{Message, VerdictKind};

use super::{Oracle, Seen, View, Wants, broken};
use crate::faults::Class;

/// A shard of a datacenter and the place of an assignment in its group's log.
type Assigned = (u16, ShardId, LogIndex);

/// A run's first confirmation is sent only when every earlier run of its shard has ended.
#[derive(Debug, Default)]
pub(super) struct FirstConfirmAlone {
    assigned: BTreeSet<Assigned>,
    ended: BTreeSet<Assigned>,
    /// Runs declared lost, and in which term.
    lost: BTreeMap<Assigned, Term>,
    /// When and by whom each run was last confirmed: true time, and the manager's own clock.
    granted: BTreeMap<Assigned, Vec<Grant>>,
    confirmed: BTreeSet<(u16, RunId)>,
    judged: u64,
}

/// The last confirmation of a run by one manager.
#[derive(Clone, Copy, Debug)]
struct Grant {
    by: u16,
    term: Term,
    at: u64,
    local: Instant,
}

impl Oracle for FirstConfirmAlone {
    fn inv(&self) -> Inv {
        Inv::FirstConfirmAlone
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::GIVEN)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group, chosen } => {
                if let (Record::Manager(entry), Some(datacenter)) =
                    (&chosen.record, group.datacenter())
                {
                    self.on_command(datacenter, (entry.term, entry.index), entry.command());
                }
            }
            // A grant counts from the step that gave it, however long it waits for a record.
            Seen::Given { host, effect: Effect::Send { msg, .. } } => {
                let Message::Confirm(confirm) = &**msg else { return Ok(()) };
                for verdict in &confirm.verdicts {
                    if let VerdictKind::Issue { .. } = verdict.kind {
                        self.on_issue(view, *host, verdict.run)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl FirstConfirmAlone {
    fn on_command(
        &mut self,
        datacenter: u16,
        (term, at): (Term, LogIndex),
        command: Option<&ManagerCommand>,
    ) {
        match command {
            Some(ManagerCommand::Assign { shard, .. }) => {
                self.assigned.insert((datacenter, *shard, at));
            }
            Some(ManagerCommand::EndRun { run, outcome, .. }) => {
                let key = (datacenter, run.shard, run.fence.index);
                self.ended.insert(key);
                if *outcome == RunOutcome::Lost {
                    self.lost.insert(key, term);
                }
            }
            _ => {}
        }
    }

    fn on_issue(&mut self, view: &View<'_>, host: u16, run: RunId) -> Result<(), Violation> {
        let Some(datacenter) = view.case.layout.datacenter_of(host) else { return Ok(()) };
        let key = (datacenter, run.shard, run.fence.index);
        let local = view.hosts[usize::from(host)].local(view.now);
        let term =
            view.manager(host).map(|(_, manager)| manager.group().term()).unwrap_or_default();
        let grants = self.granted.entry(key).or_default();
        grants.retain(|grant| grant.by != host);
        grants.push(Grant { by: host, term, at: view.now, local });
        if !self.confirmed.insert((datacenter, run)) {
            return Ok(());
        }
        let first = (datacenter, run.shard, LogIndex::new(0));
        for other in self.assigned.range(first..key) {
            self.judged += 1;
            if !self.ended.contains(other) {
                return broken(
                    Inv::FirstConfirmAlone,
                    format!("{run:?} confirmed before {other:?} has ended"),
                );
            }
            let Some(lost) = self.lost.get(other) else { continue };
            if let Some(grant) = self.unexpired(view, (host, local), (other, *lost)) {
                return broken(
                    Inv::FirstConfirmAlone,
                    format!("{run:?} confirmed at {} ns, {other:?} holds {grant:?}", view.now),
                );
            }
        }
        Ok(())
    }

    /// A confirmation of `run`, declared lost in this term, that may not have expired. One of the
    /// same manager is judged by its clock, with the wait computed here, too; one of another
    /// manager by true time, which is only of use while clocks keep their bound. Beyond it a
    /// leadership that declares a run lost knows nothing of the clock of an earlier one.
    fn unexpired(
        &self,
        view: &View<'_>,
        own: (u16, Instant),
        (run, lost): (&Assigned, Term),
    ) -> Option<Grant> {
        let lease = view.case.lease;
        let (drift, million) = (u128::from(lease.drift_ppm), 1_000_000);
        let wait = (lease.ttl.as_nanos() * (million + drift)).div_ceil(million - drift);
        let held = (lease.ttl.as_nanos() * million).div_ceil(million - drift) as u64;
        let beyond = view.case.has(Class::DriftBeyond);
        let open = |grant: &&Grant| match grant.by == own.0 {
            true if beyond && grant.term != lost => false,
            true => grant.local.after(Duration::from_nanos(wait as u64)) > own.1,
            false => !beyond && grant.at + held > view.now,
        };
        self.granted.get(run)?.iter().find(open).copied()
    }
}

/// Fences of a shard that a manager names rise, and no worker's life obeys a lower one than it
/// has seen.
#[derive(Debug, Default)]
pub(super) struct FenceMonotonic {
    /// By life of a manager: another may not have heard of the newest yet.
    prepared: BTreeMap<(u16, u32, ShardId), LogIndex>,
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
        let life = view.hosts[usize::from(*host)].life;
        match effect {
            Effect::Start { run, .. } | Effect::Permit { run, .. } => {
                self.judged += 1;
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
                    let highest = self.prepared.entry((*host, life, run.shard)).or_default();
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
