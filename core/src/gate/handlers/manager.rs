//! Messages from managers and other gates. What comes from a node that no datacenter lists, or that
//! is no member of the group, is dropped. A live job's reports are judged by the gate that acts for
//! it: any other sends the manager there. What is over is over at every gate alike.

use crate::consensus::Input;
use crate::gate::models::PartEnd;
use crate::gate::state::Committed;
use crate::gate::sync::Heard;
use crate::gate::{Gate, merge};
use crate::ids::{Fence, NodeId, PartId};
use crate::machine::Cx;
use crate::membership;
use crate::stat::Stat;
use crate::wire::{CancelPart, Message, NotOwner, PartAck, PartReport};

impl Gate {
    pub(in crate::gate) fn on_message(&mut self, cx: &mut Cx<'_>, from: NodeId, msg: Message) {
        self.on_heard(cx, from);
        match msg {
            Message::Swim(msg) => self.on_members(cx, membership::Input::Received { from, msg }),
            Message::Capacity(capacity) => self.health.on_capacity(cx, from, capacity),
            Message::NotLeader(said) => self.health.on_not_leader(cx, from, said),
            Message::PartReport(report) => self.on_part_report(cx, from, report),
            Message::Gates(msg) => {
                self.tell_group(cx, Input::Received { from, msg: Box::new(msg) });
            }
            Message::SessionBeat(beat) => self.on_session_beat(cx, from, &beat),
            Message::SessionAck(ack) if self.group.leader() == Some(from) => {
                self.on_session_ack(cx, &ack);
            }
            Message::SessionAck(_) => cx.count(Stat::MessageStale),
            Message::Offer(_)
            | Message::Begin(_)
            | Message::CancelPart(_)
            | Message::PartAck(_)
            | Message::Prepare(_)
            | Message::Confirm(_)
            | Message::Heartbeat(_)
            | Message::Report(_)
            | Message::Final(_)
            | Message::Managers(_)
            | Message::Claim(_)
            | Message::NotOwner(_)
            | Message::Pressure(_)
            | Message::Probe(_) => cx.count(Stat::MessageForeign),
        }
    }

    /// The part's result is committed: its datacenter may forget it.
    pub(in crate::gate) fn acknowledge(&mut self, cx: &mut Cx<'_>, id: PartId) {
        let part = self.ledger.job(id.job).and_then(|job| job.part(id.part));
        let reported = part.filter(|part| part.end == Some(PartEnd::Reported));
        if let Some(to) = reported.and_then(|part| self.health.manager(&part.datacenter, 0)) {
            cx.out.send_resting_on(self.group.committed_lsn(), to, PartAck { part: id });
        }
    }

    fn on_part_report(&mut self, cx: &mut Cx<'_>, from: NodeId, report: PartReport) {
        let Some(datacenter) = self.health.home(from) else {
            return cx.count(Stat::MessageForeign);
        };
        let datacenter = datacenter.to_owned();
        self.health.on_answer(cx, from);
        let id = report.part;
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let live = self.ledger.job(id.job).filter(|job| !job.status.is_terminal());
        if let Some(job) = live.filter(|_| !self.acts_for(id.job)) {
            let fence = committed.fence(job.owner.fence);
            if report.fence.group != committed.group {
                return cx.count(Stat::MessageForeign);
            }
            return match self.elsewhere(job) {
                Some(owner) => self.redirect(cx, from, report.part, owner, fence),
                None => cx.count(Stat::MessageStale),
            };
        }
        self.claims.on_heard(report.part);
        let wishes = match self.sync.on_report(cx, committed, &datacenter, report) {
            Heard::Nothing => return,
            Heard::Settled => return self.settle_part(cx, from, id),
            Heard::Orphaned => return self.end_orphan(cx, from, id),
            Heard::Alive => return self.on_alive(cx, id),
            Heard::Accepted => return self.on_accepted(cx, from, id),
            Heard::Refused(reason) => self.dispatch.on_refused(committed, id, reason),
            Heard::Ended(result) => self.dispatch.on_ended(committed, id, result),
        };
        self.fulfil(cx, wishes);
    }

    fn redirect(&self, cx: &mut Cx<'_>, to: NodeId, part: PartId, owner: NodeId, fence: Fence) {
        cx.count(Stat::ReportRedirected);
        let said = NotOwner { part, owner: Some(owner), fence };
        cx.out.send_resting_on(self.group.committed_lsn(), to, said);
    }

    fn on_alive(&mut self, cx: &mut Cx<'_>, part: PartId) {
        let id = part.job;
        let Some(job) = self.ledger.job(id) else { return };
        let untouched = self.sync.untouched(part, job);
        self.on_views(cx, part);
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = self.dispatch.on_alive(committed, cx.now(), part, untouched);
        self.publish(cx, id);
        self.fulfil(cx, wishes);
        let Some(job) = self.ledger.job(id) else { return };
        let Some(reason) = merge::aborts(job, &merge::live(id, job, &self.sync)) else { return };
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let command = self.cancellation.on_abort(committed, id, reason);
        if let Some(seq) = command.and_then(|command| self.submit(cx, command)) {
            self.cancellation.on_submitted((id, None), seq, None);
        }
    }

    fn on_accepted(&mut self, cx: &mut Cx<'_>, from: NodeId, id: PartId) {
        self.note_accepted(cx, from, id);
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let wishes = self.dispatch.on_accepted(committed, id);
        self.fulfil(cx, wishes);
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
