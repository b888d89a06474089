//! Configuration files of a cluster's nodes, and plans.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use sim::scenario::load::{datacenter, named};
use sim::scenario::{DRIFT_PPM, Group, Load, Node, REPLACE_WAIT, RESULT_GRACE, TTL, Topology};

/// The number of a node in every file.
pub(crate) fn number(node: Node) -> u64 {
    match node {
        Node::Gate(n) => 1 + u64::from(n),
        Node::Manager(dc, n) => 100 * (u64::from(dc) + 1) + u64::from(n),
        Node::Worker(dc, n) => 1_000 * (u64::from(dc) + 1) + u64::from(n),
    }
}

/// Where everybody listens.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Gates for clients.
    pub(crate) api: BTreeMap<Node, SocketAddr>,
    /// Gates for gates; managers for managers, gates and workers.
    pub(crate) nodes: BTreeMap<Node, SocketAddr>,
}

/// The node of this number among these.
pub(crate) fn numbered(topology: Topology, wanted: u64) -> Option<Node> {
    topology.nodes().into_iter().find(|node| number(*node) == wanted)
}

/// A node's file.
pub(crate) fn config(topology: Topology, node: Node, places: &Places, dir: &Path) -> String {
    let state = dir.join(node.to_string());
    let mut text = format!("cluster = 7\nnode = {}\n", number(node));
    let lease = format!("lease = {{ttl_ms = {}, drift_ppm = {DRIFT_PPM}}}\n", TTL.as_millis());
    match node {
        Node::Gate(_) => {
            let _ = write!(
                text,
                "state_dir = {state:?}\napi = \"{}\"\nresult_grace_ms = {}\n",
                places.api[&node],
                RESULT_GRACE.as_millis()
            );
            if topology.gates > 1 {
                let listen = places.nodes[&node];
                let gates = topology.members(Group::Gates).into_iter();
                let gates: Vec<String> = gates.map(|gate| gate_peer(gate, places)).collect();
                let gates = gates.join(", ");
                let _ = write!(text, "listen = \"{listen}\"\npeers = [{gates}]\n");
            }
            for dc in 0..topology.datacenters {
                let managers = peers(topology.managers_of(dc), places);
                let name = datacenter(dc);
                let _ = write!(text, "[[datacenters]]\nname = {name:?}\nmanagers = {managers}\n");
            }
        }
        Node::Manager(dc, _) => {
            let _ = write!(
                text,
                "state_dir = {state:?}\ndatacenter = {:?}\nlisten = \"{}\"\n\
                 replace_wait_ms = {}\n{lease}",
                datacenter(dc),
                places.nodes[&node],
                REPLACE_WAIT.as_millis()
            );
            if topology.managers > 1 {
                let managers = peers(topology.managers_of(dc), places);
                let _ = writeln!(text, "peers = {managers}");
            }
        }
        Node::Worker(dc, _) => {
            let managers = peers(topology.managers_of(dc), places);
            let cores = topology.cores;
            let _ = write!(text, "cores = {cores}\nmanagers = {managers}\n{lease}");
        }
    }
    text
}

fn peers(nodes: impl Iterator<Item = Node>, places: &Places) -> String {
    let peer = |node| format!("{{node = {}, addr = \"{}\"}}", number(node), places.nodes[&node]);
    format!("[{}]", nodes.map(peer).collect::<Vec<_>>().join(", "))
}

fn gate_peer(gate: Node, places: &Places) -> String {
    let (addr, api) = (places.nodes[&gate], places.api[&gate]);
    format!("{{node = {}, addr = \"{addr}\", api = \"{api}\"}}", number(gate))
}

/// A load as the text of a plan whose workflow is called like the key.
pub(crate) fn plan(key: &str, load: &Load, url: &str) -> String {
    let key = named(key);
    let names: Vec<String> = (0..load.datacenters).map(datacenter).collect();
    let datacenters = match names.is_empty() {
        true => String::new(),
        false => format!("datacenters: [{}]\n", names.join(", ")),
    };
    let Load { rate, seconds, .. } = load;
    format!(
        "name: {key}\nbase_url: {url}\nindex_header: true\n{datacenters}workflows:\n  {key}:\n    \
         executor: constant-arrival-rate\n    rate: {rate}/s\n    duration: {seconds}s\n    \
         max_vus: 120\n    graceful_stop: 5s\n    \
         flow:\n      - {{name: hit, get: /, timeout: 5s}}\n"
    )
}
