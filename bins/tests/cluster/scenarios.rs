//! Every scenario on real processes.

use std::env;
use std::time::Instant;

use sim::scenario::{SCENARIOS, Scenario};

use crate::real::Real;

/// Only scenarios whose name contains this are run.
const ONLY: &str = "HYPERSCALE_SCENARIO";

#[test]
fn every_scenario_passes_on_real_processes() {
    let only = env::var(ONLY).unwrap_or_default();
    let chosen = SCENARIOS.iter().filter(|scenario| scenario.name.contains(&only));
    let failed: Vec<String> = chosen.filter_map(|scenario| run(scenario).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn run(scenario: &Scenario) -> Result<(), String> {
    let began = Instant::now();
    let mut cluster = Real::new(scenario.topology);
    if scenario.cuts && !cluster.has_cuts() {
        println!("not covered: {} cuts links, which needs root and ip netns", scenario.name);
        return Ok(());
    }
    println!("{}", scenario.name);
    let found = (scenario.run)(&mut cluster);
    println!("  {:.1} s", began.elapsed().as_secs_f64());
    found.map_err(|wrong| format!("{}: {wrong}\n{}", scenario.name, cluster.logs()))
}
