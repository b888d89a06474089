//! Every scenario.

use super::{
    Cluster, Found, Topology, admission, cancels, gates, managers, operations, parts, workers,
};

/// A directed scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// What it runs on.
    pub topology: Topology,
    /// Whether it cuts links.
    pub cuts: bool,
    /// Does it.
    pub run: fn(&mut dyn Cluster) -> Found,
}

/// One gate, one manager, three workers.
const SINGLE: Topology = Topology { gates: 1, datacenters: 1, managers: 1, workers: 3, cores: 2 };
/// Three managers.
const MANAGERS: Topology = Topology { managers: 3, ..SINGLE };
/// Three gates.
const GATES: Topology = Topology { gates: 3, workers: 2, ..SINGLE };
/// Two datacenters.
const TWO: Topology = Topology { datacenters: 2, workers: 2, ..SINGLE };
/// Three of everything.
const WHOLE: Topology = Topology { gates: 3, datacenters: 1, managers: 3, workers: 3, cores: 2 };

/// What runs on the simulator and on real processes.
pub const SCENARIOS: &[Scenario] = &[
    plain("undisturbed", SINGLE, workers::undisturbed),
    plain("worker-killed", SINGLE, workers::killed),
    plain("worker-paused", SINGLE, workers::paused),
    plain("worker-restarted", SINGLE, workers::restarted),
    plain("manager-away-briefly", SINGLE, managers::away_briefly),
    plain("manager-away-long", SINGLE, managers::away_long),
    plain("gate-restarted", SINGLE, gates::restarted),
    plain("gate-killed-after-ack", SINGLE, gates::killed_after_acknowledging),
    plain("cancel", SINGLE, cancels::running_job),
    cutting("cancel-workers-cut-off", SINGLE, cancels::workers_cut_off),
    plain("cancel-during-dispatch", SINGLE, cancels::during_dispatch),
    plain("overload", SINGLE, admission::overload),
    plain("turns", SINGLE, admission::turns),
    plain("turns-survive", GATES, admission::turns_survive),
    plain("leader-killed", MANAGERS, managers::leader_killed),
    plain("leader-paused", MANAGERS, managers::leader_paused),
    cutting("leader-deaf", MANAGERS, managers::leader_deaf),
    cutting("leader-mute", MANAGERS, managers::leader_mute),
    plain("manager-wiped", MANAGERS, managers::wiped),
    plain("owner-killed", GATES, gates::owner_killed),
    cutting("minority-refuses", GATES, gates::minority_refuses),
    plain("same-key-everywhere", GATES, gates::same_key_everywhere),
    plain("two-datacenters", TWO, parts::shared),
    plain("datacenter-killed", TWO, parts::datacenter_killed),
    cutting("datacenter-cut-off", TWO, parts::datacenter_cut_off),
    plain("cancel-two-datacenters", TWO, cancels::two_datacenters),
    plain("drain-each-role", WHOLE, operations::drain_each_role),
    plain("rolling-restart", WHOLE, operations::rolling_restart),
    plain("whole-cluster-restarted", WHOLE, operations::whole_cluster_restarted),
];

const fn plain(
    name: &'static str,
    topology: Topology,
    run: fn(&mut dyn Cluster) -> Found,
) -> Scenario {
    Scenario { name, topology, cuts: false, run }
}

const fn cutting(
    name: &'static str,
    topology: Topology,
    run: fn(&mut dyn Cluster) -> Found,
) -> Scenario {
    Scenario { name, topology, cuts: true, run }
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
