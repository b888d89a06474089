//! Single stories with a known end.

use hyperscale_core::consensus::{
    Body, Chunk, ConsensusConfig, Entry, Event, Group, GroupRecord, Head, Input, Member,
    Membership, Origin, Payload, Position,
};
use hyperscale_core::ids::{Boot, BootId, DiskId, GroupId, LogIndex, Lsn, NodeId, Term};
use hyperscale_core::journal::{Record, RecoverError};
use hyperscale_core::limits;
use hyperscale_core::stat::Stat;

use super::cluster::{Cluster, MS};
use super::host::{Host, command};

#[test]
fn three_members_elect_commit_and_survive_the_leader() {
    let mut cluster = Cluster::new(1, 3, 3);
    cluster.boot_all();
    let first = cluster.elect();
    let values: Vec<_> = (1..=3).map(|node| cluster.submit(node).unwrap()).collect();
    cluster.run(200 * MS);
    assert!(values.iter().all(|value| cluster.is_committed(*value)), "{:?}", cluster.values());
    cluster.crash(first, 0);
    cluster.run(2_000 * MS);
    let second = cluster.leader().unwrap();
    assert_ne!(first, second);
    let other = 6 - first - second;
    let late = cluster.submit(other).unwrap();
    cluster.read(other);
    cluster.run(200 * MS);
    assert!(cluster.is_committed(late));
    assert_eq!(cluster.judge.readable, 1);
    cluster.boot(first);
    cluster.run(500 * MS);
    assert_eq!(cluster.committed(first), cluster.committed(second));
    assert!(cluster.judge.lease_held > 100);
}

#[test]
fn a_minority_commits_nothing_and_its_leader_stands_down() {
    let mut cluster = Cluster::new(2, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    let others: Vec<_> = (1..=3).filter(|node| *node != leader).collect();
    cluster.part(&[leader], &others);
    let lost = cluster.propose(leader);
    let kept = cluster.submit(leader).unwrap();
    cluster.run(3_000 * MS);
    assert!(!cluster.group(leader).leads());
    let successor = cluster.leader().unwrap();
    assert!(others.contains(&successor));
    assert!(!cluster.is_committed(lost) && !cluster.is_committed(kept));
    let value = cluster.submit(successor).unwrap();
    cluster.run(100 * MS);
    assert!(cluster.is_committed(value));
    cluster.heal();
    cluster.run(1_000 * MS);
    assert!(!cluster.is_committed(lost), "a decision of a leader dies with its leadership");
    assert!(cluster.is_committed(kept), "a submission does not");
    assert_eq!(cluster.leader(), Some(successor), "the rejoined member disturbs nobody");
}

#[test]
fn a_slow_disk_at_the_leader_stops_neither_heartbeats_nor_commits() {
    let mut cluster = Cluster::new(21, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    cluster.hosts.get_mut(&leader).unwrap().syncing = true;
    let value = cluster.submit(leader).unwrap();
    let durable = cluster.hosts[&leader].disk.durable;
    cluster.run(3_000 * MS);
    assert_eq!(cluster.hosts[&leader].disk.durable, durable);
    assert!(cluster.leads_at(leader), "heartbeats rest on the ballot");
    assert!(cluster.is_committed(value), "the others are a majority");
    assert!(cluster.group(leader).committed_lsn() > durable, "promises wait for the record");
}

#[test]
fn a_slow_disk_at_a_member_costs_no_lease_and_claims_nothing() {
    let mut cluster = Cluster::new(22, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let [slow, dead] = cluster.others(leader);
    cluster.crash(dead, 0);
    cluster.hosts.get_mut(&slow).unwrap().syncing = true;
    let value = cluster.submit(leader).unwrap();
    cluster.run(3_000 * MS);
    assert!(cluster.leads_at(leader), "answers to heartbeats rest on the ballot");
    assert!(!cluster.is_committed(value), "an entry counts when it is durable");
    assert_eq!(cluster.group(slow).last(), cluster.group(leader).last());
    let host = cluster.hosts.get_mut(&slow).unwrap();
    let lsn = host.disk.last;
    host.syncing = false;
    host.on_synced(lsn);
    cluster.input(slow, Input::Durable(lsn));
    cluster.run(60 * MS);
    assert!(cluster.is_committed(value));
}

/// Fig. 8 of the Raft paper: an entry of an earlier term that a majority holds may yet be replaced.
#[test]
fn an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    let mut cluster = Cluster::new(23, 3, 3);
    cluster.boot(1);
    cluster.run(2_000 * MS);
    let opened = |term: u64, index: u64| Entry::<super::host::Command> {
        term: Term::new(term),
        index: LogIndex::new(index),
        origin: None,
        payload: Payload::Opened,
    };
    let append = |prev: (u64, u64), entries: Vec<Entry<_>>| Body::Append {
        round: 1,
        prev: Position { term: Term::new(prev.0), index: LogIndex::new(prev.1) },
        commit: LogIndex::new(0),
        entries: entries.try_into().unwrap(),
    };
    // An entry of term 50 from a leader that went away; then this node is elected.
    cluster.boot(2);
    let msg = cluster.envelope(2, 1, 50, append((0, 0), vec![opened(50, 1)]));
    cluster.inject(1, msg);
    let mut term = 0;
    for _ in 0..2_000 {
        cluster.run(MS);
        let wish = cluster.group(1).term();
        let yes = Body::PreVoted { wish: wish.next(), granted: true };
        let msg = cluster.envelope(3, 1, wish.get(), yes);
        cluster.inject(1, msg);
        let msg = cluster.envelope(3, 1, wish.get(), Body::Voted { granted: true });
        cluster.inject(1, msg);
        if cluster.group(1).last() == LogIndex::new(2) {
            term = cluster.group(1).term().get();
            break;
        }
    }
    assert!(term > 50, "elected");
    cluster.part(&[1], &[2, 3]);
    cluster.run(10 * MS);
    let appended = |matched| Body::Appended { round: 1, matched: LogIndex::new(matched) };
    let msg = cluster.envelope(3, 1, term, appended(1));
    cluster.inject(1, msg);
    assert_eq!(cluster.committed(1), LogIndex::new(0), "two of three hold it, and it is old");
    let msg = cluster.envelope(3, 1, term, appended(2));
    cluster.inject(1, msg);
    assert_eq!(cluster.committed(1), LogIndex::new(2));
}

#[test]
fn votes_and_acknowledgements_of_another_disk_count_for_nothing() {
    let mut cluster = Cluster::new(24, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let others = cluster.others(leader);
    cluster.part(&[leader], &others);
    let value = cluster.submit(leader).unwrap();
    cluster.run(20 * MS);
    let (term, last) = (cluster.group(leader).term().get(), cluster.group(leader).last());
    for other in others {
        let body = Body::Appended { round: 1, matched: last };
        let mut msg = cluster.envelope(other, leader, term, body);
        msg.from.disk = DiskId::new(other * 10 + 1);
        cluster.inject(leader, msg);
    }
    assert!(!cluster.is_committed(value));
    let body = Body::Appended { round: 1, matched: last };
    let msg = cluster.envelope(others[0], leader, term, body);
    cluster.inject(leader, msg);
    assert!(cluster.committed(leader) == last);
}

#[test]
fn a_node_joins_under_its_own_name_only() {
    let mut cluster = Cluster::new(25, 4, 3);
    for node in 1..=3 {
        cluster.boot(node);
    }
    let leader = cluster.elect();
    cluster.run(50 * MS);
    let other = cluster.group(leader).membership().voters.iter().map(|m| m.node.get());
    let other = other.filter(|node| *node != leader).min().unwrap();
    let mut ask = |node: u64, disk: u64, replaces: Option<u64>| {
        let body = Body::Join { replaces: replaces.map(DiskId::new) };
        let mut msg = cluster.envelope(other, leader, 0, body);
        msg.from = Member { node: NodeId::new(node), disk: DiskId::new(disk) };
        msg.group = GroupId::new(0);
        let last = cluster.group(leader).last();
        cluster.inject(leader, msg);
        cluster.group(leader).last() > last
    };
    assert!(!ask(other, 5, None), "its node is a member with another disk");
    assert!(!ask(other, 5, Some(leader * 10)), "that is another's disk");
    assert!(!ask(9, 5, None), "no peer");
    assert!(!ask(4, other * 10, None), "another's disk");
    assert!(ask(4, 40, None));
    assert_eq!(cluster.stat(leader, Stat::JoinRefused), 4);
}

#[test]
fn a_leader_that_is_replaced_leads_until_that_is_committed() {
    let mut cluster = Cluster::new(26, 4, 3);
    for node in 1..=3 {
        cluster.boot(node);
    }
    let leader = cluster.elect();
    cluster.run(50 * MS);
    let replaces = Some(DiskId::new(leader * 10));
    cluster.hosts.get_mut(&4).unwrap().inscribe(Record::Joining { replaces });
    cluster.boot(4);
    cluster.run(50 * MS);
    assert!(!cluster.group(leader).leads());
    assert!(!cluster.group(leader).membership().is_voter(DiskId::new(leader * 10)));
    cluster.run(3_000 * MS);
    let successor = cluster.leader().unwrap();
    assert_ne!(successor, leader);
    let members = cluster.group(successor).membership();
    assert_eq!((members.voters.len(), members.learners.len()), (3, 0));
    assert!(members.is_voter(DiskId::new(40)));
    assert_eq!(cluster.stat(leader, Stat::ElectionStarted), 1, "it stands no more");
}

#[test]
fn a_submission_that_is_in_the_log_twice_counts_once() {
    let mut host = Host::new(1, 10);
    let me = Member { node: NodeId::new(1), disk: DiskId::new(10) };
    let (group, membership) = (GroupId::new(9), Membership::of_one(me));
    host.inscribe(Record::Formed { group, membership });
    let origin = |seq| Some(Origin { disk: DiskId::new(77), boot: 3, seq });
    for (index, seq) in (1..).zip([1, 1, 2, 4, 3]) {
        let (term, index) = (Term::new(1), LogIndex::new(index));
        let payload = Payload::Command(command(index.get()));
        host.inscribe(Record::Manager(Entry { term, index, origin: origin(seq), payload }));
    }
    let config = ConsensusConfig::default();
    host.boot(0, &config, 1);
    let mut events = host.step(MS, Input::Start).events;
    let last = host.disk.last;
    events.extend(host.step(MS, Input::Durable(last)).events);
    let committed = events.iter().filter_map(|event| match event {
        Event::Committed { index, .. } => Some(index.get()),
        _ => None,
    });
    assert_eq!(committed.collect::<Vec<_>>(), [1, 3, 5], "in order, each once");
    assert_eq!(host.life.as_ref().unwrap().stats.count(Stat::OriginRepeated), 2);
}

#[test]
fn recovery_refuses_a_gap_and_what_contradicts_the_snapshot() {
    let boot = Boot { id: BootId::new(1), entropy: 1, disk: DiskId::new(10) };
    let mut group =
        Group::<super::host::Command>::new(NodeId::new(1), ConsensusConfig::default(), boot);
    let head = Head { index: LogIndex::new(5), index_term: Term::new(2), ..Head::default() };
    group.replay_snapshot(head);
    let entry = |index| Entry {
        term: Term::new(2),
        index: LogIndex::new(index),
        origin: None,
        payload: Payload::Opened,
    };
    let gap = |last, found| {
        let (last, found) = (LogIndex::new(last), LogIndex::new(found));
        Err(RecoverError::LogGap { lsn: Lsn::new(9), last, found })
    };
    let mut replay = |index| group.replay(Lsn::new(9), GroupRecord::Entry(&entry(index)));
    assert_eq!(replay(5), gap(5, 5));
    assert_eq!(replay(7), gap(5, 7));
    assert_eq!(replay(6), Ok(None));
    assert_eq!(replay(7), Ok(None));
    assert_eq!(replay(6), Ok(None), "replaces the tail");
    assert_eq!(replay(8), gap(6, 8));
}

#[test]
fn what_waits_is_bounded_and_says_so() {
    let mut cluster = Cluster::new(27, 3, 3);
    cluster.boot(1);
    let mut taken = 0;
    while cluster.submit(1).is_some() {
        taken += 1;
    }
    assert_eq!(taken, limits::SUBMISSIONS_MAX);
    let seq = cluster.group(1).next_seq();
    cluster.input(1, Input::Submit(command(1)));
    assert_eq!(cluster.group(1).next_seq(), seq, "refused without a number");
    cluster.boot(2);
    cluster.run(3_000 * MS);
    assert_eq!(cluster.values().len(), taken, "all of it arrives");
    assert!(cluster.group(1).has_room());
    cluster.boot(3);
    cluster.crash(2, 0);
    cluster.crash(1, 0);
    for _ in 0..=limits::READS_MAX {
        cluster.read(3);
    }
    assert!(!cluster.group(3).has_room());
    assert_eq!(cluster.stat(3, Stat::CapRefused), 1);
    cluster.run(4_000 * MS);
    assert_eq!(cluster.stat(3, Stat::ReadDropped), u64::try_from(limits::READS_MAX).unwrap());
    assert!(cluster.group(3).has_room());
}

#[test]
fn a_member_that_hears_nothing_disturbs_nobody() {
    let mut cluster = Cluster::new(31, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let [deaf, _] = cluster.others(leader);
    cluster.cut.insert((leader, deaf));
    let term = cluster.group(leader).term();
    cluster.run(5_000 * MS);
    assert!(cluster.leads_at(leader));
    assert_eq!(cluster.group(leader).term(), term);
    assert_eq!(cluster.stat(deaf, Stat::ElectionStarted), 0, "it asks and is refused");
    cluster.is_taped = true;
    let last = Position { term: Term::new(90), index: LogIndex::new(90) };
    for body in [Body::PreVote { wish: Term::new(91), last }, Body::Vote { last, handed: None }] {
        let msg = cluster.envelope(deaf, leader, 91, body);
        cluster.inject(leader, msg);
    }
    assert!(cluster.leads_at(leader), "a leader helps nobody");
    let is_yes = |(_, msg): &(u64, super::host::Envelope)| {
        matches!(msg.body, Body::PreVoted { granted: true, .. })
    };
    assert!(!cluster.tape.iter().any(is_yes));
    cluster.heal();
    cluster.run(100 * MS);
    assert_eq!(cluster.group(leader).term(), term);
}

#[test]
fn a_candidate_with_an_older_log_gets_no_vote() {
    let mut cluster = Cluster::new(32, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.submit(leader);
    cluster.run(100 * MS);
    let [voter, candidate] = cluster.others(leader);
    cluster.part(&[voter], &[leader, candidate]);
    cluster.run(420 * MS);
    cluster.is_taped = true;
    let end = Position { term: Term::new(1), index: cluster.group(voter).last() };
    let longer = Position { term: Term::new(0), index: LogIndex::new(90) };
    let shorter = Position { index: LogIndex::new(1), ..end };
    let mut granted = |term: u64, last: Position| {
        let msg = cluster.envelope(candidate, voter, term, Body::Vote { last, handed: None });
        cluster.inject(voter, msg);
        cluster.run(2 * MS);
        cluster.tape.drain(..).any(|(_, msg)| msg.body == Body::Voted { granted: true })
    };
    assert!(!granted(5, longer), "longer, but of an older term");
    assert!(!granted(6, shorter));
    assert!(granted(7, end));
}

#[test]
fn what_names_a_boot_waits_for_its_record() {
    let mut cluster = Cluster::new(33, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let [member, _] = cluster.others(leader);
    cluster.crash(member, 0);
    cluster.is_taped = true;
    cluster.hosts.get_mut(&member).unwrap().syncing = true;
    let config = cluster.config.clone();
    let now = cluster.now;
    cluster.hosts.get_mut(&member).unwrap().boot(now, &config, 1);
    cluster.input(member, Input::Start);
    cluster.run(100 * MS);
    assert_eq!(cluster.group(member).leader(), Some(NodeId::new(leader)));
    let value = cluster.submit(member).unwrap();
    cluster.read(member);
    cluster.run(100 * MS);
    let names_boot = |(_, msg): &(u64, super::host::Envelope)| {
        matches!(msg.body, Body::Forward { .. } | Body::Read { .. })
    };
    assert!(!cluster.tape.iter().any(names_boot));
    let host = cluster.hosts.get_mut(&member).unwrap();
    let lsn = host.disk.last;
    host.syncing = false;
    host.on_synced(lsn);
    cluster.input(member, Input::Durable(lsn));
    cluster.run(100 * MS);
    assert!(cluster.is_committed(value));
    assert_eq!(cluster.judge.readable, 1);
}

#[test]
fn members_that_were_never_committed_are_forgotten_with_their_entry() {
    let mut cluster = Cluster::new(34, 4, 3);
    (1..=3).for_each(|node| cluster.boot(node));
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let others: Vec<_> = (1..=3).filter(|node| *node != leader).collect();
    cluster.part(&[leader], &others);
    let mut msg = cluster.envelope(4, leader, 0, Body::Join { replaces: None });
    msg.to = DiskId::default();
    cluster.inject(leader, msg);
    assert_eq!(cluster.group(leader).membership().learners.len(), 1, "from the append on");
    cluster.run(2_000 * MS);
    cluster.heal();
    cluster.run(500 * MS);
    assert_eq!(cluster.committed(leader), cluster.group(leader).last());
    assert_eq!(cluster.group(leader).membership().learners.len(), 0);
    cluster.crash(leader, 0);
}

#[test]
fn a_checkpoint_begins_the_assembly_of_a_snapshot_again() {
    let mut cluster = Cluster::new(35, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let [member, _] = cluster.others(leader);
    let term = cluster.group(leader).term().get();
    cluster.is_taped = true;
    let mut piece = |offset: u64, checkpoint: bool| {
        let at = Position { term: Term::new(term), index: LogIndex::new(50) };
        let bytes = vec![0; 10].try_into().unwrap();
        let chunk = Chunk { at, total: 30, offset, bytes };
        if checkpoint {
            cluster.checkpoint(member);
        }
        let msg = cluster.envelope(leader, member, term, Body::Chunk { round: 1, chunk });
        cluster.inject(member, msg);
        cluster.run(2 * MS);
        let wanted = cluster.tape.drain(..).find_map(|(_, msg)| match msg.body {
            Body::Chunked { wanted, .. } => Some(wanted),
            _ => None,
        });
        wanted.unwrap()
    };
    assert_eq!(piece(10, false), 0, "nothing is held");
    assert_eq!(piece(0, false), 10);
    assert_eq!(piece(0, false), 10, "held");
    assert_eq!(piece(10, true), 0, "what the checkpoint swallowed is gone");
    assert_eq!(piece(0, false), 10);
    assert_eq!(piece(10, false), 20);
    // The last piece is no snapshot: everything is dropped and the node lives.
    let at = Position { term: Term::new(term), index: LogIndex::new(50) };
    let chunk = Chunk { at, total: 30, offset: 20, bytes: vec![0; 10].try_into().unwrap() };
    let msg = cluster.envelope(leader, member, term, Body::Chunk { round: 1, chunk });
    cluster.inject(member, msg);
    assert_eq!(cluster.stat(member, Stat::MessageForeign), 1);
    assert_eq!(cluster.stat(member, Stat::SnapshotInstalled), 0);
}

#[test]
fn a_leader_without_its_lease_answers_no_read() {
    let mut cluster = Cluster::new(36, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let others = cluster.others(leader);
    cluster.is_taped = true;
    let ask = |cluster: &mut Cluster| {
        cluster.tape.clear();
        let msg = cluster.envelope(others[0], leader, 1, Body::Read { boot: 1, number: 9 });
        cluster.inject(leader, msg);
        let is_answer = |(_, msg): &(u64, super::host::Envelope)| {
            matches!(msg.body, Body::ReadAt { number: 9, .. })
        };
        cluster.tape.iter().any(is_answer)
    };
    assert!(ask(&mut cluster));
    cluster.part(&[leader], &others);
    cluster.run(450 * MS);
    assert!(cluster.group(leader).leads() && !cluster.leads_at(leader));
    cluster.heal();
    assert!(!ask(&mut cluster));
    cluster.read(leader);
    assert_eq!(cluster.judge.readable, 0);
}

#[test]
fn a_new_leader_gets_what_waits_at_once() {
    let mut cluster = Cluster::new(37, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let others = cluster.others(leader);
    cluster.crash(leader, 0);
    let values: Vec<_> = others.iter().map(|node| cluster.submit(*node).unwrap()).collect();
    cluster.read(others[0]);
    cluster.elect();
    cluster.run(30 * MS);
    assert!(values.iter().all(|value| cluster.is_committed(*value)));
    cluster.run(60 * MS);
    assert_eq!(cluster.judge.readable, 1);
}

#[test]
fn two_of_five_are_no_majority() {
    let mut cluster = Cluster::new(38, 5, 5);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let follower = leader % 5 + 1;
    let rest: Vec<_> = (1..=5).filter(|node| ![leader, follower].contains(node)).collect();
    cluster.part(&[leader, follower], &rest);
    let value = cluster.submit(follower).unwrap();
    cluster.run(400 * MS);
    assert!(!cluster.leads_at(leader));
    cluster.run(2_000 * MS);
    assert!(!cluster.is_committed(value) && !cluster.group(leader).leads());
    let successor = cluster.leader().unwrap();
    assert!(cluster.leads_at(successor));
    cluster.crash(successor, 0);
    cluster.run(3_000 * MS);
    assert_eq!(cluster.leader(), None);
}

#[test]
fn numbers_at_the_end_of_their_range_end_nobody() {
    let mut cluster = Cluster::new(39, 3, 3);
    cluster.boot_all();
    let leader = cluster.elect();
    cluster.run(100 * MS);
    let [member, other] = cluster.others(leader);
    let (end, term) = (LogIndex::new(u64::MAX), cluster.group(leader).term());
    let last = Position { term, index: end };
    let commands = vec![command(1), command(2), command(3)].try_into().unwrap();
    let chunk = Chunk { at: last, total: 0, offset: u64::MAX, bytes: vec![1].try_into().unwrap() };
    let (boot, number, wish) = (u64::MAX, u64::MAX, Term::new(u64::MAX));
    let bodies = [
        Body::Forward { boot, first: u64::MAX - 1, commands },
        Body::Append {
            round: number,
            prev: last,
            commit: end,
            entries: vec![].try_into().unwrap(),
        },
        Body::Appended { round: number, matched: end },
        Body::Rejected { round: number, prev: end, hint: last },
        Body::Chunk { round: number, chunk: chunk.clone() },
        Body::Chunk {
            round: 1,
            chunk: Chunk { offset: 0, bytes: vec![].try_into().unwrap(), ..chunk },
        },
        Body::Chunked { round: number, index: end, wanted: number },
        Body::Read { boot, number },
        Body::ReadAt { boot, number, index: end },
        Body::PreVote { wish, last },
        Body::PreVoted { wish, granted: true },
        Body::Voted { granted: true },
        Body::TransferNow,
    ];
    for body in bodies {
        for (from, to) in [(leader, member), (member, leader), (other, member)] {
            let msg = cluster.envelope(from, to, term.get(), body.clone());
            cluster.inject(to, msg);
        }
    }
    let value = cluster.submit(member).unwrap();
    cluster.run(3_000 * MS);
    assert!(cluster.is_committed(value));
    let committed = cluster.committed(leader);
    assert!((1..=3).all(|node| cluster.committed(node) == committed));
}
