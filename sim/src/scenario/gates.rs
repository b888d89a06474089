//! Gates die, are cut off from each other, and are asked the same thing at once.

use std::time::Duration;

use super::client::{gates, status};
use super::{
    Answer, Cluster, Found, Group, Load, Node, Question, ended, ensure, exact, gap, job_of,
    running, submitted, until,
};

const LOAD: Load = Load { rate: 200, seconds: 8, datacenters: 0 };
const LIMIT: Duration = Duration::from_secs(60);
const ELECTION: Duration = Duration::from_secs(10);

/// The only gate dies in the middle of a run and is back later: the load never noticed, and the
/// result is whole.
pub fn restarted(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "gate-restarted", &LOAD)?;
    running(cluster, "gate-restarted", 400)?;
    cluster.kill(Node::Gate(0));
    cluster.pass(Duration::from_secs(2))?;
    cluster.start(Node::Gate(0));
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "gate-restarted", &LOAD, &outcome)
}

/// The only gate dies right after it acknowledged: the job runs all the same.
pub fn killed_after_acknowledging(cluster: &mut dyn Cluster) -> Found {
    let load = Load { seconds: 3, ..LOAD };
    let job = submitted(cluster, "acknowledged", &load)?;
    cluster.kill(Node::Gate(0));
    cluster.start(Node::Gate(0));
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "acknowledged", &load, &outcome)
}

/// The gate that owns the job dies: another one owns it, the load has no gap, the result is whole.
pub fn owner_killed(cluster: &mut dyn Cluster) -> Found {
    let job = submitted(cluster, "owner-killed", &LOAD)?;
    running(cluster, "owner-killed", 400)?;
    let owner = until(cluster, "an owner", ELECTION, |cluster| cluster.owner_of(job))?;
    cluster.kill(owner);
    let next = until(cluster, "another owner", ELECTION, |cluster| {
        cluster.owner_of(job).filter(|next| *next != owner)
    })?;
    cluster.note(&format!("{owner} killed, {next} owns the job"));
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "owner-killed", &LOAD, &outcome)?;
    let longest = gap(&cluster.served("owner-killed"));
    ensure(!cluster.is_exact() || longest < Duration::from_millis(50), || {
        format!("a gap of {longest:?}")
    })
}

/// The leader of the gates is cut off from the others: it refuses and says why, they serve; after
/// the heal it knows what they did.
pub fn minority_refuses(cluster: &mut dyn Cluster) -> Found {
    let find = |cluster: &mut dyn Cluster| cluster.leader_of(Group::Gates);
    let leader = until(cluster, "a leader of the gates", ELECTION, find)?;
    let Node::Gate(minority) = leader else { return Err(format!("{leader} leads gates")) };
    let others: Vec<u16> = gates(cluster).into_iter().filter(|n| *n != minority).collect();
    for other in &others {
        cluster.cut(leader, Node::Gate(*other));
        cluster.cut(Node::Gate(*other), leader);
    }
    // Until it notices, what it takes may be done later, and it says so.
    until(cluster, "the minority does not lead", ELECTION, |cluster| {
        cluster.leader_of(Group::Gates).filter(|node| *node != leader)
    })?;
    refused(cluster, minority)?;
    let load = Load { seconds: 3, ..LOAD };
    let job = job_of(cluster, &others, "majority", &load)?;
    refused(cluster, minority)?;
    cluster.heal();
    until(cluster, "the minority knows the job", ELECTION, |cluster| {
        status(cluster, &[minority], job).ok()
    })?;
    let outcome = ended(cluster, job, LIMIT)?;
    exact(cluster, "majority", &load, &outcome)?;
    let served = cluster.served("minority").len();
    ensure(served == 0, || format!("{served} requests of a job that was refused"))
}

/// A gate without quorum takes no job, and says so in time.
fn refused(cluster: &mut dyn Cluster, gate: u16) -> Found {
    let load = Load { seconds: 1, ..LOAD };
    let question = Question::Submit { key: "minority".to_owned(), load };
    let ticket = cluster.ask(gate, question);
    let limit = Duration::from_secs(8);
    let answer = until(cluster, "an answer", limit, |cluster| cluster.answer(ticket))?;
    match answer {
        Answer::Refused { why, reason, .. } if why == "not-ready" && !reason.is_empty() => Ok(()),
        other => Err(format!("a gate without quorum answers {other:?}")),
    }
}

/// The same keys go to every gate at the same time while leaders die: each makes one job.
pub fn same_key_everywhere(cluster: &mut dyn Cluster) -> Found {
    hammered(cluster, 20, 1)
}

/// So many keys to every gate at once, while the leader is killed and started again so many times.
pub fn hammered(cluster: &mut dyn Cluster, keys: usize, kills: usize) -> Found {
    let load = Load { rate: 10, seconds: 1, datacenters: 0 };
    let gates = gates(cluster);
    let mut jobs = Vec::new();
    let mut down = None;
    for n in 0..keys {
        if kills > 0 && n % (keys / kills).max(1) == keys / kills / 2 {
            if let Some(node) = down.take() {
                cluster.start(node);
            }
            down = cluster.leader_of(Group::Gates).filter(|_| gates.len() > 1);
            if let Some(leader) = down {
                cluster.kill(leader);
            }
        }
        let key = format!("hammer-{n}");
        let question = Question::Submit { key: key.clone(), load: load.clone() };
        let tickets: Vec<_> =
            gates.iter().map(|gate| cluster.ask(*gate, question.clone())).collect();
        let job = submitted(cluster, &key, &load)?;
        let limit = Duration::from_secs(8);
        for ticket in tickets {
            let answer = until(cluster, "an answer", limit, |cluster| cluster.answer(ticket))?;
            match answer {
                Answer::Submitted { job: other, .. } if other != job => {
                    return Err(format!("{key} made jobs {job} and {other}"));
                }
                Answer::Submitted { .. } => {}
                other if other.is_passing() => {}
                other => return Err(format!("{key} is answered by {other:?}")),
            }
        }
        jobs.push(job);
    }
    if let Some(node) = down {
        cluster.start(node);
    }
    counted(cluster, jobs)
}

/// There are as many jobs as keys.
fn counted(cluster: &mut dyn Cluster, mut jobs: Vec<u64>) -> Found {
    let keys = jobs.len();
    jobs.sort_unstable();
    jobs.dedup();
    ensure(jobs.len() == keys, || format!("{keys} keys made {} jobs", jobs.len()))?;
    let gates = gates(cluster);
    let list = super::client::asked(cluster, &gates, &Question::List, LIMIT)?;
    let Answer::Jobs(mut listed) = list else { return Err(format!("the list is {list:?}")) };
    listed.sort_unstable();
    cluster.note(&format!("{keys} keys, {} jobs", listed.len()));
    ensure(listed == jobs, || format!("{} jobs are listed for {keys} keys", listed.len()))
}
