//! Calls from clients. Each gets one reply: at once if it only reads, else from the committed
//! entry.

use crate::api::{ClusterView, Command, Refusal, Reply};
use crate::gate::models::Job;
use crate::gate::registry::{Admission, count};
use crate::gate::state::Committed;
use crate::gate::{Gate, GateCommand, merge, stats};
use crate::ids::{CallId, JobId, WorkflowIx};
use crate::machine::Cx;
use crate::plan::Plan;

impl Gate {
    pub(in crate::gate) fn on_called(&mut self, cx: &mut Cx<'_>, call: CallId, command: Command) {
        let ready = self.leads();
        let reply = match command {
            Command::Cluster => Reply::Cluster(Box::new(ClusterView {
                ready,
                datacenters: self.health.view(cx.now()),
            })),
            Command::Submit { .. }
            | Command::List
            | Command::Status(_)
            | Command::Cancel(_)
            | Command::CancelWorkflow { .. }
            | Command::Result(_)
            | Command::Watch { .. }
                if !ready =>
            {
                Reply::Refused(Refusal::NotReady)
            }
            Command::Submit { key, plan } => return self.on_submit(cx, call, key, plan),
            Command::Cancel(job) => return self.on_cancel(cx, call, (job, None)),
            Command::CancelWorkflow { job, workflow } => {
                return self.on_cancel_workflow(cx, call, job, &workflow);
            }
            Command::List => {
                let jobs = self.ledger.jobs().rev();
                Reply::Jobs(jobs.map(|(id, job)| stats::summary(id, job)).collect())
            }
            Command::Status(id) => self.read(id, |job| {
                Reply::Status(Box::new(stats::view(id, job, &merge::live(id, job, &self.sync))))
            }),
            Command::Result(id) => self.read(id, |job| match &job.result {
                Some(result) => Reply::Result(result.clone()),
                None => Reply::Refused(Refusal::NotEnded(job.status)),
            }),
            Command::Watch { job, after } => self.on_watch(job, after),
        };
        cx.out.reply(call, reply);
    }

    fn on_submit(&mut self, cx: &mut Cx<'_>, call: CallId, key: String, plan: Box<Plan>) {
        let known = self.ledger.key(&key).is_some();
        let elsewhere = self.health.unknown(&plan.datacenters).filter(|_| !known);
        let admission = if self.draining && !known {
            Admission::Reply(Reply::Refused(Refusal::Draining))
        } else if self.health.is_empty() {
            Admission::Reply(Reply::Refused(Refusal::NotReady))
        } else if let Some(refusal) = elsewhere {
            Admission::Reply(Reply::Refused(refusal))
        } else {
            self.registry.on_submit(&self.ledger, call, key, plan)
        };
        match admission {
            Admission::Joined => {}
            Admission::Reply(reply) => {
                count(cx, &reply);
                cx.out.reply(call, reply);
            }
            Admission::Propose { key, plan_digest, plan } => {
                let create = GateCommand::Create { key: key.clone(), plan_digest, plan };
                let index = self.propose(cx, create);
                self.registry.on_proposed(index, call, &key, plan_digest);
            }
        }
    }

    fn on_cancel_workflow(&mut self, cx: &mut Cx<'_>, call: CallId, id: JobId, name: &str) {
        let plan = self.ledger.job(id).and_then(|job| job.plan.as_deref());
        let found = plan.map(|plan| (0u16..).zip(plan.workflows.iter()));
        let found = found.map(|mut all| all.find(|(_, workflow)| workflow.name == name));
        match found {
            Some(None) => {
                cx.out.reply(call, Reply::Refused(Refusal::NoSuchWorkflow(name.to_owned())));
            }
            Some(Some((ix, _))) => self.on_cancel(cx, call, (id, Some(WorkflowIx::new(ix)))),
            // Unknown or ended, which the cancel of the whole says.
            None => self.on_cancel(cx, call, (id, None)),
        }
    }

    fn on_cancel(&mut self, cx: &mut Cx<'_>, call: CallId, what: (JobId, Option<WorkflowIx>)) {
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        if let Some(command) = self.cancellation.on_cancel(cx, committed, call, what) {
            let index = self.propose(cx, command);
            self.cancellation.on_proposed(what, index, Some(call));
        }
    }

    fn on_watch(&mut self, id: JobId, after: u64) -> Reply {
        let Some(job) = self.ledger.job(id) else {
            return Reply::Refused(Refusal::NoSuchJob(id));
        };
        let view = stats::view(id, job, &merge::live(id, job, &self.sync));
        self.watch.backlog(self.group.term(), after, view)
    }

    fn read(&self, id: JobId, answer: impl FnOnce(&Job) -> Reply) -> Reply {
        self.ledger.job(id).map_or(Reply::Refused(Refusal::NoSuchJob(id)), answer)
    }
}
