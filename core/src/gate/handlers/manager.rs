//! Messages from managers. What comes from a node that no datacenter lists is dropped.

use crate::gate::state::Committed;
use crate::gate::sync::Heard;
use crate::gate::{Gate, merge};
use crate::ids::{NodeId, PartId};
use crate::machine::Cx;
use crate::stat::Stat;
use crate::wire::{CancelPart, Message, PartAck, PartReport};

impl Gate {
    pub(in crate::gate) fn on_message(&mut self, cx: &mut Cx<'_>, from: NodeId, msg: Message) {
        match msg {
            Message::Capacity(capacity) => {
                if !self.health.on_capacity(cx.now(), from, capacity) {
                    cx.count(Stat::MessageForeign);
                }
            }
            Message::PartReport(report) => self.on_part_report(cx, from, report),
            Message::Offer(_)
            | Message::Begin(_)
            | Message::CancelPart(_)
            | Message::PartAck(_)
            | Message::Prepare(_)
            | Message::Confirm(_)
            | Message::Heartbeat(_)
            | Message::Report(_)
            | Message::Final(_)
            | Message::Probe(_) => cx.count(Stat::MessageForeign),
        }
    }

    fn on_part_report(&mut self, cx: &mut Cx<'_>, from: NodeId, report: PartReport) {
        let Some(datacenter) = self.health.home(from) else {
            return cx.count(Stat::MessageForeign);
        };
        if !self.group.leads() {
            return cx.count(Stat::MessageStale);
        }
        let id = report.part;
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = match self.sync.on_report(cx, committed, datacenter, report) {
            Heard::Nothing => return,
            Heard::Settled => return self.settle_part(cx, from, id),
            Heard::Orphaned => return self.end_orphan(cx, from, id),
            Heard::Alive => return self.on_alive(cx, id),
            Heard::Accepted => self.dispatch.on_accepted(committed, id),
            Heard::Refused(reason) => self.dispatch.on_refused(committed, id, reason),
            Heard::Ended(result) => self.dispatch.on_ended(committed, id, result),
        };
        self.fulfil(cx, wishes);
    }

    fn on_alive(&mut self, cx: &mut Cx<'_>, part: PartId) {
        let id = part.job;
        let Some(job) = self.ledger.job(id) else { return };
        let untouched = self.sync.untouched(part, job);
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = self.dispatch.on_alive(committed, cx.now(), part, untouched);
        self.publish(cx, id);
        self.fulfil(cx, wishes);
        let Some(job) = self.ledger.job(id) else { return };
        let Some(reason) = merge::aborts(job, &merge::live(id, job, &self.sync)) else { return };
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        if let Some(command) = self.cancellation.on_abort(committed, id, reason) {
            let index = self.propose(cx, command);
            self.cancellation.on_proposed((id, None), index, None);
        }
    }

    fn settle_part(&self, cx: &mut Cx<'_>, to: NodeId, part: PartId) {
        cx.out.send_resting_on(self.group.committed_lsn(), to, PartAck { part });
    }

    fn end_orphan(&self, cx: &mut Cx<'_>, to: NodeId, part: PartId) {
        // Above every fence that the part can have seen, and resting on an entry that is committed.
        let fence = self.group.fence(self.applied);
        let cancel = CancelPart { part, fence, workflow: None };
        cx.out.send_resting_on(self.group.committed_lsn(), to, cancel);
    }
}
