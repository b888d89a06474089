//! Jobs over several datacenters: all or nothing before the begin, exact merges and honest holes
//! after it.

use hyperscale_core::api::{Command, Refusal, Reply};
use hyperscale_core::effect::Effect;
use hyperscale_core::gate::models::PartEnd;
use hyperscale_core::ids::{JobId, NodeId, PartIx, WorkflowIx};
use hyperscale_core::machine::Role as _;
use hyperscale_core::plan::{
    Comparison, Datacenters, Executor, Metric, Plan, Rate, Site, Threshold, ThresholdStat,
};
use hyperscale_core::report::{JobResult, JobStatus, LossKind, PartOutcome, WorkflowStatus};
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::{Message, PartPhase, PartReport};

use super::world::*;

pub(super) const MANAGERS: [NodeId; 3] = [EAST, WEST, NORTH];

/// A plan of 20 arrivals over these datacenters.
pub(super) fn spread(sites: &[(&str, u32)]) -> Plan {
    let mut plan = plan("p");
    let site = |(name, weight): &(&str, u32)| Site { name: (*name).into(), weight: *weight };
    let sites: Vec<_> = sites.iter().map(site).collect();
    plan.datacenters = Datacenters::Named(sites.try_into().unwrap());
    plan.workflows[0].executor = Executor::ConstantArrivalRate {
        rate: Rate { count: 2, unit: S },
        duration: 10 * S,
        max_vus: 9,
    };
    plan.check_again().unwrap();
    plan
}

fn status(world: &World, job: JobId) -> JobStatus {
    world.node.role().ledger().job(job).unwrap().status
}

fn told(world: &mut World, job: JobId) -> JobResult {
    match world.ask(Command::Result(job)) {
        Reply::Result(result) => *result,
        other => panic!("{other:?}"),
    }
}

pub(super) fn say(
    world: &mut World,
    job: JobId,
    ix: u16,
    seq: u64,
    phase: PartPhase,
) -> Vec<String> {
    let report = world.heard_of(job, ix, seq, phase);
    world.report(MANAGERS[usize::from(ix)], report)
}

/// Brings a job of so many named parts to Running.
pub(super) fn begun(world: &mut World, plan: &Plan) -> JobId {
    let job = world.submit("k", plan);
    let parts = u16::try_from(plan.datacenters.count()).unwrap();
    for ix in 0..parts {
        say(world, job, ix, 1, PartPhase::Accepted);
    }
    for ix in 0..parts {
        say(world, job, ix, 2, PartPhase::Running);
    }
    assert_eq!(status(world, job), JobStatus::Running);
    job
}

fn outcomes(result: &JobResult) -> Vec<(&str, PartOutcome)> {
    result.parts.iter().map(|row| (row.datacenter.as_str(), row.outcome)).collect()
}

#[test]
fn no_part_begins_before_all_are_accepted_and_then_all_begin_in_one_entry() {
    let mut world = World::led(3);
    let plan = spread(&[("east", 1), ("west", 1), ("north", 1)]);
    let _ = world.step(called(1, submit("k", &plan)));
    let job = JobId::new(3);
    let offers: Vec<_> = world
        .run(hyperscale_core::input::Input::Wake)
        .into_iter()
        .filter(|line| line.contains("offer"))
        .collect();
    assert_eq!(
        offers,
        ["n10 offer j3/p0 f4 @l9", "n20 offer j3/p1 f5 @l9", "n30 offer j3/p2 f6 @l9"]
    );
    assert_eq!(say(&mut world, job, 0, 1, PartPhase::Accepted), [] as [&str; 0]);
    assert_eq!(say(&mut world, job, 2, 1, PartPhase::Accepted), [] as [&str; 0]);
    assert_eq!(status(&world, job), JobStatus::Dispatching);
    let accepted = world.heard_of(job, 1, 1, PartPhase::Accepted);
    let effects = world.step(received(WEST, accepted));
    assert_eq!(effects.iter().map(line).collect::<Vec<_>>(), ["l10 i7 begin j3 [i4, i5, i6]"]);
    let effects = world.sync(1);
    let begins: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { to, msg, .. } => match &**msg {
                Message::Begin(begin) => Some((*to, begin.part.part, begin.fence, begin.start_in)),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let at = world.fence(7);
    let expected = [EAST, WEST, NORTH].into_iter().zip(0u16..);
    let expected: Vec<_> = expected.map(|(to, ix)| (to, PartIx::new(ix), at, 2 * S)).collect();
    assert_eq!(begins, expected);

    // A begin that is sent again says how much is left until the common start.
    let begins = world.wake_until(S);
    assert!(begins.iter().any(|(_, line)| line.starts_with("n10 begin")), "{begins:?}");
    world.node.role().check_all().unwrap();
}

#[test]
fn a_datacenter_that_refuses_ends_the_job_before_any_load() {
    let mut world = World::led(2);
    let job = world.submit("k", &spread(&[("east", 1), ("west", 1)]));
    say(&mut world, job, 0, 1, PartPhase::Accepted);
    let sent = say(&mut world, job, 1, 1, PartPhase::Refused { reason: "full".into() });
    assert!(sent.iter().any(|line| line.starts_with("n10 cancel j3/p0")), "{sent:?}");
    assert!(!sent.iter().any(|line| line.contains("begin")), "{sent:?}");
    assert!(!sent.iter().any(|line| line.starts_with("n20 cancel")), "{sent:?}");
    assert_eq!(status(&world, job), JobStatus::Cancelling);
    say(&mut world, job, 0, 2, ended(WorkflowStatus::Cancelled));
    let told = told(&mut world, job);
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::Failed, "datacenter west: full"));
    let expected = [("east", PartOutcome::Cancelled), ("west", PartOutcome::Refused)];
    assert_eq!(outcomes(&told), expected);
    assert!(world.node.role().is_idle());
}

#[test]
fn a_named_datacenter_that_is_silent_fails_the_job_at_the_deadline_and_is_named() {
    let mut world = World::led(2);
    let job = world.submit("k", &spread(&[("east", 1), ("west", 1)]));
    say(&mut world, job, 0, 1, PartPhase::Accepted);
    let sent = world.wake_until(29 * S);
    assert!(sent.iter().all(|(_, line)| line.starts_with("n20 offer j3/p1")), "{sent:?}");
    assert_eq!(status(&world, job), JobStatus::Dispatching);
    world.wake_until(2 * S);
    assert_eq!(status(&world, job), JobStatus::Cancelling);
    say(&mut world, job, 0, 2, ended(WorkflowStatus::Cancelled));
    assert_eq!(status(&world, job), JobStatus::Cancelling, "west may have accepted");
    world.wake_until(61 * S);
    let told = told(&mut world, job);
    let reason = "datacenter west did not answer the offer in time";
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::Failed, reason));
    assert!(!told.is_degraded(), "nothing was to run");
    assert!(world.node.role().is_idle());
}

#[test]
fn a_number_of_datacenters_takes_different_ones_and_moves_from_what_refuses() {
    let mut world = World::led(3);
    world.answers.insert(WEST, capacity(0));
    world.wake_until(S);
    let mut plan = spread(&[("east", 1)]);
    plan.datacenters = Datacenters::Any(2);
    let job = world.submit("k", &plan);
    let places = |world: &World| -> Vec<String> {
        let job = world.node.role().ledger().job(job).unwrap();
        job.parts.iter().map(|part| part.datacenter.clone()).collect()
    };
    assert_eq!(places(&world), ["east", "north"], "those that have a free core");
    let refused = world.heard_of(job, 1, 1, PartPhase::Refused { reason: "full".into() });
    let sent = world.report(NORTH, refused);
    assert!(sent.iter().any(|line| line.starts_with("n20 offer j3/p1")), "{sent:?}");
    assert_eq!(places(&world), ["east", "west"]);
    let refused = world.heard_of(job, 0, 1, PartPhase::Refused { reason: "full too".into() });
    world.report(EAST, refused);
    assert_eq!(status(&world, job), JobStatus::Cancelling, "there is no other left");
    let ended = world.heard_of(job, 1, 2, ended(WorkflowStatus::Cancelled));
    world.report(WEST, ended);
    let told = told(&mut world, job);
    assert_eq!(told.status, JobStatus::Failed);
    assert_eq!(told.reason, "datacenter east: full too");
}

#[test]
fn results_are_added_up_to_the_request() {
    let mut world = World::led(2);
    let mut plan = spread(&[("east", 3), ("west", 1)]);
    let threshold = Threshold {
        metric: Metric::HttpReqs,
        workflow: None,
        step: None,
        stat: ThresholdStat::Count,
        op: Comparison::Equal,
        bound_micro: 200_000_000,
        abort_on_fail: false,
        text: "count==200".into(),
    };
    plan.thresholds = vec![threshold].try_into().unwrap();
    let job = begun(&mut world, &plan);
    assert_eq!(say(&mut world, job, 0, 3, ended(WorkflowStatus::Completed)).len(), 2);
    assert_eq!(status(&world, job), JobStatus::Running);
    say(&mut world, job, 1, 3, ended(WorkflowStatus::Completed));
    let told = told(&mut world, job);
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::Completed, ""));
    let workflow = &told.result.workflows[0];
    assert_eq!(*workflow.totals, totals(200, 2));
    assert_eq!((workflow.planned_ms, workflow.covered_ms, workflow.shards), (20_000, 20_000, 2));
    assert_eq!((told.result.workers, told.ran), (2, 10 * S), "side by side, not in turn");
    assert!(told.thresholds[0].ok);
    assert!(!told.is_degraded());
    let expected = [("east", PartOutcome::Completed), ("west", PartOutcome::Completed)];
    assert_eq!(outcomes(&told), expected);
}

#[test]
fn live_views_are_added_up_and_an_ended_part_counts_with_its_result() {
    let mut world = World::led(2);
    let job = begun(&mut world, &spread(&[("east", 1), ("west", 1)]));
    for (ix, second) in [(0u16, 4), (1, 3)] {
        let mut running = world.heard_of(job, ix, 5, PartPhase::Running);
        running.workflows.push(live(second, totals(10, 1))).unwrap();
        world.report(MANAGERS[usize::from(ix)], running);
    }
    let view = |world: &mut World| match world.ask(Command::Status(job)) {
        Reply::Status(view) => view.workflows[0].clone(),
        other => panic!("{other:?}"),
    };
    let seen = view(&mut world);
    assert_eq!(*seen.totals, totals(20, 2));
    assert_eq!((seen.vus, seen.shards_live, seen.shards, seen.second), (2, 2, 2, 3));
    say(&mut world, job, 1, 6, ended(WorkflowStatus::Completed));
    let seen = view(&mut world);
    assert_eq!(*seen.totals, totals(110, 2));
    assert_eq!((seen.status, seen.second), (WorkflowStatus::Running, 4));
}

#[test]
fn a_datacenter_that_falls_silent_is_missing_and_the_rest_is_told() {
    let mut world = World::led(3);
    let job = begun(&mut world, &spread(&[("east", 1), ("west", 2), ("north", 1)]));
    for ix in [0, 2] {
        say(&mut world, job, ix, 3, ended(WorkflowStatus::Completed));
    }
    // 10 s of load, 5 s of graceful stop, 60 s of grace.
    world.wake_until(74 * S);
    assert_eq!(status(&world, job), JobStatus::Running);
    world.wake_until(2 * S);
    let first = told(&mut world, job);
    let reason = "no result from datacenter west in time";
    assert_eq!((first.status, first.reason.as_str()), (JobStatus::Partial, reason));
    let expected = [
        ("east", PartOutcome::Completed),
        ("west", PartOutcome::Missing),
        ("north", PartOutcome::Completed),
    ];
    assert_eq!(outcomes(&first), expected);
    let workflow = &first.result.workflows[0];
    assert_eq!((workflow.planned_ms, workflow.covered_ms), (40_000, 20_000), "by its weight");
    let [loss] = workflow.losses.as_ref() else { panic!("{:?}", workflow.losses) };
    assert_eq!((loss.part, loss.kind, loss.items), (PartIx::new(1), LossKind::Unreported, 10));
    assert_eq!(*workflow.totals, totals(200, 2));

    // What it says later is acknowledged, counted, and not added.
    let late = world.heard_of(job, 1, 10, ended(WorkflowStatus::Completed));
    assert_eq!(world.report(WEST, late).len(), 1);
    assert_eq!(world.node.stats().count(Stat::PartResultLate), 1);
    assert_eq!(told(&mut world, job), first);
    let running = world.heard_of(job, 1, 11, PartPhase::Running);
    assert!(world.report(WEST, running)[0].starts_with("n20 cancel j3/p1"), "it must not run");
}

#[test]
fn when_all_are_silent_the_job_timed_out() {
    let mut world = World::led(2);
    let job = begun(&mut world, &spread(&[("east", 1), ("west", 1)]));
    world.wake_until(76 * S);
    let told = told(&mut world, job);
    let reason = "no result from datacenters east, west in time";
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::TimedOut, reason));
    assert!(told.is_degraded());
    let items: u64 = told.result.workflows[0].losses.iter().map(|loss| loss.items).sum();
    assert_eq!(items, 20);
}

#[test]
fn a_workflow_that_failed_in_one_datacenter_fails_the_job_and_names_both() {
    let mut world = World::led(2);
    let job = begun(&mut world, &spread(&[("east", 1), ("west", 1)]));
    let mut failed = result(WorkflowStatus::Failed);
    failed.workflows[0].reason = "no worker".into();
    say(&mut world, job, 1, 3, PartPhase::Ended(Box::new(failed)));
    say(&mut world, job, 0, 3, ended(WorkflowStatus::Completed));
    let told = told(&mut world, job);
    let reason = "datacenter west: workflow w failed: no worker";
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::Failed, reason));
    assert_eq!(told.result.workflows[0].status, WorkflowStatus::Failed);
    let expected = [("east", PartOutcome::Completed), ("west", PartOutcome::Failed)];
    assert_eq!(outcomes(&told), expected);
}

#[test]
fn a_cancel_goes_to_every_datacenter_until_each_has_ended_or_is_missing() {
    let mut world = World::led(2);
    let job = begun(&mut world, &spread(&[("east", 1), ("west", 1)]));
    let sent = world.call(1, Command::Cancel(job));
    for to in ["n10 cancel j3/p0", "n20 cancel j3/p1"] {
        assert!(sent.iter().any(|line| line.starts_with(to)), "{sent:?}");
    }
    say(&mut world, job, 0, 3, ended(WorkflowStatus::Cancelled));
    assert_eq!(status(&world, job), JobStatus::Cancelling, "west has not answered");
    let sent = world.wake_until(10 * S);
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|(_, line)| line.starts_with("n20 cancel j3/p1")), "{sent:?}");
    world.wake_until(66 * S);
    let told = told(&mut world, job);
    let reason = "no result from datacenter west in time";
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::Cancelled, reason));
    let expected = [("east", PartOutcome::Cancelled), ("west", PartOutcome::Missing)];
    assert_eq!(outcomes(&told), expected);
    assert!(told.is_degraded());
    assert!(world.node.role().is_idle());
}

#[test]
fn a_boot_that_has_not_heard_offers_again_and_begins_everything_once() {
    let mut world = World::led(2);
    let job = world.submit("k", &spread(&[("east", 1), ("west", 1)]));
    say(&mut world, job, 0, 1, PartPhase::Accepted);
    world.crash();
    let sent = world.run(hyperscale_core::input::Input::Wake);
    let offers = sent.iter().filter(|line| line.contains("offer")).count();
    assert_eq!(offers, 2, "{sent:?}");
    say(&mut world, job, 1, 1, PartPhase::Accepted);
    assert_eq!(status(&world, job), JobStatus::Dispatching);
    say(&mut world, job, 0, 2, PartPhase::Accepted);
    assert_eq!(status(&world, job), JobStatus::Running);
}

#[test]
fn reports_of_the_wrong_part_or_from_the_wrong_datacenter_change_nothing() {
    let mut world = World::led(2);
    let job = begun(&mut world, &spread(&[("east", 1), ("west", 1)]));
    let before = world.node.role().ledger().clone();
    let of_west = world.heard_of(job, 1, 9, ended(WorkflowStatus::Completed));
    let sent = world.report(EAST, of_west.clone());
    assert_eq!(sent, ["n10 ack j3/p1 @l9"], "it may drop what it should not have");
    let mut beyond = of_west.clone();
    beyond.part.part = PartIx::new(2);
    assert_eq!(world.report(WEST, beyond), [] as [&str; 0]);
    let PartReport { mut phase, .. } = of_west.clone();
    if let PartPhase::Ended(result) = &mut phase {
        let mut loss = super::world::loss();
        loss.part = PartIx::new(0);
        result.workflows[0].losses.push(loss).unwrap();
    }
    assert_eq!(world.report(WEST, PartReport { phase, ..of_west }), [] as [&str; 0]);
    assert_eq!(world.node.role().ledger(), &before);
}

#[test]
fn datacenters_that_the_cluster_does_not_have_are_refused_with_the_nearest() {
    let mut world = World::led(2);
    let refusal = |world: &mut World, plan: &Plan| match world.ask_now(submit("k", plan)) {
        Reply::Refused(Refusal::PlanInvalid(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let unknown = spread(&[("east", 1), ("wst", 1)]);
    let reason = "datacenters.wst: unknown datacenter `wst`, did you mean `west`?";
    assert_eq!(refusal(&mut world, &unknown), reason);
    let mut many = spread(&[("east", 1)]);
    many.datacenters = Datacenters::Any(3);
    let reason = "datacenters: 3 are asked for, the cluster has 2";
    assert_eq!(refusal(&mut world, &many), reason);
}

fn cancel_workflow(job: JobId, workflow: &str) -> Command {
    Command::CancelWorkflow { job, workflow: workflow.into() }
}

#[test]
fn a_workflow_is_cancelled_wherever_it_runs_and_the_job_is_partial() {
    let mut world = World::led(2);
    let job = begun(&mut world, &spread(&[("east", 1), ("west", 1)]));
    let sent = world.call(1, cancel_workflow(job, "w"));
    let expected =
        ["call1 cancelling j3 @l10", "n10 cancel j3/p0 w0 f7 @l10", "n20 cancel j3/p1 w0 f7 @l10"];
    assert_eq!(sent, expected);
    assert_eq!(world.call(2, cancel_workflow(job, "w")), ["call2 cancelling j3 @l10"]);
    assert_eq!(status(&world, job), JobStatus::Running);
    assert_eq!(world.node.stats().count(Stat::WorkflowCancelled), 1);

    // One that lost it shows it running, and is told again; one that obeyed is not.
    for (manager, ix, shown, again) in
        [(EAST, 0u16, WorkflowStatus::Running, true), (WEST, 1, WorkflowStatus::Cancelling, false)]
    {
        let mut running = world.heard_of(job, ix, 5, PartPhase::Running);
        let mut view = live(3, totals(3, 0));
        view.status = shown;
        running.workflows.push(view).unwrap();
        let sent = world.report(manager, running);
        assert_eq!(sent.iter().any(|line| line.contains("cancel j3")), again, "{sent:?}");
    }
    for ix in 0..2 {
        let mut stopped = result(WorkflowStatus::Cancelled);
        stopped.cancelled = false;
        say(&mut world, job, ix, 6, PartPhase::Ended(Box::new(stopped)));
    }
    let told = told(&mut world, job);
    let reason = "cancelled by a client: w";
    assert_eq!((told.status, told.reason.as_str()), (JobStatus::Partial, reason));
    let late = Refusal::AlreadyEnded(JobStatus::Partial);
    assert_eq!(world.ask_now(cancel_workflow(job, "w")), Reply::Refused(late));
}

#[test]
fn a_cancelled_workflow_that_had_ended_changes_nothing_and_survives_a_restart() {
    let mut world = World::led(1);
    let job = world.submit("k", &plan("p"));
    let refused = Reply::Refused(Refusal::NoSuchWorkflow("x".into()));
    assert_eq!(world.ask_now(cancel_workflow(job, "x")), refused);
    let missing = JobId::new(99);
    let refused = Reply::Refused(Refusal::NoSuchJob(missing));
    assert_eq!(world.ask_now(cancel_workflow(missing, "w")), refused);
    world.left();
    // Before the begin nothing is sent: a datacenter that has not accepted would not know it.
    assert_eq!(world.call(1, cancel_workflow(job, "w")), ["call1 cancelling j3 @l8"]);
    world.crash();
    world.run(hyperscale_core::input::Input::Wake);
    world.begin(job);
    let mut running = world.heard(job, 9, PartPhase::Running);
    running.workflows.push(live(1, totals(1, 0))).unwrap();
    let sent = world.report(EAST, running);
    assert!(sent.iter().any(|line| line.starts_with("n10 cancel j3/p0 w0 f5")), "{sent:?}");
    let report = world.heard(job, 10, ended(WorkflowStatus::Completed));
    world.report(EAST, report);
    assert_eq!(status(&world, job), JobStatus::Completed);
    let job = world.node.role().ledger().job(job).unwrap();
    assert_eq!(job.stopped[0].workflow, WorkflowIx::new(0));
    assert_eq!(job.parts[0].end, Some(PartEnd::Reported));
}
