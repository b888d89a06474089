use std::time::Duration;

use super::*;
use crate::ids::{BootId, GroupId, PartIx, RunId, ShardIx};
use crate::input::Progress;
use crate::plan::{OnGateLoss, OnWorkerLoss, When, Workflow};
use crate::stats::Totals;

const PART: PartId = PartId { job: JobId::new(1), part: PartIx::new(0) };
const GATE: NodeId = NodeId::new(9);
const FIRST: WorkflowIx = WorkflowIx::new(0);
const SECOND: WorkflowIx = WorkflowIx::new(1);

fn fence(index: u64) -> Fence {
    Fence { group: GroupId::new(1), index: LogIndex::new(index) }
}

fn workflow(after: &[WorkflowIx]) -> Workflow {
    Workflow {
        name: "w".to_owned(),
        after: after.to_vec().try_into().unwrap(),
        when: When::Ok,
        executor: Executor::PerVuIterations {
            vus: 2,
            iterations: 10,
            max_duration: Duration::from_secs(60),
        },
        graceful_stop: Duration::ZERO,
        flow: BoundedVec::new(),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    }
}

fn accept() -> ManagerCommand {
    let plan = Plan {
        name: "p".to_owned(),
        base_url: "demo".to_owned(),
        workflows: vec![workflow(&[]), workflow(&[FIRST])].try_into().unwrap(),
        data: BoundedVec::new(),
        thresholds: BoundedVec::new(),
        datacenters: Default::default(),
        placement: Default::default(),
        on_worker_loss: OnWorkerLoss::Replace,
        on_gate_loss: OnGateLoss::Finish,
        seed: 1,
        index_header: false,
        timeout: None,
        retries: 10,
    };
    ManagerCommand::Accept { part: PART, gate: GATE, fence: fence(1), plan: Box::new(plan) }
}

fn begin() -> ManagerCommand {
    ManagerCommand::Begin { part: PART, gate: GATE, fence: fence(2) }
}

fn cancel(workflow: Option<WorkflowIx>) -> ManagerCommand {
    ManagerCommand::Cancel { part: PART, gate: GATE, fence: fence(3), workflow }
}

fn split(workflow: WorkflowIx, shards: u16) -> ManagerCommand {
    ManagerCommand::Split { part: PART, workflow, shards }
}

fn shard(ix: u16) -> ShardId {
    ShardId { job: PART.job, workflow: FIRST, shard: ShardIx::new(ix) }
}

fn assign(ix: u16, first: u64) -> ManagerCommand {
    let worker = NodeId::new(20 + u64::from(ix));
    ManagerCommand::Assign { shard: shard(ix), worker, boot: BootId::new(1), first }
}

fn started() -> ManagerCommand {
    ManagerCommand::Started { part: PART, workflow: FIRST }
}

fn advanced(run: RunId, seconds: u64, ceiling: u64) -> ManagerCommand {
    ManagerCommand::Advanced {
        part: PART,
        workflow: FIRST,
        plan_time: PlanTime::at(Duration::from_secs(seconds)),
        ceilings: vec![(run, ceiling)].try_into().unwrap(),
    }
}

fn run(ix: u16, index: u64) -> RunId {
    RunId { shard: shard(ix), fence: fence(index) }
}

fn end_run(run: RunId, outcome: RunOutcome, iterations: u64) -> ManagerCommand {
    ManagerCommand::EndRun {
        run,
        outcome,
        ceiling: 4,
        until: PlanTime::at(Duration::from_secs(3)),
        progress: Progress::default(),
        totals: Box::new(Totals { iterations, ..Totals::default() }),
        covered_ms: 3000,
        losses: BoundedVec::new(),
    }
}

fn end_workflow(workflow: WorkflowIx, status: WorkflowStatus) -> ManagerCommand {
    ManagerCommand::EndWorkflow {
        part: PART,
        workflow,
        status,
        reason: String::new(),
        plan_time: PlanTime::at(Duration::from_secs(4)),
        start_skew_ns: 7,
        losses: BoundedVec::new(),
    }
}

/// A ledger with its next index.
struct Log(ManagerLedger, u64);

impl Log {
    fn new(commands: &[ManagerCommand]) -> Self {
        let mut log = Self(ManagerLedger::default(), 0);
        for command in commands {
            assert_eq!(log.apply(command), Applied::Changed, "{command:?}");
        }
        log
    }

    fn apply(&mut self, command: &ManagerCommand) -> Applied {
        self.1 += 1;
        let applied = self.0.apply(LogIndex::new(self.1), command);
        self.0.check_all().unwrap();
        applied
    }

    /// The command must change nothing.
    fn ignores(&mut self, command: &ManagerCommand) {
        let before = self.0.clone();
        assert_eq!(self.apply(command), Applied::Ignored, "{command:?}");
        assert_eq!(self.0, before);
    }

    fn status(&self, workflow: WorkflowIx) -> Option<WorkflowStatus> {
        self.0.part(PART).and_then(|part| part.status(workflow))
    }
}

/// Entries 1 to 7: two runs, of entries 4 and 5, of a running workflow.
fn running() -> Log {
    let run_4 = run(0, 4);
    let commands = [
        accept(),
        begin(),
        split(FIRST, 2),
        assign(0, 0),
        assign(1, 0),
        started(),
        advanced(run_4, 1, 8),
    ];
    Log::new(&commands)
}

#[test]
fn what_was_done_is_not_done_again() {
    let mut log = running();
    for command in [accept(), begin(), split(FIRST, 2), assign(0, 0), started()] {
        log.ignores(&command);
    }
    let _ = log.apply(&end_run(run(0, 4), RunOutcome::Completed, 5));
    log.ignores(&end_run(run(0, 4), RunOutcome::Completed, 5));
    log.ignores(&end_run(run(0, 4), RunOutcome::Lost, 3));
    log.ignores(&assign(0, 9));
    assert_eq!(log.0.workflow(WorkflowKey::of(shard(0))).unwrap().totals.iterations, 5);
}

#[test]
fn nothing_moves_out_of_order() {
    let mut log = Log::new(&[accept()]);
    log.ignores(&split(FIRST, 1));
    assert_eq!(log.apply(&begin()), Applied::Changed);
    log.ignores(&split(SECOND, 1));
    log.ignores(&split(FIRST, 0));
    log.ignores(&split(FIRST, 3));
    log.ignores(&assign(0, 0));
    log.ignores(&started());
    log.ignores(&advanced(run(0, 4), 1, 8));
    log.ignores(&ManagerCommand::Close { part: PART });
}

#[test]
fn reservations_and_plan_time_never_go_down() {
    let mut log = running();
    let _ = log.apply(&advanced(run(0, 4), 0, 2));
    let _ = log.apply(&advanced(run(0, 3), 0, 99));
    let state = log.0.workflow(WorkflowKey::of(shard(0))).unwrap();
    assert_eq!(state.plan_time, Some(PlanTime::at(Duration::from_secs(1))));
    assert_eq!(state.shards[0].open().unwrap().reserved, 8);
}

#[test]
fn a_replacement_declares_the_gap_before_it() {
    let mut log = running();
    let _ = log.apply(&end_run(run(0, 4), RunOutcome::Lost, 2));
    let _ = log.apply(&advanced(run(1, 5), 6, 8));
    assert_eq!(log.apply(&assign(0, 7)), Applied::Changed);
    let state = log.0.workflow(WorkflowKey::of(shard(0))).unwrap();
    let at = |seconds| PlanTime::at(Duration::from_secs(seconds));
    let gap = Loss {
        part: PartIx::new(0),
        shard: ShardIx::new(0),
        worker: NodeId::new(20),
        kind: LossKind::Unserved,
        from: at(3),
        until: at(6),
        items: 3,
    };
    assert_eq!(state.losses.to_vec(), [gap]);
    assert_eq!(state.totals.dropped, 3);
    assert_eq!(state.shards[0].open().unwrap().joined, at(6));
    assert_eq!(log.0.part(PART).unwrap().lost.len(), 1);
}

#[test]
fn a_workflow_ends_after_its_runs_and_once() {
    let mut log = running();
    log.ignores(&end_workflow(FIRST, WorkflowStatus::Completed));
    let _ = log.apply(&end_run(run(0, 4), RunOutcome::Completed, 5));
    let _ = log.apply(&end_run(run(1, 5), RunOutcome::Completed, 6));
    log.ignores(&end_workflow(FIRST, WorkflowStatus::Running));
    assert_eq!(log.apply(&end_workflow(FIRST, WorkflowStatus::Completed)), Applied::Changed);
    for status in [WorkflowStatus::Completed, WorkflowStatus::Failed, WorkflowStatus::Cancelled] {
        log.ignores(&end_workflow(FIRST, status));
    }
    log.ignores(&cancel(Some(FIRST)));
    let result = log.0.part(PART).unwrap().result();
    let done = &result.workflows[0];
    assert_eq!((done.totals.iterations, done.covered_ms, done.planned_ms), (11, 6000, 6000));
    assert_eq!(done.start_skew, Duration::from_nanos(7));
    assert_eq!(log.apply(&split(SECOND, 1)), Applied::Changed);
}

#[test]
fn a_cancel_beats_completion_until_that_is_committed() {
    let mut log = running();
    let _ = log.apply(&end_run(run(0, 4), RunOutcome::Completed, 5));
    assert_eq!(log.apply(&cancel(None)), Applied::Changed);
    let _ = log.apply(&end_run(run(1, 5), RunOutcome::Completed, 6));
    log.ignores(&end_workflow(FIRST, WorkflowStatus::Completed));
    assert_eq!(log.apply(&end_workflow(FIRST, WorkflowStatus::Cancelled)), Applied::Changed);
    assert_eq!(log.status(SECOND), Some(WorkflowStatus::Cancelled));
    log.ignores(&cancel(None));
    assert!(log.0.part(PART).unwrap().result().cancelled);
    assert_eq!(log.apply(&ManagerCommand::Close { part: PART }), Applied::Changed);
    for command in [accept(), begin(), cancel(None)] {
        log.ignores(&command);
    }
}

#[test]
fn a_failure_of_the_part_stops_what_runs_and_skips_what_waits() {
    let mut log = running();
    let fail = |workflow| {
        let reason = "why".to_owned();
        ManagerCommand::Fail { part: PART, workflow, reason }
    };
    assert_eq!(log.apply(&fail(None)), Applied::Changed);
    assert_eq!(log.status(FIRST), Some(WorkflowStatus::Cancelling));
    assert_eq!(log.status(SECOND), Some(WorkflowStatus::Skipped));
    log.ignores(&fail(None));
    log.ignores(&fail(Some(FIRST)));
    log.ignores(&assign(0, 0));
}

#[test]
fn an_offer_is_renewed_until_it_is_begun() {
    let mut log = Log::new(&[accept()]);
    log.ignores(&accept());
    let ManagerCommand::Accept { plan, .. } = accept() else { return };
    let again = ManagerCommand::Accept { part: PART, gate: NodeId::new(8), fence: fence(2), plan };
    assert_eq!(log.apply(&again), Applied::Changed);
    let part = log.0.part(PART).unwrap();
    assert_eq!((part.offer, part.gate), (fence(2), NodeId::new(8)));
    log.ignores(&begin());
}
