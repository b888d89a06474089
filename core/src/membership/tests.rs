use super::*;
use crate::effect::{Effect, Effects};
use crate::ids::Lsn;
use crate::rng::Streams;
use crate::stat::Counters;
use crate::wire;

const MS: u64 = 1_000_000;
const OTHER: NodeId = NodeId::new(2);

/// One member, driven by hand.
struct Bench {
    membership: Membership,
    streams: Streams,
    out: Effects,
    stats: Counters,
    now: u64,
}

impl Bench {
    fn new(seeds: &[u64]) -> Self {
        let seeds = seeds.iter().copied().map(NodeId::new).collect();
        let me = (NodeId::new(1), MemberRole::Manager, BootId::new(11));
        let config = MembershipConfig::default();
        let membership = Membership::new(config, me, (seeds, MemberRole::Manager));
        Self {
            membership: membership.with_beats(Duration::from_millis(500)),
            streams: Streams::new(1, 1, 11),
            out: Effects::new(Lsn::new(0)),
            stats: Counters::default(),
            now: 0,
        }
    }

    fn give(&mut self, input: Input) -> (Vec<Event>, Vec<(NodeId, Message)>) {
        let now = Instant::from_nanos(self.now * MS);
        let mut cx = Cx::new(now, &mut self.streams, &mut self.out, &mut self.stats);
        let events = self.membership.handle(&mut cx, input).into_iter().collect();
        self.membership.check().unwrap();
        let sent = self.out.drain().filter_map(|effect| {
            let Effect::Send { to, msg, .. } = effect else { return None };
            let wire::Message::Swim(msg) = *msg else { return None };
            Some((to, msg))
        });
        (events, sent.collect())
    }

    /// Lets time pass; nobody answers.
    fn pass(&mut self, ms: u64) -> (Vec<Event>, Vec<(NodeId, Message)>) {
        let (end, mut events, mut sent) = (self.now + ms, Vec::new(), Vec::new());
        while let Some(at) = self.membership.next_wake().map(|wake| wake.at.as_nanos().div_ceil(MS))
        {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            let (e, s) = self.give(Input::Wake);
            events.extend(e);
            sent.extend(s);
        }
        self.now = end;
        (events, sent)
    }

    fn hear(&mut self, sender: Update, kind: Kind, said: &[Update]) -> Vec<(NodeId, Message)> {
        let updates = BoundedVec::try_from(said.to_vec()).unwrap();
        let msg = Message { sender, kind, updates };
        self.give(Input::Received { from: sender.node, msg }).1
    }

    /// Lets time pass in which these members answer every ping, each in its time.
    fn live(
        &mut self,
        ms: u64,
        answering: &[Update],
        mut takes: impl FnMut() -> u64,
    ) -> Vec<Event> {
        let (end, mut events, mut under_way) = (self.now + ms, Vec::new(), Vec::new());
        while self.now < end {
            let (e, sent) = self.pass(1);
            events.extend(e);
            for (to, msg) in sent {
                let Kind::Ping { seq } = msg.kind else { continue };
                if let Some(sender) = answering.iter().find(|update| update.node == to) {
                    under_way.push((self.now + takes(), *sender, seq));
                }
            }
            let now = self.now;
            for (_, sender, seq) in under_way.extract_if(.., |(at, ..)| *at <= now) {
                let (kind, updates) = (Kind::Ack { seq }, BoundedVec::new());
                let msg = Message { sender, kind, updates };
                events.extend(self.give(Input::Received { from: sender.node, msg }).0);
            }
        }
        events
    }

    fn standing(&self) -> Option<Standing> {
        self.membership.standing(OTHER)
    }
}

fn claim(node: u64, boot: u64, incarnation: u64, standing: Standing) -> Update {
    let (node, boot) = (NodeId::new(node), BootId::new(boot));
    Update { node, role: MemberRole::Manager, boot, incarnation, standing, by: node }
}

fn alive(node: u64) -> Update {
    claim(node, node * 10, 0, Standing::Alive)
}

fn said(updates: &[(NodeId, Message)]) -> impl Iterator<Item = &Update> {
    updates.iter().flat_map(|(_, msg)| msg.updates.iter())
}

#[test]
fn a_seed_that_never_answers_is_asked_for_and_never_suspected() {
    let mut bench = Bench::new(&[2]);
    bench.give(Input::Wake);
    assert_eq!(bench.standing(), Some(Standing::Unconfirmed));
    let (events, sent) = bench.pass(80_000);
    assert!(events.is_empty() && sent.len() > 60, "{events:?}");
    bench.hear(alive(3), Kind::News, &[claim(2, 20, 0, Standing::Dead)]);
    assert_eq!(bench.standing(), Some(Standing::Unconfirmed));
    // Another life was heard of, which has to be asked for anew.
    let (events, _) = bench.pass(110_000);
    assert!(events.contains(&Event::Removed(OTHER)), "{events:?}");
    assert!(!events.contains(&Event::Died(OTHER)));
    // A seed is still asked for.
    assert_eq!(bench.standing(), Some(Standing::Unconfirmed));
}

#[test]
fn a_member_that_falls_silent_is_suspected_and_dies_and_its_next_life_beats_the_old() {
    let mut bench = Bench::new(&[2]);
    bench.hear(alive(2), Kind::News, &[]);
    assert_eq!(bench.standing(), Some(Standing::Alive));
    let (events, sent) = bench.pass(4_000);
    assert_eq!(events, [Event::Suspected(OTHER), Event::Died(OTHER)]);
    assert!(said(&sent).any(
        |update| *update == Update { by: NodeId::new(1), ..claim(2, 20, 0, Standing::Suspect) }
    ));

    // The new life is told what is said of the old one, and raises its incarnation.
    let reply = bench.hear(claim(2, 21, 0, Standing::Alive), Kind::Ping { seq: 1 }, &[]);
    assert!(said(&reply).any(|update| update.boot == BootId::new(20)));
    bench.hear(claim(2, 21, 1, Standing::Alive), Kind::News, &[]);
    assert_eq!(bench.standing(), Some(Standing::Alive));
    // What was said of the old life changes nothing any more.
    bench.hear(alive(3), Kind::News, &[claim(2, 20, 0, Standing::Dead)]);
    assert_eq!(bench.standing(), Some(Standing::Alive));
}

#[test]
fn the_dead_are_forgotten_each_in_its_time_and_one_that_returns_is_kept() {
    let mut bench = Bench::new(&[]);
    for node in [2, 3, 4] {
        bench.hear(alive(node), Kind::News, &[]);
    }
    let counts = |events: &[Event], wanted: fn(NodeId) -> Event| {
        let count = |n| events.iter().filter(|e| **e == wanted(NodeId::new(n))).count();
        [2, 3, 4].map(count)
    };
    let events = bench.live(30_000, &[], || 0);
    assert_eq!((counts(&events, Event::Died), counts(&events, Event::Removed)), ([1; 3], [0; 3]));
    assert_eq!(bench.membership.members().count(), 3, "they are remembered");
    // One comes back as another life before its time is over.
    let back = claim(3, 31, 1, Standing::Alive);
    bench.hear(back, Kind::News, &[]);
    let events = bench.live(120_000, &[back], || 5);
    assert_eq!(
        (counts(&events, Event::Died), counts(&events, Event::Removed)),
        ([0; 3], [1, 0, 1])
    );
    let left: Vec<NodeId> = bench.membership.members().map(|member| member.node).collect();
    assert_eq!(left, [NodeId::new(3)]);
    // Who was forgotten is new.
    bench.hear(claim(2, 21, 0, Standing::Alive), Kind::News, &[]);
    assert_eq!(bench.standing(), Some(Standing::Alive));
}

#[test]
fn answers_that_take_up_to_half_a_second_raise_no_suspicion() {
    let mut bench = Bench::new(&[]);
    for node in [2, 3, 4] {
        bench.hear(alive(node), Kind::News, &[]);
    }
    let mut times = [100, 480, 250, 500, 330].into_iter().cycle();
    let events = bench.live(120_000, &[2, 3, 4].map(alive), || times.next().unwrap());
    assert_eq!(events, []);
    let count = |stat| bench.stats.count(stat);
    assert!(count(Stat::SwimAnswered) > 100, "{}", count(Stat::SwimAnswered));
    assert_eq!(count(Stat::SwimSuspected), 0);
}

#[test]
fn what_is_said_of_this_node_is_refuted_by_a_higher_incarnation() {
    let mut bench = Bench::new(&[2]);
    for incarnation in [0, 5] {
        let accused = claim(1, 11, incarnation, Standing::Suspect);
        let reply = bench.hear(alive(2), Kind::News, &[accused]);
        let mine = reply.iter().map(|(_, msg)| msg.sender.incarnation).max();
        assert_eq!(mine, Some(incarnation + 1));
        assert!(said(&reply).any(|update| update.incarnation == incarnation + 1));
    }
    // An earlier life of this node is beaten, too; an old accusation is no news.
    bench.hear(alive(2), Kind::News, &[claim(1, 10, 9, Standing::Alive)]);
    assert_eq!(bench.membership.me().incarnation, 10);
    bench.hear(alive(2), Kind::News, &[claim(1, 11, 3, Standing::Dead)]);
    assert_eq!(bench.membership.me().incarnation, 10);
    assert_eq!(bench.membership.score(), 2);
}

#[test]
fn a_probe_goes_through_proxies_and_their_nacks_confirm_the_suspicion() {
    let mut bench = Bench::new(&[]);
    for node in [2, 3, 4, 5] {
        bench.hear(alive(node), Kind::News, &[]);
    }
    let (target, seq, asked) = loop {
        let (_, sent) = bench.pass(100);
        let asks = sent.iter().filter_map(|(to, msg)| {
            let Kind::Ask { seq, target } = msg.kind else { return None };
            Some((*to, seq, target))
        });
        let asks: Vec<_> = asks.collect();
        if let Some((_, seq, target)) = asks.first().copied() {
            break (target, seq, asks.into_iter().map(|ask| ask.0).collect::<Vec<_>>());
        }
    };
    assert_eq!(asked.len(), 3);
    for proxy in &asked {
        bench.hear(alive(proxy.get()), Kind::Nack { seq, target }, &[]);
    }
    assert_eq!(bench.membership.standing(target), Some(Standing::Suspect));
    let at = Instant::from_nanos(bench.now * MS).after(Duration::from_millis(750));
    assert_eq!(bench.membership.suspicions().next().map(|held| held.deadline), Some(at));
    assert_eq!(bench.membership.score(), 0);
}

#[test]
fn a_worker_whose_heartbeats_stop_is_dead_within_three_seconds() {
    let mut bench = Bench::new(&[]);
    let life = Some((MemberRole::Worker, BootId::new(20)));
    for _ in 0..20 {
        bench.give(Input::Heard { node: OTHER, life });
        bench.pass(500);
        assert_eq!(bench.standing(), Some(Standing::Alive));
    }
    bench.pass(2_500);
    assert_eq!(bench.standing(), Some(Standing::Dead));
    // It may be there after all, and is told; a missed probe has doubled this node's period.
    let (_, sent) = bench.pass(2_100);
    assert!(
        sent.iter().all(|(to, _)| *to == OTHER)
            && said(&sent).any(|update| update.standing == Standing::Dead),
        "{sent:?}"
    );
}

#[test]
fn a_proxy_says_whether_its_target_answered() {
    let mut bench = Bench::new(&[]);
    bench.hear(alive(2), Kind::News, &[]);
    let target = NodeId::new(3);
    let sent = bench.hear(alive(2), Kind::Ask { seq: 77, target }, &[]);
    let Some((_, Message { kind: Kind::Ping { seq }, .. })) = sent.last() else { panic!() };
    let sent = bench.hear(alive(3), Kind::Ack { seq: *seq }, &[]);
    let relayed = Kind::Relayed { seq: 77, target };
    assert!(sent.iter().any(|(to, msg)| *to == OTHER && msg.kind == relayed));

    bench.hear(alive(2), Kind::Ask { seq: 78, target: NodeId::new(9) }, &[]);
    let (_, sent) = bench.pass(400);
    let nack = Kind::Nack { seq: 78, target: NodeId::new(9) };
    assert!(sent.iter().any(|(to, msg)| *to == OTHER && msg.kind == nack));
}

#[test]
fn who_leaves_says_so_and_is_not_probed() {
    let mut bench = Bench::new(&[]);
    bench.hear(alive(2), Kind::News, &[]);
    bench.hear(claim(2, 20, 0, Standing::Left), Kind::News, &[]);
    assert_eq!(bench.standing(), Some(Standing::Left));
    let (events, sent) = bench.pass(20_000);
    assert!(events.is_empty() && sent.is_empty(), "{events:?} {sent:?}");
    bench.hear(alive(3), Kind::News, &[]);
    let (_, sent) = bench.give(Input::Leave);
    assert!(sent.iter().all(|(_, msg)| msg.sender.standing == Standing::Left) && sent.len() == 1);
}

#[test]
fn nobody_is_doubted_while_most_look_dead() {
    let mut bench = Bench::new(&[]);
    for node in 2..=6 {
        bench.hear(alive(node), Kind::News, &[]);
    }
    for (node, doubted) in [(2, true), (3, true), (4, false)] {
        bench.hear(alive(6), Kind::News, &[claim(node, node * 10, 0, Standing::Dead)]);
        assert_eq!(bench.membership.doubts(NodeId::new(node)), doubted);
    }
    assert!(!bench.membership.doubts(OTHER));
    assert_eq!(bench.stats.count(Stat::SwimHeld), 1);
}

#[test]
fn strangers_and_forgeries_change_nothing() {
    let mut bench = Bench::new(&[]);
    let gate = Update { role: MemberRole::Gate, ..alive(2) };
    bench.hear(gate, Kind::News, &[]);
    bench.hear(claim(2, 20, u64::MAX, Standing::Alive), Kind::News, &[]);
    let msg = Message { sender: alive(3), kind: Kind::News, updates: BoundedVec::new() };
    bench.give(Input::Received { from: OTHER, msg });
    assert_eq!(bench.membership.members().count(), 0);
    assert_eq!(bench.stats.count(Stat::MessageForeign), 3);
}
