use hyperscale_core::report::JobStatus;

use super::*;
use crate::fake;

fn running(gate: Gate) -> (tokio::sync::watch::Sender<bool>, Running) {
    let (asked, interrupt) = Interrupt::manual();
    let progress = Progress::new(true, Vec::new());
    (asked, Running { gate, interrupt, progress, interrupted: false })
}

fn submitted() -> Option<Reply> {
    Some(Reply::Submitted { job: fake::JOB, existing: false })
}

fn result(status: JobStatus) -> Option<Reply> {
    Some(Reply::Result(Box::new(fake::result(status))))
}

fn status(status: JobStatus) -> Option<Reply> {
    Some(Reply::Status(Box::new(fake::view(status))))
}

#[tokio::test]
async fn a_job_is_followed_to_its_summary_once_the_gate_is_ready() {
    let mut refused = 0;
    let gate = fake::gate(move |gate, command| match command {
        Command::Submit { .. } if refused < 2 => {
            refused += 1;
            Some(Reply::Refused(Refusal::NotReady))
        }
        Command::Submit { .. } => {
            gate.publish(fake::JOB, fake::update(1, JobStatus::Running));
            gate.publish(fake::JOB, fake::update(2, JobStatus::Completed));
            submitted()
        }
        Command::Status(_) => status(JobStatus::Running),
        Command::Result(_) => result(JobStatus::Completed),
        other => panic!("{other:?}"),
    });
    let (_asked, mut running) = running(gate);
    let summary = running.job(fake::plan_file()).await.expect("a summary");
    assert_eq!((summary.config.job.as_str(), summary.status.as_str()), ("j17", "completed"));
    assert_eq!(Exit::of(&summary, running.interrupted), Exit::Ok);
}

#[tokio::test]
async fn a_signal_cancels_the_job_and_the_partial_summary_is_still_there() {
    let mut cancelled = false;
    let gate = fake::gate(move |gate, command| match command {
        Command::Submit { .. } => submitted(),
        Command::Cancel(job) => {
            assert!(!std::mem::replace(&mut cancelled, true), "cancelled once");
            gate.publish(job, fake::update(3, JobStatus::Cancelled));
            Some(Reply::Cancelling(job))
        }
        Command::Status(_) => status(JobStatus::Running),
        Command::Result(_) => result(JobStatus::Cancelled),
        other => panic!("{other:?}"),
    });
    let (asked, mut running) = running(gate);
    asked.send_replace(true);
    let summary = running.job(fake::plan_file()).await.expect("a summary");
    assert!(running.interrupted);
    assert_eq!(Exit::of(&summary, running.interrupted), Exit::Interrupted);
}

#[tokio::test]
async fn an_end_whose_update_was_lost_is_found_by_looking() {
    let gate = fake::gate(|_, command| match command {
        Command::Submit { .. } => submitted(),
        Command::Status(_) => status(JobStatus::Failed),
        Command::Result(_) => result(JobStatus::Failed),
        other => panic!("{other:?}"),
    });
    let (_asked, mut running) = running(gate);
    let summary = running.job(fake::plan_file()).await.expect("a summary");
    assert_eq!(Exit::of(&summary, false), Exit::Other);
}

#[tokio::test]
async fn a_gate_that_stops_is_internal_and_a_refused_plan_invalid() {
    let gate = fake::gate(|gate, command| match command {
        Command::Submit { .. } => submitted(),
        _ => {
            gate.hang_up();
            None
        }
    });
    let failure = running(gate).1.job(fake::plan_file()).await.expect_err("gone");
    assert_eq!(failure.exit, Exit::Internal);
    let gate = fake::gate(|_, _| Some(Reply::Refused(Refusal::PlanInvalid("why".to_owned()))));
    let failure = running(gate).1.job(fake::plan_file()).await.expect_err("refused");
    assert_eq!((failure.exit, failure.message.as_str()), (Exit::Invalid, "why"));
}
