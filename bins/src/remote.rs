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

/// Prints every update of a job to its end.
pub(crate) async fn watch_json(remote: &Remote, job: &str) -> Result<Exit, Failure> {
    let mut client = client(remote)?;
    client
        .follow(job, |seq, view| {
            output::line(&json!({ "seq": seq, "job": view }).to_string());
        })
        .await?;
    Ok(Exit::of(&client.result(job).await?, false))
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
        followed = client.follow(job, |_, view| progress.on_update(view)) => Some(followed),
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
                let status = standing(&job.status, job.position);
                output::line(&format!("{:<8} {status:<12} {}", job.id, job.name));
            }
        }
        return Ok(Exit::Ok);
    };
    let job = client.job(job).await?;
    if json {
        output::json(&job)?;
        return Ok(Exit::Ok);
    }
    let status = standing(&job.status, job.position);
    let line = format!("{}  {status}  {}  {}", job.id, job.name, job.reason);
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

/// A status, with its place if the job waits for its turn.
pub(crate) fn standing(status: &str, position: Option<u32>) -> String {
    position.map_or_else(|| status.to_owned(), |position| format!("{status} #{position}"))
}

/// How the gate that answers copes, and what it refused since it started.
fn flow_lines(flow: &view::Flow) -> Vec<String> {
    let view::Flow { level, waiting, running, running_max, queued, delay_ms, .. } = flow;
    let (cpu, memory) = (flow.cpu_per_mille / 10, flow.memory_per_mille / 10);
    let mut lines = vec![
        format!("  jobs             {running}/{running_max} running, {waiting} waiting"),
        format!(
            "  load             {level}, {queued} inputs waiting, {delay_ms} ms late, \
             {cpu} % cpu, {memory} % memory, {} calls rate-limited",
            flow.limited
        ),
    ];
    for class in &flow.classes {
        let view::FlowClass { name, open, shed, dropped } = class;
        if *open > 0 || *shed > 0 || *dropped > 0 {
            lines.push(format!(
                "    {name:<14} {open} calls open, {shed} shed, {dropped} messages dropped"
            ));
        }
    }
    lines
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
        lines.extend(datacenter_lines(datacenter));
    }
    lines.extend(flow_lines(&cluster.flow));
    lines
}

/// What it has, and how it stands with the gate.
fn datacenter_lines(datacenter: &view::Datacenter) -> [String; 2] {
    let view::Datacenter { name, class, why, registration, reachability, circuit, .. } = datacenter;
    let view::Datacenter { workers, cores, free, leader, .. } = datacenter;
    let leader = leader.map_or(String::new(), |leader| format!(", led by n{leader}"));
    let rtt = datacenter.rtt_p50_ms.zip(datacenter.rtt_p99_ms);
    let rtt = rtt.map_or("no round trip yet".to_owned(), |(half, most)| {
        format!("round trip {half} ms, p99 {most} ms")
    });
    let wait = datacenter.wait_ms.filter(|wait| *wait > 0);
    let wait = wait.map_or(String::new(), |ms| format!(", a core in {} s", ms.div_ceil(1_000)));
    let draining = if datacenter.draining { ", draining" } else { "" };
    [
        format!("  {name:<16} {class:<12} {workers} workers, {free}/{cores} free{wait}{leader}"),
        format!(
            "  {:<16} {reachability}, {registration}{draining}, {rtt}, circuit {circuit}: {why}",
            ""
        ),
    ]
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
                class: "healthy".to_owned(),
                why: "free cores".to_owned(),
                registration: "ready".to_owned(),
                reachability: "reachable".to_owned(),
                circuit: "closed".to_owned(),
                rtt_p50_ms: Some(12),
                rtt_p99_ms: Some(30),
                workers: 3,
                cores: 6,
                free: 5,
                leader: Some(11),
                ..view::Datacenter::default()
            }],
            flow: view::Flow {
                level: "busy".to_owned(),
                waiting: 3,
                running: 64,
                running_max: 64,
                queued: 12,
                delay_ms: 230,
                cpu_per_mille: 720,
                memory_per_mille: 45,
                limited: 450,
                clients: 2,
                classes: vec![
                    view::FlowClass { name: "control".to_owned(), open: 0, shed: 0, dropped: 0 },
                    view::FlowClass { name: "telemetry".to_owned(), open: 1, shed: 9, dropped: 2 },
                ],
            },
        };
        let expected = [
            "gate n1 ready, leader n2, term 7",
            "  gate n1          voter        alive, session 9, 2 jobs, disk d5",
            "  gate n3          learner      dead, no session, disk d6",
            "  dc1              healthy      3 workers, 5/6 free, led by n11",
            "                   reachable, ready, round trip 12 ms, p99 30 ms, circuit closed: \
             free cores",
            "  jobs             64/64 running, 3 waiting",
            "  load             busy, 12 inputs waiting, 230 ms late, 72 % cpu, 4 % memory, \
             450 calls rate-limited",
            "    telemetry      1 calls open, 9 shed, 2 messages dropped",
        ];
        assert_eq!(cluster_lines(&cluster), expected);
    }
}
