//! Every scenario, with the numbers of the reference catalogue that it covers.

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
    /// Numbers of the reference catalogue.
    pub covers: &'static [u16],
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
    plain("undisturbed", SINGLE, &[11, 60], workers::undisturbed),
    plain("worker-killed", SINGLE, &[62, 130], workers::killed),
    plain("worker-paused", SINGLE, &[100, 140], workers::paused),
    plain("worker-restarted", SINGLE, &[142], workers::restarted),
    plain("manager-away-briefly", SINGLE, &[43], managers::away_briefly),
    plain("manager-away-long", SINGLE, &[207], managers::away_long),
    plain("gate-restarted", SINGLE, &[], gates::restarted),
    plain("gate-killed-after-ack", SINGLE, &[37], gates::killed_after_acknowledging),
    plain("cancel", SINGLE, &[151, 153], cancels::running_job),
    cutting("cancel-workers-cut-off", SINGLE, &[157], cancels::workers_cut_off),
    plain("cancel-during-dispatch", SINGLE, &[152], cancels::during_dispatch),
    plain("overload", SINGLE, &[122, 123, 163, 166, 168, 170], admission::overload),
    plain("turns", SINGLE, &[126], admission::turns),
    plain("turns-survive", GATES, &[], admission::turns_survive),
    plain("leader-killed", MANAGERS, &[33, 92, 136], managers::leader_killed),
    plain("leader-paused", MANAGERS, &[97], managers::leader_paused),
    cutting("leader-deaf", MANAGERS, &[16], managers::leader_deaf),
    cutting("leader-mute", MANAGERS, &[], managers::leader_mute),
    plain("manager-wiped", MANAGERS, &[], managers::wiped),
    plain("owner-killed", GATES, &[10, 91, 93], gates::owner_killed),
    cutting("minority-refuses", GATES, &[15], gates::minority_refuses),
    plain("same-key-everywhere", GATES, &[38], gates::same_key_everywhere),
    plain("two-datacenters", TWO, &[30], parts::shared),
    plain("datacenter-killed", TWO, &[65, 74], parts::datacenter_killed),
    cutting("datacenter-cut-off", TWO, &[], parts::datacenter_cut_off),
    plain("cancel-two-datacenters", TWO, &[150], cancels::two_datacenters),
    plain("drain-each-role", WHOLE, &[], operations::drain_each_role),
    plain("rolling-restart", WHOLE, &[54], operations::rolling_restart),
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
