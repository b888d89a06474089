//! The pacer against a naive model of what it promises, for drawn interleavings over drawn numbers
//! of shards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use hyperscale_core::bounded::BoundedVec;
use hyperscale_core::ids::WorkflowIx;
use hyperscale_core::plan::{
    Executor, Issue, Pace, Pacer, PartShare, PlanTime, Rate, Share, Slice, When, Workflow, shares,
};
use proptest::prelude::*;

const MS: i64 = 1_000_000;
const NS: Duration = Duration::from_nanos(1);

fn slice(executor: Executor, share: Share, first: u64, late_max: Duration) -> Slice {
    let workflow = Workflow {
        name: String::new(),
        after: BoundedVec::new(),
        when: When::Ok,
        executor,
        graceful_stop: Duration::ZERO,
        flow: BoundedVec::new(),
        captures: 0,
        priority: Default::default(),
        retries: 3,
    };
    Slice {
        workflow_ix: WorkflowIx::new(0),
        workflow,
        share,
        first,
        base_url: String::new(),
        data: BoundedVec::new(),
        seed: 0,
        index_header: false,
        late_max,
    }
}

fn at_ms(ms: i64) -> PlanTime {
    PlanTime::from_nanos(ms * MS)
}

fn per_second(count: u64, secs: u64, max_vus: u32) -> Executor {
    let rate = Rate { count, unit: Duration::from_secs(1) };
    Executor::ConstantArrivalRate { rate, duration: Duration::from_secs(secs), max_vus }
}

/// A whole workflow as one shard, everything permitted.
fn alone(executor: Executor) -> Pacer {
    let share = shares(&executor, &PartShare::whole(&executor), 1)[0];
    let mut pacer = Pacer::new(&slice(executor, share, 0, Duration::from_millis(100)));
    pacer.permit(u64::MAX);
    pacer
}

/// One run and everything a pacer promised it.
struct Run {
    slice: Slice,
    pacer: Pacer,
    at: PlanTime,
    permitted: bool,
    ceiling: u64,
    open: VecDeque<u32>,
    issued: Vec<Issue>,
    /// Open loop: the arrivals that are neither issued nor dropped, found one by one.
    waiting: VecDeque<(u64, PlanTime)>,
    dropped: u64,
    done: bool,
    /// VU rounds: the next of each VU.
    rounds: Vec<u64>,
}

impl Run {
    fn new(slice: Slice) -> Self {
        let executor = slice.workflow.executor;
        let total = slice.items_total().unwrap_or(0);
        let waiting = executor.schedule().map_or_else(VecDeque::new, |schedule| {
            let due = |item| schedule.due(slice.share.stripe.global(item));
            (slice.first..total).map(|item| (item, due(item))).collect()
        });
        Self {
            pacer: Pacer::new(&slice),
            at: PlanTime::from_nanos(-MS),
            permitted: false,
            ceiling: 0,
            open: VecDeque::new(),
            issued: Vec::new(),
            waiting,
            dropped: 0,
            done: false,
            rounds: vec![slice.first; slice.share.vus as usize],
            slice,
        }
    }

    fn vus(&self) -> usize {
        self.slice.share.vus as usize
    }

    /// Asks once and checks the answer; whether something was issued.
    fn ask(&mut self) -> bool {
        let pace = self.pacer.next(self.at, self.permitted);
        let executor = self.slice.workflow.executor;
        if executor.schedule().is_some() {
            let expected = self.expect_arrival();
            let found = match pace {
                Pace::Issue(issue) => Pace::Issue(Issue { slot: 0, vu: 0, ..issue }),
                other => other,
            };
            assert_eq!(found, expected);
        } else {
            self.check_closed(pace);
        }
        if let Pace::Issue(issue) = pace {
            self.on_issue(issue);
        }
        self.done |= pace == Pace::Done;
        self.check_progress(pace);
        matches!(pace, Pace::Issue(_))
    }

    /// The answer by the rules, with slot and VU zero.
    fn expect_arrival(&mut self) -> Pace {
        let late_max = self.slice.late_max;
        if self.done {
            return Pace::Done;
        }
        if self.at < PlanTime::ZERO {
            return Pace::WaitUntil(PlanTime::ZERO);
        }
        while self.waiting.front().is_some_and(|(_, due)| self.at > due.after(late_max)) {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        let Some(&(item, due)) = self.waiting.front() else { return Pace::Done };
        let late_at = Some(due.after(late_max).after(NS));
        if !self.permitted {
            Pace::Parked
        } else if self.open.len() == self.vus() {
            Pace::Busy(late_at)
        } else if due > self.at {
            Pace::WaitUntil(due)
        } else if item >= self.ceiling {
            Pace::Starved(late_at)
        } else {
            self.waiting.pop_front();
            let index = self.slice.share.stripe.global(item);
            Pace::Issue(Issue { slot: 0, vu: 0, item, index, due })
        }
    }

    fn check_closed(&self, pace: Pace) {
        let ends = self.pacer.issuing_ends();
        let total = self.slice.items_total().unwrap_or(u64::MAX);
        let free = |vu: &usize| !self.open.contains(&(*vu as u32));
        let next_shared = self.slice.first + self.issued.len() as u64;
        let (wanting, may, left) = match self.slice.workflow.executor {
            Executor::SharedIterations { .. } => {
                let left = next_shared < total;
                let wanting = left && self.open.len() < self.vus();
                (wanting, wanting && next_shared < self.ceiling, left)
            }
            _ => {
                let wants = |vu: &usize| free(vu) && self.rounds[*vu] < total;
                let may = |vu: &usize| wants(vu) && self.rounds[*vu] < self.ceiling;
                let all = 0..self.vus();
                let left = self.rounds.iter().any(|round| *round < total);
                (all.clone().any(|vu| wants(&vu)), all.clone().any(|vu| may(&vu)), left)
            }
        };
        match pace {
            Pace::Done if self.done => {}
            _ if self.done => panic!("{pace:?} after done"),
            Pace::WaitUntil(until) => assert!(self.at < until && until == PlanTime::ZERO),
            Pace::Done => assert!(self.at >= ends || !left),
            _ if self.at < PlanTime::ZERO || self.at >= ends || !left => panic!("{pace:?}"),
            Pace::Parked => assert!(!self.permitted),
            _ if !self.permitted => panic!("{pace:?} without a permit"),
            Pace::Issue(issue) => assert!(may && issue.due == self.at),
            Pace::Starved(until) => assert!(wanting && !may && until == Some(ends)),
            Pace::Busy(until) => assert!(!wanting && until == Some(ends)),
        }
    }

    fn on_issue(&mut self, issue: Issue) {
        let share = self.slice.share;
        assert!(self.permitted && issue.item < self.ceiling && issue.item >= self.slice.first);
        assert!(issue.due <= self.at);
        assert!(issue.slot < share.vus && !self.open.contains(&issue.slot));
        assert_eq!(issue.vu, u64::from(share.vu_first) + u64::from(issue.slot));
        match self.slice.workflow.executor {
            Executor::ConstantVus { vus, .. } | Executor::PerVuIterations { vus, .. } => {
                let round = &mut self.rounds[issue.slot as usize];
                assert_eq!(issue.item, *round);
                assert_eq!(issue.index, issue.item * u64::from(vus) + issue.vu);
                *round += 1;
            }
            _ => assert_eq!(issue.index, share.stripe.global(issue.item)),
        }
        self.open.push_back(issue.slot);
        self.issued.push(issue);
    }

    fn check_progress(&self, pace: Pace) {
        let progress = self.pacer.progress();
        let started = self.issued.len() as u64;
        assert_eq!(progress.started, started);
        assert_eq!(progress.ended, started - self.open.len() as u64);
        assert_eq!(progress.dropped, self.dropped);
        assert_eq!(progress.starved, matches!(pace, Pace::Starved(_)));
        let next = match self.slice.workflow.executor {
            Executor::ConstantVus { .. } | Executor::PerVuIterations { .. } => {
                self.rounds.iter().copied().min().unwrap()
            }
            _ => self.slice.first + started + self.dropped,
        };
        assert_eq!(progress.next, next);
    }

    fn end(&mut self, nth: usize) {
        if !self.open.is_empty() {
            let slot = self.open.remove(nth % self.open.len()).unwrap();
            self.pacer.on_ended(slot);
            // The second time says nothing.
            self.pacer.on_ended(slot);
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Ask(times) => (0..times).for_each(|_| _ = self.ask()),
            Act::Drain => while self.ask() {},
            Act::Pass(span) => self.at = self.at.after(span),
            Act::Back(span) => self.at = self.at.before(span),
            Act::End(nth) => self.end(nth),
            Act::EndAll => (0..self.open.len()).for_each(|_| self.end(0)),
            Act::Permitted(permitted) => self.permitted = permitted,
            Act::Raise(by) => self.act(Act::Ceiling(self.ceiling.saturating_add(by))),
            Act::Ceiling(ceiling) => {
                self.pacer.permit(ceiling);
                self.ceiling = self.ceiling.max(ceiling);
            }
        }
    }

    /// Past every end, without a permit: nothing more is issued.
    fn finish(&mut self) {
        self.at = self.pacer.issuing_ends().after(self.slice.late_max).after(NS);
        assert!(!self.ask());
        self.permitted = true;
        self.act(Act::EndAll);
        self.act(Act::Ceiling(u64::MAX));
        assert_eq!(self.pacer.next(self.at, true), Pace::Done);
        assert_eq!(self.pacer.next(PlanTime::ZERO, true), Pace::Done);
        if self.slice.workflow.executor.schedule().is_some() {
            let total = self.slice.items_total().unwrap();
            let progress = self.pacer.progress();
            assert_eq!(progress.started + progress.dropped, total.saturating_sub(self.slice.first));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Ask(u8),
    Drain,
    Pass(Duration),
    Back(Duration),
    End(usize),
    EndAll,
    Permitted(bool),
    Ceiling(u64),
    Raise(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1u8..4).prop_map(Act::Ask),
        4 => Just(Act::Drain),
        5 => (0u64..40_000_000).prop_map(|ns| Act::Pass(Duration::from_nanos(ns))),
        1 => (0u64..400_000_000).prop_map(|ns| Act::Pass(Duration::from_nanos(ns))),
        1 => (0u64..5_000_000).prop_map(|ns| Act::Back(Duration::from_nanos(ns))),
        4 => (0usize..8).prop_map(Act::End),
        2 => Just(Act::EndAll),
        3 => prop::bool::weighted(0.8).prop_map(Act::Permitted),
        2 => (0u64..60).prop_map(Act::Ceiling),
        4 => (1u64..4).prop_map(Act::Raise),
        1 => Just(Act::Ceiling(u64::MAX)),
    ]
}

fn executor() -> impl Strategy<Value = Executor> {
    let ms = |ms: u64| Duration::from_millis(ms);
    let vus = 1u32..9;
    prop_oneof![
        3 => (1u64..40, 1u64..300_000_000, 1u64..1_000, vus.clone()).prop_map(
            move |(count, unit, duration, max_vus)| {
                // At most about 2000 arrivals.
                let unit = Duration::from_nanos(unit.max(count * 500_000));
                let (rate, duration) = (Rate { count, unit }, ms(duration));
                Executor::ConstantArrivalRate { rate, duration, max_vus }
            }
        ),
        1 => (vus.clone(), 1u64..1_000)
            .prop_map(move |(vus, span)| Executor::ConstantVus { vus, duration: ms(span) }),
        1 => (vus.clone(), 1u64..30, 1u64..1_000).prop_map(move |(vus, iterations, span)| {
            Executor::PerVuIterations { vus, iterations, max_duration: ms(span) }
        }),
        1 => (vus, 1u64..120, 1u64..1_000).prop_map(move |(vus, iterations, span)| {
            Executor::SharedIterations { vus, iterations, max_duration: ms(span) }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_interleaving_keeps_the_promises(
        executor in executor(),
        shards in 1u16..6,
        first in prop_oneof![3 => Just(0u64), 1 => 0u64..50],
        late_max in 0u64..120,
        acts in prop::collection::vec((0usize..6, act()), 0..150),
    ) {
        let late_max = Duration::from_millis(late_max);
        let split = shares(&executor, &PartShare::whole(&executor), shards);
        let runs = split.into_iter().map(|share| Run::new(slice(executor, share, first, late_max)));
        let mut runs: Vec<Run> = runs.collect();
        for (shard, act) in acts {
            let shard = shard % runs.len();
            runs[shard].act(act);
        }
        runs.iter_mut().for_each(Run::finish);
        let indexes: Vec<u64> = runs.iter().flat_map(|run| &run.issued).map(|i| i.index).collect();
        let distinct: BTreeSet<u64> = indexes.iter().copied().collect();
        prop_assert_eq!(distinct.len(), indexes.len());
    }

    #[test]
    fn shards_that_are_never_late_issue_the_whole_plan(executor in executor(), shards in 1u16..6) {
        let mut indexes = BTreeMap::new();
        for share in shares(&executor, &PartShare::whole(&executor), shards) {
            let mut run = Run::new(slice(executor, share, 0, Duration::ZERO));
            run.act(Act::Permitted(true));
            run.act(Act::Ceiling(u64::MAX));
            run.at = PlanTime::ZERO;
            // A VU without a schedule and an end iterates as often as it is asked.
            let rounds = match executor {
                Executor::ConstantVus { .. } => 20 * share.vus as usize,
                _ => usize::MAX,
            };
            for _ in 0..rounds {
                run.act(Act::EndAll);
                if run.ask() {
                    continue;
                }
                match run.pacer.next(run.at, true) {
                    Pace::WaitUntil(due) => run.at = due,
                    Pace::Done => break,
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(run.pacer.progress().dropped, 0);
            for issue in &run.issued {
                *indexes.entry(issue.index).or_insert(0) += 1;
            }
        }
        prop_assert!(indexes.values().all(|times| *times == 1));
        let planned = executor.planned_items().unwrap_or(indexes.len() as u64);
        prop_assert_eq!(indexes.len() as u64, planned);
        prop_assert_eq!(indexes.last_key_value().map(|last| *last.0 + 1), Some(planned));
    }
}

#[test]
fn sixty_thousand_arrivals_over_seven_shards_are_all_issued() {
    let executor = per_second(2_000, 30, 70);
    let mut seen = vec![0u8; 60_000];
    for share in shares(&executor, &PartShare::whole(&executor), 7) {
        let mut pacer = Pacer::new(&slice(executor, share, 0, Duration::from_millis(100)));
        pacer.permit(u64::MAX);
        let mut at = PlanTime::ZERO;
        loop {
            match pacer.next(at, true) {
                Pace::Issue(issue) => {
                    assert_eq!(issue.due, at);
                    seen[usize::try_from(issue.index).unwrap()] += 1;
                    pacer.on_ended(issue.slot);
                }
                Pace::WaitUntil(due) => at = due,
                Pace::Done => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(pacer.progress().dropped, 0);
    }
    assert!(seen.iter().all(|times| *times == 1));
}

#[test]
fn a_minute_of_parking_is_skipped_not_caught_up() {
    let mut pacer = alone(per_second(10_000, 120, 5_000));
    assert_eq!(pacer.next(at_ms(60_000), false), Pace::Parked);
    // Due strictly before 59.9 s.
    assert_eq!(pacer.progress().dropped, 599_000);
    assert_eq!(pacer.progress().next, 599_000);
    let mut issued = 0;
    while let Pace::Issue(issue) = pacer.next(at_ms(60_000), true) {
        assert!(issue.due >= at_ms(59_900));
        issued += 1;
    }
    // Due from 59.9 s to 60 s, both included.
    assert_eq!(issued, 1_001);
}

#[test]
fn an_arrival_due_before_the_end_may_start_late_and_then_never() {
    // Due at 0, 250, 500 and 750 ms.
    let executor = per_second(4, 1, 1);
    let mut pacer = alone(executor);
    for ms in [0, 250, 500] {
        let Pace::Issue(issue) = pacer.next(at_ms(ms), true) else { panic!() };
        pacer.on_ended(issue.slot);
    }
    let mut too_late = pacer.clone();
    assert!(matches!(pacer.next(at_ms(850), true), Pace::Issue(_)));
    assert_eq!(pacer.next(at_ms(850), true), Pace::Done);
    assert_eq!(too_late.next(at_ms(850).after(NS), true), Pace::Done);
    assert_eq!((too_late.progress().started, too_late.progress().dropped), (3, 1));
    assert_eq!(pacer.issuing_ends(), at_ms(1_000));
}

#[test]
fn a_full_house_is_asked_again_when_something_is_late() {
    let mut pacer = alone(per_second(10, 1, 1));
    let Pace::Issue(first) = pacer.next(at_ms(0), true) else { panic!() };
    let late_at = at_ms(200).after(NS);
    assert_eq!(pacer.next(at_ms(0), true), Pace::Busy(Some(late_at)));
    assert_eq!(pacer.next(at_ms(200), true), Pace::Busy(Some(late_at)));
    assert_eq!(pacer.progress().dropped, 0);
    assert_eq!(pacer.next(late_at, true), Pace::Busy(Some(at_ms(300).after(NS))));
    assert_eq!(pacer.progress().dropped, 1);
    pacer.on_ended(first.slot);
    assert!(matches!(pacer.next(late_at, true), Pace::Issue(issue) if issue.item == 2));
}

#[test]
fn fifty_thousand_vus_make_each_of_their_rounds_once() {
    let executor = Executor::PerVuIterations {
        vus: 50_000,
        iterations: 2,
        max_duration: Duration::from_secs(60),
    };
    let mut rounds = 0;
    for share in shares(&executor, &PartShare::whole(&executor), 50) {
        let mut pacer = Pacer::new(&slice(executor, share, 0, Duration::from_millis(100)));
        pacer.permit(u64::MAX);
        let (mut seen, mut open) = (BTreeSet::new(), VecDeque::new());
        loop {
            match pacer.next(at_ms(1), true) {
                Pace::Issue(issue) => {
                    assert!(seen.insert((issue.vu, issue.item)));
                    open.push_back(issue.slot);
                }
                Pace::Done => break,
                _ => {
                    let slot = open.pop_front().expect("somebody is busy");
                    pacer.on_ended(slot);
                }
            }
        }
        assert_eq!(seen.len(), 2 * share.vus as usize);
        rounds += seen.len();
    }
    assert_eq!(rounds, 100_000);
}

#[test]
fn the_warmest_vu_takes_the_next_arrival_and_closed_loops_take_turns() {
    let mut pacer = alone(per_second(1_000, 1, 8));
    for ms in 0..50 {
        let Pace::Issue(issue) = pacer.next(at_ms(ms), true) else { panic!() };
        assert_eq!(issue.slot, 0);
        pacer.on_ended(issue.slot);
    }
    let mut pacer = alone(Executor::ConstantVus { vus: 3, duration: Duration::from_secs(1) });
    let mut slots = Vec::new();
    for _ in 0..7 {
        let Pace::Issue(issue) = pacer.next(at_ms(1), true) else { panic!() };
        slots.push((issue.slot, issue.item));
        pacer.on_ended(issue.slot);
    }
    assert_eq!(slots, [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2)]);
}

#[test]
fn a_starved_round_goes_on_when_the_ceiling_rises() {
    let executor = Executor::ConstantVus { vus: 2, duration: Duration::from_secs(1) };
    let share = shares(&executor, &PartShare::whole(&executor), 1)[0];
    let mut pacer = Pacer::new(&slice(executor, share, 5, Duration::ZERO));
    pacer.permit(5);
    assert_eq!(pacer.next(at_ms(0), true), Pace::Starved(Some(at_ms(1_000))));
    assert!(pacer.progress().starved);
    pacer.permit(6);
    pacer.permit(3);
    let indexes: Vec<_> = std::iter::from_fn(|| match pacer.next(at_ms(0), true) {
        Pace::Issue(issue) => Some((issue.item, issue.index)),
        _ => None,
    })
    .collect();
    assert_eq!(indexes, [(5, 10), (5, 11)]);
    assert_eq!(pacer.next(at_ms(0), true), Pace::Busy(Some(at_ms(1_000))));
    pacer.on_ended(1);
    assert_eq!(pacer.next(at_ms(0), true), Pace::Starved(Some(at_ms(1_000))));
    assert_eq!(pacer.next(at_ms(1_000), true), Pace::Done);
}
