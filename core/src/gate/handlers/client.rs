//! Calls from clients, at any gate. Each gets one reply: a read once everything committed before it
//! is applied here, a write from its committed entry, a watch at the owner. Without a quorum,
//! `calls` refuses in time. Before anything else `flow` says whether the gate takes the call.

use crate::api::{
    ClusterView, Command, JobSummary, MemberView, Refusal, Reply, SessionView, Tenant,
};
use crate::consensus::Input;
use crate::flow::Class;
use crate::gate::cancellation::Wanted;
use crate::gate::models::Job;
use crate::gate::registry::{Admission, count};
use crate::gate::state::{Committed, epoch};
use crate::gate::{Gate, GateCommand, stats};
use crate::ids::{CallId, GroupId, JobId, WorkflowIx};
use crate::limits::SUBMISSIONS_RESERVED;
use crate::machine::Cx;
use crate::plan::Plan;
use crate::stat::Stat;

impl Gate {
    pub(in crate::gate) fn on_called(
        &mut self,
        cx: &mut Cx<'_>,
        call: CallId,
        client: Tenant,
        command: Command,
    ) {
        let class = Class::of_command(&command);
        if let Some(refusal) = self.turned_away(cx, &client, class) {
            let reply = Reply::Refused(refusal);
            if class == Class::Dispatch {
                count(cx, &reply);
            }
            return cx.out.reply(call, reply);
        }
        match command {
            Command::Cluster => {
                let view = self.view_cluster(cx);
                cx.out.reply(call, Reply::Cluster(Box::new(view)));
            }
            _ if self.group.id() == GroupId::default() => {
                cx.out.reply(call, Reply::Refused(Refusal::NotReady));
            }
            // Where nobody leads the question waits like a read, so that a gate which is cut off
            // refuses and leaves nothing behind that may be done later.
            Command::Submit { key, plan }
                if self.ledger.key(&key).is_none() && self.group.leader().is_some() =>
            {
                self.on_submit(cx, (call, client), key, plan);
            }
            Command::Cancel(job) if self.is_cancellable(job) && self.group.leader().is_some() => {
                self.on_cancel(cx, call, (job, None));
            }
            // What needs no entry is answered like any read; a job that is unknown here may be
            // known elsewhere.
            Command::Submit { .. }
            | Command::Cancel(_)
            | Command::List
            | Command::Status(_)
            | Command::CancelWorkflow { .. }
            | Command::Result(_)
            | Command::Explain(_)
            | Command::Watch { .. }
            | Command::Stats { .. } => {
                let ticket = self.calls.on_read(cx.now(), call, client, command);
                self.tell_group(cx, Input::Read(ticket));
            }
        }
    }

    /// Everything that was committed before a call is applied.
    pub(in crate::gate) fn on_readable(&mut self, cx: &mut Cx<'_>, ticket: u64) {
        let Some((call, client, command)) = self.calls.on_readable(ticket) else { return };
        let reply = match command {
            Command::Submit { key, plan } => return self.on_submit(cx, (call, client), key, plan),
            Command::Cancel(job) => return self.on_cancel(cx, call, (job, None)),
            Command::CancelWorkflow { job, workflow } => {
                return self.on_cancel_workflow(cx, call, job, &workflow);
            }
            Command::List => {
                let waiting = self.positions();
                let jobs = self.ledger.jobs().rev().map(|(id, job)| JobSummary {
                    position: waiting.get(&id).copied(),
                    ..stats::summary(id, job)
                });
                Reply::Jobs(jobs.collect())
            }
            Command::Status(id) => self.read(id, |job| Reply::Status(Box::new(self.view(id, job)))),
            Command::Result(id) => self.read(id, |job| match &job.result {
                Some(result) => Reply::Result(result.clone()),
                None => Reply::Refused(Refusal::NotEnded(job.status)),
            }),
            Command::Watch { job, after } => self.on_watch(cx, job, after),
            Command::Stats { job, width } => self.on_stats(cx, job, width),
            Command::Explain(id) => self.explain(cx.now(), id),
            Command::Cluster => return,
        };
        cx.out.reply(call, reply);
    }

    fn view_cluster(&self, cx: &Cx<'_>) -> ClusterView {
        let membership = self.group.membership();
        let members = membership.members().map(|member| MemberView {
            node: member.node,
            disk: member.disk,
            votes: membership.is_voter(member.disk),
            standing: self.standing_of(member.node),
        });
        let jobs = |session| {
            let owned = self.ledger.live().filter(|(_, job)| job.owner.session == session);
            u32::try_from(owned.count()).unwrap_or(u32::MAX)
        };
        let sessions = self.ledger.sessions().map(|(gate, held)| SessionView {
            gate,
            session: held.index,
            jobs: jobs(held.index),
        });
        ClusterView {
            ready: self.acting.is_some(),
            gate: self.group.me().node,
            leader: self.group.leader(),
            term: self.group.term(),
            members: members.collect(),
            sessions: sessions.collect(),
            datacenters: self.health.standings(cx.now()),
            flow: self.view_flow(cx.now()),
        }
    }

    /// Why the gate does not take a call now, if it does not. Control is always taken.
    fn turned_away(&mut self, cx: &mut Cx<'_>, client: &Tenant, class: Class) -> Option<Refusal> {
        if class == Class::Control {
            return None;
        }
        if !self.group.has_room_beside(SUBMISSIONS_RESERVED) {
            return Some(self.flow.full(cx, class));
        }
        self.flow.on_call(cx, client, class, self.calls.credits())
    }

    fn on_submit(
        &mut self,
        cx: &mut Cx<'_>,
        (call, tenant): (CallId, Tenant),
        key: String,
        plan: Box<Plan>,
    ) {
        let known = self.ledger.key(&key).is_some();
        let elsewhere = self.health.unknown(&plan).filter(|_| !known);
        let admission = if self.draining && !known {
            Admission::Reply(Reply::Refused(Refusal::Draining))
        } else if self.health.is_empty() || (!known && self.is_too_early(cx, &plan)) {
            Admission::Reply(Reply::Refused(Refusal::NotReady))
        } else if let Some(refusal) = elsewhere {
            Admission::Reply(Reply::Refused(refusal))
        } else {
            self.registry.on_submit(&self.ledger, call, key, plan)
        };
        match admission {
            Admission::Joined => self.calls.on_write(cx.now(), call, Class::Dispatch),
            Admission::Reply(reply) => {
                count(cx, &reply);
                cx.out.reply(call, reply);
            }
            Admission::Propose { key, plan_digest, plan } => {
                self.calls.on_write(cx.now(), call, Class::Dispatch);
                let session = self.acting.unwrap_or_default();
                let slots = self.slots(cx.now(), &plan);
                let create = GateCommand::Create {
                    key: key.clone(),
                    plan_digest,
                    plan,
                    session,
                    tenant,
                    slots,
                };
                if let Some(seq) = self.submit(cx, create) {
                    self.registry.on_submitted(seq, call, &key, plan_digest);
                }
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
        match self.cancellation.on_cancel(cx, committed, call, what) {
            Wanted::Joined => self.calls.on_write(cx.now(), call, Class::Control),
            Wanted::Reply(reply) => cx.out.reply(call, reply),
            Wanted::Submit(command) => {
                self.calls.on_write(cx.now(), call, Class::Control);
                if let Some(seq) = self.submit(cx, command) {
                    self.cancellation.on_submitted(what, seq, Some(call));
                }
            }
        }
    }

    fn is_cancellable(&self, id: JobId) -> bool {
        let job = self.ledger.job(id);
        job.is_some_and(|job| job.cancel.is_none() && !job.status.is_terminal())
    }

    fn on_watch(&mut self, cx: &mut Cx<'_>, id: JobId, after: u64) -> Reply {
        let Some(job) = self.ledger.job(id) else {
            return Reply::Refused(Refusal::NoSuchJob(id));
        };
        if !job.status.is_terminal() && !self.acts_for(id) {
            let Some(gate) = self.elsewhere(job) else { return Reply::Refused(Refusal::NotReady) };
            cx.count(Stat::WatchRedirected);
            return Reply::Refused(Refusal::Elsewhere { gate });
        }
        let view = self.view(id, job);
        self.watch.backlog(epoch(job), after, view)
    }

    fn on_stats(&self, cx: &mut Cx<'_>, id: JobId, width: u32) -> Reply {
        let Some(job) = self.ledger.job(id) else {
            return Reply::Refused(Refusal::NoSuchJob(id));
        };
        if job.status.is_terminal() || self.acts_for(id) {
            return self.pull(cx, id, job, width);
        }
        let Some(gate) = self.elsewhere(job) else { return Reply::Refused(Refusal::NotReady) };
        cx.count(Stat::WatchRedirected);
        Reply::Refused(Refusal::Elsewhere { gate })
    }

    fn read(&self, id: JobId, answer: impl FnOnce(&Job) -> Reply) -> Reply {
        self.ledger.job(id).map_or(Reply::Refused(Refusal::NoSuchJob(id)), answer)
    }
}
