//! Where nodes live: each in a network namespace of its own behind one bridge, so that iptables can
//! cut one direction of a link and the machine's own network is untouched; or all on 127.0.0.x,
//! where nothing can be cut, when namespaces are not to be had.
//!
//! Namespaces are called `hs-<pid>-<node>`; those of processes that are gone are removed first.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sim::scenario::{Node, Topology};

/// The target server and the clients live here.
const HUB: &str = "hub";

/// Numbers the networks of this process.
static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Where the nodes of one cluster live.
#[derive(Debug)]
pub(crate) struct Network {
    /// The start of every namespace's name; none without namespaces.
    prefix: Option<String>,
    nodes: Vec<Node>,
}

impl Network {
    /// A place for every node. Without root or `ip netns` that is 127.0.0.x.
    pub(crate) fn new(topology: Topology) -> Self {
        remove_stale();
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let network = Self {
            prefix: Some(format!("hs-{}-{number}-", process::id())),
            nodes: topology.nodes(),
        };
        if is_possible() && network.build() {
            return network;
        }
        Self { prefix: None, nodes: network.nodes.clone() }
    }

    /// Whether links can be cut.
    pub(crate) fn has_cuts(&self) -> bool {
        self.prefix.is_some()
    }

    /// A node's address.
    pub(crate) fn addr(&self, node: Node) -> IpAddr {
        let place = self.nodes.iter().position(|other| *other == node).unwrap() as u8;
        self.numbered(place + 2)
    }

    /// The address of the target server and of clients.
    pub(crate) fn hub(&self) -> IpAddr {
        self.numbered(1)
    }

    fn numbered(&self, n: u8) -> IpAddr {
        let bytes = if self.has_cuts() { [10, 77, 0, n] } else { [127, 0, 0, n] };
        IpAddr::V4(Ipv4Addr::from(bytes))
    }

    /// A command that runs where the node lives; the process is the program itself.
    pub(crate) fn command(&self, node: Node, program: &str) -> Command {
        self.command_in(&node.to_string(), program)
    }

    /// A command that runs where clients live.
    pub(crate) fn client_command(&self, program: &str) -> Command {
        self.command_in(HUB, program)
    }

    fn command_in(&self, place: &str, program: &str) -> Command {
        let Some(prefix) = &self.prefix else { return Command::new(program) };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{prefix}{place}"), program]);
        command
    }

    /// Moves this thread, and what it starts from here on, to where clients live.
    pub(crate) fn enter(&self) {
        let Some(prefix) = &self.prefix else { return };
        let space = File::open(format!("/run/netns/{prefix}{HUB}")).unwrap();
        move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Nothing that `from` sends reaches `to`.
    pub(crate) fn cut(&self, from: Node, to: Node) {
        assert!(self.has_cuts(), "nothing can be cut on 127.0.0.x");
        let source = self.addr(from).to_string();
        self.iptables(to, &["-A", "INPUT", "-s", &source, "-j", "DROP"]);
    }

    /// Takes every cut back.
    pub(crate) fn heal(&self) {
        for node in self.nodes.iter().filter(|_| self.has_cuts()) {
            self.iptables(*node, &["-F", "INPUT"]);
        }
    }

    fn iptables(&self, node: Node, args: &[&str]) {
        let status = self.command(node, "iptables").arg("-w").args(args).status().unwrap();
        assert!(status.success(), "iptables {args:?}: {status}");
    }

    fn build(&self) -> bool {
        let Some(prefix) = &self.prefix else { return false };
        let mut spaces = format!("netns add {prefix}{HUB}\n");
        let mut bridge = format!(
            "link set lo up\nlink add br0 type bridge\nlink set br0 up\n\
             addr add {}/24 dev br0\n",
            self.hub()
        );
        for (n, node) in self.nodes.iter().enumerate() {
            let _ = writeln!(spaces, "netns add {prefix}{node}");
            let _ = writeln!(
                bridge,
                "link add p{n} type veth peer name eth0 netns {prefix}{node}\n\
                 link set p{n} master br0 up"
            );
        }
        if !ip(None, &spaces) || !ip(Some(&format!("{prefix}{HUB}")), &bridge) {
            return false;
        }
        self.nodes.iter().all(|node| {
            let addr = self.addr(*node);
            let own = format!("link set lo up\naddr add {addr}/24 dev eth0\nlink set eth0 up\n");
            ip(Some(&format!("{prefix}{node}")), &own)
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let Some(prefix) = &self.prefix else { return };
        for space in spaces().iter().filter(|name| name.starts_with(prefix.as_str())) {
            remove(space);
        }
    }
}

/// Whether this process may make namespaces, and both programs are there.
fn is_possible() -> bool {
    let runs = |program: &str, arg: &str| {
        let mut command = Command::new(program);
        let quiet = command.arg(arg).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    };
    rustix::process::geteuid().is_root() && runs("ip", "-V") && runs("iptables", "-V")
}

/// Runs lines of `ip` commands, in a namespace if one is named.
fn ip(space: Option<&str>, lines: &str) -> bool {
    let mut command = Command::new("ip");
    if let Some(space) = space {
        command.args(["-n", space]);
    }
    let started = command.args(["-batch", "-"]).stdin(Stdio::piped()).spawn();
    let Ok(mut child) = started else { return false };
    let written =
        child.stdin.take().is_some_and(|mut pipe| pipe.write_all(lines.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success()) && written
}

/// The namespaces that any run of these tests made.
fn spaces() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/run/netns") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("hs-")).collect()
}

/// Removes what processes that are gone left behind.
fn remove_stale() {
    for space in spaces() {
        let owner = space.split('-').nth(1).unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            remove(&space);
        }
    }
}

/// Ends what runs in a namespace and removes it.
fn remove(space: &str) {
    if let Ok(found) = Command::new("ip").args(["netns", "pids", space]).output() {
        for pid in String::from_utf8_lossy(&found.stdout).split_whitespace() {
            let pid = pid.parse().ok().filter(|pid| *pid != process::id() as i32);
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
    let _ = Command::new("ip").args(["netns", "del", space]).status();
}
