//! Bad input: one clear message, a documented exit code, no panic.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

fn run(binary: &str, args: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = Command::new(binary).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    (status.code().unwrap(), text)
}

fn validate(plan: &str) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plan.yaml");
    fs::write(&path, plan).unwrap();
    run(env!("CARGO_BIN_EXE_hyperscale"), &["validate", path.to_str().unwrap()])
}

/// A plan with these workflow options, and this text before them.
fn plan(head: &str, workflows: &[(&str, &str)]) -> String {
    let mut text = format!("base_url: demo\n{head}workflows:\n");
    for (name, options) in workflows {
        text += &format!("  {name}: {{{options}, flow: [{{name: a, get: /}}]}}\n");
    }
    text
}

#[test]
fn bad_plans_exit_104_with_a_position() {
    let good = "executor: constant-vus, vus: 1, duration: 1s";
    let missing = "data: {row: {csv: missing.csv}}\n";
    let rate = "executor: constant-arrival-rate, rate: 0/s, max_vus: 1, duration: 1s";
    let (ab, ba) = (format!("after: [b], {good}"), format!("after: [a], {good}"));
    let cases = [
        (plan("", &[("a", "executor: constant-vus, vus: 1, durration: 1s")]), "durration"),
        (plan("", &[("a", "executor: constant-vus, vus: many, duration: 1s")]), ":3:"),
        (plan("", &[("a", &ab), ("b", &ba)]), "cycle"),
        (plan("", &[("a", rate)]), "rate"),
        (plan(missing, &[("a", good)]), "missing.csv"),
    ];
    for (plan, expected) in cases {
        let (code, text) = validate(&plan);
        assert_eq!(code, 104, "{text}");
        assert!(text.contains(expected), "{expected} is not in: {text}");
    }
}

#[test]
fn a_port_in_use_and_a_truncated_journal_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = dir.path().join("manager.toml");
    let text = |port: u16| {
        format!(
            "cluster = 1\nnode = 2\ndatacenter = \"dc\"\nstate_dir = \"{}\"\n\
             listen = \"127.0.0.1:{port}\"\n",
            dir.path().join("state").display()
        )
    };
    let port = taken.local_addr().unwrap().port();
    fs::write(&config, text(port)).unwrap();
    let manager = env!("CARGO_BIN_EXE_hyperscale-manager");
    let (code, message) = run(manager, &["--config", config.to_str().unwrap()]);
    assert_eq!(code, 104, "{message}");
    assert!(message.contains(&port.to_string()), "{message}");

    let state = dir.path().join("state");
    let journal = fs::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|found| found == "journal"))
        .expect("a journal was begun");
    let bytes = fs::read(&journal).unwrap();
    fs::write(&journal, [&bytes[..10], &[0xff; 30][..]].concat()).unwrap();
    let (code, message) = run(manager, &["--config", config.to_str().unwrap()]);
    assert_eq!(code, 104, "{message}");
    assert!(message.contains("journal"), "{message}");
}

#[test]
fn a_node_with_peers_and_no_state_says_how_it_is_formed() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("manager.toml");
    let text = format!(
        "cluster = 1\nnode = 2\ndatacenter = \"dc\"\nlisten = \"127.0.0.1:0\"\nstate_dir = {:?}\n\
         peers = [{{node = 3, addr = \"127.0.0.1:1\"}}]\n",
        dir.path().join("state")
    );
    fs::write(&config, text).unwrap();
    let path = config.to_str().unwrap();
    let (code, message) = run(env!("CARGO_BIN_EXE_hyperscale-manager"), &["--config", path]);
    assert_eq!(code, 104, "{message}");
    for how in ["init", "join", "replace --disk OLD"] {
        let command = format!("hyperscale cluster {how} --config {path}");
        assert!(message.contains(&command), "{command} is not in: {message}");
    }
}
