//! Turns of jobs and what is shown of them: `queue` decides, this proposes and publishes.

use std::collections::BTreeMap;

use super::Gate;
use super::models::Job;
use super::queue::order;
use super::state::epoch;
use crate::api::{FlowView, JobView};
use crate::config::AdmissionConfig;
use crate::flow::{Level, Limits};
use crate::ids::JobId;
use crate::machine::Cx;
use crate::plan::Plan;
use crate::report::JobStatus;
use crate::stat::Stat;
use crate::time::Instant;

/// The rates that a configuration allows.
pub(super) const fn limits(config: &AdmissionConfig) -> Limits {
    Limits { dispatch: config.submissions, data: config.questions, telemetry: config.lists }
}

impl Gate {
    /// How overloaded this gate is at an instant of its clock.
    pub fn level(&self, now: Instant) -> Level {
        self.flow.level(now)
    }

    /// What a client sees of a job.
    pub(super) fn view(&self, id: JobId, job: &Job) -> JobView {
        let view = self.view_live(id, job);
        let position = (job.status == JobStatus::Queued).then(|| self.positions().remove(&id));
        JobView { position: position.flatten(), ..view }
    }

    /// Tells whoever watches a job where it stands.
    pub(super) fn publish(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let waits = self.ledger.job(id).is_some_and(|job| job.status == JobStatus::Queued);
        let position = waits.then(|| self.positions().remove(&id)).flatten();
        self.publish_at(cx, id, position);
    }

    fn publish_at(&mut self, cx: &mut Cx<'_>, id: JobId, position: Option<u32>) {
        let Some(job) = self.ledger.job(id) else { return };
        let view = self.view_live(id, job);
        self.watch.publish(cx, epoch(job), JobView { position, ..view });
        match position {
            Some(position) => drop(self.queue.shown.insert(id, position)),
            None => drop(self.queue.shown.remove(&id)),
        }
    }

    /// The places of the jobs that wait, from 1.
    pub(super) fn positions(&self) -> BTreeMap<JobId, u32> {
        order(&self.ledger).into_iter().zip(1..).collect()
    }

    /// How many jobs the entry that creates this one may find admitted without having to wait.
    pub(super) fn slots(&self, now: Instant, plan: &Plan) -> u32 {
        let (coming, sites) = (self.registry.coming(), self.health.standings(now));
        self.queue.slots(now, &self.ledger, (plan, coming), &sites)
    }

    /// A job was created, had its turn, or ended.
    pub(super) fn on_turns_changed(&mut self, cx: &mut Cx<'_>) {
        if !self.queue.take_due() {
            return;
        }
        self.queue.look(cx.now(), &self.ledger);
        if self.leads() && self.ledger.waiting().next().is_some() {
            let sites = self.health.standings(cx.now());
            for command in self.queue.turns(cx, &self.ledger, &sites) {
                if !self.propose(cx, command) {
                    self.queue.on_leader_changed();
                    break;
                }
            }
        }
        self.show_positions(cx);
    }

    fn show_positions(&mut self, cx: &mut Cx<'_>) {
        if self.queue.shown.is_empty() {
            return;
        }
        let mine = |id: &JobId| self.acts_for(*id);
        let moved: Vec<_> = self
            .positions()
            .into_iter()
            .filter(|(id, place)| mine(id) && self.queue.shown.get(id) != Some(place))
            .collect();
        for (id, position) in moved {
            self.publish_at(cx, id, Some(position));
        }
    }

    /// How this gate copes, for operators.
    pub(super) fn view_flow(&self, now: Instant) -> FlowView {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        FlowView {
            waiting: count(self.ledger.waiting().count()),
            running: count(self.ledger.admitted_count()),
            running_max: self.config.admission.jobs_running_max,
            ..self.flow.view(now, self.calls.credits())
        }
    }

    /// A job was created: it has its turn, or it waits.
    pub(super) fn on_created(&mut self, cx: &mut Cx<'_>, id: JobId) {
        if self.ledger.job(id).is_some_and(|job| job.admitted.is_none()) {
            cx.count(Stat::JobQueued);
        }
        self.publish(cx, id);
    }
}
