//! shares-exact: what the slices of a workflow add up to is the plan, to the VU and to the item.

use std::collections::BTreeMap;

use hyperscale_core::ids::{JobId, WorkflowIx};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::plan::{Share, Slice};
use hyperscale_core::wire::Message;

use super::{Oracle, Seen, View, Wants, broken};
use hyperscale_core::effect::Effect;

/// A workflow's portion in a datacenter.
type Key = (u16, JobId, WorkflowIx);

/// Slices as the manager hands them out.
#[derive(Debug, Default)]
pub(super) struct SharesExact {
    splits: BTreeMap<Key, u16>,
    shares: BTreeMap<Key, BTreeMap<u16, Share>>,
    judged: u64,
}

impl Oracle for SharesExact {
    fn inv(&self) -> Inv {
        Inv::SharesExact
    }
    fn wants(&self) -> Wants {
        Wants::COMMITTED.and(Wants::LEFT)
    }
    fn judged(&self) -> u64 {
        self.judged
    }
    fn see(&mut self, view: &View<'_>, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { group, chosen } => {
                if let Record::Manager(entry) = &chosen.record
                    && let Some(ManagerCommand::Split { part, workflow, shards }) = entry.command()
                    && let Some(datacenter) = group.datacenter()
                {
                    self.splits.insert((datacenter, part.job, *workflow), *shards);
                }
                Ok(())
            }
            Seen::Left { host, effect: Effect::Send { msg, .. } } => match &**msg {
                Message::Prepare(prepare) => {
                    let shard = prepare.run.shard;
                    let Some(datacenter) = view.case.layout.datacenter_of(*host) else {
                        return Ok(());
                    };
                    let key = (datacenter, shard.job, shard.workflow);
                    self.on_slice(key, shard.shard.get(), &prepare.slice)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl SharesExact {
    fn on_slice(&mut self, key: Key, shard: u16, slice: &Slice) -> Result<(), Violation> {
        let shares = self.shares.entry(key).or_default();
        let before = shares.insert(shard, slice.share);
        if before.is_some_and(|before| before != slice.share) {
            return broken(Inv::SharesExact, format!("{key:?} shard {shard} changed its share"));
        }
        let shards = self.splits.get(&key).copied().unwrap_or(0);
        if before.is_some() || shares.len() != usize::from(shards) {
            return Ok(());
        }
        self.judged += 1;
        let mut next_vu = 0;
        let mut by_vu: Vec<&Share> = shares.values().collect();
        by_vu.sort_by_key(|share| share.vu_first);
        for share in by_vu {
            if share.vu_first != next_vu || share.vus == 0 {
                return broken(Inv::SharesExact, format!("{key:?}: VUs overlap or are missing"));
            }
            next_vu += share.vus;
        }
        let planned = slice.workflow.executor.vus();
        if next_vu != planned {
            return broken(Inv::SharesExact, format!("{key:?}: {next_vu} VUs of {planned}"));
        }
        let mut starts: Vec<u64> = shares.values().map(|share| share.stripe.start).collect();
        starts.sort_unstable();
        let strides_agree = shares.values().all(|share| share.stripe.stride == u64::from(shards));
        if !strides_agree || !starts.iter().copied().eq(0..u64::from(shards)) {
            return broken(Inv::SharesExact, format!("{key:?}: stripes {starts:?} of {shards}"));
        }
        Ok(())
    }
}
