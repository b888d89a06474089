use super::*;
use crate::faults::{Class, Fault};
use crate::layout::Layout;

fn verdict(case: Case, traced: bool) -> Verdict {
    let mut world = World::new(case, traced);
    world.run();
    world.verdict()
}

fn quiet(seed: u64) -> Case {
    Case::drawn(seed, Class::ALL)
}

#[test]
fn a_seed_has_one_hash_traced_or_not() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..12 {
        let once = verdict(Case::drawn(seed, &[]), false);
        let twice = verdict(Case::drawn(seed, &[]), true);
        assert_eq!((once.hash, once.events), (twice.hash, twice.events), "seed {seed}");
        assert!(once.is_ok(), "seed {seed}: {:?}", once.failure);
        hashes.insert(once.hash);
    }
    assert_eq!(hashes.len(), 12);
}

#[test]
fn a_class_that_did_nothing_changes_no_trace() {
    let mut compared = 0;
    for seed in 0..40 {
        let with = verdict(Case::drawn(seed, &[]), false);
        for class in &with.tally.enabled {
            if !with.fired(*class) && !matches!(class, Class::SlowSync | Class::FailSync) {
                let without = verdict(Case::drawn(seed, &[*class]), false);
                assert_eq!(with.hash, without.hash, "seed {seed} without {}", class.id());
                compared += 1;
            }
        }
    }
    assert!(compared > 0);
}

#[test]
fn without_faults_every_job_that_may_complete_does() {
    for seed in 0..20 {
        let verdict = verdict(quiet(seed), false);
        assert!(verdict.is_ok(), "seed {seed}: {:?}", verdict.failure);
        assert_eq!(verdict.recoveries, 0);
        assert!(verdict.requests > 0);
    }
}

#[test]
fn a_crash_between_effects_happens_and_is_recovered_from() {
    let mut crashes = 0;
    for seed in 0..10 {
        let mut case = quiet(seed);
        let class = Class::CrashManager;
        let crash = Fault::Crash { host: 1, between: true, down: Some(50_000_000), class };
        case.faults = (1..6).map(|n| (n * 900_000_000, crash.clone())).collect();
        let verdict = verdict(case, false);
        assert!(verdict.is_ok(), "seed {seed}: {:?}", verdict.failure);
        crashes += verdict.tally.crashes_between;
    }
    assert!(crashes > 10, "{crashes}");
}

#[test]
fn a_panic_is_the_stepping_nodes_failure() {
    let mut world = World::new(quiet(1), false);
    world.stepping = Some(2);
    world.on_panic("planted");
    let failure = world.verdict().failure.expect("a failure");
    assert_eq!(failure.host, Some(2));
    assert!(failure.violation.detail.contains("planted"));
}

#[test]
fn several_datacenters_share_a_gate() {
    let mut placed = [0_u64; 2];
    for seed in 0..30 {
        let layout = Layout::new(1, &[(1, 2), (1, 3)]);
        let mut world = World::new(Case::of_layout(seed, &[], layout), false);
        world.run();
        let verdict = world.verdict();
        assert!(verdict.is_ok(), "seed {seed}: {:?}", verdict.failure);
        for run in &world.truth.runs {
            assert!(layout.workers(run.datacenter).contains(&run.host));
            placed[usize::from(run.datacenter)] += run.issued;
        }
    }
    assert!(placed[0] > 0, "{placed:?}");
}
