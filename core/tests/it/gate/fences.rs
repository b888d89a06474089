//! The ledger refuses what is decided under any fence but the job's.

use hyperscale_core::gate::models::{CancelCause, Decision, PartEnd};
use hyperscale_core::gate::{Applied, GateCommand, GateLedger};
use hyperscale_core::ids::{DiskId, JobId, LogIndex, NodeId};
use hyperscale_core::report::JobStatus;

use super::world::{part_of, plan};

struct Log {
    ledger: GateLedger,
    last: u64,
}

impl Log {
    fn apply(&mut self, command: GateCommand) -> Applied {
        self.last += 1;
        let applied = self.ledger.apply(LogIndex::new(self.last), &command);
        self.ledger.check_all().unwrap();
        applied
    }
}

fn enrol(gate: u64, disk: u64, boot: u64) -> GateCommand {
    GateCommand::Enrol { gate: NodeId::new(gate), disk: DiskId::new(disk), boot }
}

fn own(job: JobId, session: u64) -> GateCommand {
    GateCommand::Own { job, session: LogIndex::new(session) }
}

/// Gate 1 with session 1, gate 2 with session 2, and job 3 of gate 1.
fn log() -> (Log, JobId) {
    let mut log = Log { ledger: GateLedger::default(), last: 0 };
    assert_eq!(log.apply(enrol(1, 11, 4)), Applied::Enrolled(NodeId::new(1)));
    assert_eq!(log.apply(enrol(2, 12, 7)), Applied::Enrolled(NodeId::new(2)));
    let job = JobId::new(3);
    let create = GateCommand::Create {
        key: "k".into(),
        plan_digest: 1,
        plan: Box::new(plan("p")),
        session: LogIndex::new(1),
        tenant: Default::default(),
        slots: 1,
    };
    assert_eq!(log.apply(create), Applied::Created(job));
    let owner = log.ledger.job(job).unwrap().owner;
    assert_eq!((owner.gate, owner.fence), (NodeId::new(1), LogIndex::new(3)));
    (log, job)
}

/// Everything that an owner may decide, under a fence.
fn decisions(job: JobId, owner: LogIndex) -> [GateCommand; 5] {
    let part = part_of(job);
    let offer = LogIndex::new(4);
    let offers = vec![offer].try_into().unwrap();
    let aborted = CancelCause::Aborted { reason: "r".into() };
    [
        GateCommand::Place {
            part,
            datacenter: "east".into(),
            owner,
            decision: Decision::default(),
        },
        GateCommand::Begin { job, offers, owner },
        GateCommand::EndPart { part, offer, end: PartEnd::TimedOut, result: None, owner },
        GateCommand::EndJob {
            job,
            status: JobStatus::Failed,
            reason: String::new(),
            thresholds: Default::default(),
            owner,
        },
        GateCommand::Cancel { job, cause: aborted, workflow: None, owner: Some(owner) },
    ]
}

#[test]
fn a_decision_counts_under_the_jobs_fence_and_no_other() {
    let (mut log, job) = log();
    assert_eq!(log.apply(decisions(job, LogIndex::new(3))[0].clone()), Applied::Placed(job));
    assert_eq!(log.apply(own(job, 2)), Applied::Owned(job));
    let owner = log.ledger.job(job).unwrap().owner;
    assert_eq!((owner.gate, owner.fence), (NodeId::new(2), LogIndex::new(5)));
    let before = log.ledger.clone();
    for fence in [3, 4, 6] {
        for decision in decisions(job, LogIndex::new(fence)) {
            assert_eq!(log.apply(decision), Applied::Fenced(job));
        }
    }
    assert_eq!(log.ledger, before);
    assert_eq!(log.apply(decisions(job, owner.fence)[1].clone()), Applied::Begun(job));
    let cause = CancelCause::Client;
    let cancel = GateCommand::Cancel { job, cause, workflow: None, owner: None };
    assert_eq!(log.apply(cancel), Applied::Cancelling(job), "a client needs no fence");
}

#[test]
fn a_timeout_under_an_earlier_fence_changes_nothing() {
    let (mut log, job) = log();
    let timed_out = |owner| GateCommand::Cancel {
        job,
        cause: CancelCause::TimedOut { reason: "it ran for its timeout".into() },
        workflow: None,
        owner: Some(LogIndex::new(owner)),
    };
    assert_eq!(log.apply(decisions(job, LogIndex::new(3))[0].clone()), Applied::Placed(job));
    assert_eq!(log.apply(decisions(job, LogIndex::new(3))[1].clone()), Applied::Begun(job));
    assert_eq!(log.apply(own(job, 2)), Applied::Owned(job));
    let before = log.ledger.clone();
    assert_eq!(log.apply(timed_out(3)), Applied::Fenced(job));
    assert_eq!(log.ledger, before);
    assert_eq!(log.apply(timed_out(6)), Applied::Cancelling(job));
    assert_eq!(log.ledger.job(job).unwrap().status, JobStatus::Cancelling);
}

#[test]
fn a_job_is_given_to_current_sessions_only() {
    let (mut log, job) = log();
    assert_eq!(log.apply(own(job, 1)), Applied::Overtaken, "it has it");
    assert_eq!(log.apply(own(job, 9)), Applied::Overtaken, "nobody's");
    let expire = GateCommand::Expire { session: LogIndex::new(2) };
    assert_eq!(log.apply(expire.clone()), Applied::Expired(NodeId::new(2)));
    assert_eq!(log.apply(expire), Applied::Overtaken);
    assert_eq!(log.apply(own(job, 2)), Applied::Overtaken, "it is over");
    assert_eq!(log.apply(own(JobId::new(1), 1)), Applied::Overtaken, "no such job");
}

#[test]
fn a_newer_boot_replaces_its_session_and_another_disk_waits_for_its_end() {
    let (mut log, job) = log();
    for stale in [enrol(1, 11, 4), enrol(1, 11, 3), enrol(1, 99, 8)] {
        assert_eq!(log.apply(stale), Applied::Overtaken);
    }
    assert_eq!(log.apply(enrol(1, 11, 5)), Applied::Enrolled(NodeId::new(1)));
    assert_eq!(log.ledger.holder(LogIndex::new(1)), None);
    assert_eq!(log.ledger.job(job).unwrap().owner.session, LogIndex::new(1), "not current");
    let session = log.ledger.session(NodeId::new(1)).unwrap().index;
    assert_eq!(log.apply(GateCommand::Expire { session }), Applied::Expired(NodeId::new(1)));
    assert_eq!(log.apply(enrol(1, 99, 1)), Applied::Enrolled(NodeId::new(1)));
}
