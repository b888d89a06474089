//! Choices between datacenters whose standing is written down.

use std::time::Duration;

use super::*;
use crate::effect::Effects;
use crate::gate::models::Registration;
use crate::ids::Lsn;
use crate::rng::Streams;
use crate::stat::Counters;
use crate::time::Instant;

const MS: u64 = 1_000;

/// A healthy datacenter so far away, milliseconds.
fn standing(name: &str, rtt: u64) -> Standing {
    Standing {
        name: name.to_owned(),
        class: HealthClass::Healthy,
        registration: Registration::Ready,
        reachability: Reachability::Reachable,
        circuits: (0, 1),
        rtt_bound: Some(rtt * MS),
        expected: Some(rtt * MS),
        workers: 2,
        cores: 4,
        free: 4,
        wait: Some(Duration::ZERO),
        ..Standing::default()
    }
}

/// A full one whose next core is free after so many seconds.
fn full(name: &str, rtt: u64, wait: u64) -> Standing {
    let wait = Some(Duration::from_secs(wait));
    Standing { class: HealthClass::Busy, free: 0, wait, ..standing(name, rtt) }
}

struct Desk {
    routing: Routing,
    stats: Counters,
    now: u64,
}

impl Desk {
    fn new() -> Self {
        let routing = Routing::new(NodeId::new(1), HealthConfig::default());
        Self { routing, stats: Counters::default(), now: 1 }
    }

    fn ask(&mut self, standings: &[Standing], ask: Ask<'_>) -> Route {
        let (mut streams, mut out) = (Streams::new(1, 1, 1), Effects::new(Lsn::new(0)));
        let now = Instant::ZERO.after(Duration::from_secs(self.now));
        let mut cx = Cx::new(now, &mut streams, &mut out, &mut self.stats);
        self.routing.choose(&mut cx, standings.to_vec(), ask)
    }

    /// The choice for a plan without wishes, and why.
    fn choose(&mut self, standings: &[Standing]) -> (String, Why) {
        let placement = Placement::default();
        self.choose_for(standings, &placement)
    }

    fn choose_for(&mut self, standings: &[Standing], placement: &Placement) -> (String, Why) {
        let route = self.ask(standings, Ask { placement, tried: &[] });
        let Route::To(name, decision) = route else { panic!("{route:?}") };
        (name, decision.why)
    }
}

fn prefer(names: &[&str]) -> Placement {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    Placement { prefer: names.try_into().unwrap(), max_rtt: None }
}

fn within(millis: u64) -> Placement {
    Placement { max_rtt: Some(Duration::from_millis(millis)), ..Placement::default() }
}

/// S-051: A unhealthy, B busy, C healthy: C, however far; without C, B; without B, nowhere.
#[test]
fn health_goes_before_distance() {
    let mut desk = Desk::new();
    let unhealthy = Standing { class: HealthClass::Unhealthy, ..standing("a", 1) };
    let all = [unhealthy.clone(), full("b", 2, 5), standing("c", 900)];
    assert_eq!(desk.choose(&all), ("c".to_owned(), Why::Best));
    assert_eq!(desk.choose(&all[..2]), ("b".to_owned(), Why::Only));
    let placement = Placement::default();
    let route = desk.ask(&all[..1], Ask { placement: &placement, tried: &[] });
    assert_eq!(route, Route::Later("a: unhealthy, ".to_owned()));
}

/// S-048: scores that take turns do not move the choice; one that is much better does, in time.
#[test]
fn mixed_scores_do_not_make_the_choice_oscillate() {
    let mut desk = Desk::new();
    for turn in 0..60 {
        desk.now += 1;
        let (a, b) = if turn % 2 == 0 { (20, 22) } else { (24, 20) };
        assert_eq!(desk.choose(&[standing("a", a), standing("b", b)]).0, "a", "turn {turn}");
    }
    assert_eq!(desk.stats.count(Stat::RouteSwitched), 0);
    assert!(desk.stats.count(Stat::RouteKept) >= 30);
    let better = [standing("a", 20), standing("b", 16)];
    assert_eq!(desk.choose(&better), ("b".to_owned(), Why::Best), "four fifths, and long ago");
    desk.now += 29;
    assert_eq!(desk.choose(&[standing("a", 1), standing("b", 16)]).0, "b", "held");
    desk.now += 1;
    assert_eq!(desk.choose(&[standing("a", 1), standing("b", 16)]).0, "a");
    assert_eq!(desk.stats.count(Stat::RouteSwitched), 2);
}

/// S-048: what is excluded or less well is left at once.
#[test]
fn an_exclusion_or_a_worse_bucket_forces_the_switch() {
    let mut desk = Desk::new();
    assert_eq!(desk.choose(&[standing("a", 1), standing("b", 50)]).0, "a");
    assert_eq!(desk.choose(&[full("a", 1, 1), standing("b", 50)]), ("b".to_owned(), Why::Best));
    let open = Standing { circuit: Circuit::Open, ..standing("b", 50) };
    assert_eq!(desk.choose(&[standing("a", 1), open]), ("a".to_owned(), Why::Only));
    assert_eq!(desk.stats.count(Stat::RouteSwitched), 2);
}

/// S-049: the first is full: the wait, the distance and the age of the report decide.
#[test]
fn a_full_datacenter_is_left_if_that_helps() {
    let chosen = |all: &[Standing]| Desk::new().choose(all);
    let (stays, spills) = (("a".to_owned(), Why::Best), ("b".to_owned(), Why::Spilled));
    assert_eq!(chosen(&[full("a", 10, 200), full("b", 60, 90)]), spills);
    assert_eq!(chosen(&[full("a", 10, 60), full("b", 60, 1)]), stays, "the wait is short");
    assert_eq!(chosen(&[full("a", 10, 200), full("b", 60, 101)]), stays, "more than half");
    assert_eq!(chosen(&[full("a", 10, 200), full("b", 111, 1)]), stays, "too far");
    let stale = Standing { wait: None, ..full("b", 60, 0) };
    assert_eq!(chosen(&[full("a", 10, 200), stale]), stays, "nothing recent is known");
    assert_eq!(chosen(&[full("a", 10, 200), standing("b", 500)]).0, "b", "a free core goes first");
}

/// S-050: the preferred one is honoured while it is as well as others, and the plan's limit is.
#[test]
fn a_preference_is_honoured_inside_the_bucket_and_a_limit_excludes() {
    let mut desk = Desk::new();
    let all = [standing("a", 5), standing("b", 80), standing("c", 90)];
    assert_eq!(desk.choose_for(&all, &prefer(&["c", "b"])), ("c".to_owned(), Why::Preferred));
    let busy = [standing("a", 5), standing("b", 80), full("c", 90, 9)];
    assert_eq!(desk.choose_for(&busy, &prefer(&["c", "b"])), ("b".to_owned(), Why::Spilled));
    assert_eq!(desk.choose_for(&busy, &prefer(&["c"])), ("a".to_owned(), Why::Spilled));
    let mut placement = prefer(&["c", "b"]);
    placement.max_rtt = Some(Duration::from_millis(85));
    assert_eq!(desk.choose_for(&all, &placement).0, "b");
    assert_eq!(desk.choose(&all).0, "a", "a plan with wishes is not the rule for others");
}

/// S-192: what is too far is left; what was measured seldom or long ago excludes nobody.
#[test]
fn a_limit_moves_the_part_and_ignores_what_is_stale_or_sparse() {
    let mut desk = Desk::new();
    let (near, far) = (standing("a", 70), standing("b", 90));
    assert_eq!(desk.choose_for(&[far.clone(), near.clone()], &within(80)).0, "a");
    let slow = standing("a", 200);
    let ask = Ask { placement: &within(80), tried: &[] };
    let route = desk.ask(&[far.clone(), slow.clone()], ask);
    let why = "b: farther than max_rtt; a: farther than max_rtt";
    assert_eq!(route, Route::Later(why.to_owned()));
    let unsure = Standing { rtt_bound: None, ..slow };
    assert_eq!(desk.choose_for(&[far, unsure], &within(80)).0, "a");
}

/// S-032: the chain of fallbacks, and what was tried.
#[test]
fn the_chain_is_followed_and_ends() {
    let mut desk = Desk::new();
    let all = [full("d", 1, 9), standing("c", 30), standing("a", 10), standing("b", 20)];
    let placement = Placement::default();
    let Route::To(first, decision) = desk.ask(&all, Ask { placement: &placement, tried: &[] })
    else {
        panic!("nowhere");
    };
    let chain: Vec<_> = decision.candidates.iter().map(|c| c.name.as_str()).collect();
    assert_eq!((first.as_str(), chain), ("a", vec!["a", "b", "c", "d"]));
    let verdicts: Vec<_> = decision.candidates.iter().map(|c| c.verdict).collect();
    assert_eq!(verdicts, [Verdict::Chosen, Verdict::Next, Verdict::Next, Verdict::Fallback]);
    for (tried, next) in [(&["a"][..], "b"), (&["a", "b"], "c"), (&["a", "b", "c"], "d")] {
        let Route::To(name, _) = desk.ask(&all, Ask { placement: &placement, tried }) else {
            panic!("nowhere");
        };
        assert_eq!(name, next);
    }
    assert_eq!(desk.choose(&all).0, "a", "what one job tried is no rule for others");
    let tried = ["a", "b", "c", "d"];
    let route = desk.ask(&all, Ask { placement: &placement, tried: &tried });
    assert_eq!(route, Route::Nowhere);
}

/// One that did not take a part scores twice as high.
#[test]
fn a_datacenter_cools_down() {
    let mut desk = Desk::new();
    let cooling = Standing { is_cooling: true, ..standing("a", 15) };
    assert_eq!(desk.choose(&[cooling, standing("b", 29)]).0, "b");
}
