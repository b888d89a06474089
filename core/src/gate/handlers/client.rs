//! Calls from clients. Each gets one reply: at once if it only reads, else from the committed
//! entry.

use crate::api::{ClusterView, Command, MemberView, Refusal, Reply};
use crate::gate::models::Job;
use crate::gate::registry::{Admission, count};
use crate::gate::state::Committed;
use crate::gate::{Gate, GateCommand, stats};
use crate::ids::{CallId, JobId};
use crate::machine::Cx;
use crate::plan::Plan;

impl Gate {
    pub(in crate::gate) fn on_called(&mut self, cx: &mut Cx<'_>, call: CallId, command: Command) {
        let ready = self.leads();
        let reply = match command {
            Command::Cluster => Reply::Cluster(Box::new(self.view_cluster(cx, ready))),
            Command::Submit { .. }
            | Command::List
            | Command::Status(_)
            | Command::Cancel(_)
            | Command::Result(_)
            | Command::Watch { .. }
                if !ready =>
            {
                Reply::Refused(Refusal::NotReady)
            }
            Command::Submit { key, plan } => return self.on_submit(cx, call, key, plan),
            Command::Cancel(job) => return self.on_cancel(cx, call, job),
            Command::List => {
                let jobs = self.ledger.jobs().rev();
                Reply::Jobs(jobs.map(|(id, job)| stats::summary(id, job)).collect())
            }
            Command::Status(id) => self
                .read(id, |job| Reply::Status(Box::new(stats::view(id, job, self.sync.views(id))))),
            Command::Result(id) => self.read(id, |job| match &job.result {
                Some(result) => Reply::Result(result.clone()),
                None => Reply::Refused(Refusal::NotEnded(job.status)),
            }),
            Command::Watch { job, after } => self.on_watch(job, after),
        };
        cx.out.reply(call, reply);
    }

    fn view_cluster(&self, cx: &Cx<'_>, ready: bool) -> ClusterView {
        let membership = self.group.membership();
        let members = membership.members().map(|member| MemberView {
            node: member.node,
            disk: member.disk,
            votes: membership.is_voter(member.disk),
        });
        ClusterView {
            ready,
            gate: self.group.me().node,
            leader: self.group.leader(),
            term: self.group.term(),
            members: members.collect(),
            sessions: Vec::new(),
            datacenters: self.health.view(cx.now()),
        }
    }

    fn on_submit(&mut self, cx: &mut Cx<'_>, call: CallId, key: String, plan: Box<Plan>) {
        let known = self.ledger.key(&key).is_some();
        let admission = if self.draining && !known {
            Admission::Reply(Reply::Refused(Refusal::Draining))
        } else if self.health.is_empty() {
            Admission::Reply(Reply::Refused(Refusal::NotReady))
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

    fn on_cancel(&mut self, cx: &mut Cx<'_>, call: CallId, job: JobId) {
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        if let Some(command) = self.cancellation.on_cancel(cx, committed, call, job) {
            let index = self.propose(cx, command);
            self.cancellation.on_proposed(job, index, Some(call));
        }
    }

    fn on_watch(&mut self, id: JobId, after: u64) -> Reply {
        let Some(job) = self.ledger.job(id) else {
            return Reply::Refused(Refusal::NoSuchJob(id));
        };
        let view = stats::view(id, job, self.sync.views(id));
        self.watch.backlog(self.group.term(), after, view)
    }

    fn read(&self, id: JobId, answer: impl FnOnce(&Job) -> Reply) -> Reply {
        self.ledger.job(id).map_or(Reply::Refused(Refusal::NoSuchJob(id)), answer)
    }
}
