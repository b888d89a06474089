//! What a case saw of faults and recoveries: the material of the vacuity table.

use crate::case::Case;
use crate::faults::Class;

/// Counts of one case.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Classes that were on.
    pub enabled: Vec<Class>,
    /// Crashes that happened, by their class.
    pub crashes: Vec<Class>,
    /// Cuts that were made, by their class.
    pub cuts: Vec<Class>,
    /// Members replaced.
    pub replaced: Vec<Class>,
    /// Nodes asked to leave, and of those the ones that said in time that they may.
    pub drains: (u64, u64),
    /// A group got another leader: of the gates, of managers.
    pub failovers: (u64, u64),
    /// Jobs given to another gate.
    pub moves: u64,
    /// Jobs that ended with load issued in several datacenters.
    pub spread: u64,
    /// Members that got a snapshot from their leader.
    pub installs: u64,
    /// Changes of members chosen.
    pub changes: u64,
    /// Questions that reached a gate more than once.
    pub echoed_calls: u64,
    /// Crashes between two effects.
    pub crashes_between: u64,
    /// Crashes that lost unsynced bytes.
    pub lost_writes: u64,
    /// Crashes that tore unsynced bytes.
    pub torn: u64,
    /// Pauses.
    pub pauses: u64,
    /// Pauses longer than a confirmation lasts.
    pub long_pauses: u64,
    /// Syncs that took very long.
    pub slow_syncs: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Measurements of gates that do not cope.
    pub slowness: u64,
    /// Processes that came back as another minor.
    pub minors: u64,
    /// Messages in the form of an older minor.
    pub older_frames: u64,
    /// Messages that a node of an older minor cannot say.
    pub unsaid: u64,
    /// Chances of a newer minor to say something new.
    pub news: u64,
    /// Messages that were not understood.
    pub unknown: u64,
    /// Samples of machines at their limits.
    pub strains: u64,
    /// Snapshots written.
    pub checkpoints: u64,
    /// Comparisons of folded and live state.
    pub recovery_checks: u64,
}

impl Tally {
    /// Nothing yet.
    pub fn of(case: &Case) -> Self {
        Self { enabled: case.classes.clone(), ..Self::default() }
    }
}
