//! Histories of a group of three managers.

use hyperscale_core::ids::{NodeId, WorkflowIx};
use hyperscale_core::input::Input;
use hyperscale_core::machine::Role as _;
use hyperscale_core::plan::{Executor, Plan, PlanTime};
use hyperscale_core::report::WorkflowStatus;
use hyperscale_core::stat::Stat;
use hyperscale_core::wire::{Claim, Message, PartPhase, Probe, VerdictKind};

use super::cluster::{Cluster, instant, manager};
use super::fleet::Modelled;
use super::rig::*;

fn open_loop(seconds: u64) -> Plan {
    plan(vec![workflow("a", arrivals(200, secs(seconds), 1))])
}

/// A part of one shard runs on the first worker; the others have a core each.
fn running(plan: Plan, workers: u64) -> Cluster {
    let mut cluster = Cluster::new(vec![Modelled::new(0, 500, 1)], 10_000);
    cluster.offer(plan);
    cluster.until(secs(2), |cluster| cluster.truth.last.is_some());
    cluster.pass_under_load(secs(2), millis(10));
    for ix in 1..workers {
        cluster.join(Modelled::new(ix, 500 + ix, 1));
    }
    cluster.pass_under_load(secs(1), millis(10));
    cluster
}

fn confirms_of(cluster: &Cluster, node: NodeId) -> Vec<std::time::Duration> {
    let mine = |entry: &&(std::time::Duration, NodeId, NodeId, Message)| entry.1 == node;
    let said = cluster.said.iter().filter(mine);
    let tells = |msg: &Message| !matches!(msg, Message::NotLeader(_) | Message::Swim(_));
    said.filter(|(_, _, _, msg)| tells(msg)).map(|said| said.0).collect()
}

#[test]
fn a_leader_dies_and_load_does_not_pause() {
    let closed = Executor::SharedIterations { vus: 1, iterations: 2000, max_duration: secs(600) };
    for plan in [open_loop(10), plan(vec![workflow("a", closed)])] {
        let mut cluster = running(plan, 1);
        let old = cluster.leader().unwrap();
        cluster.kill(old);
        cluster.pass_under_load(millis(1500), millis(10));
        let new = cluster.leader().unwrap();
        assert!(new != old);
        assert!(!confirms_of(&cluster, manager(new as u64)).is_empty());
        cluster.pass_under_load(secs(4), millis(10));
        cluster.boot(old);
        cluster.until(secs(10), |cluster| matches!(cluster.phase(), Some(PartPhase::Ended(_))));
        let Some(PartPhase::Ended(result)) = cluster.phase() else { panic!("not ended") };
        let done = &result.workflows[0];
        assert_eq!((done.status, done.totals.iterations), (WorkflowStatus::Completed, 2000));
        assert_eq!((done.covered_ms, done.losses.len()), (done.planned_ms, 0));
        cluster.pass(secs(1));
        assert!(cluster.agrees());
    }
}

#[test]
fn a_leader_that_is_cut_off_falls_silent_and_lets_go() {
    let mut cluster = running(open_loop(20), 1);
    let old = cluster.leader().unwrap();
    let node = manager(old as u64);
    // Workers and gates reach it still.
    cluster.island.insert(node);
    cluster.island_hears_workers = true;
    let cut = cluster.now;
    cluster.pass_under_load(secs(3), millis(10));
    let lease = hyperscale_core::consensus::ConsensusConfig::default().lease();
    let last = confirms_of(&cluster, node).into_iter().max().unwrap();
    assert!(last <= cut + lease, "it spoke {:?} after it was cut off", last - cut);
    let new = cluster.leader().unwrap();
    let first = confirms_of(&cluster, manager(new as u64)).into_iter().find(|at| *at > cut);
    assert!(first.unwrap() > last);
    assert!(!cluster.role(old).leads());
    assert_eq!(cluster.role(old).ceilings().count(), 0);
    cluster.island.clear();
    cluster.pass_under_load(secs(3), millis(10));
    assert!(cluster.agrees());
    assert_eq!(cluster.leader(), Some(new));
}

#[test]
fn whoever_does_not_lead_says_who_does() {
    let mut cluster = running(open_loop(20), 1);
    let leader = cluster.leader().unwrap();
    cluster.said.clear();
    cluster.tell(Probe { number: 1 });
    cluster.tell(Claim { part: PART, fence: gate_fence(9) });
    cluster.pass(millis(20));
    let redirects = cluster.redirects();
    assert_eq!(redirects.len(), 4);
    for (from, answer) in redirects {
        assert!(from != manager(leader as u64));
        assert_eq!(answer.leader, Some(manager(leader as u64)));
        assert_eq!(answer.term, cluster.role(leader).group().term());
    }
    assert!(cluster.agrees());
    assert_eq!(cluster.role(leader).parts().next().unwrap().fence, gate_fence(9));
}

#[test]
fn a_worker_that_dies_with_the_leader_is_replaced_above_its_reservation() {
    let mut cluster = running(open_loop(30), 2);
    let old = cluster.leader().unwrap();
    let reserved = cluster.role(old).runs().next().unwrap().1.reserved;
    let dead = cluster.workers[0].node;
    let now = instant(cluster.now);
    let at = cluster.role(old).plan_time(PART, WorkflowIx::new(0), now).unwrap();
    cluster.kill(old);
    cluster.island.insert(dead);
    let died = cluster.now;
    cluster.until(secs(3), |cluster| cluster.leader().is_some());
    let elected = cluster.now;
    // The one that is cut off goes on as far as it may; exclusiveness is watched at every tick.
    let second = cluster.workers[1].node;
    cluster.until(secs(6), |cluster| cluster.issued_at.contains_key(&second));
    assert!(cluster.now >= elected + secs(3), "{:?} after the election", cluster.now - elected);
    assert!(cluster.issued_at[&dead] <= died + secs(3));
    let new = cluster.leader().unwrap();
    let first = cluster.role(new).runs().next().unwrap().1.first;
    assert!(first >= reserved);
    // What was reserved and nobody serves is bounded.
    let due = PlanTime::at(millis(first * 5));
    assert!(due.since(at) <= millis(6300), "{due:?} is {:?} ahead", due.since(at));
    // It comes back with a run that is over.
    cluster.island.clear();
    cluster.said.clear();
    cluster.pass(secs(1));
    let mut stopped = false;
    for (_, _, to, msg) in &cluster.said {
        if let (true, Message::Confirm(confirm)) = (*to == dead, msg) {
            let is_issue =
                |v: &hyperscale_core::wire::Verdict| matches!(v.kind, VerdictKind::Issue { .. });
            assert!(!confirm.verdicts.iter().any(is_issue));
            stopped |= confirm.verdicts.iter().any(|v| v.kind == VerdictKind::Stop);
        }
    }
    assert!(stopped);
}

#[test]
fn a_leader_that_drains_hands_over_and_goes_on_voting() {
    let mut cluster = running(open_loop(20), 1);
    let old = cluster.leader().unwrap();
    assert!(!cluster.role(old).is_drained());
    cluster.step(old, Input::Drain);
    cluster.pass_under_load(millis(300), millis(10));
    let new = cluster.leader().unwrap();
    assert!(new != old);
    assert!(cluster.role(old).is_drained());
    let third = (0..3).find(|ix| *ix != old && *ix != new).unwrap();
    cluster.kill(third);
    cluster.pass_under_load(secs(3), millis(10));
    assert_eq!(cluster.leader(), Some(new));
    assert!(cluster.agrees());
}

#[test]
fn a_cancel_holds_over_the_death_of_its_leader() {
    let mut cluster = running(open_loop(20), 1);
    let old = cluster.leader().unwrap();
    cluster.cancel();
    cluster.until(secs(1), |cluster| {
        cluster.role(old).parts().next().is_some_and(|part| part.cancelled)
    });
    // What it said of it is lost with it.
    cluster.kill(old);
    cluster.drop_sent_by(manager(old as u64));
    let cancelled = cluster.now;
    cluster.until(secs(5), |cluster| matches!(cluster.phase(), Some(PartPhase::Ended(_))));
    let Some(PartPhase::Ended(result)) = cluster.phase() else { panic!("not ended") };
    assert!(result.cancelled);
    assert!(cluster.truth.last.unwrap() <= cancelled + secs(3));
}

#[test]
fn one_that_was_away_takes_a_snapshot_and_makes_its_own() {
    let mut cluster = Cluster::new(vec![Modelled::new(0, 500, 1)], 6);
    let away = (0..3).find(|ix| Some(*ix) != cluster.leader()).unwrap();
    cluster.kill(away);
    cluster.offer(open_loop(60));
    cluster.until(secs(2), |cluster| cluster.truth.last.is_some());
    cluster.pass_under_load(secs(30), millis(10));
    for ix in (0..3).filter(|ix| *ix != away) {
        assert!(cluster.replicas[ix].checkpoints >= 2, "a follower too");
    }
    let before = cluster.replicas[away].checkpoints;
    cluster.boot(away);
    cluster.pass_under_load(secs(2), millis(10));
    assert!(cluster.agrees());
    assert!(cluster.replicas[away].checkpoints > before);
    let leader = cluster.leader().unwrap();
    cluster.kill(away);
    cluster.boot(away);
    cluster.pass_under_load(secs(2), millis(10));
    assert!(cluster.agrees());
    assert_eq!(cluster.leader(), Some(leader));
}

#[test]
fn a_hand_over_leaves_no_gap_that_drops_arrivals() {
    let mut cluster = running(open_loop(20), 2);
    cluster.workers[0].is_draining = true;
    let (first, second) = (cluster.workers[0].node, cluster.workers[1].node);
    cluster.until(secs(2), |cluster| cluster.issued_at.contains_key(&second));
    let gap = cluster.issued_at[&second] - cluster.issued_at[&first];
    assert!(gap <= millis(50), "{gap:?}");
    cluster.pass_under_load(secs(1), millis(10));
    let leader = cluster.leader().unwrap();
    let node = cluster.replicas[leader].node.as_ref().unwrap();
    assert_eq!(node.stats().count(Stat::RunHandedOver), 1);
    let state = cluster.role(leader).parts().next().unwrap().workflows[0].clone();
    assert!(state.losses.is_empty());
}
