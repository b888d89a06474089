//! Starts, kills, stops and continues the binaries; every wait is a condition with a limit.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const GATE: &str = env!("CARGO_BIN_EXE_hyperscale-gate");
const MANAGER: &str = env!("CARGO_BIN_EXE_hyperscale-manager");
const WORKER: &str = env!("CARGO_BIN_EXE_hyperscale-worker");
const CLI: &str = env!("CARGO_BIN_EXE_hyperscale");

/// A port nobody listens on at the moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until `ready` gives something; panics with `what` after `limit`.
pub(crate) fn until<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that dies with its test.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    fn start(binary: &str, config: &Path, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(binary)
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One gate, one manager and so many workers.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) gate: Process,
    pub(crate) manager: Process,
    pub(crate) workers: Vec<Process>,
    dir: tempfile::TempDir,
    api: String,
}

impl Cluster {
    pub(crate) fn start(workers: u32, cores: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (api, listen) = (free_port(), free_port());
        let state = dir.path().display();
        let write = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
        write(
            "gate.toml",
            format!(
                "cluster = 7\nnode = 1\nstate_dir = \"{state}/gate\"\napi = \"127.0.0.1:{api}\"\n\
                 [[datacenters]]\nname = \"dc\"\n\
                 managers = [{{node = 2, addr = \"127.0.0.1:{listen}\"}}]\n"
            ),
        );
        write(
            "manager.toml",
            format!(
                "cluster = 7\nnode = 2\ndatacenter = \"dc\"\nstate_dir = \"{state}/manager\"\n\
                 listen = \"127.0.0.1:{listen}\"\n"
            ),
        );
        for worker in 0..workers {
            write(
                &format!("worker{worker}.toml"),
                format!(
                    "cluster = 7\nnode = {}\ncores = {cores}\n\
                     managers = [{{node = 2, addr = \"127.0.0.1:{listen}\"}}]\n",
                    10 + worker
                ),
            );
        }
        let start = |binary, name: String| {
            let config = dir.path().join(format!("{name}.toml"));
            Process::start(binary, &config, &dir.path().join(format!("{name}.log")))
        };
        let gate = start(GATE, "gate".to_owned());
        let manager = start(MANAGER, "manager".to_owned());
        let workers = (0..workers).map(|n| start(WORKER, format!("worker{n}"))).collect();
        let cluster = Self { gate, manager, workers, api: format!("http://127.0.0.1:{api}"), dir };
        cluster.ready();
        cluster
    }

    /// Waits until every worker is known to the gate.
    fn ready(&self) {
        until("the cluster is ready", Duration::from_secs(20), || {
            let answer = self.cli(&["cluster", "--json"]);
            let view: Value = serde_json::from_slice(&answer.stdout).ok()?;
            let workers = view["datacenters"][0]["workers"].as_u64()?;
            (workers == self.workers.len() as u64).then_some(())
        });
    }

    pub(crate) fn restart_gate(&mut self) {
        self.gate = self.start_again(GATE, "gate");
    }

    pub(crate) fn restart_manager(&mut self) {
        self.manager = self.start_again(MANAGER, "manager");
    }

    fn start_again(&self, binary: &str, name: &str) -> Process {
        let config = self.dir.path().join(format!("{name}.toml"));
        Process::start(binary, &config, &self.dir.path().join(format!("{name}.log")))
    }

    /// Runs the command line against this cluster's gate.
    pub(crate) fn cli(&self, args: &[&str]) -> Output {
        Command::new(CLI)
            .args(args)
            .env("HYPERSCALE_GATE", &self.api)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Submits a plan; gives the job.
    pub(crate) fn submit(&self, plan: &str) -> String {
        let path: PathBuf = self.dir.path().join("plan.yaml");
        fs::write(&path, plan).unwrap();
        let answer = self.cli(&["submit", path.to_str().unwrap(), "--json"]);
        let text = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(answer.status.success(), "{text}\n{}", self.logs());
        let submitted: Value = serde_json::from_slice(&answer.stdout).unwrap();
        submitted["job"].as_str().unwrap().to_owned()
    }

    /// Waits for a job's result; gives the document and the exit code of `result`.
    pub(crate) fn result(&self, job: &str, limit: Duration) -> (Value, i32) {
        until(&format!("a result of {job}\n{}", self.logs()), limit, || {
            let answer = self.cli(&["result", job, "--json"]);
            let document = serde_json::from_slice(&answer.stdout).ok()?;
            Some((document, answer.status.code().unwrap()))
        })
    }

    /// What the processes logged.
    pub(crate) fn logs(&self) -> String {
        let mut names: Vec<PathBuf> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == "log"))
            .collect();
        names.sort();
        let text = |path: &PathBuf| {
            let log = fs::read_to_string(path).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            format!("--- {}\n{}\n", path.display(), tail.join("\n"))
        };
        names.iter().map(text).collect()
    }
}

/// A counter of the result document.
pub(crate) fn counter(result: &Value, metric: &str) -> u64 {
    let metrics = result["results"]["metrics"].as_array().unwrap();
    let found = metrics.iter().find(|entry| entry["name"] == metric);
    found.map_or(0, |entry| entry["values"]["count"].as_u64().unwrap())
}

/// Items declared missing (`unreported`), parked or unserved.
pub(crate) fn declared(result: &Value, kind: &str) -> u64 {
    let losses = result["cluster"]["losses"].as_array().unwrap();
    losses
        .iter()
        .filter(|loss| loss["kind"] == kind)
        .map(|loss| loss["items"].as_u64().unwrap())
        .sum()
}
