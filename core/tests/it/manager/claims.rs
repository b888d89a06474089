//! Which gate hears of a part, and what becomes of one that no gate begins.

use std::time::Duration;

use hyperscale_core::ids::NodeId;
use hyperscale_core::plan::Plan;
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::{Begin, Claim, Message, NotOwner, Offer, PartPhase, PartReport};

use super::rig::*;

const OTHER: NodeId = NodeId::new(2);
const THIRD: NodeId = NodeId::new(3);

fn a_plan() -> Plan {
    plan(vec![workflow("a", rounds(1, 5))])
}

fn reports_to(rig: &mut Rig, gate: NodeId) -> Vec<PartReport> {
    let mine = |(to, msg)| match msg {
        Message::PartReport(report) if to == gate => Some(report),
        _ => None,
    };
    rig.take().into_iter().filter_map(mine).collect()
}

fn begin(rig: &mut Rig, from: NodeId, fence: u64, offer: u64) {
    let (fence, offer) = (gate_fence(fence), gate_fence(offer));
    rig.hear(from, Begin { part: PART, fence, offer, start_in: Duration::ZERO });
}

#[test]
fn a_part_is_reported_to_the_newest_owner() {
    let mut rig = Rig::prompt();
    rig.offer(a_plan());
    rig.take();
    rig.hear(OTHER, Claim { part: PART, fence: gate_fence(5) });
    let told = reports_to(&mut rig, OTHER);
    assert_eq!((told.len(), told[0].fence), (1, gate_fence(5)));

    // The gate before says what it said before: whoever asks, the owner is answered.
    begin(&mut rig, GATE, 2, 1);
    assert_eq!(rig.node.role().parts().next().unwrap().gate, OTHER);
    let told = rig.take();
    assert!(!told.is_empty() && told.iter().all(|(to, _)| *to == OTHER), "{told:?}");

    rig.hear(THIRD, Claim { part: PART, fence: gate_fence(4) });
    assert_eq!(rig.count(Stat::FenceRefused), 1);
    assert!(rig.take().is_empty());

    // A repeated claim is answered; a restart forgets nothing.
    rig.hear(OTHER, Claim { part: PART, fence: gate_fence(5) });
    assert_eq!(reports_to(&mut rig, OTHER).len(), 1);
    rig.restart();
    assert_eq!(reports_to(&mut rig, OTHER).len(), 1);

    let owner = Some(THIRD);
    rig.hear(OTHER, NotOwner { part: PART, owner, fence: gate_fence(9) });
    assert_eq!(reports_to(&mut rig, THIRD).len(), 1);
    rig.pass(millis(2500));
    assert_eq!(reports_to(&mut rig, THIRD).len(), 2);
    rig.check_recover_equal();
}

#[test]
fn an_owner_that_comes_after_the_end_gets_the_result() {
    let mut rig = Rig::prompt();
    rig.offer(a_plan());
    rig.cancel(None);
    rig.take();
    rig.hear(OTHER, Claim { part: PART, fence: gate_fence(7) });
    let told = reports_to(&mut rig, OTHER);
    assert!(matches!(&told[..], [PartReport { phase: PartPhase::Ended(_), .. }]), "{told:?}");
    // What is not here is not claimed.
    let mut rig = Rig::prompt();
    rig.hear(OTHER, Claim { part: PART, fence: gate_fence(7) });
    assert!(rig.take().is_empty());
}

fn refused(reports: &[PartReport]) -> bool {
    !reports.is_empty()
        && reports.iter().all(|report| matches!(report.phase, PartPhase::Refused { .. }))
}

#[test]
fn an_offer_that_is_never_begun_is_given_up_for_good() {
    let mut rig = Rig::prompt();
    rig.offer(a_plan());
    rig.pass(secs(119));
    assert_eq!(rig.node.role().parts().count(), 1);
    rig.pass(secs(2));
    assert_eq!(rig.node.role().parts().count(), 0);
    assert!(rig.node.role().is_idle());
    rig.take();
    // Neither the begin nor the offer, doubled on its way, brings it back.
    begin(&mut rig, GATE, 2, 1);
    assert!(refused(&reports_to(&mut rig, GATE)));
    rig.offer(a_plan());
    assert!(refused(&reports_to(&mut rig, GATE)));
    begin(&mut rig, GATE, 2, 1);
    assert_eq!(rig.node.role().parts().count(), 0);
    rig.restart();
    begin(&mut rig, GATE, 2, 1);
    assert!(refused(&reports_to(&mut rig, GATE)));
    // A later offer is another matter.
    rig.hear(GATE, Offer { part: PART, fence: gate_fence(11), plan: Box::new(a_plan()) });
    begin(&mut rig, GATE, 12, 11);
    assert_eq!(rig.last_phase(), Some(PartPhase::Running));
    rig.pass(secs(200));
    assert_eq!(rig.node.role().parts().count(), 1);
    rig.check_recover_equal();
}

#[test]
fn a_begin_for_an_unknown_offer_makes_it_void_before_it_is_refused() {
    let mut rig = Rig::prompt();
    begin(&mut rig, GATE, 2, 1);
    assert!(rig.take().is_empty());
    rig.offer(a_plan());
    assert!(refused(&reports_to(&mut rig, GATE)));
    begin(&mut rig, GATE, 2, 1);
    assert!(refused(&reports_to(&mut rig, GATE)));
    // Cancelled, it has ended with nothing, and no later offer is taken.
    rig.cancel(None);
    assert!(matches!(rig.last_phase(), Some(PartPhase::Ended(_))));
    rig.hear(GATE, Offer { part: PART, fence: gate_fence(11), plan: Box::new(a_plan()) });
    assert!(matches!(rig.last_phase(), Some(PartPhase::Ended(_))));
    assert_eq!(rig.node.role().parts().count(), 0);
    rig.check_recover_equal();
}
