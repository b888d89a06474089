//! persist-first: nothing that names a record leaves a node before that record is durable on its
//! disk.
//!
//! The oracle does not trust `after`: it knows by the content of each message which record the
//! message asserts.

use hyperscale_core::api::Reply;
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::GateCommand;
use hyperscale_core::ids::{JobId, LogIndex, Lsn, PartId, RunId, ShardId};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::wire::{Message, PartPhase, VerdictKind};

use super::book::Book;
use super::{Oracle, Seen, View, Wants, broken};
use crate::faults::{GATE, MANAGER};

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

/// Facts of both journals.
#[derive(Debug, Default)]
pub(super) struct PersistFirst {
    gate: Book<Fact>,
    manager: Book<Fact>,
    judged: u64,
}

impl Oracle for PersistFirst {
    fn inv(&self) -> Inv {
        Inv::PersistFirst
    }
    fn wants(&self) -> Wants {
        Wants::APPENDED.and(Wants::LEFT).and(Wants::LIVES)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Appended { lsn, record, .. } => self.on_record(*lsn, record),
            Seen::Booted { host: GATE, last } => self.gate.cut(*last),
            Seen::Booted { host: MANAGER, last } => self.manager.cut(*last),
            Seen::Left { host, effect } => {
                let durable = view.hosts[usize::from(*host)].durable();
                match effect {
                    Effect::Send { msg, .. } => return self.on_message(msg, durable),
                    Effect::Reply { reply, .. } => return self.on_reply(reply, durable),
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl PersistFirst {
    fn on_record(&mut self, lsn: Lsn, record: &Record) {
        match record {
            Record::Gate(entry) => {
                self.gate.write(lsn, Fact::GateEntry(entry.index));
                match entry.command() {
                    Some(GateCommand::Create { .. }) => {
                        self.gate.write(lsn, Fact::Created(JobId::new(entry.index.get())));
                    }
                    Some(GateCommand::Cancel { job, .. }) => {
                        self.gate.write(lsn, Fact::JobCancelled(*job));
                    }
                    Some(GateCommand::EndPart { part, .. }) => {
                        self.gate.write(lsn, Fact::PartEnded(*part));
                    }
                    Some(GateCommand::EndJob { job, .. }) => {
                        self.gate.write(lsn, Fact::JobEnded(*job));
                    }
                    _ => {}
                }
            }
            Record::Manager(entry) => self.on_manager(lsn, entry.index, entry.command()),
            _ => {}
        }
    }

    fn on_manager(&mut self, lsn: Lsn, index: LogIndex, command: Option<&ManagerCommand>) {
        let book = &mut self.manager;
        match command {
            Some(ManagerCommand::Accept { part, .. }) => book.write(lsn, Fact::Accepted(*part)),
            Some(ManagerCommand::Begin { part, .. }) => book.write(lsn, Fact::Begun(*part)),
            Some(ManagerCommand::Cancel { part, .. }) => {
                book.write(lsn, Fact::PartCancelled(*part));
            }
            Some(ManagerCommand::Assign { shard, .. }) => {
                book.write(lsn, Fact::Assigned(*shard, index));
            }
            Some(ManagerCommand::EndRun { run, .. }) => {
                book.write(lsn, Fact::RunEnded(run.shard, run.fence.index));
            }
            Some(ManagerCommand::EndWorkflow { part, .. } | ManagerCommand::Fail { part, .. }) => {
                book.write(lsn, Fact::PartOver(*part));
            }
            Some(ManagerCommand::Advanced { ceilings, .. }) => {
                for (run, ceiling) in ceilings {
                    book.write(lsn, Fact::Reserved(run.shard, run.fence.index, *ceiling));
                }
            }
            _ => {}
        }
    }

    fn on_message(&mut self, msg: &Message, durable: Lsn) -> Result<(), Violation> {
        match msg {
            Message::Offer(offer) => {
                self.gate_states(Fact::GateEntry(offer.fence.index), durable, "an offer")
            }
            Message::Begin(begin) => {
                self.gate_states(Fact::GateEntry(begin.fence.index), durable, "a begin")
            }
            Message::CancelPart(cancel) => {
                self.gate_states(Fact::GateEntry(cancel.fence.index), durable, "a cancel")
            }
            Message::PartAck(ack) => {
                self.gate_states(Fact::PartEnded(ack.part), durable, "an acknowledged result")
            }
            Message::PartReport(report) => self.on_report(report.part, &report.phase, durable),
            Message::Prepare(prepare) => {
                let run = prepare.run;
                let fact = Fact::Assigned(run.shard, run.fence.index);
                self.manager_states(fact, durable, "a prepare")
            }
            Message::Confirm(confirm) => {
                for verdict in &confirm.verdicts {
                    self.on_verdict(verdict.run, verdict.kind, durable)?;
                }
                Ok(())
            }
            Message::Capacity(_)
            | Message::Probe(_)
            | Message::Gates(_)
            | Message::Managers(_)
            | Message::NotLeader(_)
            | Message::Claim(_)
            | Message::NotOwner(_)
            | Message::SessionBeat(_)
            | Message::SessionAck(_)
            | Message::Heartbeat(_)
            | Message::Report(_)
            | Message::Final(_) => Ok(()),
        }
    }

    fn on_report(
        &mut self,
        part: PartId,
        phase: &PartPhase,
        durable: Lsn,
    ) -> Result<(), Violation> {
        match phase {
            PartPhase::Refused { .. } => Ok(()),
            PartPhase::Accepted => {
                self.manager_states(Fact::Accepted(part), durable, "an acceptance")
            }
            PartPhase::Running => self.manager_states(Fact::Begun(part), durable, "a begun part"),
            // A workflow can be stopped by its own failure, too.
            PartPhase::Cancelling => Ok(()),
            PartPhase::Ended(result) if result.cancelled => {
                self.manager_states(Fact::PartCancelled(part), durable, "a cancelled part")
            }
            PartPhase::Ended(_) => {
                self.manager_states(Fact::PartOver(part), durable, "an ended part")
            }
        }
    }

    fn on_verdict(&mut self, run: RunId, kind: VerdictKind, durable: Lsn) -> Result<(), Violation> {
        let (shard, index) = (run.shard, run.fence.index);
        match kind {
            VerdictKind::Issue { ceiling, .. } => {
                self.manager_states(Fact::Assigned(shard, index), durable, "a confirmation")?;
                self.judged += 1;
                if ceiling > 0 && !self.is_reserved(shard, index, ceiling, durable) {
                    return broken(
                        Inv::PersistFirst,
                        format!("{run:?} is confirmed up to {ceiling}, which is not reserved"),
                    );
                }
                Ok(())
            }
            // `Forget` may also answer a run that this ledger does not know.
            VerdictKind::Forget
                if self.manager.holds(&Fact::Assigned(shard, index))
                    && !self.manager.holds(&Fact::PartOver(PartId {
                        job: shard.job,
                        part: hyperscale_core::ids::PartIx::new(0),
                    })) =>
            {
                self.manager_states(Fact::RunEnded(shard, index), durable, "a forgotten run")
            }
            VerdictKind::Forget | VerdictKind::Hold | VerdictKind::Stop => Ok(()),
        }
    }

    fn is_reserved(&self, shard: ShardId, index: LogIndex, ceiling: u64, durable: Lsn) -> bool {
        let from = Fact::Reserved(shard, index, ceiling);
        let to = Fact::Reserved(shard, index, u64::MAX);
        self.manager.any_by(&from, &to, durable)
    }

    fn on_reply(&mut self, reply: &Reply, durable: Lsn) -> Result<(), Violation> {
        match reply {
            Reply::Submitted { job, .. } => {
                self.gate_states(Fact::Created(*job), durable, "a created job")
            }
            Reply::Cancelling(job) => {
                self.gate_states(Fact::JobCancelled(*job), durable, "a cancel")
            }
            Reply::Result(result) => {
                self.gate_states(Fact::JobEnded(result.job), durable, "a result")
            }
            Reply::Status(view) if view.status.is_terminal() => {
                self.gate_states(Fact::JobEnded(view.job), durable, "a terminal status")
            }
            _ => Ok(()),
        }
    }

    fn gate_states(&mut self, fact: Fact, durable: Lsn, what: &str) -> Result<(), Violation> {
        self.judged += 1;
        if self.gate.holds_by(&fact, durable) {
            return Ok(());
        }
        broken(Inv::PersistFirst, format!("{what} left the gate; {fact:?} is not durable"))
    }

    fn manager_states(&mut self, fact: Fact, durable: Lsn, what: &str) -> Result<(), Violation> {
        self.judged += 1;
        if self.manager.holds_by(&fact, durable) {
            return Ok(());
        }
        broken(Inv::PersistFirst, format!("{what} left the manager; {fact:?} is not durable"))
    }
}
