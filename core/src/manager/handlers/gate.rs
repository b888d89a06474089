//! From a gate: offers, begins, cancels, claims and acknowledgements of parts. All are repeated by
//! the gate until they are answered, and all are answered with where the part stands, so any loss,
//! duplication and reordering is harmless.
//!
//! A part has one gate at a time: the one that spoke under the highest fence hears of it, whoever
//! asks.
//!
//! Invariants: part-placed-once (nothing runs without a begin for the accepted offer; an offer that
//! was given up is never begun, see `expiry`), cancel-beats, no-resurrection.

use crate::ids::{Fence, NodeId, PartId};
use crate::machine::Cx;
use crate::manager::Manager;
use crate::manager::expiry::EXPIRED;
use crate::manager::leadership::Intent;
use crate::manager::models::{Buried, ManagerCommand};
use crate::manager::sync::{cancelled_unseen, is_open};
use crate::stat::Stat;
use crate::wire::{Begin, CancelPart, Offer, PartAck, PartPhase, Probe};

impl Manager {
    pub(in crate::manager) fn on_offer(&mut self, cx: &mut Cx<'_>, from: NodeId, offer: Offer) {
        let Offer { part, fence, plan } = offer;
        if self.answer_tombstone(cx, from, (part, fence), Some(fence)) {
            return;
        }
        if let Some(known) = self.ledger.part(part) {
            let renews = !known.begun && !known.cancelled && fence > known.fence;
            self.sync.on_gate(part.job, from, fence);
            if renews {
                self.propose(cx, ManagerCommand::Accept { part, gate: from, fence, plan });
            } else {
                self.report_part(cx, part.job);
            }
            return;
        }
        if self.pending.holds(&Intent::Accept(part.job)) {
            cx.count(Stat::MessageStale);
            return;
        }
        let home = self.config.datacenter.as_str();
        let refusal = if self.is_draining {
            Some("the datacenter is leaving".to_owned())
        } else if self.ledger.of_job(part.job).is_some() {
            Some("another part of the job is here".to_owned())
        } else if !self.ledger.has_room() {
            Some("too many parts are here".to_owned())
        } else if usize::from(part.part.get()) >= plan.datacenters.count() {
            Some("the plan has no such part".to_owned())
        } else if plan.datacenters.name(part.part).is_some_and(|name| name != home) {
            Some("the part is for another datacenter".to_owned())
        } else {
            plan.check_again().err().map(|error| error.to_string())
        };
        match refusal {
            Some(reason) => {
                cx.count(Stat::CapRefused);
                self.answer(cx, from, (part, fence), PartPhase::Refused { reason });
            }
            None => {
                self.propose(cx, ManagerCommand::Accept { part, gate: from, fence, plan });
            }
        }
    }

    pub(in crate::manager) fn on_begin(&mut self, cx: &mut Cx<'_>, from: NodeId, begin: Begin) {
        let Begin { part, fence, offer, start_in } = begin;
        if self.answer_tombstone(cx, from, (part, fence), Some(offer)) {
            return;
        }
        let Some(known) = self.ledger.part(part) else {
            cx.count(Stat::MessageStale);
            self.propose(cx, ManagerCommand::Expire { part, offer });
            return;
        };
        if known.offer != offer || fence <= offer {
            cx.count(Stat::FenceRefused);
            return;
        }
        let begun = known.begun || known.cancelled;
        self.sync.on_gate(part.job, from, fence);
        if begun {
            self.report_part(cx, part.job);
            return;
        }
        self.not_before.entry(part.job).or_insert(cx.now().after(start_in));
        self.propose(cx, ManagerCommand::Begin { part, gate: from, fence });
    }

    pub(in crate::manager) fn on_cancel(
        &mut self,
        cx: &mut Cx<'_>,
        from: NodeId,
        cancel: CancelPart,
    ) {
        let CancelPart { part, fence, workflow } = cancel;
        if self.answer_tombstone(cx, from, (part, fence), None) {
            return;
        }
        if let Some(known) = self.ledger.part(part) {
            let can_change = !known.is_ended()
                && !known.cancelled
                && workflow.is_none_or(|ix| is_open(known.status(ix)));
            self.sync.on_gate(part.job, from, fence);
            if !can_change {
                self.report_part(cx, part.job);
                return;
            }
        } else if workflow.is_some() {
            // Only the cancel of a whole part is buried ahead of its offer.
            cx.count(Stat::MessageStale);
            return;
        }
        self.propose(cx, ManagerCommand::Cancel { part, gate: from, fence, workflow });
    }

    pub(in crate::manager) fn on_part_ack(&mut self, cx: &mut Cx<'_>, ack: PartAck) {
        if self.ledger.part(ack.part).is_some_and(|part| part.is_ended()) {
            self.propose(cx, ManagerCommand::Close { part: ack.part });
        } else {
            cx.count(Stat::MessageStale);
        }
    }

    /// A gate owns the part's job by the entry `fence` of its ledger, or another gate says that it
    /// does.
    pub(in crate::manager) fn on_claim(
        &mut self,
        cx: &mut Cx<'_>,
        part: PartId,
        gate: NodeId,
        fence: Fence,
    ) {
        if self.answer_tombstone(cx, gate, (part, fence), None) {
            return;
        }
        let Some(known) = self.ledger.part(part) else {
            cx.count(Stat::MessageStale);
            return;
        };
        if fence > known.fence {
            self.propose(cx, ManagerCommand::Claim { part, gate, fence });
        } else if fence == known.fence && gate == known.gate {
            self.report_part(cx, part.job);
        } else {
            cx.count(Stat::FenceRefused);
        }
    }

    pub(in crate::manager) fn on_probe(&mut self, cx: &mut Cx<'_>, from: NodeId, probe: Probe) {
        self.gate_loss.on_probe(cx.now(), from);
        if self.may_speak(cx) {
            cx.out.send_volatile(from, self.capacity(cx.now(), probe));
        }
    }

    /// Whether the part is buried and there is no more to do. One that was cancelled before it was
    /// accepted has ended with nothing; of one that was closed the gate has the result, so there is
    /// nothing to say; one that was given up is refused to whoever relies on an `offer` that was.
    fn answer_tombstone(
        &mut self,
        cx: &mut Cx<'_>,
        to: NodeId,
        (part, fence): (PartId, Fence),
        offer: Option<Fence>,
    ) -> bool {
        let Some(tombstone) = self.ledger.tombstone(part).copied() else { return false };
        match tombstone.buried {
            Buried::Closed => {}
            Buried::Unseen => {
                self.answer(cx, to, (part, tombstone.fence), cancelled_unseen());
            }
            Buried::Expired if offer.is_none_or(|offer| tombstone.allows(offer)) => return false,
            Buried::Expired => {
                let reason = EXPIRED.to_owned();
                self.answer(cx, to, (part, fence), PartPhase::Refused { reason });
            }
        }
        cx.count(Stat::MessageStale);
        true
    }

    /// A gate's wish is committed, or no longer applies: it is told where the part stands.
    pub(in crate::manager) fn on_wish_committed(
        &mut self,
        cx: &mut Cx<'_>,
        gate: NodeId,
        (part, fence): (PartId, Fence),
    ) {
        if self.ledger.part(part).is_some() {
            self.watch_part(cx, part.job);
            self.report_part(cx, part.job);
        } else if !self.answer_tombstone(cx, gate, (part, fence), Some(Fence::default())) {
            let reason = "too many parts are here".to_owned();
            self.answer(cx, gate, (part, fence), PartPhase::Refused { reason });
        }
    }
}
