//! Placing parts: what was chosen becomes an entry, and what could not be waits.
//!
//! A part that finds no datacenter is asked for again with every beat; one that found none for as
//! long as an offer may go unanswered ends its job, with the reason of each datacenter. The reasons
//! of every choice are in its entry, so that any gate can explain it.
//! Inputs: wishes of `dispatch`. Outputs: `Place` entries, explanations.

use super::models::{CancelCause, Decision, GateCommand, Job, Part};
use super::routing::{self, Ask, Route, Routed};
use super::{Gate, merge};
use crate::api::{Explanation, Refusal, Reply};
use crate::ids::{JobId, NodeId, PartId};
use crate::machine::Cx;
use crate::plan::{Datacenters, Placement, Plan};
use crate::stat::Stat;
use crate::time::Instant;
use crate::wire::Message;

impl Gate {
    /// The choices of datacenters that were made in the last step.
    pub fn routed(&self) -> &[Routed] {
        self.routing.routed()
    }

    /// How every datacenter stands with this gate.
    pub fn standings(&self, now: Instant) -> Vec<super::models::Standing> {
        self.health.standings(now)
    }

    pub(super) fn place(&mut self, cx: &mut Cx<'_>, id: PartId, otherwise: GateCommand) {
        let Some(job) = self.ledger.job(id.job) else { return };
        let (owner, now) = (job.owner.fence, cx.now());
        let placed = job.part(id.part).filter(|part| part.offer.is_some());
        if let Some(part) = placed {
            cx.count(Stat::RouteFailed);
            self.health.on_failed(now, &part.datacenter);
        }
        let asked = asked(job);
        let chosen = self.routing.choose(cx, self.health.standings(now), asked.as_ask());
        let command = match chosen {
            Route::To(datacenter, decision) => {
                self.health.on_placed(now, &datacenter);
                self.dispatch.on_routed(id);
                GateCommand::Place { part: id, datacenter, owner, decision }
            }
            Route::Later(why) => match self.dispatch.on_unplaceable(now, id) {
                true => because(otherwise, &why),
                false => return,
            },
            Route::Nowhere => otherwise,
        };
        let whole = matches!(command, GateCommand::Cancel { .. });
        self.submit_for(cx, (id.job, (!whole).then_some(id.part)), command);
    }

    pub(super) fn end(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.ledger.job(id) else { return };
        let Some((status, reason)) = job.verdict() else { return };
        let thresholds = merge::outcomes(job);
        let owner = job.owner.fence;
        let command = GateCommand::EndJob { job: id, status, reason, thresholds, owner };
        self.submit_for(cx, (id, None), command);
    }

    /// Sends a message to a datacenter. Whoever had the offer before did not answer it.
    pub(super) fn deliver(
        &mut self,
        cx: &mut Cx<'_>,
        (datacenter, attempt): (&str, u32),
        msg: Message,
    ) {
        let Some(to) = self.health.manager(datacenter, attempt) else { return };
        if let Message::Offer(offer) = &msg {
            let before = self.dispatch.on_offering(cx.now(), offer.part, to, attempt);
            if let Some(before) = before {
                self.health.on_unanswered(cx, before);
            }
        }
        cx.out.send_resting_on(self.group.committed_lsn(), to, msg);
    }

    /// A datacenter accepted a part.
    pub(super) fn note_accepted(&mut self, cx: &mut Cx<'_>, from: NodeId, id: PartId) {
        let took = self.dispatch.offered_for(cx.now(), id);
        if let Some((took, datacenter)) = took.zip(self.health.home(from).map(str::to_owned)) {
            self.health.on_took(cx.now(), &datacenter, took);
        }
    }

    /// Whether a submission of a plan must wait until the gate knows its datacenters.
    pub(super) fn is_too_early(&self, cx: &Cx<'_>, plan: &Plan) -> bool {
        match plan.datacenters {
            Datacenters::Any(_) => self.health.is_initialising(cx.now()),
            Datacenters::Named(_) => false,
        }
    }

    pub(super) fn explain(&self, now: Instant, id: JobId) -> Reply {
        let Some(job) = self.ledger.job(id) else {
            return Reply::Refused(Refusal::NoSuchJob(id));
        };
        let is_queued = job.reason.is_empty() && self.positions().contains_key(&id);
        let unplaced = |part: &Part| part.offer.is_none() && part.end.is_none();
        let reason = if is_queued {
            "it waits for its turn".to_owned()
        } else if job.reason.is_empty() && job.parts.iter().any(unplaced) {
            let obstacles = routing::obstacles(&self.health.standings(now), asked(job).as_ask());
            obstacles.unwrap_or_default()
        } else {
            job.reason.clone()
        };
        Reply::Explained(Box::new(Explanation {
            job: id,
            name: job.name.clone(),
            status: job.status,
            reason,
            decisions: job.decisions.iter().cloned().collect(),
        }))
    }
}

/// What a part of a job asks for.
#[derive(Debug, Default)]
struct Asked<'a> {
    placement: Placement,
    tried: Vec<&'a str>,
}

impl Asked<'_> {
    fn as_ask(&self) -> Ask<'_> {
        Ask { placement: &self.placement, tried: &self.tried }
    }
}

fn asked(job: &Job) -> Asked<'_> {
    let tried = job.tried.iter().chain(job.parts.iter().map(|part| &part.datacenter));
    let tried = tried.map(String::as_str).filter(|name| !name.is_empty()).collect();
    let placement = job.plan.as_deref().map(|plan| plan.placement.clone()).unwrap_or_default();
    Asked { placement, tried }
}

impl Decision {
    /// The plan names the datacenter.
    pub(super) fn named(gate: NodeId) -> Self {
        Self { gate, ..Self::default() }
    }
}

/// The same end, with what kept a part from being placed.
fn because(command: GateCommand, why: &str) -> GateCommand {
    let mut command = command;
    if let GateCommand::Cancel { cause: CancelCause::Aborted { reason }, .. } = &mut command {
        *reason = format!("{reason} ({why})");
    }
    command
}
