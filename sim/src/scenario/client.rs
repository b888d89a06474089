//! What a sensible client does with a gate's answers: repeat what may do better later.

use std::time::Duration;

use hyperscale_core::report::JobStatus;

use super::{Answer, Cluster, Found, JobNumber, Load, Outcome, Question, until};

/// How long anything may take that is not the load itself.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long a client waits before it asks again.
const AGAIN: Duration = Duration::from_millis(100);

/// Asks these gates in turn until one gives an answer that will not get better.
///
/// # Errors
/// Nobody did in time.
pub fn asked(
    cluster: &mut dyn Cluster,
    gates: &[u16],
    question: &Question,
    limit: Duration,
) -> Found<Answer> {
    let deadline = cluster.now() + limit;
    let mut turn = gates.iter().cycle();
    loop {
        let Some(gate) = turn.next() else { return Err("no gate to ask".to_owned()) };
        let ticket = cluster.ask(*gate, question.clone());
        let answer =
            until(cluster, "an answer", Duration::from_secs(6), |cluster| cluster.answer(ticket))?;
        let not_ended = matches!(&answer, Answer::Refused { why, .. } if why == "not-ended");
        if !answer.is_passing() && !not_ended {
            return Ok(answer);
        }
        if cluster.now() > deadline {
            return Err(format!("{question:?} within {limit:?}: the last answer is {answer:?}"));
        }
        cluster.pass(AGAIN)?;
    }
}

/// Every gate of the cluster.
pub fn gates(cluster: &dyn Cluster) -> Vec<u16> {
    (0..cluster.topology().gates).collect()
}

/// Submits a load to whichever gate takes it.
///
/// # Errors
/// None does.
pub fn submitted(cluster: &mut dyn Cluster, key: &str, load: &Load) -> Found<JobNumber> {
    let gates = gates(cluster);
    job_of(cluster, &gates, key, load)
}

/// Submits a load to one of these gates.
///
/// # Errors
/// None takes it.
pub fn job_of(
    cluster: &mut dyn Cluster,
    gates: &[u16],
    key: &str,
    load: &Load,
) -> Found<JobNumber> {
    let question = Question::Submit { key: key.to_owned(), load: load.clone() };
    match asked(cluster, gates, &question, PATIENCE)? {
        Answer::Submitted { job, .. } => Ok(job),
        other => Err(format!("{key} is not submitted but {other:?}")),
    }
}

/// Waits until so many requests have been served.
///
/// # Errors
/// They are not in time.
pub fn running(cluster: &mut dyn Cluster, key: &str, served: usize) -> Found {
    until(cluster, "load runs", PATIENCE, |cluster| {
        (cluster.served(key).len() >= served).then_some(())
    })
}

/// Waits for a job's result.
///
/// # Errors
/// None comes, or it is refused.
pub fn ended(cluster: &mut dyn Cluster, job: JobNumber, limit: Duration) -> Found<Outcome> {
    let gates = gates(cluster);
    match asked(cluster, &gates, &Question::Result(job), limit)? {
        Answer::Ended(outcome) => Ok(*outcome),
        other => Err(format!("the result of job {job} is {other:?}")),
    }
}

/// Cancels a job through whichever gate takes it.
///
/// # Errors
/// None does.
pub fn cancelled(cluster: &mut dyn Cluster, job: JobNumber) -> Found {
    let gates = gates(cluster);
    match asked(cluster, &gates, &Question::Cancel(job), PATIENCE)? {
        Answer::Cancelling => Ok(()),
        other => Err(format!("the cancel of job {job} is answered by {other:?}")),
    }
}

/// Where a job stands, as one of these gates says.
///
/// # Errors
/// None answers.
pub fn status(cluster: &mut dyn Cluster, gates: &[u16], job: JobNumber) -> Found<JobStatus> {
    match asked(cluster, gates, &Question::Status(job), PATIENCE)? {
        Answer::Status(status) => Ok(status),
        other => Err(format!("the status of job {job} is {other:?}")),
    }
}
