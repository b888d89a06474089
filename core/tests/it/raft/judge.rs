//! What must hold whatever happens, seen from outside.

use std::collections::BTreeMap;

use hyperscale_core::consensus::{Body, Event};
use hyperscale_core::ids::{DiskId, LogIndex, Lsn, NodeId, Term};
use hyperscale_core::journal::Record;
use hyperscale_core::manager::ManagerLedger;

use super::host::{Command, Envelope, Host, Stepped, number};

/// What was seen so far.
#[derive(Default)]
pub(super) struct Judge {
    leaders: BTreeMap<Term, DiskId>,
    votes: BTreeMap<(DiskId, Term), DiskId>,
    chains: BTreeMap<(Term, LogIndex), u64>,
    /// Every committed entry that has a command, and the digest of the log at every committed one.
    pub(super) committed: BTreeMap<LogIndex, Command>,
    committed_chains: BTreeMap<LogIndex, u64>,
    pub(super) upto: LogIndex,
    /// The submissions of every disk and boot: number to command.
    pub(super) submitted: BTreeMap<(DiskId, u64), Vec<u64>>,
    /// What was committed when a read was asked for.
    reads: BTreeMap<(DiskId, u64, u64), LogIndex>,
    pub(super) readable: usize,
    pub(super) lease_held: u64,
    /// Whether clocks are within the bound that leases assume.
    pub(super) is_drift_bounded: bool,
}

impl Judge {
    pub(super) fn new() -> Self {
        Self { is_drift_bounded: true, ..Self::default() }
    }

    pub(super) fn on_submit(&mut self, disk: DiskId, boot: u64, seq: u64, value: u64) {
        let list = self.submitted.entry((disk, boot)).or_default();
        list.push(value);
        assert_eq!(u64::try_from(list.len()).unwrap(), seq, "numbers count from 1");
    }

    pub(super) fn on_read(&mut self, host: &Host, ticket: u64) {
        self.reads.insert((host.disk_id, host.boots, ticket), self.upto);
    }

    pub(super) fn on_step(&mut self, host: &Host, stepped: &Stepped) {
        let Some(life) = &host.life else { return };
        for event in &stepped.events {
            match event {
                Event::Committed { index, command, seq } => {
                    self.on_committed(host, *index, command, *seq);
                }
                Event::Installed { index, .. } => {
                    let mut expected = ManagerLedger::default();
                    for (index, command) in self.committed.range(..=*index) {
                        let _ = expected.apply(*index, command);
                    }
                    assert!(*index <= self.upto);
                    let stands_at_it = life.applied == *index;
                    assert!(!stands_at_it || life.ledger == expected, "another ledger");
                }
                Event::Led { term } => {
                    assert_eq!(*term, life.group.term());
                    let chain = life.group.chain(self.upto);
                    let known = self.committed_chains.get(&self.upto).copied();
                    assert!(
                        life.group.committed() >= self.upto,
                        "a leader lacks what is committed"
                    );
                    assert!(chain.is_none() || known.is_none() || chain == known);
                }
                Event::Readable { ticket } => {
                    let asked = self.reads.remove(&(host.disk_id, host.boots, *ticket));
                    assert!(life.applied_or_committed() >= asked.unwrap(), "a stale read");
                    self.readable += 1;
                }
                Event::StoodDown | Event::Followed { .. } | Event::LedgerWanted => {}
            }
        }
        let committed = life.group.committed();
        self.upto = self.upto.max(committed);
        if let Some(chain) = life.group.chain(committed) {
            let known = *self.committed_chains.entry(committed).or_insert(chain);
            assert_eq!(known, chain, "two logs at {committed:?}");
        }
    }

    /// Records above `from` are durable: of one term and index there is one log. A term whose
    /// record is lost may come again.
    pub(super) fn on_synced(&mut self, host: &Host, from: Lsn) {
        let Some(life) = &host.life else { return };
        let records = host.disk.records.iter().filter(|(lsn, _)| *lsn > from);
        for (_, record) in records.take_while(|(lsn, _)| *lsn <= host.disk.durable) {
            let Record::Manager(entry) = record else { continue };
            // A later record may have replaced it.
            let is_live = life.group.term_at(entry.index) == Some(entry.term);
            let chain = life.group.chain(entry.index).filter(|_| is_live);
            if let Some(chain) = chain {
                let place = (entry.term, entry.index);
                let known = *self.chains.entry(place).or_insert(chain);
                assert_eq!(known, chain, "two logs that agree at {place:?}");
            }
        }
    }

    fn on_committed(&mut self, host: &Host, index: LogIndex, command: &Command, seq: Option<u64>) {
        let known = self.committed.entry(index).or_insert_with(|| command.clone());
        assert_eq!(known, command, "two commands at {index:?}");
        let again = self.committed.iter().filter(|(_, known)| *known == command).count();
        assert_eq!(again, 1, "{command:?} twice");
        if let Some(seq) = seq {
            let list = &self.submitted[&(host.disk_id, host.boots)];
            let at = usize::try_from(seq).unwrap() - 1;
            assert_eq!(list[at], number(command), "another's number");
        }
    }

    /// A message leaves a node.
    pub(super) fn on_sent(&mut self, host: &Host, to: NodeId, msg: &Envelope) {
        assert_eq!(msg.from.disk, host.disk_id);
        match &msg.body {
            Body::Append { .. } | Body::Chunk { .. } | Body::TransferNow => {
                let known = *self.leaders.entry(msg.term).or_insert(msg.from.disk);
                assert_eq!(known, msg.from.disk, "two leaders in {:?}", msg.term);
            }
            Body::Vote { .. } => self.on_vote(msg.from.disk, msg.term, msg.from.disk),
            Body::Voted { granted: true } => self.on_vote(msg.from.disk, msg.term, msg.to),
            Body::Appended { matched, .. } => {
                let group = &host.life.as_ref().unwrap().group;
                assert!(group.last() >= *matched || group.term() > msg.term);
                let record = |(lsn, record): &(Lsn, Record)| match record {
                    Record::Manager(entry) if entry.index == *matched => Some(*lsn),
                    _ => None,
                };
                let newest = host.disk.records.iter().filter_map(record).next_back();
                let is_replaced = group.term() > msg.term;
                let is_durable = newest.is_none_or(|lsn| lsn <= host.disk.durable);
                assert!(is_durable || is_replaced, "{to:?} is told of {matched:?} too early");
            }
            _ => {}
        }
        let voted = match &msg.body {
            Body::Vote { .. } => Some(msg.from.disk),
            Body::Voted { granted: true } => Some(msg.to),
            _ => None,
        };
        // The record of the term; of a vote, the one with the vote in it.
        let ballot = host.disk.records.iter().find_map(|(lsn, record)| match record {
            Record::Ballot { term, vote } if *term == msg.term => {
                (voted.is_none() || *vote == voted).then_some(*lsn)
            }
            _ => None,
        });
        let is_durable = ballot.is_none_or(|first| first <= host.disk.durable);
        assert!(is_durable, "a ballot that is not durable leaves: {msg:?}");
    }

    fn on_vote(&mut self, voter: DiskId, term: Term, candidate: DiskId) {
        let known = *self.votes.entry((voter, term)).or_insert(candidate);
        assert_eq!(known, candidate, "{voter:?} votes twice in {term:?}");
    }

    /// At one true instant.
    pub(super) fn on_instant(&mut self, now: u64, hosts: &BTreeMap<u64, Host>) {
        let holds = |host: &&Host| {
            let life = host.life.as_ref();
            life.is_some_and(|life| life.group.leads_at(host.local(now)))
        };
        let holders: Vec<_> = hosts.values().filter(holds).collect();
        if !self.is_drift_bounded {
            return;
        }
        assert!(holders.len() <= 1, "two leases at {now}");
        if let [holder] = &holders[..] {
            self.lease_held += 1;
            let committed = holder.life.as_ref().unwrap().group.committed();
            assert!(committed >= self.upto, "the holder of the lease misses {:?}", self.upto);
        }
    }
}

impl super::host::Life {
    fn applied_or_committed(&self) -> LogIndex {
        self.group.committed()
    }
}
