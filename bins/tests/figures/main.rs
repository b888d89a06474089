//! Figures of real processes, printed side by side and never asserted: the longest time without an
//! arrival while nobody dies, and while one node or a whole datacenter is killed; then how many
//! jobs come of many keys that go to every gate at once while leaders die.
//!
//! Run with `cargo test --release -p hyperscale --features cluster-tests --test figures -- WHAT..`,
//! where WHAT is any of `nobody`, `managerleader`, `owninggate`, `worker`, `datacenter`, `hammer`;
//! everything by default. A promise that does not hold ends it with code 1.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

macro_rules! shared {
    ($($name:ident = $path:literal;)*) => {
        $(
            #[allow(dead_code, reason = "shared with the cluster tests")]
            #[path = $path]
            mod $name;
        )*
    };
}

shared! {
    api = "../cluster/api.rs";
    files = "../cluster/files.rs";
    harness = "../cluster/harness.rs";
    network = "../cluster/network.rs";
    real = "../cluster/real.rs";
    target = "../cluster/target.rs";
}

use std::process::ExitCode;

use sim::scenario::{KILLS, Load, Topology, gates};

use crate::real::Real;

const TOPOLOGY: Topology = Topology { gates: 3, datacenters: 2, managers: 3, workers: 4, cores: 2 };
const LOAD: Load = Load { rate: 1_000, seconds: 15, datacenters: 2 };
const KEYS: usize = 1_000;
const LEADERS_KILLED: usize = 20;

fn main() -> ExitCode {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let mut lines = Vec::new();
    let mut all_held = true;
    let mut taken = |found: Result<String, String>| {
        all_held &= found.is_ok();
        lines.push(found.unwrap_or_else(|wrong| format!("NOT HELD: {wrong}")));
    };
    for figure in KILLS {
        if is_wanted(&format!("{figure:?}").to_lowercase()) {
            taken(figure.take(&mut Real::new(TOPOLOGY), &LOAD));
        }
    }
    if is_wanted("hammer") {
        let found = gates::hammered(&mut Real::new(TOPOLOGY), KEYS, LEADERS_KILLED);
        taken(found.map(|()| format!("{KEYS} keys to every gate at once made {KEYS} jobs")));
    }
    println!("{}", lines.join("\n"));
    if all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
