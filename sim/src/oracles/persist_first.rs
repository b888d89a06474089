//! persist-first: nothing that names an entry of a group's log leaves a node before the entry is
//! chosen, and nothing that names a ballot before the ballot is durable on the node's disk.
//!
//! The oracle does not trust `after`: it knows by the content of each message what the message
//! asserts, and from the annals what is chosen.

use std::collections::{BTreeMap, BTreeSet};

use hyperscale_core::api::Reply;
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::GateCommand;
use hyperscale_core::ids::{JobId, LogIndex, PartId, RunId, ShardId};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::wire::{Message, PartPhase, VerdictKind};

use super::{Oracle, Seen, View, Wants, broken};
use crate::case::host_of;
use crate::layout::Layout;

/// Something a message asserts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fact {
    Created(JobId),
    GateEntry(LogIndex),
    JobCancelled(JobId),
    PartEnded(PartId),
    JobEnded(JobId),
    Accepted(PartId),
    Begun(PartId),
    PartCancelled(PartId),
    Assigned(ShardId, LogIndex),
    RunEnded(ShardId, LogIndex),
    PartOver(PartId),
    Reserved(ShardId, LogIndex, u64),
}

/// Facts of the gates' log and of each datacenter's.
#[derive(Debug, Default)]
pub(super) struct PersistFirst {
    gates: BTreeSet<Fact>,
    /// Where each part was placed last.
    placed: BTreeMap<PartId, String>,
    managers: BTreeSet<(u16, Fact)>,
    judged: u64,
}

impl Oracle for PersistFirst {
    fn inv(&self) -> Inv {
        Inv::PersistFirst
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::LEFT)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group, chosen } => match (&chosen.record, group.datacenter()) {
                (Record::Gate(entry), None) => self.on_gates(entry.index, entry.command()),
                (Record::Manager(entry), Some(datacenter)) => {
                    self.on_managers(datacenter, entry.index, entry.command());
                }
                _ => {}
            },
            Seen::Left { host, effect } => {
                let datacenter = view.case.layout.datacenter_of(*host).unwrap_or(u16::MAX);
                match effect {
                    Effect::Send { to, msg, .. } if let Message::PartAck(ack) = &**msg => {
                        let home = view.case.layout.datacenter_of(host_of(*to));
                        return self.on_ack(ack.part, home.map(Layout::name).as_deref());
                    }
                    Effect::Send { msg, .. } => return self.on_message(msg, datacenter),
                    Effect::Reply { reply, .. } => return self.on_reply(reply),
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl PersistFirst {
    fn on_gates(&mut self, index: LogIndex, command: Option<&GateCommand>) {
        self.gates.insert(Fact::GateEntry(index));
        let fact = match command {
            Some(GateCommand::Create { .. }) => Fact::Created(JobId::new(index.get())),
            Some(GateCommand::Cancel { job, .. }) => Fact::JobCancelled(*job),
            Some(GateCommand::EndPart { part, .. }) => Fact::PartEnded(*part),
            Some(GateCommand::EndJob { job, .. }) => Fact::JobEnded(*job),
            Some(GateCommand::Place { part, datacenter, .. }) => {
                self.placed.insert(*part, datacenter.clone());
                return;
            }
            _ => return,
        };
        self.gates.insert(fact);
    }

    fn on_managers(&mut self, of: u16, index: LogIndex, command: Option<&ManagerCommand>) {
        let fact = match command {
            Some(ManagerCommand::Accept { part, .. }) => Fact::Accepted(*part),
            Some(ManagerCommand::Begin { part, .. }) => Fact::Begun(*part),
            Some(ManagerCommand::Cancel { part, workflow, .. }) => {
                // The end of a part whose last workflow had not begun.
                if workflow.is_some() {
                    self.managers.insert((of, Fact::PartOver(*part)));
                }
                Fact::PartCancelled(*part)
            }
            Some(ManagerCommand::Assign { shard, .. }) => Fact::Assigned(*shard, index),
            Some(ManagerCommand::EndRun { run, .. }) => Fact::RunEnded(run.shard, run.fence.index),
            Some(ManagerCommand::EndWorkflow { part, .. } | ManagerCommand::Fail { part, .. }) => {
                Fact::PartOver(*part)
            }
            Some(ManagerCommand::Advanced { ceilings, .. }) => {
                for (run, ceiling) in ceilings {
                    let fact = Fact::Reserved(run.shard, run.fence.index, *ceiling);
                    self.managers.insert((of, fact));
                }
                return;
            }
            _ => return,
        };
        self.managers.insert((of, fact));
    }

    fn on_message(&mut self, msg: &Message, of: u16) -> Result<(), Violation> {
        match msg {
            Message::Offer(offer) => {
                self.gate_states(Fact::GateEntry(offer.fence.index), "an offer")
            }
            Message::Begin(begin) => {
                self.gate_states(Fact::GateEntry(begin.fence.index), "a begin")
            }
            Message::CancelPart(cancel) => {
                self.gate_states(Fact::GateEntry(cancel.fence.index), "a cancel")
            }
            Message::PartReport(report) => self.on_report(report.part, &report.phase, of),
            Message::Prepare(prepare) => {
                let run = prepare.run;
                let fact = Fact::Assigned(run.shard, run.fence.index);
                self.manager_states(fact, of, "a prepare")
            }
            Message::Confirm(confirm) => {
                for verdict in &confirm.verdicts {
                    self.on_verdict(verdict.run, verdict.kind, of)?;
                }
                Ok(())
            }
            Message::PartAck(_)
            | Message::Capacity(_)
            | Message::Pressure(_)
            | Message::Probe(_)
            | Message::Gates(_)
            | Message::Managers(_)
            | Message::NotLeader(_)
            | Message::Claim(_)
            | Message::NotOwner(_)
            | Message::SessionBeat(_)
            | Message::SessionAck(_)
            | Message::Swim(_)
            | Message::Heartbeat(_)
            | Message::Report(_)
            | Message::Final(_) => Ok(()),
        }
    }

    /// A result is acknowledged; so is the end of a part that an old offer made elsewhere.
    fn on_ack(&mut self, part: PartId, to: Option<&str>) -> Result<(), Violation> {
        let is_elsewhere = self.placed.get(&part).is_some_and(|name| Some(name.as_str()) != to);
        if is_elsewhere {
            self.judged += 1;
            return Ok(());
        }
        self.gate_states(Fact::PartEnded(part), "an acknowledged result")
    }

    fn on_report(&mut self, part: PartId, phase: &PartPhase, of: u16) -> Result<(), Violation> {
        match phase {
            PartPhase::Refused { .. } => Ok(()),
            PartPhase::Accepted => self.manager_states(Fact::Accepted(part), of, "an acceptance"),
            PartPhase::Running => self.manager_states(Fact::Begun(part), of, "a begun part"),
            // A workflow can be stopped by its own failure, too.
            PartPhase::Cancelling => Ok(()),
            PartPhase::Ended(result) if result.cancelled => {
                self.manager_states(Fact::PartCancelled(part), of, "a cancelled part")
            }
            PartPhase::Ended(_) => self.manager_states(Fact::PartOver(part), of, "an ended part"),
        }
    }

    fn on_verdict(&mut self, run: RunId, kind: VerdictKind, of: u16) -> Result<(), Violation> {
        let (shard, index) = (run.shard, run.fence.index);
        match kind {
            VerdictKind::Issue { ceiling, .. } => {
                self.manager_states(Fact::Assigned(shard, index), of, "a confirmation")?;
                self.judged += 1;
                if ceiling > 0 && !self.is_reserved(shard, index, ceiling, of) {
                    return broken(
                        Inv::PersistFirst,
                        format!("{run:?} is confirmed up to {ceiling}, which is not reserved"),
                    );
                }
                Ok(())
            }
            // `Forget` may also answer a run that this ledger does not know.
            VerdictKind::Forget
                if self.managers.contains(&(of, Fact::Assigned(shard, index)))
                    && !self.is_over(shard.job, of) =>
            {
                self.manager_states(Fact::RunEnded(shard, index), of, "a forgotten run")
            }
            VerdictKind::Forget | VerdictKind::Hold | VerdictKind::Stop => Ok(()),
        }
    }

    fn is_over(&self, job: JobId, of: u16) -> bool {
        let over = |fact: &(u16, Fact)| {
            fact.0 == of && matches!(fact.1, Fact::PartOver(part) if part.job == job)
        };
        self.managers.iter().any(over)
    }

    fn is_reserved(&self, shard: ShardId, index: LogIndex, ceiling: u64, of: u16) -> bool {
        let from = (of, Fact::Reserved(shard, index, ceiling));
        let to = (of, Fact::Reserved(shard, index, u64::MAX));
        self.managers.range(from..=to).next().is_some()
    }

    fn on_reply(&mut self, reply: &Reply) -> Result<(), Violation> {
        match reply {
            Reply::Submitted { job, .. } => self.gate_states(Fact::Created(*job), "a created job"),
            Reply::Cancelling(job) => self.gate_states(Fact::JobCancelled(*job), "a cancel"),
            Reply::Result(result) => self.gate_states(Fact::JobEnded(result.job), "a result"),
            Reply::Status(view) if view.status.is_terminal() => {
                self.gate_states(Fact::JobEnded(view.job), "a terminal status")
            }
            _ => Ok(()),
        }
    }

    fn gate_states(&mut self, fact: Fact, what: &str) -> Result<(), Violation> {
        self.judged += 1;
        if self.gates.contains(&fact) {
            return Ok(());
        }
        broken(Inv::PersistFirst, format!("{what} left a gate; {fact:?} is not chosen"))
    }

    fn manager_states(&mut self, fact: Fact, of: u16, what: &str) -> Result<(), Violation> {
        self.judged += 1;
        if self.managers.contains(&(of, fact)) {
            return Ok(());
        }
        broken(Inv::PersistFirst, format!("{what} left a manager; {fact:?} is not chosen"))
    }
}
