//! What a manager says: assignments and verdicts; and what any member says to another.
//!
//! Checked: the sender is a known manager, and the message is for this life of the worker. A
//! confirmation must echo a heartbeat that was sent and is remembered, because its send is what
//! the lease counts from; the others are dropped whole, the next heartbeat brings them again.

use crate::ids::NodeId;
use crate::machine::Cx;
use crate::membership;
use crate::stat::Stat;
use crate::wire::{Confirm, Message, Prepare, VerdictKind};
use crate::worker::models::Grant;
use crate::worker::{Worker, execution};

impl Worker {
    pub(in crate::worker) fn on_message(&mut self, cx: &mut Cx<'_>, from: NodeId, msg: Message) {
        if let Message::Swim(msg) = msg {
            return self.on_members(cx, membership::Input::Received { from, msg });
        }
        if !self.registry.knows(from) {
            cx.count(Stat::MessageForeign);
            return;
        }
        self.on_members(cx, membership::Input::Heard { node: from, life: None });
        match msg {
            Message::Prepare(prepare) => self.on_prepare(cx, prepare),
            Message::Confirm(confirm) => self.on_confirm(cx, from, confirm),
            Message::Pressure(said) if said.boot == self.boot() => {
                self.backpressure.on_said(cx.now(), from, said.level);
            }
            Message::Pressure(_) => cx.count(Stat::BootStale),
            Message::Offer(_)
            | Message::Begin(_)
            | Message::CancelPart(_)
            | Message::PartAck(_)
            | Message::PartReport(_)
            | Message::Capacity(_)
            | Message::Probe(_)
            | Message::Heartbeat(_)
            | Message::Report(_)
            | Message::Gates(_)
            | Message::Managers(_)
            | Message::NotLeader(_)
            | Message::Claim(_)
            | Message::NotOwner(_)
            | Message::SessionBeat(_)
            | Message::SessionAck(_)
            | Message::Swim(_)
            | Message::Final(_) => cx.count(Stat::MessageForeign),
        }
    }

    fn on_prepare(&mut self, cx: &mut Cx<'_>, prepare: Prepare) {
        if prepare.boot != self.boot() {
            cx.count(Stat::BootStale);
            return;
        }
        let Prepare { run, slice, .. } = prepare;
        self.execute(cx, execution::Input::Prepare { run, slice });
    }

    fn on_confirm(&mut self, cx: &mut Cx<'_>, from: NodeId, confirm: Confirm) {
        if confirm.boot != self.boot() {
            cx.count(Stat::BootStale);
            return;
        }
        let Some(sent) = self.registry.sent_at(confirm.seq) else {
            cx.count(Stat::MessageStale);
            return;
        };
        self.registry.on_answered(from, sent);
        for verdict in confirm.verdicts {
            let run = verdict.run;
            let input = match verdict.kind {
                VerdictKind::Issue { ttl, ceiling, plan_time } => {
                    let grant = Grant { sent, ttl, ceiling, plan_time };
                    execution::Input::Issue { run, grant }
                }
                VerdictKind::Hold => continue,
                VerdictKind::Stop => execution::Input::Stop(run),
                VerdictKind::Forget => execution::Input::Forget(run),
            };
            self.execute(cx, input);
        }
    }
}
