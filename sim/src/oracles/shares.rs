//! shares-exact: what the slices of a workflow add up to is the plan, over all its parts, to the VU
//! and to the item.

use std::collections::BTreeMap;

use hyperscale_core::effect::Effect;
use hyperscale_core::gate::GateCommand;
use hyperscale_core::ids::{JobId, PartId, PartIx, WorkflowIx};
use hyperscale_core::invariant::{Inv, Violation};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerCommand;
use hyperscale_core::plan::{Executor, Share, Slice};
use hyperscale_core::wire::Message;

use super::{Oracle, Seen, View, Wants, broken};

/// Items of a workflow whose shard is looked up.
const ITEMS: u64 = 2_000;

/// A workflow's portion in a datacenter.
type Key = (u16, JobId, WorkflowIx);

/// Slices as the managers hand them out.
#[derive(Debug, Default)]
pub(super) struct SharesExact {
    /// The parts of each job.
    parts: BTreeMap<JobId, usize>,
    splits: BTreeMap<Key, (PartIx, u16)>,
    shares: BTreeMap<Key, BTreeMap<u16, Share>>,
    /// The parts that have handed out everything.
    whole: BTreeMap<(JobId, WorkflowIx), BTreeMap<PartIx, Vec<Share>>>,
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
                match &chosen.record {
                    Record::Gate(entry) => {
                        if let Some(GateCommand::Create { plan, .. }) = entry.command() {
                            let parts = plan.datacenters.count();
                            self.parts.insert(JobId::new(entry.index.get()), parts);
                        }
                    }
                    Record::Manager(entry) => {
                        if let Some(ManagerCommand::Split { part, workflow, shards }) =
                            entry.command()
                            && let Some(datacenter) = group.datacenter()
                        {
                            let PartId { job, part } = *part;
                            self.splits.insert((datacenter, job, *workflow), (part, *shards));
                        }
                    }
                    _ => {}
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
        let Some((part, shards)) = self.splits.get(&key).copied() else {
            return broken(Inv::SharesExact, format!("{key:?}: a slice before the split"));
        };
        if before.is_some() || shares.len() != usize::from(shards) {
            return Ok(());
        }
        let all = shares.values().copied().collect();
        let (_, job, workflow) = key;
        let whole = self.whole.entry((job, workflow)).or_default();
        if whole.insert(part, all).is_some() {
            return broken(Inv::SharesExact, format!("{key:?}: {part:?} was split elsewhere, too"));
        }
        if self.parts.get(&job) != Some(&whole.len()) {
            return Ok(());
        }
        self.judged += 1;
        let shares: Vec<Share> = whole.values().flatten().copied().collect();
        let executor = &slice.workflow.executor;
        let found = vus_of(executor, &shares).or_else(|| items_of(executor, &shares));
        found.map_or(Ok(()), |what| broken(Inv::SharesExact, format!("{key:?}: {what}")))
    }
}

/// What is wrong with the VUs of all shards.
fn vus_of(executor: &Executor, shares: &[Share]) -> Option<String> {
    let mut next_vu = 0;
    let mut by_vu: Vec<&Share> = shares.iter().collect();
    by_vu.sort_by_key(|share| share.vu_first);
    for share in by_vu {
        if share.vu_first != next_vu || share.vus == 0 {
            return Some("VUs overlap or are missing".to_owned());
        }
        next_vu += share.vus;
    }
    let planned = executor.vus();
    (next_vu != planned).then(|| format!("{next_vu} VUs of {planned}"))
}

/// What is wrong with the first items; computed from the definition of lanes and stripes, not by
/// their code.
fn items_of(executor: &Executor, shares: &[Share]) -> Option<String> {
    let counted = matches!(
        executor,
        Executor::SharedIterations { .. } | Executor::ConstantArrivalRate { .. }
    );
    let planned = executor.planned_items().filter(|_| counted)?;
    let is_of = |share: &Share, item: u64| {
        let (stripe, lane) = (share.stripe, share.stripe.of);
        let (round, residue) = (item / lane.period, item % lane.period);
        let place = (round * lane.width + residue).checked_sub(lane.first);
        (lane.first..lane.first + lane.width).contains(&residue)
            && place.is_some_and(|place| place % stripe.stride == stripe.start)
    };
    (0..planned.min(ITEMS)).find_map(|item| {
        let owners = shares.iter().filter(|share| is_of(share, item)).count();
        (owners != 1).then(|| format!("item {item} is in {owners} shards"))
    })
}
