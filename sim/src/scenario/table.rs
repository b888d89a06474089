//! Every scenario, with the numbers of the reference catalogue that it covers.

use super::{Cluster, Found, Topology, cancels, gates, managers, workers};

/// A directed scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What it runs on.
    pub topology: Topology,
    /// Whether it cuts links.
    pub cuts: bool,
    /// Numbers of the reference catalogue.
    pub covers: &'static [u16],
    /// Does it.
    pub run: fn(&mut dyn Cluster) -> Found,
}

/// One gate, one manager, three workers.
const SINGLE: Topology = Topology { gates: 1, datacenters: 1, managers: 1, workers: 3, cores: 2 };

/// What runs on the simulator and on real processes.
pub const SCENARIOS: &[Scenario] = &[
    plain("undisturbed", SINGLE, &[11, 60, 65], workers::undisturbed),
    plain("worker-killed", SINGLE, &[62, 130, 140], workers::killed),
    plain("worker-paused", SINGLE, &[100, 140], workers::paused),
    plain("worker-restarted", SINGLE, &[110, 142], workers::restarted),
    plain("manager-away-briefly", SINGLE, &[43, 136], managers::away_briefly),
    plain("manager-away-long", SINGLE, &[136, 207], managers::away_long),
    plain("gate-restarted", SINGLE, &[33, 93], gates::restarted),
    plain("gate-killed-after-ack", SINGLE, &[37, 93], gates::killed_after_acknowledging),
    plain("cancel", SINGLE, &[150, 151, 153], cancels::running_job),
    cutting("cancel-workers-cut-off", SINGLE, &[152, 157], cancels::workers_cut_off),
    plain("cancel-during-dispatch", SINGLE, &[116, 152], cancels::during_dispatch),
];

const fn plain(
    name: &'static str,
    topology: Topology,
    covers: &'static [u16],
    run: fn(&mut dyn Cluster) -> Found,
) -> Scenario {
    Scenario { name, topology, cuts: false, covers, run }
}

const fn cutting(
    name: &'static str,
    topology: Topology,
    covers: &'static [u16],
    run: fn(&mut dyn Cluster) -> Found,
) -> Scenario {
    Scenario { name, topology, cuts: true, covers, run }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::simulate;

    #[test]
    fn every_scenario_passes_on_the_simulator() {
        let mut failed = Vec::new();
        for scenario in SCENARIOS {
            match simulate(scenario) {
                Ok(notes) => println!("{}: {}", scenario.name, notes.join("; ")),
                Err(wrong) => failed.push(format!("{}: {wrong}", scenario.name)),
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    }
}
