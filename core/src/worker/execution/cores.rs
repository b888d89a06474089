//! Cores: each serves at most one run; the lowest free one is given first.

use std::collections::BTreeMap;

use crate::ids::RunId;

/// Which run holds which core.
#[derive(Clone, Debug)]
pub(in crate::worker) struct Cores {
    count: u16,
    held: BTreeMap<u16, RunId>,
}

impl Cores {
    /// So many cores, all free.
    pub(in crate::worker) const fn new(count: u16) -> Self {
        Self { count, held: BTreeMap::new() }
    }

    /// Gives the lowest free core to `run`; `None` if there is none, and nothing changed.
    pub(in crate::worker) fn assign(&mut self, run: RunId) -> Option<u16> {
        let core = (0..self.count).find(|core| !self.held.contains_key(core))?;
        self.held.insert(core, run);
        Some(core)
    }

    /// Frees a core and answers which run held it.
    pub(in crate::worker) fn free(&mut self, core: u16) -> Option<RunId> {
        self.held.remove(&core)
    }

    /// The run that holds a core.
    pub(in crate::worker) fn holder(&self, core: u16) -> Option<RunId> {
        self.held.get(&core).copied()
    }

    /// How many there are.
    pub(in crate::worker) const fn count(&self) -> u16 {
        self.count
    }

    /// How many no run holds.
    pub(in crate::worker) fn free_count(&self) -> u16 {
        self.count.saturating_sub(u16::try_from(self.held.len()).unwrap_or(u16::MAX))
    }

    /// Every held core with its run, lowest first.
    pub(in crate::worker) fn iter(&self) -> impl Iterator<Item = (u16, RunId)> {
        self.held.iter().map(|(core, run)| (*core, *run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::samples::run;

    #[test]
    fn lowest_free_first_and_all_come_back() {
        let mut cores = Cores::new(3);
        assert_eq!(
            [1, 2, 3, 4].map(|f| cores.assign(run(0, f))),
            [Some(0), Some(1), Some(2), None]
        );
        assert_eq!(cores.free_count(), 0);
        assert_eq!(cores.free(1), Some(run(0, 2)));
        assert_eq!(cores.free(1), None);
        assert_eq!((cores.holder(1), cores.holder(2)), (None, Some(run(0, 3))));
        assert_eq!(cores.assign(run(0, 5)), Some(1));
        assert_eq!(cores.iter().map(|(core, _)| core).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
