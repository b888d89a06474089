//! More is asked of gates than they take, and jobs wait for their turn.

use std::time::Duration;

use hyperscale_core::report::JobStatus;

use super::client::{gates, status};
use super::{
    Answer, Cluster, Found, Group, JobNumber, Load, Question, Ticket, ended, ensure, exact,
    running, submitted, until,
};

const STEADY: Load = Load { rate: 200, seconds: 12, datacenters: 0 };
const SMALL: Load = Load { rate: 20, seconds: 1, datacenters: 0 };
const LIMIT: Duration = Duration::from_secs(90);
/// Submissions of one client at once: ten times what a gate takes of it.
const FLOOD: usize = 500;
/// What a gate takes of one client within ten seconds.
const TAKEN: usize = 50;

/// One client submits ten times what the gate takes of it: the rest is refused with the time to
/// come back, cancels are answered at once, the load that runs is not touched, and afterwards the
/// client is served again.
pub fn overload(cluster: &mut dyn Cluster) -> Found {
    let key = "steady/run";
    let job = submitted(cluster, key, &STEADY)?;
    running(cluster, key, 200)?;
    let flood: Vec<Ticket> = (0..FLOOD)
        .map(|n| {
            let key = format!("flood/{n}");
            cluster.ask(0, Question::Submit { key, load: SMALL })
        })
        .collect();
    let cancel = cluster.ask(0, Question::Cancel(u64::from(u32::MAX)));
    let said = until(cluster, "a cancel is answered", Duration::from_secs(4), |cluster| {
        cluster.answer(cancel)
    })?;
    let unknown = matches!(&said, Answer::Refused { why, .. } if why == "no-such-job");
    ensure(unknown, || format!("a cancel in the flood is answered by {said:?}"))?;
    let (taken, refused) = answers(cluster, &flood)?;
    let vitals: Vec<String> =
        cluster.vitals(0).iter().map(|(name, value)| format!("{name} {value}")).collect();
    cluster.note(&format!(
        "overload: {} taken, {} refused, the longest wait {:?}; {}",
        taken.len(),
        refused.len(),
        refused.iter().max(),
        vitals.join(", ")
    ));
    ensure((1..=2 * TAKEN).contains(&taken.len()), || format!("{} taken", taken.len()))?;
    for job in &taken {
        let ticket = cluster.ask(0, Question::Cancel(*job));
        let said = until(cluster, "a cancel is answered", Duration::from_secs(6), |cluster| {
            cluster.answer(ticket)
        })?;
        let over = matches!(&said, Answer::Refused { why, .. } if why == "already-ended");
        ensure(said == Answer::Cancelling || over, || format!("cancelled: {said:?}"))?;
    }
    come_back(cluster)?;
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, key, &STEADY, &outcome)
}

/// Which submissions made jobs, and the waits of those that did not.
fn answers(
    cluster: &mut dyn Cluster,
    tickets: &[Ticket],
) -> Found<(Vec<JobNumber>, Vec<Duration>)> {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for ticket in tickets {
        let said = until(cluster, "an answer in the flood", Duration::from_secs(10), |cluster| {
            cluster.answer(*ticket)
        })?;
        match said {
            Answer::Submitted { job, .. } => taken.push(job),
            Answer::Refused { why, again_in: Some(wait), .. }
                if ["rate-limited", "busy", "full"].contains(&why.as_str()) =>
            {
                ensure(wait > Duration::ZERO, || format!("{why} without a wait"))?;
                refused.push(wait);
            }
            other => return Err(format!("a submission in the flood is answered by {other:?}")),
        }
    }
    Ok((taken, refused))
}

/// A client that comes back when it was told to is served.
fn come_back(cluster: &mut dyn Cluster) -> Found {
    let deadline = cluster.now() + Duration::from_secs(30);
    for n in 0.. {
        let key = format!("flood/later-{n}");
        let ticket = cluster.ask(0, Question::Submit { key, load: SMALL });
        let said =
            until(cluster, "an answer", Duration::from_secs(6), |cluster| cluster.answer(ticket))?;
        match said {
            Answer::Submitted { job, .. } => {
                let outcome = ended(cluster, job, LIMIT)?;
                let status = outcome.status;
                return ensure(status == JobStatus::Completed, || format!("{outcome:?}"));
            }
            Answer::Refused { again_in: Some(wait), .. } if cluster.now() < deadline => {
                cluster.pass(wait)?;
            }
            other => return Err(format!("who comes back is answered by {other:?}")),
        }
    }
    Ok(())
}

const LONG: Load = Load { rate: 200, seconds: 6, datacenters: 0 };
const SHORT: Load = Load { rate: 100, seconds: 1, datacenters: 0 };

/// Jobs take all cores, further ones wait: each tenant's oldest first, and tenants in turn.
pub fn turns(cluster: &mut dyn Cluster) -> Found {
    for key in ["a/1", "a/2"] {
        submitted(cluster, key, &LONG)?;
        running(cluster, key, 50)?;
    }
    let waiting = ["a/3", "a/4", "b/1"].map(|key| submitted(cluster, key, &SHORT));
    let gates = gates(cluster);
    let mut jobs = Vec::new();
    for job in waiting {
        let job = job?;
        let stands = status(cluster, &gates, job)?;
        ensure(stands == JobStatus::Queued, || format!("job {job} is {stands:?}"))?;
        jobs.push(job);
    }
    for job in jobs {
        let outcome = ended(cluster, job, LIMIT)?;
        ensure(outcome.status == JobStatus::Completed, || format!("{outcome:?}"))?;
    }
    let mut first = |key| cluster.served(key).first().map(|arrival| arrival.at);
    let (a3, a4, b1) = (first("a/3"), first("a/4"), first("b/1"));
    cluster.note(&format!("turns: a/3 at {a3:?}, a/4 at {a4:?}, b/1 at {b1:?}"));
    ensure(a3 <= a4 && b1 <= a4, || "a tenant's second job went before another's first".into())
}

/// The gates' leader dies while jobs wait: they keep their places and run.
pub fn turns_survive(cluster: &mut dyn Cluster) -> Found {
    for key in ["a/1", "a/2"] {
        submitted(cluster, key, &LONG)?;
        running(cluster, key, 50)?;
    }
    let jobs = [submitted(cluster, "a/3", &SHORT)?, submitted(cluster, "b/1", &SHORT)?];
    let leader = until(cluster, "a gate leads", Duration::from_secs(10), |cluster| {
        cluster.leader_of(Group::Gates)
    })?;
    cluster.kill(leader);
    for job in jobs {
        let outcome = ended(cluster, job, LIMIT)?;
        ensure(outcome.status == JobStatus::Completed, || format!("{outcome:?}"))?;
    }
    Ok(())
}
