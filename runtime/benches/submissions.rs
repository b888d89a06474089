//! Committed submissions per second, on real files with their syncs and real connections on
//! 127.0.0.1: `cargo bench -p hyperscale-runtime --bench submissions -- [seconds] [folder]`.
//!
//! Starts 1 gate and then 3 in this process, and has 1, 8, 32 and 64 clients submit plans with
//! fresh keys, each client one at a time and to its own gate. Gates hold 64 live jobs at most, so
//! the jobs must end: a stand-in for the only datacenter refuses every offer, and a job that nobody
//! takes is aborted and ended. A submission hence stands for four committed entries (`Create`,
//! `Place`, `Cancel`, `EndJob`), each proposed when the one before is committed; the client waits
//! for the first. What is refused because 64 jobs live is sent again and counted apart.
//!
//! The last column compares with what a lone writer gets from the same folder: rising with the
//! clients, it shows one sync commit for several of them. Compare it between lines of as many gates
//! only: gates share a file system here, and some (ext4) make a lone writer of syncs wait for
//! company that three gates are to each other. Nothing is asserted.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use hyperscale_core::api::{Command, Reply};
use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::config::{DatacenterConfig, GateConfig};
use hyperscale_core::ids::{ClusterId, NodeId};
use hyperscale_core::input::Input;
use hyperscale_core::plan::{
    Datacenters, Executor, OnGateLoss, OnWorkerLoss, Piece, Plan, RequestStep, Site, Step,
    Template, When, Workflow,
};
use hyperscale_core::wire::{Message, PartPhase, PartReport};
use hyperscale_runtime::calls::Gate;
use hyperscale_runtime::formation::{Founding, found};
use hyperscale_runtime::node::{Options, Running, Seat, start_gate};
use hyperscale_runtime::store::Owner;
use hyperscale_runtime::transport::{Dial, Listener, RoleName, dial, listen};
use tokio::sync::mpsc;

const CLUSTER: ClusterId = ClusterId::new(1);
const MANAGER: NodeId = NodeId::new(90);
const READY_WITHIN: Duration = Duration::from_secs(20);

/// One short workflow of one request.
fn plan() -> Plan {
    let target = vec![Piece::Text("/".to_owned())];
    let request = RequestStep {
        name: "get".to_owned(),
        method: "GET".to_owned(),
        target: Template(target.try_into().expect("one piece")),
        headers: BoundedVec::default(),
        body: None,
        expect_status: BoundedVec::default(),
        expect_body: None,
        captures: BoundedVec::default(),
        timeout: Duration::from_secs(30),
    };
    let workflow = Workflow {
        name: "tiny".to_owned(),
        after: BoundedVec::default(),
        when: When::Ok,
        executor: Executor::ConstantVus { vus: 1, duration: Duration::from_secs(1) },
        graceful_stop: Duration::from_secs(1),
        flow: vec![Step::Request(Box::new(request))].try_into().expect("one step"),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    };
    // A named one is not waited for.
    let site = Site { name: "nowhere".to_owned(), weight: 1 };
    Plan {
        datacenters: Datacenters::Named(vec![site].try_into().expect("one site")),
        placement: Default::default(),
        name: "tiny".to_owned(),
        base_url: "http://127.0.0.1".to_owned(),
        workflows: vec![workflow].try_into().expect("one workflow"),
        data: BoundedVec::default(),
        thresholds: BoundedVec::default(),
        on_worker_loss: OnWorkerLoss::Replace,
        on_gate_loss: OnGateLoss::Finish,
        seed: 1,
        index_header: false,
        timeout: None,
        retries: 10,
    }
}

/// Answers every offer with a refusal.
fn datacenter(ids: &[NodeId], seats: &[Seat]) {
    let (inbox, mut inputs) = mpsc::channel(8_192);
    let gates: BTreeMap<NodeId, mpsc::Sender<Input>> =
        ids.iter().copied().zip(seats.iter().map(|seat| seat.inbox.clone())).collect();
    for seat in seats {
        seat.peers.connect_inbox(MANAGER, inbox.clone());
    }
    tokio::spawn(async move {
        let mut seq = 0;
        while let Some(input) = inputs.recv().await {
            let Input::Received { from, msg } = input else { continue };
            let (Message::Offer(offer), Some(gate)) = (*msg, gates.get(&from)) else { continue };
            seq += 1;
            let report = PartReport {
                part: offer.part,
                fence: offer.fence,
                seq: (1, seq),
                phase: PartPhase::Refused { reason: "a stand-in".to_owned() },
                workflows: BoundedVec::default(),
            };
            let input = Input::Received { from: MANAGER, msg: Box::new(report.into()) };
            if gate.send(input).await.is_err() {
                return;
            }
        }
    });
}

/// Gates that run, and what must live as long as they.
struct Gates {
    calls: Vec<Gate>,
    _nodes: Vec<(Running, Listener)>,
}

async fn start(count: u64, dir: &Path) -> Gates {
    let ids: Vec<NodeId> = (1..=count).map(NodeId::new).collect();
    let (mut calls, mut nodes) = (Vec::new(), Vec::new());
    let seats: Vec<Seat> = ids.iter().copied().map(Seat::new).collect();
    datacenter(&ids, &seats);
    for (node, seat) in ids.iter().zip(seats) {
        let dir = dir.join(format!("{count}-gates-{node}"));
        let nowhere = DatacenterConfig { name: "nowhere".to_owned(), managers: vec![MANAGER] };
        let mut config = GateConfig::new(*node, vec![nowhere]);
        config.admission.submissions = 0;
        config.consensus.peers = ids.iter().copied().filter(|peer| peer != node).collect();
        if count > 1 {
            let owner = Owner { cluster: CLUSTER, role: RoleName::Gate, node: *node };
            let how = if *node == ids[0] { Founding::Init } else { Founding::Join };
            found(&dir, owner, how).expect("a fresh folder");
        }
        let started = start_gate(seat, CLUSTER, config, &dir, &Options::default());
        let (running, gate) = started.expect("a gate");
        let (hello, peers) = (running.hello.clone(), running.peers.clone());
        let listener = listen("127.0.0.1:0", hello, peers, running.inbox.clone());
        nodes.push((running, listener.await.expect("a port")));
        calls.push(gate);
    }
    for (running, _) in &nodes {
        for (peer, listener) in &nodes {
            if peer.hello.node != running.hello.node {
                let to = Dial { node: peer.hello.node, addr: listener.addr().to_string() };
                let (hello, peers) = (running.hello.clone(), running.peers.clone());
                drop(dial(to, hello, peers, running.inbox.clone()));
            }
        }
    }
    Gates { calls, _nodes: nodes }
}

/// Waits until every gate commits, with all of them as voters.
async fn is_ready(gates: &Gates) -> bool {
    let limit = Instant::now() + READY_WITHIN;
    for (n, gate) in gates.calls.iter().enumerate() {
        loop {
            let voters = match gate.ask(Command::Cluster).await {
                Ok(Reply::Cluster(view)) => view.members.iter().filter(|one| one.votes).count(),
                _ => 0,
            };
            let key = format!("ready-{n}");
            let asked = gate.ask(Command::Submit { key, plan: Box::new(plan()) });
            let asked = tokio::time::timeout(Duration::from_secs(3), asked).await;
            if matches!(asked, Ok(Ok(Reply::Submitted { .. }))) && voters == gates.calls.len() {
                break;
            }
            if Instant::now() > limit {
                println!("gate {n} is not ready: {voters} voters, {asked:?}");
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    true
}

/// What a client saw.
#[derive(Default)]
struct Seen {
    /// How long each committed submission took.
    took: Vec<Duration>,
    /// Everything else that was answered.
    others: BTreeMap<String, u64>,
}

async fn client(gate: Gate, name: String, until: Instant) -> Seen {
    let mut seen = Seen::default();
    let plan = plan();
    for n in 0_u64.. {
        let began = Instant::now();
        loop {
            if Instant::now() >= until {
                return seen;
            }
            let command =
                Command::Submit { key: format!("{name}-{n}"), plan: Box::new(plan.clone()) };
            match gate.ask(command).await {
                Ok(Reply::Submitted { existing: false, .. }) => break,
                other => *seen.others.entry(format!("{other:?}")).or_default() += 1,
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        seen.took.push(began.elapsed());
    }
    seen
}

async fn run(gates: &Gates, clients: usize, span: Duration, syncs: f64) {
    let (begin, name) = (Instant::now(), gates.calls.len());
    let tasks: Vec<_> = (0..clients)
        .map(|n| {
            let gate = gates.calls[n % gates.calls.len()].clone();
            tokio::spawn(client(gate, format!("{name}-{clients}-{n}"), begin + span))
        })
        .collect();
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await.expect("a client");
        all.took.extend(seen.took);
        for (what, count) in seen.others {
            *all.others.entry(what).or_default() += count;
        }
    }
    let rate = all.took.len() as f64 / begin.elapsed().as_secs_f64();
    all.took.sort_unstable();
    let rank = |percent: usize| {
        let place = (all.took.len() * percent / 100).min(all.took.len().saturating_sub(1));
        all.took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    println!(
        "{:>5} {clients:>7} {rate:>13.0} {:>8.2} {:>8.2} {:>13.2}",
        gates.calls.len(),
        rank(50),
        rank(99),
        rate / syncs
    );
    for (what, count) in all.others {
        println!("{:>13} {count} x {what}", "");
    }
}

/// How often a lone writer can append a record of this size and sync it, and how long it takes.
fn syncs(dir: &Path, span: Duration) -> f64 {
    let mut file = std::fs::File::create(dir.join("syncs")).expect("a file");
    let (begin, mut took) = (Instant::now(), Vec::new());
    while begin.elapsed() < span {
        let start = Instant::now();
        file.write_all(&[7; 256]).expect("a write");
        file.sync_data().expect("a sync");
        took.push(start.elapsed());
    }
    let rate = took.len() as f64 / begin.elapsed().as_secs_f64();
    took.sort_unstable();
    println!(
        "{rate:.0} syncs per second by a lone writer in {}, p50 {:?}, p99 {:?}",
        dir.display(),
        took[took.len() / 2],
        took[took.len() * 99 / 100]
    );
    rate
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let seconds = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(10);
    let span = Duration::from_secs(seconds);
    let folder = args.next().map_or_else(tempfile::tempdir, tempfile::tempdir_in);
    let folder = folder.expect("a folder");
    let syncs = syncs(folder.path(), Duration::from_secs(2));
    println!(
        "{:>5} {:>7} {:>13} {:>8} {:>8} {:>13}",
        "gates", "clients", "submissions/s", "p50 ms", "p99 ms", "per one sync"
    );
    for count in [1, 3] {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let gates = start(count, folder.path()).await;
            if !is_ready(&gates).await {
                return;
            }
            for clients in [1, 8, 32, 64] {
                run(&gates, clients, span, syncs).await;
            }
        });
    }
}
