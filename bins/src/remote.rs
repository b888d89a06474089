//! The commands that talk to a cluster.

use hyperscale_runtime::api::view;
use hyperscale_runtime::boot;
use serde_json::json;

use crate::args::{Remote, Submit};
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output;
use crate::plan_file::PlanFile;
use crate::progress::Progress;

fn client(remote: &Remote) -> Result<Client, Failure> {
    Client::new(&remote.gate, remote.patience())
}

pub(crate) async fn submit(args: &Submit, color: bool) -> Result<Exit, Failure> {
    let file = PlanFile::read(&args.plan)?;
    let mut client = client(&args.remote)?;
    let key = args
        .key
        .clone()
        .unwrap_or_else(|| format!("{:016x}{:016x}", boot::entropy(), boot::entropy()));
    if !args.json {
        output::note(&format!("key {key}"));
    }
    let submitted = client.submit(&file.text, &key).await?;
    let view::Submitted { id, existing } = submitted;
    if args.json {
        output::json(&json!({ "job": id, "key": key, "existing": existing }))?;
        return Ok(Exit::Ok);
    }
    output::line(&if existing { format!("{id} (existing)") } else { id.clone() });
    if !args.watch {
        return Ok(Exit::Ok);
    }
    let progress = Progress::new(args.quiet, file.durations());
    follow(&mut client, &id, progress, color).await
}

pub(crate) async fn watch(
    remote: &Remote,
    job: &str,
    quiet: bool,
    color: bool,
) -> Result<Exit, Failure> {
    let progress = Progress::new(quiet, Vec::new());
    follow(&mut client(remote)?, job, progress, color).await
}

/// Follows to the end; a signal ends the following, not the job.
async fn follow(
    client: &mut Client,
    job: &str,
    mut progress: Progress,
    color: bool,
) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen()?;
    let followed = tokio::select! {
        followed = client.follow(job, |view| progress.on_update(view)) => Some(followed),
        () = interrupt.asked() => None,
    };
    progress.finish();
    let Some(followed) = followed else {
        let message = format!("interrupted; {job} goes on, `hyperscale cancel {job}` ends it");
        return Err(Failure::new(Exit::Interrupted, message));
    };
    followed?;
    let summary = client.result(job).await?;
    output::text(&summary.text(color));
    Ok(Exit::of(&summary, false))
}

pub(crate) async fn result(
    remote: &Remote,
    job: &str,
    json: bool,
    color: bool,
) -> Result<Exit, Failure> {
    let summary = client(remote)?.result(job).await?;
    if json {
        output::json(&summary)?;
    } else {
        output::text(&summary.text(color));
    }
    Ok(Exit::of(&summary, false))
}

pub(crate) async fn cancel(
    remote: &Remote,
    job: &str,
    workflow: Option<&str>,
) -> Result<Exit, Failure> {
    let mut client = client(remote)?;
    match workflow {
        None => {
            let cancelling = client.cancel(job).await?;
            output::line(&format!("{} is being cancelled", cancelling.id));
        }
        Some(workflow) => {
            let cancelling = client.cancel_workflow(job, workflow).await?;
            output::line(&format!("workflow {workflow} of {} is being cancelled", cancelling.id));
        }
    }
    Ok(Exit::Ok)
}

pub(crate) async fn status(
    remote: &Remote,
    job: Option<&str>,
    json: bool,
) -> Result<Exit, Failure> {
    let mut client = client(remote)?;
    let Some(job) = job else {
        let jobs = client.jobs().await?;
        if json {
            output::json(&jobs)?;
        } else {
            for job in &jobs.jobs {
                output::line(&format!("{:<8} {:<12} {}", job.id, job.status, job.name));
            }
        }
        return Ok(Exit::Ok);
    };
    let job = client.job(job).await?;
    if json {
        output::json(&job)?;
        return Ok(Exit::Ok);
    }
    let line = format!("{}  {}  {}  {}", job.id, job.status, job.name, job.reason);
    output::line(line.trim_end());
    for workflow in &job.workflows {
        let view::Workflow { name, status, plan_time, vus, shards_live, shards, .. } = workflow;
        output::line(&format!(
            "  {name:<20} {status:<12} {plan_time:.0} s  {vus} vus  {shards_live}/{shards} shards"
        ));
    }
    Ok(Exit::Ok)
}

pub(crate) async fn cluster(remote: &Remote, json: bool) -> Result<Exit, Failure> {
    let cluster = client(remote)?.cluster().await?;
    if json {
        output::json(&cluster)?;
        return Ok(Exit::Ok);
    }
    for line in cluster_lines(&cluster) {
        output::line(&line);
    }
    Ok(Exit::Ok)
}

fn cluster_lines(cluster: &view::Cluster) -> Vec<String> {
    let ready = if cluster.ready { "ready" } else { "not ready" };
    let leader = cluster.leader.map_or("none known".to_owned(), |node| format!("n{node}"));
    let view::Cluster { gate, term, .. } = cluster;
    let mut lines = vec![format!("gate n{gate} {ready}, leader {leader}, term {term}")];
    for member in &cluster.members {
        let view::Member { node, disk, votes, standing } = member;
        let votes = if *votes { "voter" } else { "learner" };
        let session = cluster.sessions.iter().find(|session| session.gate == *node);
        let session = session.map_or("no session".to_owned(), |session| {
            format!("session {}, {} jobs", session.session, session.jobs)
        });
        let gate = format!("gate n{node}");
        lines.push(format!("  {gate:<16} {votes:<12} {standing}, {session}, disk {disk}"));
    }
    for datacenter in &cluster.datacenters {
        let view::Datacenter { name, reachable, workers, cores, free, leader } = datacenter;
        let reachable = if *reachable { "reachable" } else { "unreachable" };
        let leader = leader.map_or(String::new(), |leader| format!(", led by n{leader}"));
        lines.push(format!(
            "  {name:<16} {reachable:<12} {workers} workers, {free}/{cores} free{leader}"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_shown_with_its_members_sessions_and_datacenters() {
        let alive = || "alive".to_owned();
        let cluster = view::Cluster {
            ready: true,
            gate: 1,
            leader: Some(2),
            term: 7,
            members: vec![
                view::Member { node: 1, disk: "d5".to_owned(), votes: true, standing: alive() },
                view::Member {
                    node: 3,
                    disk: "d6".to_owned(),
                    votes: false,
                    standing: "dead".into(),
                },
            ],
            sessions: vec![view::Session { gate: 1, session: 9, jobs: 2 }],
            datacenters: vec![view::Datacenter {
                name: "dc1".to_owned(),
                reachable: true,
                workers: 3,
                cores: 6,
                free: 5,
                leader: Some(11),
            }],
        };
        let expected = [
            "gate n1 ready, leader n2, term 7",
            "  gate n1          voter        alive, session 9, 2 jobs, disk d5",
            "  gate n3          learner      dead, no session, disk d6",
            "  dc1              reachable    3 workers, 5/6 free, led by n11",
        ];
        assert_eq!(cluster_lines(&cluster), expected);
    }
}
