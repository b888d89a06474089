//! Parts of jobs over several datacenters, as one of those sees them.

use hyperscale_core::ids::{PartId, PartIx};
use hyperscale_core::machine::Role as _;
use hyperscale_core::plan::{Datacenters, Site};
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::{Begin, Offer, PartPhase};

use super::rig::*;

/// A part of a plan of two datacenters, of which this one is the second.
const SECOND: PartId = PartId { job: PART.job, part: PartIx::new(1) };

fn two_datacenters(here: &str) -> hyperscale_core::plan::Plan {
    let mut wanted = plan(vec![workflow("a", arrivals(100, secs(10), 8))]);
    let site = |(name, weight): (&str, u32)| Site { name: name.to_owned(), weight };
    let sites = [("elsewhere", 3), (here, 1)].map(site);
    wanted.datacenters = Datacenters::Named(sites.to_vec().try_into().unwrap());
    wanted
}

#[test]
fn a_part_is_split_by_its_own_share_and_keeps_it_over_a_restart() {
    let mut rig = Rig::prompt();
    let mut hands = [Hand::new(1, 1), Hand::new(2, 1)];
    for hand in &mut hands {
        rig.beat(hand);
    }
    let plan = two_datacenters("dc");
    let executor = plan.workflows[0].executor;
    let (fence, offer) = (gate_fence(2), gate_fence(1));
    rig.hear(GATE, Offer { part: SECOND, fence: offer, plan: Box::new(plan.clone()) });
    assert_eq!(rig.last_phase(), Some(PartPhase::Accepted));
    rig.hear(GATE, Begin { part: SECOND, fence, offer, start_in: secs(0) });
    let slices: Vec<_> = rig.prepares().into_iter().map(|(_, p)| p.slice.share).collect();
    let share = plan.part_share(SECOND.part, &executor).unwrap();
    assert_eq!((share.vu_first, share.vus), (6, 2));
    let expected = hyperscale_core::plan::shares(&executor, &share, 2);
    assert_eq!(slices, expected);
    let items: u64 = slices.iter().filter_map(|share| executor.local_items(share)).sum();
    assert_eq!(items, 250, "a quarter of 1000");
    rig.restart();
    rig.node.role().check_all().unwrap();
    rig.pass(secs(1));
    for hand in &mut hands {
        rig.beat(hand);
    }
    let again: Vec<_> = rig.prepares().into_iter().map(|(_, p)| p.slice.share).collect();
    assert!(!again.is_empty() && again.iter().all(|share| expected.contains(share)), "{again:?}");
}

#[test]
fn an_offer_of_a_part_that_the_plan_does_not_give_here_is_refused() {
    let mut rig = Rig::prompt();
    let third = PartId { job: PART.job, part: PartIx::new(2) };
    let cases = [
        (SECOND, two_datacenters("other"), "the part is for another datacenter"),
        (PART, two_datacenters("dc"), "the part is for another datacenter"),
        (third, two_datacenters("dc"), "the plan has no such part"),
    ];
    for (part, plan, expected) in cases {
        rig.hear(GATE, Offer { part, fence: gate_fence(1), plan: Box::new(plan) });
        let Some(PartPhase::Refused { reason }) = rig.last_phase() else { panic!("{expected}") };
        assert_eq!(reason, expected);
    }
    assert_eq!(rig.node.role().parts().count(), 0);
}

#[test]
fn the_cancel_of_a_workflow_of_an_unknown_part_buries_nothing() {
    let mut rig = Rig::prompt();
    rig.cancel(Some(0));
    assert!(rig.take().is_empty());
    assert_eq!(rig.count(Stat::MessageStale), 1);
    rig.offer(plan(vec![workflow("a", rounds(1, 1))]));
    assert_eq!(rig.last_phase(), Some(PartPhase::Accepted));
}
