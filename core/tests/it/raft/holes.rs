//! The holes of a lease-bearing leader that are easy to leave open, each closed. (The fifth, a
//! leader confirms against its appended log, is the role's.)

use std::time::Duration;

use hyperscale_core::consensus::{Body, Input, Member, Position};
use hyperscale_core::ids::{DiskId, LogIndex, NodeId, Term};
use hyperscale_core::stat::Stat;

use super::cluster::{CALM, Cluster, MS, Weather};
use super::host::{Clock, Envelope};

/// Three members, one of which leads; what is said is kept.
fn led(seed: u64) -> (Cluster, u64, [u64; 2]) {
    let mut cluster = Cluster::new(seed, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.is_taped = true;
    cluster.run(200 * MS);
    assert!(cluster.leads_at(leader));
    let others = cluster.others(leader);
    (cluster, leader, others)
}

fn taped(cluster: &Cluster, to: u64, wanted: impl Fn(&Envelope) -> bool) -> Vec<Envelope> {
    let found = cluster.tape.iter().filter(|(at, msg)| *at == to && wanted(msg));
    found.map(|(_, msg)| msg.clone()).collect()
}

fn is_answer(msg: &Envelope) -> bool {
    matches!(msg.body, Body::Appended { .. })
}

#[test]
fn hole_1_an_answer_counts_for_the_round_and_the_life_that_it_answers() {
    let (mut cluster, leader, others) = led(11);
    let answers = taped(&cluster, leader, is_answer);
    assert!(answers.len() >= 4);
    cluster.part(&[leader], &others);
    cluster.run(450 * MS);
    assert!(!cluster.leads_at(leader), "silence ends the lease");
    for answer in &answers {
        cluster.inject(leader, answer.clone());
    }
    assert!(!cluster.leads_at(leader), "late answers count from the send of their rounds");
    let invented = answers.iter().map(|answer| Envelope {
        body: Body::Appended { round: 1_000_000, matched: LogIndex::new(1) },
        ..answer.clone()
    });
    for answer in invented.collect::<Vec<_>>() {
        cluster.inject(leader, answer);
    }
    assert!(!cluster.leads_at(leader), "a round that was not begun is none");

    cluster.heal();
    cluster.crash(leader, 0);
    cluster.boot(leader);
    cluster.crash(others[0], 0);
    cluster.run(3_000 * MS);
    let (second, third) = (cluster.elect(), others[1]);
    let rest = if second == leader { third } else { leader };
    cluster.part(&[second], &[rest]);
    cluster.run(500 * MS);
    assert!(!cluster.leads_at(second));
    for answer in answers {
        let to = cluster.hosts[&second].disk_id;
        let from = cluster.envelope(rest, second, 0, Body::TransferNow).from;
        cluster.inject(second, Envelope { from, to, ..answer });
    }
    assert!(!cluster.leads_at(second), "answers to an earlier term count for nothing");
}

#[test]
fn hole_1_a_refusal_of_an_earlier_term_names_no_round_of_this_one() {
    let (mut cluster, leader, others) = led(14);
    let term = cluster.group(leader).term().get();
    let last = Position { term: Term::new(0), index: LogIndex::new(0) };
    cluster.part(&[leader], &others);
    cluster.run(100 * MS);
    cluster.tape.clear();
    for round in 1..=100 {
        let entries = vec![].try_into().unwrap();
        let body = Body::Append { round, prev: last, commit: last.index, entries };
        let msg = cluster.envelope(leader, others[0], term - 1, body);
        cluster.inject(others[0], msg);
    }
    let refusals = taped(&cluster, leader, |msg| matches!(msg.body, Body::Rejected { .. }));
    assert_eq!(refusals.len(), 100);
    assert!(refusals.iter().all(|msg| msg.term.get() == term));
    cluster.run(350 * MS);
    assert!(cluster.group(leader).leads() && !cluster.leads_at(leader));
    for refusal in refusals {
        cluster.inject(leader, refusal);
    }
    assert!(!cluster.leads_at(leader), "they were sent before the rounds of those numbers");
}

#[test]
fn hole_2_a_restarted_voter_keeps_quiet_for_an_election_timeout() {
    let (mut cluster, leader, [voter, other]) = led(12);
    cluster.part(&[leader, other], &[voter]);
    cluster.crash(voter, 0);
    cluster.boot(voter);
    let last = Position { term: Term::new(90), index: LogIndex::new(90) };
    let ask = |cluster: &mut Cluster, body| {
        let msg = cluster.envelope(other, voter, 91, body);
        cluster.tape.clear();
        cluster.inject(voter, msg);
        cluster.run(2 * MS);
    };
    let granted = |cluster: &Cluster| {
        let is_yes = |msg: &Envelope| {
            matches!(msg.body, Body::Voted { granted: true } | Body::PreVoted { granted: true, .. })
        };
        !taped(cluster, other, is_yes).is_empty()
    };
    for _ in 0..8 {
        ask(&mut cluster, Body::PreVote { wish: Term::new(91), last });
        assert!(!granted(&cluster), "a promise of the life before may bind");
        ask(&mut cluster, Body::Vote { last, handed: None });
        assert!(!granted(&cluster), "a promise of the life before may bind");
        assert_eq!(cluster.group(voter).term(), Term::new(1), "nor does it move its term");
        cluster.run(100 * MS);
    }
    cluster.run(80 * MS);
    ask(&mut cluster, Body::PreVote { wish: Term::new(91), last });
    assert!(granted(&cluster));
    ask(&mut cluster, Body::Vote { last, handed: None });
    assert!(granted(&cluster));
}

#[test]
fn hole_3_the_lease_ends_before_the_successor_is_told() {
    let (mut cluster, leader, others) = led(13);
    cluster.propose(leader);
    let events = cluster.input(leader, Input::Transfer);
    assert!(!cluster.leads_at(leader) && !cluster.group(leader).leads());
    assert_eq!(format!("{events:?}"), "[StoodDown]");
    let told = |cluster: &Cluster| {
        let is_told = |msg: &Envelope| msg.body == Body::TransferNow;
        others.iter().flat_map(|other| taped(cluster, *other, is_told)).collect::<Vec<_>>()
    };
    assert_eq!(told(&cluster), [], "the successor lacks the last entry");
    for _ in 0..20 {
        cluster.run(MS);
        let successor = cluster.leader();
        assert!(!cluster.leads_at(leader));
        if successor.is_some() {
            break;
        }
    }
    assert!(others.contains(&cluster.leader().unwrap()), "within a few round trips");
    assert_eq!(told(&cluster).len(), 1);
    let handed: u64 = others.iter().map(|other| cluster.stat(*other, Stat::VoteHanded)).sum();
    assert!(handed >= 1, "a voter that heard the leader just now votes");
}

#[test]
fn hole_3_a_word_of_an_abandoned_transfer_that_comes_late_breaks_no_promise() {
    let (mut cluster, leader, others) = led(14);
    cluster.input(leader, Input::Transfer);
    let is_told = |msg: &Envelope| msg.body == Body::TransferNow;
    let (target, late) = others
        .iter()
        .find_map(|other| Some((*other, taped(&cluster, *other, is_told).first()?.clone())))
        .unwrap();
    let third = others.into_iter().find(|other| *other != target).unwrap();
    // The successor hears nothing until the leader has given it up.
    cluster.part(&[target], &[leader, third]);
    cluster.run(600 * MS);
    assert_eq!(cluster.leader(), Some(leader), "it stands itself, in the next term");
    assert_eq!(cluster.group(leader).term(), late.term.next());
    assert_eq!(cluster.stat(leader, Stat::TransferFailed), 1);
    cluster.heal();
    let vote = |cluster: &Cluster, term: u64, handed| {
        let last = Position { term: Term::new(90), index: LogIndex::new(90) };
        cluster.envelope(target, third, term, Body::Vote { last, handed })
    };
    cluster.run(100 * MS);
    assert!(cluster.leads_at(leader));
    cluster.inject(target, late.clone());
    for term in [2, 3, 4] {
        let msg = vote(&cluster, term, Some(late.term));
        cluster.inject(third, msg);
    }
    cluster.run(20 * MS);
    assert!(cluster.leads_at(leader), "the promise to the leader of a later term holds");
    let granted = |msg: &Envelope| msg.body == Body::Voted { granted: true };
    cluster.tape.retain(|(_, msg)| msg.term > late.term.next());
    assert_eq!(taped(&cluster, target, granted), []);
}

#[test]
fn hole_4_nothing_is_known_before_an_entry_of_the_own_term_is_committed() {
    let (mut cluster, leader, [one, other]) = led(15);
    let value = cluster.submit(leader).unwrap();
    cluster.run(100 * MS);
    cluster.crash(leader, 0);
    // The entry that opens a term does not get through, votes do.
    let mut opened = None;
    for _ in 0..3_000 {
        cluster.run(MS / 2);
        let is_opened = |node: &u64| cluster.group(*node).last() > cluster.committed(*node);
        opened = [one, other].into_iter().find(is_opened);
        if opened.is_some() {
            break;
        }
    }
    let elected = opened.unwrap();
    cluster.part(&[one], &[other]);
    cluster.run(100 * MS);
    assert!(cluster.is_committed(value));
    assert!(!cluster.group(elected).leads() && !cluster.leads_at(elected));
    cluster.read(elected);
    cluster.propose(elected);
    assert_eq!(cluster.stat(elected, Stat::ProposalDropped), 1);
    assert_eq!(cluster.judge.readable, 0);
    cluster.heal();
    cluster.run(100 * MS);
    assert!(cluster.leads_at(elected));
    assert_eq!(cluster.judge.readable, 1);
}

#[test]
fn hole_6_the_lease_ends_before_the_promises_do_with_clocks_at_opposite_extremes() {
    for (slow, fast) in [(-10_000, 10_000), (10_000, -10_000)] {
        let mut cluster = Cluster::new(16, 3, 3);
        cluster.weather = Weather { delay: (0, 0), sync: (0, 0), ..CALM };
        cluster.config.election_min = Duration::from_millis(400);
        cluster.config.election_max = Duration::from_millis(401);
        cluster.boot_all();
        let leader = cluster.elect();
        let others = cluster.others(leader);
        cluster.run(200 * MS);
        for (node, host) in &mut cluster.hosts {
            // The reading stays what it is; from here on the rates differ.
            let ppm = if *node == leader { slow } else { fast };
            let reading = host.clock.local(cluster.now).as_nanos();
            let clock = Clock { ppm, origin: 0 };
            let origin = reading - clock.local(cluster.now).as_nanos().min(reading);
            host.clock = Clock { ppm, origin };
        }
        cluster.run(200 * MS);
        cluster.part(&[leader], &others);
        let mut ended = None;
        let mut took = None;
        for _ in 0..60_000 {
            cluster.run(MS / 100);
            if ended.is_none() && !cluster.leads_at(leader) {
                ended = Some(cluster.now);
            }
            if others.iter().any(|other| cluster.leads_at(*other)) {
                took = Some(cluster.now);
                break;
            }
        }
        let (ended, took) = (ended.unwrap(), took.unwrap());
        assert!(ended <= took, "{ended} {took}");
        if slow < fast {
            assert!(took - ended < 3 * MS, "the test is tight: {ended} {took}");
        }
    }
}

#[test]
fn hole_7_members_change_only_above_an_entry_of_the_own_term() {
    let mut cluster = Cluster::new(17, 4, 3);
    for node in 1..=3 {
        cluster.boot(node);
    }
    let leader = cluster.elect();
    cluster.run(100 * MS);
    cluster.crash(leader, 0);
    let others: Vec<_> = (1..=3).filter(|node| *node != leader).collect();
    let mut elected = None;
    for _ in 0..3_000 {
        cluster.run(MS / 2);
        let is_opened = |node: &u64| cluster.group(*node).last() > cluster.committed(*node);
        elected = others.iter().copied().find(is_opened);
        if elected.is_some() {
            break;
        }
    }
    let elected = elected.unwrap();
    cluster.part(&[others[0]], &[others[1]]);
    let join = |cluster: &Cluster| {
        let mut msg = cluster.envelope(4, elected, 0, Body::Join { replaces: None });
        msg.to = DiskId::default();
        msg
    };
    let (msg, last) = (join(&cluster), cluster.group(elected).last());
    cluster.inject(elected, msg);
    assert_eq!(cluster.group(elected).last(), last);
    cluster.heal();
    cluster.run(100 * MS);
    let msg = join(&cluster);
    cluster.inject(elected, msg);
    assert_eq!(cluster.group(elected).membership().learners.len(), 1);
    // One at a time: the next is taken when this one is committed.
    let mut msg = join(&cluster);
    msg.from = Member { node: NodeId::new(leader), disk: DiskId::new(5) };
    msg.body = Body::Join { replaces: Some(DiskId::new(leader * 10)) };
    cluster.inject(elected, msg);
    assert_eq!(cluster.group(elected).membership().learners.len(), 1);
}
