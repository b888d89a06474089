//! `hyperscale run` against nginx: our count is its count.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{counter, free_port_of, until};

struct Nginx {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port_of(Ipv4Addr::LOCALHOST.into());
        let home = dir.path().display();
        let config = format!(
            "daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 100000000;\n\
             client_body_temp_path {home}/b;\n\
             proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u;\n\
             scgi_temp_path {home}/s;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ return 200 'ok'; }}\n\
             location = /status {{ stub_status; }} }} }}\n"
        );
        fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let child = Command::new("/usr/sbin/nginx")
            .arg("-p")
            .arg(dir.path())
            .arg("-c")
            .arg(dir.path().join("nginx.conf"))
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let nginx = Self { child, port, _dir: dir };
        until("nginx answers", Duration::from_secs(10), || {
            TcpStream::connect(("127.0.0.1", nginx.port)).ok()
        });
        Some(nginx)
    }

    /// Requests served, the asking one included.
    fn requests(&self) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET /status HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let counts = text.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1);
        counts.unwrap().split_whitespace().nth(2).unwrap().parse().unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn run(plan: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let (path, summary) = (dir.path().join("plan.yaml"), dir.path().join("summary.json"));
    fs::write(&path, plan).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_hyperscale"))
        .args(["run", "-q", path.to_str().unwrap(), "--summary-export"])
        .arg(&summary)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    serde_json::from_slice(&fs::read(summary).unwrap()).unwrap()
}

/// Our count and nginx's for one run.
fn counts(workflow: &str) -> Option<(u64, u64)> {
    let Some(nginx) = Nginx::start() else {
        println!("not covered: nginx is not installed");
        return None;
    };
    let before = nginx.requests();
    let result = run(&format!(
        "base_url: http://127.0.0.1:{}\nworkflows:\n  load: {{{workflow}, \
         flow: [{{name: hit, get: /}}]}}\n",
        nginx.port
    ));
    let after = nginx.requests();
    Some((counter(&result, "http_reqs"), after - before - 1))
}

#[test]
fn a_closed_loop_reports_what_nginx_served() {
    let Some((ours, theirs)) = counts("executor: constant-vus, vus: 20, duration: 5s") else {
        return;
    };
    println!("closed loop: {ours} reported, {theirs} served");
    assert!(ours > 1000);
    assert_eq!(ours, theirs);
}

#[test]
fn an_open_loop_reports_what_nginx_served_and_keeps_its_rate() {
    let workflow = "executor: constant-arrival-rate, rate: 2000/s, duration: 10s, max_vus: 200";
    let Some((ours, theirs)) = counts(workflow) else { return };
    println!("open loop: {ours} reported, {theirs} served, 20000 planned");
    assert_eq!(ours, theirs);
    assert!(ours.abs_diff(20_000) <= 20, "{ours} of 20000");
}

#[test]
fn iterations_are_all_done_and_no_more() {
    let Some((ours, theirs)) = counts("executor: shared-iterations, vus: 7, iterations: 1000")
    else {
        return;
    };
    assert_eq!((ours, theirs), (1000, 1000));
}
