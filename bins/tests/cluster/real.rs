//! Scenarios on real processes: the production binaries, killed, stopped and cut off by the means
//! of the operating system, and a target server that writes down what reaches it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sim::scenario::load::named;
use sim::scenario::{
    Answer, Arrival, Cluster, Found, Group, JobNumber, Node, Question, Ticket, Topology, ensure,
};
use tokio::runtime::Runtime;

use crate::api::{self, Api};
use crate::files::{self, Places};
use crate::harness::{free_port_of, until};
use crate::network::Network;
use crate::target::Target;

const GATE: &str = env!("CARGO_BIN_EXE_hyperscale-gate");
const MANAGER: &str = env!("CARGO_BIN_EXE_hyperscale-manager");
const WORKER: &str = env!("CARGO_BIN_EXE_hyperscale-worker");
const CLI: &str = env!("CARGO_BIN_EXE_hyperscale");

/// Lines of output as they came.
pub(crate) type Lines = Arc<Mutex<Vec<(Duration, String)>>>;

/// A cluster of real processes; it ends with this value, and nothing of it remains.
#[derive(Debug)]
pub(crate) struct Real {
    topology: Topology,
    processes: BTreeMap<Node, Child>,
    places: Places,
    start: Instant,
    target: Target,
    api: Api,
    answers: Arc<Mutex<BTreeMap<Ticket, Answer>>>,
    tickets: Ticket,
    runtime: Option<Runtime>,
    network: Network,
    dir: tempfile::TempDir,
}

impl Real {
    /// Starts every process and waits until every gate knows every worker.
    pub(crate) fn new(topology: Topology) -> Self {
        let network = Network::new(topology);
        let runtime = runtime_in(&network);
        let target = Target::start(runtime.handle(), network.hub());
        let places = places(&network, topology);
        let mut cluster = Self {
            topology,
            processes: BTreeMap::new(),
            places,
            start: Instant::now(),
            target,
            api: Api::new(runtime.handle().clone()),
            answers: Arc::default(),
            tickets: 0,
            runtime: Some(runtime),
            network,
            dir: tempfile::tempdir().unwrap(),
        };
        for node in topology.nodes() {
            let text = files::config(topology, node, &cluster.places, cluster.dir.path());
            fs::write(cluster.file(node, "toml"), text).unwrap();
        }
        let datacenters = (0..topology.datacenters).map(Group::Managers);
        for group in datacenters.chain([Group::Gates]) {
            cluster.form(group);
        }
        for node in topology.nodes() {
            cluster.start(node);
        }
        cluster.ready();
        cluster
    }

    /// A group of one forms by itself.
    fn form(&self, group: Group) {
        let members = self.topology.members(group);
        for (n, node) in members.iter().enumerate().filter(|_| members.len() > 1) {
            self.founded(*node, &[if n == 0 { "init" } else { "join" }]).unwrap();
        }
    }

    /// Writes the first record of a node that does not run.
    fn founded(&self, node: Node, how: &[&str]) -> Found {
        let mut command = Command::new(CLI);
        command.arg("cluster").args(how).arg("--config").arg(self.file(node, "toml"));
        let output = command.output().unwrap();
        ensure(output.status.success(), || format!("cluster {how:?} of {node}: {output:?}"))
    }

    /// The disk that a node's journal names.
    fn disk(&self, node: Node) -> Option<String> {
        let mut command = Command::new(CLI);
        command.args(["cluster", "show", "--config"]).arg(self.file(node, "toml"));
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let (_, after) = text.lines().next()?.split_once(", disk ")?;
        after.split(',').next().map(str::to_owned)
    }

    /// Whether every member of a group votes, as its journals say.
    fn is_whole(&self, group: Group) -> bool {
        let members = self.topology.members(group);
        let votes = |node: &Node| {
            let mut command = Command::new(CLI);
            command.args(["cluster", "show", "--config"]).arg(self.file(*node, "toml"));
            let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
            text.lines().filter(|line| line.starts_with("voter ")).count() == members.len()
        };
        members.len() == 1 || members.iter().all(votes)
    }

    /// Whether links can be cut.
    pub(crate) fn has_cuts(&self) -> bool {
        self.network.has_cuts()
    }

    /// Runs the command line against every gate of this cluster.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        let gates = self.topology.members(Group::Gates);
        let gates: Vec<String> = gates.into_iter().map(|gate| self.url(gate)).collect();
        let mut command = self.network.client_command(CLI);
        command.args(args).env("HYPERSCALE_GATE", gates.join(",")).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Starts the command line against every gate; its lines come with the time since the start.
    pub(crate) fn cli_lines(&self, args: &[&str]) -> (Child, Lines) {
        let gates = self.topology.members(Group::Gates);
        let gates: Vec<String> = gates.into_iter().map(|gate| self.url(gate)).collect();
        let mut command = self.network.client_command(CLI);
        command.args(args).env("HYPERSCALE_GATE", gates.join(",")).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = Lines::default();
        let (source, sink) = (child.stdout.take().unwrap(), Arc::clone(&lines));
        let start = self.start;
        thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                sink.lock().unwrap().push((start.elapsed(), line));
            }
        });
        (child, lines)
    }

    /// Writes the text of a plan and gives the file.
    pub(crate) fn plan_file(&self, key: &str, load: &sim::scenario::Load) -> PathBuf {
        let path = self.dir.path().join(format!("{key}.yaml"));
        fs::write(&path, files::plan(key, load, &self.target.url())).unwrap();
        path
    }

    /// What the processes logged.
    pub(crate) fn logs(&self) -> String {
        let tail = |node: &Node| {
            let log = fs::read_to_string(self.file(*node, "log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(20)..].join("\n");
            format!("--- {node}\n{last}\n")
        };
        self.topology.nodes().iter().map(tail).collect()
    }

    fn ready(&self) {
        let limit = Duration::from_secs(20);
        let datacenters = (0..self.topology.datacenters).map(Group::Managers);
        for group in datacenters.chain([Group::Gates]) {
            until(&format!("every member of {group:?} votes"), limit, || {
                self.is_whole(group).then_some(())
            });
        }
        for gate in self.topology.members(Group::Gates) {
            let wanted = u64::from(self.topology.workers);
            until(&format!("{gate} knows every worker\n{}", self.logs()), limit, || {
                let view = self.view(gate)?;
                let datacenters = view["datacenters"].as_array()?;
                let full = datacenters.iter().all(|dc| dc["workers"].as_u64() == Some(wanted));
                (full && view["ready"] == true).then_some(())
            });
        }
    }

    /// The cluster as a gate sees it.
    fn view(&self, gate: Node) -> Option<Value> {
        self.api.document(&format!("{}/v1/cluster", self.url(gate)))
    }

    /// The cluster as every gate that answers sees it.
    fn views(&mut self) -> Vec<Value> {
        let gates = self.topology.members(Group::Gates).into_iter();
        let up: Vec<Node> = gates.filter(|gate| self.is_up(*gate)).collect();
        up.into_iter().filter_map(|gate| self.view(gate)).collect()
    }

    fn url(&self, gate: Node) -> String {
        format!("http://{}", self.places.api[&gate])
    }

    fn file(&self, node: Node, kind: &str) -> PathBuf {
        self.dir.path().join(format!("{node}.{kind}"))
    }

    fn signal(&self, node: Node, signal: Signal) {
        if let Some(child) = self.processes.get(&node) {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }
}

impl Cluster for Real {
    fn topology(&self) -> Topology {
        self.topology
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn pass(&mut self, span: Duration) -> Found {
        std::thread::sleep(span);
        Ok(())
    }

    fn ask(&mut self, gate: u16, question: Question) -> Ticket {
        self.tickets += 1;
        let ticket = self.tickets;
        let request = self.api.request(&self.url(Node::Gate(gate)), question, &self.target.url());
        let answers = Arc::clone(&self.answers);
        self.api.handle().spawn(async move {
            let answer = api::answer(request).await;
            answers.lock().unwrap().insert(ticket, answer);
        });
        ticket
    }

    fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answers.lock().unwrap().get(&ticket).cloned()
    }

    fn leader_of(&mut self, group: Group) -> Option<Node> {
        let members = self.topology.members(group);
        if let [only] = members.as_slice() {
            return self.is_up(*only).then_some(*only);
        }
        let views = self.views();
        let leaders = views.iter().filter_map(|view| match group {
            Group::Gates => view["leader"].as_u64(),
            Group::Managers(dc) => view["datacenters"][usize::from(dc)]["leader"].as_u64(),
        });
        let leaders: BTreeSet<u64> = leaders.collect();
        let leader = files::numbered(self.topology, *leaders.first()?)?;
        (leaders.len() == 1 && self.is_up(leader)).then_some(leader)
    }

    /// The gate whose session has live jobs: scenarios ask while there is one job.
    fn owner_of(&mut self, _job: JobNumber) -> Option<Node> {
        if self.topology.gates == 1 {
            return Some(Node::Gate(0));
        }
        let views = self.views();
        let sessions = views.iter().filter_map(|view| view["sessions"].as_array()).flatten();
        let owners = sessions.filter(|session| session["jobs"].as_u64() > Some(0));
        let owners: BTreeSet<u64> = owners.filter_map(|one| one["gate"].as_u64()).collect();
        let owner = files::numbered(self.topology, *owners.first()?)?;
        (owners.len() == 1 && self.is_up(owner)).then_some(owner)
    }

    fn is_up(&mut self, node: Node) -> bool {
        let child = self.processes.get_mut(&node);
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn kill(&mut self, node: Node) {
        if let Some(mut child) = self.processes.remove(&node) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn start(&mut self, node: Node) {
        let binary = match node {
            Node::Gate(_) => GATE,
            Node::Manager(..) => MANAGER,
            Node::Worker(..) => WORKER,
        };
        let log = File::options().create(true).append(true).open(self.file(node, "log")).unwrap();
        let mut command = self.network.command(node, binary);
        command.arg("--config").arg(self.file(node, "toml")).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.kill(node);
        self.processes.insert(node, command.spawn().unwrap());
    }

    fn pause(&mut self, node: Node) {
        self.signal(node, Signal::STOP);
    }

    fn resume(&mut self, node: Node) {
        self.signal(node, Signal::CONT);
    }

    fn drain(&mut self, node: Node) {
        self.signal(node, Signal::TERM);
    }

    fn replace(&mut self, node: Node) -> Found {
        let Some(old) = self.disk(node) else { return Err(format!("{node} has no disk")) };
        fs::remove_dir_all(self.dir.path().join(node.to_string())).unwrap();
        self.founded(node, &["replace", "--disk", &old])?;
        self.start(node);
        Ok(())
    }

    fn cut(&mut self, from: Node, to: Node) {
        self.network.cut(from, to);
    }

    fn heal(&mut self) {
        self.network.heal();
    }

    fn served(&mut self, key: &str) -> Vec<Arrival> {
        self.target.served(&named(key), self.start)
    }

    fn vitals(&mut self, gate: u16) -> Vec<(String, u64)> {
        let node = Node::Gate(gate);
        let mut vitals = Vec::new();
        if let Some(flow) = self.view(node).map(|view| view["flow"].clone()) {
            for class in flow["classes"].as_array().into_iter().flatten() {
                let name = class["name"].as_str().unwrap_or_default();
                vitals.push((format!("shed {name}"), class["shed"].as_u64().unwrap_or(0)));
            }
            for field in ["limited", "waiting", "running"] {
                vitals.push((field.to_owned(), flow[field].as_u64().unwrap_or(0)));
            }
        }
        let id = self.processes.get(&node).map(Child::id);
        let status = id.and_then(|id| fs::read_to_string(format!("/proc/{id}/status")).ok());
        let resident = status.and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        });
        vitals.extend(resident.map(|kib: u64| ("resident KiB".to_owned(), kib)));
        vitals
    }

    fn note(&mut self, text: &str) {
        println!("  {text}");
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in self.processes.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime whose threads live where clients do: a thread starts in its parent's namespace.
fn runtime_in(network: &Network) -> Runtime {
    let build = || {
        network.enter();
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    };
    std::thread::scope(|scope| scope.spawn(build).join().unwrap())
}

/// Where nodes listen. In a namespace of its own a node has every port to itself.
fn places(network: &Network, topology: Topology) -> Places {
    let place = |node: Node, own: u16| {
        let addr = network.addr(node);
        SocketAddr::new(addr, if network.has_cuts() { own } else { free_port_of(addr) })
    };
    let mut places = Places::default();
    for node in topology.nodes() {
        match node {
            Node::Gate(_) => {
                places.api.insert(node, place(node, 7_400));
                places.nodes.insert(node, place(node, 7_401));
            }
            Node::Manager(..) => {
                places.nodes.insert(node, place(node, 7_401));
            }
            Node::Worker(..) => {}
        }
    }
    places
}
