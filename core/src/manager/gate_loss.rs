//! `on_gate_loss: {stop_after: T}`: a begun part is failed once every gate was silent for T.
//!
//! Inputs: probes (every gate sends one each second), parts that begin or end. Silence is
//! counted on this node's clock and starts anew when a life leads.
//! Invariants: cancel-bounded (after the failure is committed, runs end as after a cancel).

use super::models::Part;
use super::{Manager, ManagerCommand};
use crate::ids::{JobId, NodeId};
use crate::machine::{Cx, Wake};
use crate::plan::OnGateLoss;
use crate::time::Instant;
use crate::timers::Timers;

/// How long gates have been silent.
#[derive(Debug)]
pub(super) struct GateLoss {
    heard: Instant,
    latest: Option<NodeId>,
    timers: Timers<JobId>,
}

impl GateLoss {
    pub(super) fn new() -> Self {
        Self { heard: Instant::ZERO, latest: None, timers: Timers::new() }
    }

    /// A gate probed.
    pub(super) fn on_probe(&mut self, now: Instant, gate: NodeId) {
        self.heard = self.heard.max(now);
        self.latest = Some(gate);
    }

    /// When a gate probed last.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// The gate that probed last.
    pub(super) fn latest(&self) -> Option<NodeId> {
        self.latest
    }

    /// Watches over a part, if its plan says so.
    pub(super) fn watch(&mut self, now: Instant, part: &Part) {
        match part.plan.on_gate_loss {
            OnGateLoss::StopAfter(span) if part.begun && !part.is_ended() => {
                self.timers.set(part.id.job, now.after(span));
            }
            OnGateLoss::StopAfter(_) | OnGateLoss::Finish => {}
        }
    }

    /// A part needs no watch any more.
    pub(super) fn forget(&mut self, job: JobId) {
        self.timers.cancel(&job);
    }

    pub(super) fn next_wake(&self) -> Option<Wake> {
        self.timers.next().map(|(at, _)| Wake { at, why: "gates are silent" })
    }
}

impl Manager {
    /// Fails the parts whose gates have been silent for too long.
    pub(super) fn on_gates_silent(&mut self, cx: &mut Cx<'_>) {
        while let Some(job) = self.gate_loss.timers.pop_due(cx.now()) {
            let Some(part) = self.ledger.of_job(job).filter(|part| !part.is_ended()) else {
                continue;
            };
            let OnGateLoss::StopAfter(span) = part.plan.on_gate_loss else { continue };
            let due = self.gate_loss.heard.after(span);
            if due > cx.now() {
                self.gate_loss.timers.set(job, due);
                continue;
            }
            let reason = format!("every gate was silent for {span:?} and the plan says stop");
            let part = part.id;
            self.propose(cx, ManagerCommand::Fail { part, workflow: None, reason });
        }
    }
}
