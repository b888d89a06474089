//! Ownership of jobs among gates: one owner per fence, nothing decided under an old one, and no
//! session that is over is still held.
//!
//! The gates' log is folded here with the ledger's own `apply`; what is judged is what a command
//! changed, by whom it can have been decided, and what gates do with their sessions.

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::api::{Refusal, Reply};
use hyperscale_core::digest;
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::{GateCommand, GateLedger};
use hyperscale_core::ids::{JobId, LogIndex, NodeId};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::wire::{Claim, Message, NotOwner};

use super::{Oracle, Seen, View, Wants, broken};
use crate::annals::Chosen;
use crate::case::node_id;

/// For each (job, fence) there is one owner, and a command decided under a fence that is not the
/// job's changes nothing of the job.
#[derive(Debug, Default)]
pub(super) struct OwnerSingle {
    ledger: GateLedger,
    owners: BTreeMap<(JobId, LogIndex), NodeId>,
    judged: u64,
}

impl Oracle for OwnerSingle {
    fn inv(&self) -> Inv {
        Inv::OwnerSingle
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::LEFT)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, _: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { chosen, .. } => self.on_chosen(chosen),
            Seen::Left { host, effect: Effect::Send { msg, .. } } => match &**msg {
                Message::Claim(claim) => self.on_claim(*host, claim),
                Message::NotOwner(said) => self.on_redirect(*host, said),
                _ => Ok(()),
            },
            Seen::Left { host, effect: Effect::Reply { reply, .. } } => match &**reply {
                // Who is sent to whoever sends it never arrives.
                Reply::Refused(Refusal::Elsewhere { gate }) if *gate == node_id(*host) => {
                    broken(self.inv(), format!("host {host} sends a client to itself"))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl OwnerSingle {
    fn on_claim(&mut self, host: u16, claim: &Claim) -> Result<(), Violation> {
        self.judged += 1;
        let owner = self.owners.get(&(claim.part.job, claim.fence.index));
        if owner == Some(&node_id(host)) {
            return Ok(());
        }
        broken(self.inv(), format!("host {host} claims {claim:?}, given to {owner:?}"))
    }
    /// A gate that sends a manager on names the owner by that fence, and never itself.
    fn on_redirect(&mut self, host: u16, said: &NotOwner) -> Result<(), Violation> {
        let Some(named) = said.owner else { return Ok(()) };
        self.judged += 1;
        let owner = self.owners.get(&(said.part.job, said.fence.index));
        if owner == Some(&named) && named != node_id(host) {
            return Ok(());
        }
        broken(self.inv(), format!("host {host} says {said:?}, given to {owner:?}"))
    }
    fn on_chosen(&mut self, chosen: &Chosen) -> Result<(), Violation> {
        let Record::Gate(entry) = &chosen.record else { return Ok(()) };
        let Some(command) = entry.command() else { return Ok(()) };
        let stale = self.stale(command);
        let before = stale.map(|job| (job, digest::of(&self.ledger.job(job))));
        let _ = self.ledger.apply(entry.index, command);
        if let Some((job, before)) = before {
            self.judged += 1;
            if before != digest::of(&self.ledger.job(job)) {
                let what = format!("{command:?} at {:?} changed {job:?}", entry.index);
                return broken(self.inv(), what);
            }
        }
        let given = match command {
            GateCommand::Create { .. } => JobId::new(entry.index.get()),
            GateCommand::Own { job, .. } => *job,
            _ => return Ok(()),
        };
        let Some(owner) = self.ledger.job(given).map(|job| job.owner) else { return Ok(()) };
        if owner.fence == entry.index {
            self.owners.insert((given, owner.fence), owner.gate);
        } else if owner.fence > entry.index {
            return broken(self.inv(), format!("{given:?} has an owner of the future: {owner:?}"));
        }
        Ok(())
    }

    /// The job that a command is about, if it was decided under another fence than the job's.
    fn stale(&self, command: &GateCommand) -> Option<JobId> {
        let (job, fence) = command.acts_under()?;
        let current = self.ledger.job(job)?.owner.fence;
        (current != fence).then_some(job)
    }
}

/// A session that the gates have agreed to be over is held by nobody, then or later.
#[derive(Debug, Default)]
pub(super) struct LeaseExclusive {
    over: BTreeSet<LogIndex>,
    judged: u64,
}

impl Oracle for LeaseExclusive {
    fn inv(&self) -> Inv {
        Inv::LeaseExclusive
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::STEPPED)
    }
    fn rests_on_clocks(&self) -> bool {
        true
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { chosen, .. } => {
                let Record::Gate(entry) = &chosen.record else { return Ok(()) };
                let Some(GateCommand::Expire { session }) = entry.command() else { return Ok(()) };
                self.over.insert(*session);
                self.judged += 1;
                // A process that stands still cannot act; when it goes on its next step is judged.
                let awake = |host: &u16| view.hosts[usize::from(*host)].is_awake();
                view.case.layout.gates().filter(awake).try_for_each(|host| self.judge(view, host))
            }
            Seen::Stepped { host } if !self.over.is_empty() => self.judge(view, *host),
            _ => Ok(()),
        }
    }
}

impl LeaseExclusive {
    fn judge(&self, view: &View<'_>, host: u16) -> Result<(), Violation> {
        let held = view.gate(host).and_then(|gate| gate.session());
        match held.filter(|held| self.over.contains(held)) {
            Some(held) => {
                broken(Inv::LeaseExclusive, format!("gate {host} holds {held:?}, which is over"))
            }
            None => Ok(()),
        }
    }
}
