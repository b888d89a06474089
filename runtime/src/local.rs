//! A whole cluster in one process: gate, manager and worker on the code path of production, with
//! queues for a network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyperscale_core::config::{DatacenterConfig, GateConfig, ManagerConfig, WorkerConfig};
use hyperscale_core::ids::{ClusterId, NodeId};

use crate::boot;
use crate::calls;
use crate::events::EventLog;
use crate::node::{self, NodeError, Options, Orders, Running, Seat};
use crate::transport::RoleName;
use hyperscale_core::input::Input;
use tokio::sync::mpsc;

const GATE: NodeId = NodeId::new(1);
const MANAGER: NodeId = NodeId::new(2);
const WORKER: NodeId = NodeId::new(3);

/// What a local cluster is made of.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// Where journals are kept.
    pub state_dir: PathBuf,
    /// Runs executed at the same time.
    pub cores: u16,
    /// Record the inputs of every node into this directory.
    pub record: Option<PathBuf>,
    /// Write what happens to every node here.
    pub event_log: Option<EventLog>,
}

/// A cluster of one gate, one manager and one worker.
#[derive(Debug)]
pub struct Cluster {
    gate: calls::Gate,
    nodes: [Running; 3],
}

impl Cluster {
    /// Starts it with this load engine.
    ///
    /// # Errors
    /// [`NodeError`]; nothing runs.
    pub fn start(
        options: &LocalOptions,
        engine: impl FnOnce(mpsc::Sender<Input>) -> std::io::Result<Orders>,
    ) -> Result<Self, NodeError> {
        let cluster = ClusterId::new(local_cluster(&options.state_dir));
        let recording = |role: RoleName, node: NodeId| {
            let file = |dir: &PathBuf| dir.join(format!("{role}-{node}.jsonl"));
            Options {
                record: options.record.as_ref().map(file),
                event_log: options.event_log.clone(),
                environment: None,
                sampling: None,
            }
        };
        let datacenter = DatacenterConfig { name: "local".to_owned(), managers: vec![MANAGER] };
        let seats = [GATE, MANAGER, WORKER].map(Seat::new);
        for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
            let (node, inbox) = ([GATE, MANAGER, WORKER][to], seats[to].inbox.clone());
            seats[from].peers.connect_inbox(node, inbox);
        }
        let [gate, manager, worker] = seats;
        let (gate, calls) = node::start_gate(
            gate,
            cluster,
            GateConfig::new(GATE, vec![datacenter]),
            &options.state_dir.join("gate"),
            &recording(RoleName::Gate, GATE),
        )?;
        let manager = node::start_manager(
            manager,
            cluster,
            ManagerConfig {
                // Queues have no latency to wait out.
                start_delay: Duration::from_millis(5),
                ..ManagerConfig::new(MANAGER, "local")
            },
            &options.state_dir.join("manager"),
            &recording(RoleName::Manager, MANAGER),
        )?;
        let worker = node::start_worker(
            worker,
            cluster,
            WorkerConfig::new(WORKER, options.cores, vec![MANAGER]),
            engine,
            &recording(RoleName::Worker, WORKER),
        )?;
        Ok(Self { gate: calls, nodes: [gate, manager, worker] })
    }

    /// The way to its gate.
    pub fn gate(&self) -> calls::Gate {
        self.gate.clone()
    }

    /// Resolves when a node has failed, and says how.
    pub async fn failed(&mut self) -> NodeError {
        let [gate, manager, worker] = &mut self.nodes;
        let ended = tokio::select! {
            ended = gate.ended() => ended,
            ended = manager.ended() => ended,
            ended = worker.ended() => ended,
        };
        ended.err().unwrap_or(NodeError::Died)
    }
}

/// A kept state directory is the same cluster at the next start.
fn local_cluster(state_dir: &Path) -> u64 {
    let path = state_dir.join("cluster");
    let known = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    known.unwrap_or_else(|| {
        let drawn = boot::entropy();
        let written = std::fs::create_dir_all(state_dir)
            .and_then(|()| std::fs::write(&path, drawn.to_string()));
        if let Err(error) = written {
            tracing::warn!(%error, "the cluster's number could not be kept");
        }
        drawn
    })
}
