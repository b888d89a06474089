//! Which jobs this gate acts for, and what it does as the leader so that every job has an owner.
//!
//! A gate acts for a job from when it sees itself named as owner, under a session that lasts by its
//! own clock, until it sees another owner, another session of its own, or the end of that session.
//! Both are judged at the instant of every step, so a gate that was paused acts for nobody before
//! it has looked. What it takes on it takes from the ledger; what it lets go it forgets.
//! Leader: enrols, expires and repairs; everything is judged again with each of its own beats, so
//! that a proposal that was lost is made again.

use super::claims::Claimed;
use super::ledger::Applied;
use super::models::{GateCommand, Job, Part, Session};
use super::registry::count;
use super::sessions::Judged;
use super::state::Committed;
use super::{Gate, stats};
use crate::api::{Refusal, Reply};
use crate::consensus::Input;
use crate::ids::{CallId, GroupId, JobId, LogIndex, NodeId, PartId};
use crate::invariant::{Inv, Violation};
use crate::journal::LedgerSnapshot;
use crate::machine::Cx;
use crate::stat::Stat;
use crate::wire::{SessionAck, SessionBeat};

impl Gate {
    /// Whether this gate acts for a job.
    pub(super) fn acts_for(&self, id: JobId) -> bool {
        let job = self.ledger.job(id);
        self.acting.is_some() && job.map(|job| job.owner.session) == self.acting
    }

    /// The session of this boot in the ledger.
    pub(super) fn enrolled(&self) -> Option<Session> {
        let me = self.group.me();
        let boots = self.group.boots();
        self.ledger.session(me.node).filter(|held| (held.disk, held.boot) == (me.disk, boots))
    }

    /// Begins or ends to act, by the session that lasts at this instant.
    pub(super) fn judge_tenure(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now();
        let enrolled = self.enrolled().map(|held| held.index);
        if let Some(session) = enrolled.filter(|_| self.led && self.group.leads_at(now))
            && self.grants.renew(now, session)
        {
            self.tenure.extend(session, now.after(self.config.session_ttl));
        }
        let acting = self.tenure.session(now).filter(|session| enrolled == Some(*session));
        if acting == self.acting {
            return;
        }
        let held = self.jobs_of(self.acting);
        if self.acting.is_some() {
            cx.count(Stat::SessionLapsed);
        }
        self.acting = acting;
        for job in held {
            self.let_go(cx, job);
        }
        for job in self.jobs_of(acting) {
            self.take_on(cx, job);
        }
    }

    fn jobs_of(&self, session: Option<LogIndex>) -> Vec<JobId> {
        let mine = |job: &Job| session == Some(job.owner.session);
        self.ledger.live().filter(|(_, job)| mine(job)).map(|(id, _)| id).collect()
    }

    /// A job has another owner.
    pub(super) fn on_owned(&mut self, cx: &mut Cx<'_>, id: JobId) {
        cx.count(Stat::JobMoved);
        self.let_go(cx, id);
        if self.acts_for(id) {
            self.take_on(cx, id);
        }
    }

    fn take_on(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let committed = Committed::of(&self.group, &self.ledger, self.applied);
        let Some(job) = self.ledger.job(id) else { return };
        if job.owner.fence.get() != id.get() {
            cx.count(Stat::JobTaken);
        }
        let is_open = |part: &Part| part.offer.is_some() && part.end.is_none();
        let mut due = Vec::new();
        for (ix, part) in job.numbered().filter(|(_, part)| is_open(part)) {
            let part_id = PartId { job: id, part: ix };
            due.extend(self.claims.on_taken(cx, committed, part_id, &part.datacenter));
        }
        self.send_claims(cx, due);
        self.on_parts_ended(cx, id);
        self.pursue(cx, id);
    }

    fn let_go(&mut self, cx: &mut Cx<'_>, id: JobId) {
        self.dispatch.forget(id);
        self.claims.forget(id);
        self.sync.forget(id);
        self.windows.forget(id);
        if let Some(job) = self.ledger.job(id) {
            self.watch.on_moved(cx, stats::view(id, job, &[], Vec::new()));
        }
    }

    pub(super) fn send_claims(&self, cx: &mut Cx<'_>, due: Vec<Claimed>) {
        for Claimed { datacenter, attempt, claim } in due {
            if let Some(to) = self.health.manager(&datacenter, attempt) {
                cx.out.send_resting_on(self.group.committed_lsn(), to, claim);
            }
        }
    }

    /// This gate leads.
    pub(super) fn on_led(&mut self, cx: &mut Cx<'_>) {
        self.led = true;
        self.queue.on_leader_changed();
        self.grants.on_led(cx.now(), &self.ledger);
        self.registry.on_keys(cx.now(), &self.ledger, self.group.committed());
        self.read_again(cx);
        self.beat(cx);
        self.repair(cx);
    }

    /// This gate leads no more.
    pub(super) fn on_stood_down(&mut self) {
        self.led = false;
        self.queue.on_leader_changed();
        self.grants.on_stood_down();
        self.registry.on_stood_down();
    }

    /// Another leads, or nobody.
    pub(super) fn on_followed(&mut self, cx: &mut Cx<'_>, leader: Option<NodeId>) {
        if leader.is_some() {
            self.read_again(cx);
            self.beat(cx);
        }
    }

    fn read_again(&mut self, cx: &mut Cx<'_>) {
        for ticket in self.calls.tickets() {
            self.tell_group(cx, Input::Read(ticket));
        }
    }

    /// A snapshot replaces the ledger: everything that was derived from the old one is void.
    pub(super) fn on_installed(
        &mut self,
        cx: &mut Cx<'_>,
        index: LogIndex,
        ledger: LedgerSnapshot,
    ) {
        let LedgerSnapshot::Gate(ledger) = ledger else {
            return cx.count(Stat::MessageForeign);
        };
        let held = self.jobs_of(self.acting);
        self.acting = None;
        for job in held {
            self.let_go(cx, job);
        }
        self.ledger = *ledger;
        self.applied = index;
        self.leadership.on_installed();
        self.watch.retain(|job| self.ledger.job(job).is_some());
        self.windows.retain(|job| self.ledger.job(job).is_some());
        let mut answers = self.registry.on_installed(&self.ledger);
        answers.extend(self.cancellation.on_installed());
        self.answer(cx, answers);
    }

    /// Beats when it is time to, and does what a leader does then.
    pub(super) fn beat_if_due(&mut self, cx: &mut Cx<'_>) {
        if !self.tenure.is_due(cx.now()) {
            return;
        }
        self.beat(cx);
        self.repair(cx);
        self.queue.on_changed();
        for job in self.jobs_of(self.acting) {
            self.pursue(cx, job);
        }
        if self.draining && self.leads() && !self.owns_any() && self.has_peers() {
            self.tell_group(cx, Input::Transfer);
        }
    }

    fn beat(&mut self, cx: &mut Cx<'_>) {
        let (now, me) = (cx.now(), self.group.me());
        let seq = self.tenure.on_beat(now);
        if self.group.id() == GroupId::default() {
            return;
        }
        let boot = self.group.boots();
        let beat = SessionBeat { disk: me.disk, boot, seq, draining: self.draining };
        match self.group.leader() {
            Some(leader) if leader == me.node => self.on_session_beat(cx, me.node, &beat),
            // The boot's number is what an answer echoes: it must not be given out again.
            Some(leader) => cx.out.send_resting_on(self.booted, leader, beat),
            None => {}
        }
    }

    /// A gate beats.
    pub(super) fn on_session_beat(&mut self, cx: &mut Cx<'_>, from: NodeId, beat: &SessionBeat) {
        let member = |m: crate::consensus::Member| (m.node, m.disk) == (from, beat.disk);
        if !self.group.membership().members().any(member) {
            return cx.count(Stat::MessageForeign);
        }
        if !self.led || !self.group.leads_at(cx.now()) {
            return cx.count(Stat::MessageStale);
        }
        match self.grants.on_beat(cx, &self.ledger, from, beat) {
            Judged::Nothing => {}
            Judged::Enrol(command) => self.lead_by(cx, command),
            Judged::Renewed(ack) if from == self.group.me().node => self.on_session_ack(cx, &ack),
            Judged::Renewed(ack) => {
                cx.out.send_resting_on(self.group.committed_lsn(), from, ack);
            }
        }
        if beat.draining {
            self.repair(cx);
        }
    }

    /// The leader answered a beat.
    pub(super) fn on_session_ack(&mut self, cx: &mut Cx<'_>, ack: &SessionAck) {
        let boot = self.group.boots();
        self.tenure.on_ack(cx, boot, ack);
    }

    /// An entry about sessions or keys is applied.
    pub(super) fn on_session_committed(&mut self, cx: &mut Cx<'_>, applied: Applied) {
        if let Applied::Enrolled(gate) = applied {
            cx.count(Stat::SessionEnrolled);
            if gate == self.group.me().node {
                self.beat(cx);
            }
        } else if let Applied::Expired(_) = applied {
            cx.count(Stat::SessionExpired);
        }
        // Entries that follow in this step find the session as it is by this one.
        self.judge_tenure(cx);
    }

    /// An entry is applied while this gate leads.
    pub(super) fn on_lead_committed(
        &mut self,
        cx: &mut Cx<'_>,
        index: LogIndex,
        command: &GateCommand,
    ) {
        self.grants.on_committed(cx.now(), &self.ledger, command);
        self.registry.on_keys(cx.now(), &self.ledger, index);
        if let GateCommand::Admit { job } = command {
            self.queue.on_admitted(*job);
        }
        if matches!(
            command,
            GateCommand::Create { .. }
                | GateCommand::Enrol { .. }
                | GateCommand::Expire { .. }
                | GateCommand::Own { .. }
        ) {
            self.repair(cx);
        }
    }

    /// What a leader does when time has passed.
    pub(super) fn lead_on(&mut self, cx: &mut Cx<'_>) {
        if !self.leads() {
            return;
        }
        for command in self.grants.on_wake(cx.now()) {
            self.lead_by(cx, command);
        }
        if let Some(command) = self.registry.on_wake(cx.now()) {
            self.propose(cx, command);
        }
    }

    fn repair(&mut self, cx: &mut Cx<'_>) {
        if !self.leads() {
            return;
        }
        for command in self.grants.repairs(&self.ledger) {
            self.lead_by(cx, command);
        }
    }

    fn lead_by(&mut self, cx: &mut Cx<'_>, command: GateCommand) {
        if self.propose(cx, command.clone()) {
            self.grants.on_proposed(&command);
        }
    }

    /// Answers what waits for a submission of this gate.
    pub(super) fn answer_writes(
        &mut self,
        cx: &mut Cx<'_>,
        seq: u64,
        command: &GateCommand,
        applied: Applied,
    ) {
        if let GateCommand::Create { key, plan_digest, .. } = command {
            let answers = self.registry.on_committed(seq, (key, *plan_digest), applied);
            self.answer(cx, answers);
        } else if let GateCommand::Cancel { job, workflow, .. } = command {
            let answers = self.cancellation.on_committed(cx, seq, (*job, *workflow), applied);
            self.answer(cx, answers);
        }
    }

    fn answer(&mut self, cx: &mut Cx<'_>, answers: Vec<(CallId, Reply)>) {
        for (call, reply) in answers {
            if self.calls.close(call) {
                count(cx, &reply);
                cx.out.reply(call, reply);
            }
        }
    }

    /// No quorum answered a call in time.
    pub(super) fn give_up(&mut self, cx: &mut Cx<'_>, call: CallId, refusal: Refusal) {
        self.registry.give_up(call);
        self.cancellation.give_up(call);
        cx.count(Stat::QuorumMissed);
        cx.out.reply(call, Reply::Refused(refusal));
    }

    /// Whether a gate that drains may go: another can lead and owns all jobs, or it is alone and
    /// idle.
    pub(super) fn has_left(&self) -> bool {
        if !self.has_peers() {
            return self.leads() && self.is_idle();
        }
        let leads = self.group.leader() == Some(self.group.me().node);
        !leads && !self.owns_any() && self.calls.is_idle() && self.registry.is_idle()
    }

    fn owns_any(&self) -> bool {
        let me = self.group.me().node;
        self.ledger.live().any(|(_, job)| self.ledger.holder(job.owner.session) == Some(me))
    }

    fn has_peers(&self) -> bool {
        let me = self.group.me();
        self.group.id() == GroupId::default()
            || self.group.membership().voters.iter().any(|voter| voter.disk != me.disk)
    }

    /// Checks that what is pursued is owned, under the newest fence known here.
    pub(super) fn check_owned(&self) -> Result<(), Violation> {
        let owned = |id: &JobId| self.acts_for(*id);
        match self.dispatch.jobs().chain(self.claims.jobs()).find(|id| !owned(id)) {
            Some(id) => {
                let detail = format!("{id} is pursued and not owned");
                Err(Violation::new(Inv::OwnerSingle, detail))
            }
            None => Ok(()),
        }
    }

    /// The gate that acts for a job, if that is another.
    pub(super) fn elsewhere(&self, job: &Job) -> Option<NodeId> {
        let holder = self.ledger.holder(job.owner.session);
        holder.filter(|gate| *gate != self.group.me().node)
    }
}
